// Who may do what with devices in a container's cgroup. cgroup v2 has no files for it: the rules
// are a BPF program that the kernel asks at each open(2) and mknod(2) of a device (cgroup-v2.rst,
// "Device controller"; BPF_PROG_TYPE_CGROUP_DEVICE). A loaded filter is one descriptor and can be
// attached to any number of cgroups; a cgroup keeps its program alive.
#pragma once

#include <linux/bpf.h>

#include <deque>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/oci.h"

namespace sigil::isolation {

// The rules that a container's filter is made of: the bundle's, and after them those that no bundle
// can take away, as runc's and crun's users have them: nodes of any device may be made, and the
// devices that config-linux.md supplies ("Default Devices") may be used.
std::vector<DeviceRule> with_default_devices(std::vector<DeviceRule> rules);

// The program for these rules. Each kind of access (read, write, mknod) is decided by the last rule
// that matches the device and speaks of it; what no rule speaks of is denied. So an access of two
// kinds may be allowed by two rules, and a rule may take a part out of a wider one.
std::vector<bpf_insn> device_program(std::span<const DeviceRule> rules);

class DeviceFilter {
  public:
    // Loads the program. EPERM: no CAP_BPF or CAP_NET_ADMIN in the machine's own user namespace.
    static Result<DeviceFilter> load(std::span<const DeviceRule> rules);

    // From now on the cgroup asks it, beside what is attached to it and its parents (all must
    // allow), and instead of the filters that sigil has attached to it before. `cgroup`: a
    // descriptor of its directory.
    Result<void> attach(int cgroup) const;
    // The same, for a cgroup that is new and has none.
    Result<void> attach_first(int cgroup) const;

  private:
    explicit DeviceFilter(Fd program) : program_(std::move(program)) {}
    Fd program_;
};

// The filters of one supervisor's containers: each is loaded once, whatever number of cgroups it is
// attached to. For any thread; all that use it must have the same descriptors.
class DeviceFilters {
  public:
    // Those rules and the default ones, for a cgroup that is new. False: the kernel has no such
    // programs, or lets us have none.
    Result<bool> restrict(int cgroup, const std::vector<DeviceRule>& rules);

  private:
    struct Loaded {
        std::vector<DeviceRule> rules;
        DeviceFilter filter;
    };
    std::mutex mutex_;
    std::deque<Loaded> loaded_;
    bool is_refused_ = false;
};

// The filter of a bundle, `rules` being linux.resources.devices, attached to its cgroup. Where the
// kernel doesn't let us because we are in a user namespace ourselves, there is none, as with runc:
// nobody there can make a node of a device, nor use one that the mount (nodev) doesn't let him.
Result<void> restrict_devices(int cgroup, const std::vector<DeviceRule>& rules);

}  // namespace sigil::isolation
