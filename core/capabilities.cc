#include "core/capabilities.h"

#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil {
namespace {

// By number.
constexpr std::array<std::string_view, CAP_LAST_CAP + 1> kNames = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};

constexpr CapabilitySet bit(int capability) {
    return CapabilitySet{1} << capability;
}

CapabilitySet all() {
    return bit(CAP_LAST_CAP + 1) - 1;
}

}  // namespace

std::span<const std::string_view> capability_names() {
    return kNames;
}

Result<CapabilitySet> parse_capability(std::string_view name) {
    std::string upper(name);
    std::ranges::transform(upper, upper.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c;
    });
    if (upper == "ALL")
        return all();
    std::string_view plain = upper;
    if (plain.starts_with("CAP_"))
        plain.remove_prefix(4);
    auto found = std::ranges::find(kNames, plain);
    if (found == kNames.end())
        return failure("'{}' is not a capability", printable(name));
    return bit(static_cast<int>(found - kNames.begin()));
}

Result<CapabilitySet> parse_capability_to_give(std::string_view name) {
    const CapabilitySet set = TRY(parse_capability(name));
    // Who is not root has all of them in the user namespace that sigil makes for them.
    const CapabilitySet own = ::geteuid() != 0 ? all() : TRY(sys::permitted_capabilities());
    if (set == all())
        return own & set;
    if ((set & own) != set)
        return failure("sigil does not have {} itself", printable(name));
    return set;
}

bool can_trace_but_not_administer(CapabilitySet set) {
    return (set & bit(CAP_SYS_PTRACE)) && !(set & bit(CAP_SYS_ADMIN));
}

CapabilitySet default_capabilities() {
    return bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FOWNER) | bit(CAP_FSETID) |
           bit(CAP_KILL) | bit(CAP_SETGID) | bit(CAP_SETUID) | bit(CAP_SETPCAP) |
           bit(CAP_NET_BIND_SERVICE) | bit(CAP_NET_RAW) | bit(CAP_SYS_CHROOT) |
           bit(CAP_AUDIT_WRITE) | bit(CAP_SETFCAP);
}

}  // namespace sigil
