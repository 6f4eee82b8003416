// Stream sockets: of a path beneath a directory, or of TCP. None of them waits, but connect_unix's,
// which is a client's.
#pragma once

#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include <span>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"

namespace sigil {

// Of DIRECTORY/NAME. It goes through the descriptor, so the path may be longer than an address
// holds. AT_FDCWD: `name` is a path, of at most 107 bytes.
Result<sockaddr_un> unix_address(int directory, const std::string& name);
// Bound there, mode 0600.
Result<Fd> listen_unix(int directory, const std::string& name);
// ECONNREFUSED, ENOENT: nobody listens there.
Result<Fd> connect_unix(int directory, const std::string& name);
// `host`: an address of IPv4 or IPv6, no name.
Result<Fd> listen_tcp(const std::string& host, uint16_t port);
// The next connection; EAGAIN: none waits.
Result<Fd> accept_connection(int socket);
// Who is at the other end of a Unix socket (SO_PEERCRED).
Result<uid_t> peer_uid(int socket);
// What has come, without waiting: 0 bytes at the end, EAGAIN if there is none.
Result<size_t> receive(int socket, std::span<char> into);

}  // namespace sigil
