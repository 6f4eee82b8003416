// The system call filter of a container that asks for none: Docker's default, and no weaker.
#pragma once

#include <memory>

#include "core/capabilities.h"
#include "core/error.h"
#include "core/oci.h"
#include "core/seccomp_program.h"

namespace sigil::isolation {

// The profile of a container with these capabilities: some calls come with one, as with Docker.
Seccomp default_seccomp_profile(CapabilitySet capabilities);

// Those of them that make a difference to it.
CapabilitySet seccomp_grants(CapabilitySet capabilities);

// The same compiled. Of the default capabilities, or fewer, it is part of the binary
// (seccomp_generate.cc); else it is compiled here.
Result<std::shared_ptr<const SeccompProgram>> default_seccomp(CapabilitySet capabilities);

}  // namespace sigil::isolation
