// The corner of the machine that the tests use, made once for each test program: a mount namespace,
// a cgroup and a directory of its own, so that what sigil leaves behind is told apart from what
// others do at the same time. Everything goes away with the program.
#pragma once

#include <string>

namespace sigil::e2e {

// Where the program is found: $SIGIL, or the one of this build.
std::string sigil_path();
std::string probe_path();
std::string bare_path();
std::string busybox_path();

// True in the virtual machine of tests/vm/run, where everything takes 15 to 20 times longer.
bool in_virtual_machine();
// Built with sanitizers: what squeezes sigil's resources squeezes the sanitizer first.
bool is_sanitized();
// Either: what is done again and again is done less often, and given more time.
bool is_slow();

// Where sigil keeps its record of what it makes, unless --root says otherwise; nobody else's here.
const char* records_root();
// A directory on a tmpfs of our own.
const std::string& scratch_directory();

}  // namespace sigil::e2e
