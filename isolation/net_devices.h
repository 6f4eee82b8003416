// linux.netDevices: network devices of the host that become the container's (config-linux.md,
// "Network Devices"), by rtnetlink(7).
#pragma once

#include <sys/types.h>

#include <span>

#include "core/error.h"
#include "core/oci.h"

namespace sigil::isolation {

// Moves the devices, in their order, from the calling thread's network namespace into that of the
// process, gives them their names there, their addresses of global scope back, which the kernel
// takes away, and puts them up. An error names the device's JSON path; what was moved until then
// stays, and goes the way of the namespace.
Result<void> move_net_devices(std::span<const NetDevice> devices, pid_t pid);

}  // namespace sigil::isolation
