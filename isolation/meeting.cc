#include "isolation/meeting.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "core/raw_syscall.h"

namespace sigil::isolation {
namespace {

long send(int channel, const StageMessage& message) {
    long sent = raw::call(__NR_sendto, channel, &message, sizeof message, MSG_NOSIGNAL, nullptr, 0);
    return sent < 0 ? sent : 0;
}

// Without a parent there is nobody to live for.
long wait_for_parent(int channel) {
    char word = 0;
    long count;
    do
        count = raw::call(__NR_read, channel, &word, 1);
    while (count == -EINTR);
    return count == 1 ? 0 : count < 0 ? count : -ECANCELED;
}

}  // namespace

long meet_parent(int channel, uint32_t meeting) {
    const long sent = send(channel, {.meeting = meeting});
    return sent < 0 ? sent : wait_for_parent(channel);
}

long pass_on(int channel, uint32_t meeting, int fd) {
    StageMessage message = {.meeting = meeting};
    iovec bytes = {.iov_base = &message, .iov_len = sizeof message};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
    msghdr header = {};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    auto* rights = reinterpret_cast<cmsghdr*>(control);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    *reinterpret_cast<int*>(CMSG_DATA(rights)) = fd;
    const long sent = raw::call(__NR_sendmsg, channel, &header, MSG_NOSIGNAL);
    return sent < 0 ? sent : 0;
}

long hand_over(int channel, uint32_t meeting, int fd) {
    const long sent = pass_on(channel, meeting, fd);
    return sent < 0 ? sent : wait_for_parent(channel);
}

long await_start(int channel, int listener) {
    if (long sent = send(channel, {.meeting = static_cast<uint32_t>(Meeting::ready)}); sent < 0)
        return sent;
    for (;;) {
        const long caller = raw::call(__NR_accept4, listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (caller == -EINTR || caller == -ECONNABORTED)
            continue;
        if (caller < 0)
            return caller;
        char word = 0;
        if (raw::call(__NR_read, caller, &word, 1) == 1) {
            const long moved = raw::call(__NR_dup3, caller, channel, O_CLOEXEC);
            raw::call(__NR_close, caller);
            raw::call(__NR_close, listener);
            return moved < 0 ? moved : 0;
        }
        raw::call(__NR_close, caller);  // somebody asked only whether we are here
    }
}

void tell_failure(int channel, const LaunchReport& report) {
    (void)send(channel, {.meeting = static_cast<uint32_t>(Meeting::failed),
                         .phase = static_cast<uint32_t>(report.phase),
                         .step = report.step,
                         .error = report.error,
                         .interpreter_missing = report.interpreter_missing,
                         .fork_failed = report.fork_failed});
}

void tell_executed(int channel, const LaunchReport& report) {
    (void)send(channel, {.meeting = static_cast<uint32_t>(Meeting::executed),
                         .executed_ns = report.executed_ns});
}

long await_descriptors(int channel, PlanDescriptors& descriptors) {
    if (long sent = send(channel, {.meeting = static_cast<uint32_t>(Meeting::parked)}); sent < 0)
        return sent;
    char word = 0;
    iovec bytes = {.iov_base = &word, .iov_len = 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)] = {};
    msghdr header = {};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    long count;
    do
        count = raw::call(__NR_recvmsg, channel, &header, MSG_CMSG_CLOEXEC);
    while (count == -EINTR);
    if (count <= 0)
        return count < 0 ? count : -ECANCELED;
    const auto* rights = reinterpret_cast<const cmsghdr*>(control);
    if (header.msg_controllen < sizeof *rights || rights->cmsg_level != SOL_SOCKET ||
        rights->cmsg_type != SCM_RIGHTS)
        return -EBADMSG;
    // No more than there is room for: the kernel closes those.
    const size_t arrived = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const int* from = reinterpret_cast<const int*>(CMSG_DATA(rights));
    for (size_t index = 0; index < arrived; ++index)
        descriptors[index] = from[index];
    return static_cast<long>(arrived);
}

}  // namespace sigil::isolation
