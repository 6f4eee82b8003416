// Unix datagrams as sd_notify(3) sends them: to the process manager, and from containers.
#pragma once

#include <sys/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/fd.h"

namespace sigil {

// A socket that sends to `address`: a path, or "@name" of the abstract namespace (unix(7)).
// Nothing waits; whether there is room is told by polling it.
Result<Fd> connect_datagram(std::string_view address);
// One datagram. EAGAIN: the receiver's queue is full.
Result<void> send_datagram(int socket, std::string_view text);

// A socket bound to `path`, which everyone may write to, with the senders' credentials.
Result<Fd> bind_datagram(const char* path);

struct Datagram {
    std::string_view text;  // in `into`
    bool is_cut = false;    // it was longer
    pid_t sender = 0;       // 0: the kernel told none
    std::vector<Fd> passed;
};
// The next one; EAGAIN: none is there.
Result<Datagram> receive_datagram(int socket, std::span<char> into);

}  // namespace sigil
