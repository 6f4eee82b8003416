// A network namespace with its loopback up. Raw system calls only: the child half of a launch makes
// one too.
#pragma once

#include <asm/unistd.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/socket.h>

#include "core/raw_syscall.h"

namespace sigil::isolation {

// Puts the loopback of the calling thread's network namespace up. Returns a socket of that
// namespace, or -errno.
inline long open_loopback() {
    const long socket = raw::call(__NR_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0)
        return socket;
    ifreq loopback = {};
    loopback.ifr_name[0] = 'l', loopback.ifr_name[1] = 'o';
    loopback.ifr_flags = IFF_UP;
    const long up = raw::call(__NR_ioctl, socket, SIOCSIFFLAGS, &loopback);
    if (up >= 0)
        return socket;
    raw::call(__NR_close, socket);
    return up;
}

// Moves the calling thread into a new one. Returns a descriptor of it, or -errno.
inline long make_network_namespace() {
    if (long made = raw::call(__NR_unshare, CLONE_NEWNET); made < 0)
        return made;
    const long socket = open_loopback();
    if (socket < 0)
        return socket;
    // The namespace of a socket, as a descriptor (netdevice(7), Linux 4.10).
    const long network = raw::call(__NR_ioctl, socket, SIOCGSKNS, 0);
    raw::call(__NR_close, socket);
    return network;
}

}  // namespace sigil::isolation
