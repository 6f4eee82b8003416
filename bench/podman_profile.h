// The seccomp profile of podman and its kin, as they hand it to an OCI runtime.

#pragma once

#include <span>
#include <string>

namespace sigil::bench {

// config.json's linux.seccomp from the engines' own file (/usr/share/containers/seccomp.json), for
// a container with these capabilities on this machine.
std::string podman_profile(const std::string& file, std::span<const char* const> capabilities);

}  // namespace sigil::bench
