// Capabilities by name (capabilities(7)).
#pragma once

#include <stdint.h>

#include <span>
#include <string_view>

#include "core/error.h"

namespace sigil {

// Bit n: capability n.
using CapabilitySet = uint64_t;

// The names without "CAP_", by number.
std::span<const std::string_view> capability_names();

// "NET_ADMIN", "CAP_NET_ADMIN" in any case; "ALL" is every one that the headers know.
Result<CapabilitySet> parse_capability(std::string_view name);

// The same, of what sigil has itself: ALL is that, and naming another is an error.
Result<CapabilitySet> parse_capability_to_give(std::string_view name);

// SYS_PTRACE without SYS_ADMIN: trusted with other processes, but not with the machine.
bool can_trace_but_not_administer(CapabilitySet set);

// What a container has unless told otherwise: Docker's set without MKNOD, because no device
// controller stands behind it yet.
CapabilitySet default_capabilities();

}  // namespace sigil
