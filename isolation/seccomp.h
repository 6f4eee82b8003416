// A system call filter, from the runtime specification's words (config-linux.md, "Seccomp") to the
// kernel's instructions. Pure: what comes out can be run by an interpreter, without root.
//
// A compiler of our own, not libseccomp, because of what a start pays: libseccomp takes
// milliseconds for a container's profile, so that its output has to be kept on a disk and guarded
// there; this takes some ten microseconds, and makes a third of the instructions. The system calls
// of each architecture become ranges of numbers with the same outcome, and those a binary search.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/oci.h"
#include "core/seccomp_program.h"

namespace sigil::isolation {

// `path` leads the paths in errors, or is empty: "linux.seccomp.syscalls[3].args[0].op: ...".
//
// As runc and crun have it: names that no kernel of this machine knows are passed over, and so are
// rules that say what the default says; conditions of one rule hold together, unless two of them
// are of the same argument: then each is a rule of its own. Of the rules of one system call one
// without conditions wins, else the first that matches. This machine's own architecture is always
// filtered; a process of one that is not listed is killed.
//
// As runc alone has it: where the default is an errno, system calls that are newer than all that
// the profile names fail with ENOSYS, so that a C library falls back to what it knows.
Result<SeccompProgram> compile(const Seccomp& seccomp, std::string_view path = "linux.seccomp");

// The words that compile() knows, as a profile has them.
struct SeccompVocabulary {
    std::vector<std::string> actions;
    std::vector<std::string> operators;
    std::vector<std::string> architectures;
    std::vector<std::string> flags;
};
SeccompVocabulary seccomp_vocabulary();

}  // namespace sigil::isolation
