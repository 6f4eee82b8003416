// A seccomp profile as Docker and podman have it, compiled.
#include "isolation/seccomp.h"

#include "core/capabilities.h"
#include "core/seccomp_profile.h"
#include "target.h"

void sigil::fuzz::run(std::string_view input) {
    ProfileFacts facts;
    facts.capability = parse_capability;
    if (const auto profile = parse_seccomp_profile(input, facts))
        (void)isolation::compile(*profile);
}
