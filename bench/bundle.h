// The OCI bundles that crun and runc run: the same rootfs, namespaces and mounts as the floor's.

#pragma once

#include <span>
#include <string>

#include "process.h"

namespace sigil::bench {

// Makes the directory and its config.json for the given guest, a program and its arguments.
// `seccomp`: config.json's linux.seccomp; empty: no filter.
void write_bundle(const std::string& directory, const std::string& rootfs, const Command& guest,
                  bool own_network, const std::string& seccomp = {});

// The set that container engines give by default, which is the bundle's.
std::span<const char* const> engine_capabilities();

}  // namespace sigil::bench
