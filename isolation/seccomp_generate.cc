// Runs while sigil is built: writes the default filter, compiled, as constants for it. A start then
// pays nothing for the compiler.
#include <linux/capability.h>
#include <stdio.h>

#include "isolation/seccomp.h"
#include "isolation/seccomp_default.h"

namespace {

using sigil::CapabilitySet;

bool print(const char* name, CapabilitySet capabilities) {
    using namespace sigil::isolation;
    auto program = compile(default_seccomp_profile(capabilities));
    if (!program) {
        fprintf(stderr, "%s: %s\n", name, program.error().message().c_str());
        return false;
    }
    printf("constexpr sock_filter %s[] = {\n", name);
    for (const sock_filter& one : program->instructions)
        printf("    {%u, %u, %u, %uU},\n", one.code, one.jt, one.jf, one.k);
    printf("};\n");
    return true;
}

}  // namespace

int main() {
    printf("// Written by seccomp_generate.cc.\n#pragma once\n\n#include <linux/filter.h>\n\n");
    const bool done =
        print("kWithChroot", CapabilitySet{1} << CAP_SYS_CHROOT) && print("kWithoutChroot", 0);
    return done && fflush(stdout) == 0 ? 0 : 1;
}
