// Places that a bundle's root filesystem lacks for its mounts, made before there is a container:
// where it has a user namespace, the container's own root may make none in a root filesystem that
// belongs to the machine's.
#pragma once

#include "core/spec.h"

namespace sigil::isolation {

// Makes what is missing beneath `root`, a descriptor of the root filesystem, as a directory, or as
// a file for the bind of one. What is new belongs to whom the directory does that it is in. A place
// in another mount is left to the child, which is there, and so is what cannot be made: the child's
// own attempt tells why.
void make_mount_points(const Spec& spec, int root);

}  // namespace sigil::isolation
