#include <linux/capability.h>

#include <span>
#include <utility>

#include "core/try.h"
#include "default_filters.h"  // generated: seccomp_generate.cc
#include "isolation/seccomp.h"
#include "isolation/seccomp_default.h"

namespace sigil::isolation {
namespace {

std::shared_ptr<const SeccompProgram> prepared(std::span<const sock_filter> instructions) {
    return std::make_shared<const SeccompProgram>(SeccompProgram{
        .instructions = {instructions.begin(), instructions.end()}, .admits_launch = true});
}

}  // namespace

Result<std::shared_ptr<const SeccompProgram>> default_seccomp(CapabilitySet capabilities) {
    switch (seccomp_grants(capabilities)) {
        case CapabilitySet{1} << CAP_SYS_CHROOT:
            return prepared(kWithChroot);
        case 0:
            return prepared(kWithoutChroot);
        default: {
            SeccompProgram program =
                TRY(compile(default_seccomp_profile(capabilities), "the default filter"));
            program.admits_launch = true;
            return std::make_shared<const SeccompProgram>(std::move(program));
        }
    }
}

}  // namespace sigil::isolation
