#include "isolation/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/json_writer.h"
#include "core/parse.h"
#include "core/state.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {

Result<void> send_descriptor(const std::string& socket_path, int fd, std::string_view text) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path)
        return failure("{}: longer than a socket's path can be", printable(socket_path));
    ::memcpy(address.sun_path, socket_path.data(), socket_path.size());
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket)
        return tl::unexpected(Error::from_errno(errno, "socket"));
    // Of a socket that nobody accepts on, the kernel's queue is full at some time (unix(7)).
    const timeval patience = {.tv_sec = 10, .tv_usec = 0};
    (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return tl::unexpected(
            Error::from_errno(errno, "connect").in(fmt::format("connect to {}", socket_path)));
    return sys::send_descriptors(socket.get(), text, {&fd, 1});
}

Result<void> send_listener(const Seccomp& seccomp, std::string_view state, pid_t pid,
                           const Fd& listener) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "ociVersion", kOciVersion);
    json.Key("fds");
    json.StartArray();
    json.String("seccompFd");
    json.EndArray();
    add(json, "pid", int64_t{pid});
    add(json, "metadata", seccomp.listener_metadata);
    json.Key("state");
    json.RawValue(state.data(), state.size(), rapidjson::kObjectType);
    json.EndObject();
    return TRY(send_descriptor(seccomp.listener_path, listener.get(),
                               {buffer.GetString(), buffer.GetSize()}),
               "linux.seccomp.listenerPath"),
           Result<void>();
}

}  // namespace sigil::isolation
