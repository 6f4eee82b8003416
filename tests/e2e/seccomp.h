// System calls that fail because a filter says so.
#pragma once

namespace sigil::e2e {

// From now on this system call fails with this error, for us and for whatever we execute.
void make_fail(int number, int error);

}  // namespace sigil::e2e
