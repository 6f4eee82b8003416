// A file with a seccomp profile, as Docker and podman have them ("includes", "excludes",
// "archMap"), or the linux.seccomp of a bundle: JSON in, plain data out.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "core/oci.h"

namespace sigil {

// What rules of a profile may depend on.
struct ProfileFacts {
    uint64_t capabilities = 0;  // of the container; bit n: capability n
    // The bit of a capability by its name. One that is not known is one that nobody has.
    Result<uint64_t> (*capability)(std::string_view name) = nullptr;
    unsigned kernel_major = 0;
    unsigned kernel_minor = 0;
};

// What does not apply is left out: a rule that is not for this container stays, without names, so
// that rules keep their number. Errors name the place: "syscalls[3].args[0].value: not a number".
// Words are not looked at: isolation/seccomp knows them.
Result<Seccomp> parse_seccomp_profile(std::string_view text, const ProfileFacts& facts);

}  // namespace sigil
