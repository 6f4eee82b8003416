// A write that doesn't wait, to a descriptor whose flags are not ours to change: O_NONBLOCK belongs
// to the open file description (open(2)), which sigil's stdout shares with the shell and others.
#pragma once

#include <string_view>

#include "core/error.h"

namespace sigil::loop {

// How many bytes were taken; EAGAIN: none, as there is no room, or as only a poll can tell.
// `is_writable`: a poll has just told that there is room.
//
// Where no other way is left (a pipe, FIFO or terminal that can't be opened anew), at most PIPE_BUF
// bytes are written once there is room: that waits only if another writer takes the room first, or
// on a terminal that has less.
Result<size_t> write_now(int fd, std::string_view bytes, bool is_writable);

}  // namespace sigil::loop
