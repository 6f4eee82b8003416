// The OCI bundles that crun and runc run: the same rootfs, namespaces and mounts as the floor's.

#pragma once

#include <string>

namespace sigil::bench {

// Makes the directory and its config.json for the given guest program.
void write_bundle(const std::string& directory, const std::string& rootfs, const std::string& guest,
                  bool own_network);

}  // namespace sigil::bench
