// What `sigil exec` has to know of a container of `sigil run`: kept on its cgroup, as an extended
// attribute, from before its first process to its end. Nothing is noted of a container that has
// what all have unless told otherwise. Only root may write it, or, where the cgroup is an ordinary
// user's, that user.
#pragma once

#include <string>
#include <string_view>

#include "core/capabilities.h"
#include "core/error.h"
#include "core/spec.h"

namespace sigil::isolation {

struct ContainerNote {
    CapabilitySet capabilities = default_capabilities();
    bool is_filtered = true;  // its system calls
    std::string name;         // of one whose cgroup was made before it had one; else empty
    bool operator==(const ContainerNote&) const = default;
};

ContainerNote note_of(const Spec& spec);

// As the attribute has it; reading passes over what it doesn't know.
std::string as_text(const ContainerNote& note);
Result<ContainerNote> parse_note(std::string_view text);

// `cgroup`: a descriptor of its directory. Where the kernel keeps no attributes, nothing is noted.
Result<void> write_note(int cgroup, const ContainerNote& note);
Result<ContainerNote> read_note(int cgroup);

}  // namespace sigil::isolation
