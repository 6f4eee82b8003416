#include "cli/seccomp_words.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>

#include <array>
#include <string>

#include "core/capabilities.h"
#include "core/fd.h"
#include "core/parse.h"
#include "core/seccomp_profile.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/seccomp.h"
#include "isolation/seccomp_default.h"

namespace sigil::cli {
namespace {

using Text = std::string_view;

Result<std::string> read_file(Text path) {
    constexpr size_t kLargest = 1UL << 20;
    Fd file = TRY(sys::open(AT_FDCWD, std::string(path).c_str(), O_RDONLY));
    return sys::read_all(file.get(), kLargest);
}

ProfileFacts facts_of(const Spec& spec) {
    ProfileFacts facts = {.capabilities = spec.capabilities, .capability = parse_capability};
    utsname kernel;
    if (::uname(&kernel) == 0)
        (void)::sscanf(kernel.release, "%u.%u", &facts.kernel_major, &facts.kernel_minor);
    return facts;
}

Result<std::shared_ptr<const SeccompProgram>> compile_file(const Spec& spec, Text path) {
    const std::string text = TRY(read_file(path));
    const Seccomp profile = TRY(parse_seccomp_profile(text, facts_of(spec)));
    if (!profile.listener_path.empty())
        return failure("listenerPath: not supported");
    return std::make_shared<const SeccompProgram>(TRY(isolation::compile(profile, "")));
}

}  // namespace

Result<void> set_seccomp(Spec& spec, Text word) {
    if (word.empty())
        word = spec.privileged ? kNoSeccomp : kDefaultSeccomp;
    if (word == kNoSeccomp)
        spec.seccomp = nullptr;
    else if (word == kDefaultSeccomp)
        spec.seccomp = TRY(isolation::default_seccomp(spec.capabilities));
    else
        spec.seccomp = TRY(compile_file(spec, word), "{}", printable(word));
    return {};
}

}  // namespace sigil::cli
