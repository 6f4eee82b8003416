// A bundle's namespaces: the new ones as flags of clone3(2), those to join as descriptors.
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/spec.h"

namespace sigil::isolation {

// CLONE_NEW*.
uint64_t flag_of(NamespaceKind kind);
// As config.json calls it: "network".
const char* name(NamespaceKind kind);

// Whether it has a time namespace of its own. A child enters that by its birth, and not while it
// shares memory with its parent (copy_process() in the kernel).
bool makes_time_namespace(const Oci& oci);

struct JoinedNamespace {
    NamespaceKind kind;
    uint64_t flag;
    Fd fd;
    std::string origin;  // "linux.namespaces[2].path /run/netns/a"
};

// Those with a path, in the order in which they must be joined: the user namespace gives the right
// to the others, the mount namespace takes the paths away. An error names the JSON path; a file
// that is none, or of another kind, is one.
Result<std::vector<JoinedNamespace>> open_namespaces(std::span<const Namespace> namespaces);

// CLONE_NEW* of the new ones that the clone makes. Not the cgroup's, whose root must be the cgroup
// that the child is in by then, nor the time's, whose offsets come before its first process.
uint64_t new_namespace_flags(const Spec& spec);

// CLONE_NEW*: which of a process's namespaces are not ours. Only those can be joined (setns(2): not
// the user namespace that one is in).
Result<uint64_t> foreign_namespaces(pid_t pid);

// What the calling thread has to be in for a clone: the pid namespace that its child is to be in,
// and a time namespace with its offsets, which can be set only before its first process
// (time_namespaces(7)). It is back in its own when this goes.
class EnteredNamespaces {
  public:
    // `oci`: of a container that is to have a new time namespace, if it asks for one; else null.
    static Result<EnteredNamespaces> enter(std::span<const JoinedNamespace> joined, const Oci* oci);
    EnteredNamespaces(EnteredNamespaces&&) = default;
    EnteredNamespaces& operator=(EnteredNamespaces&&) = delete;
    ~EnteredNamespaces();

  private:
    EnteredNamespaces() = default;
    struct Left {
        Fd fd;
        int flag;
    };
    std::vector<Left> left_;
};

}  // namespace sigil::isolation
