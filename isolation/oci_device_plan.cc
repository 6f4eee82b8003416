// /dev of a bundle: config-linux.md, "Default Devices" and "Devices".
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "core/parse.h"
#include "core/try.h"
#include "isolation/default_devices.h"
#include "isolation/mount_options.h"
#include "isolation/oci_plan.h"

namespace sigil::isolation {
namespace {

struct Wanted {
    Device device;
    std::string origin;
    std::string directory;
    std::string name;
};

Result<uint32_t> type_of(const Wanted& wanted) {
    switch (wanted.device.type) {
        case 'c':
        case 'u':
            return S_IFCHR;
        case 'b':
            return S_IFBLK;
        case 'p':
            return S_IFIFO;
    }
    return failure("{}.type: '{}' is no kind of device", wanted.origin,
                   printable(std::string_view(&wanted.device.type, 1)));
}

// The default ones first, unless config.json has them otherwise.
Result<std::vector<Wanted>> wanted_devices(const Oci& oci) {
    std::vector<Wanted> devices;
    for (const DefaultDevice& usual : kDefaultDevices)
        if (std::ranges::find(oci.devices, std::string_view(usual.path), &Device::path) ==
            oci.devices.end())
            devices.push_back({.device = {.path = usual.path,
                                          .type = 'c',
                                          .major = usual.major,
                                          .minor = usual.minor,
                                          .mode = kDefaultDeviceMode}});
    for (size_t index = 0; index < oci.devices.size(); ++index)
        if (oci.devices[index].path != "/dev/ptmx")  // always the link to the container's own
            devices.push_back(
                {.device = oci.devices[index], .origin = fmt::format("linux.devices[{}]", index)});
    for (Wanted& wanted : devices) {
        std::string path = TRY(
            clean_destination({.target = wanted.device.path, .origin = wanted.origin + ".path"}));
        const size_t slash = path.rfind('/');
        wanted.directory = slash == 0 ? "/" : path.substr(0, slash);
        wanted.name = path.substr(slash + 1);
    }
    return devices;
}

Result<void> plan_device(const Wanted& wanted, LaunchPlan& plan) {
    const Device& device = wanted.device;
    const uint32_t type = TRY(type_of(wanted));
    plan.setup.push_back(
        {.kind = StepKind::make_device,
         .mode = type | (device.mode & 07777),
         .path = plan.keep(wanted.name),
         .source = plan.keep(device.path),
         .device = type == S_IFIFO ? 0 : makedev(device.major, device.minor),
         .ids = device.uid || device.gid ? plan.keep(device.uid, device.gid, {}) : nullptr,
         .origin = wanted.origin.empty() ? nullptr : plan.keep(wanted.origin)});
    return {};
}

void plan_links(bool has_kcore, LaunchPlan& plan) {
    // flags 1: instead of the image's.
    auto add = [&plan](const DefaultLink& link, uint64_t flags = 0) {
        plan.setup.push_back({.kind = StepKind::ensure_link,
                              .path = link.name,
                              .source = link.target,
                              .flags = flags});
    };
    for (const DefaultLink& link : kDefaultLinks)
        add(link);
    if (has_kcore)
        add(kCoreLink);
    add(kPtmxLink, 1);
}

}  // namespace

Result<void> plan_oci_devices(const Oci& oci, bool has_kcore, LaunchPlan& plan) {
    const std::vector<Wanted> devices = TRY(wanted_devices(oci));
    std::string here;
    auto enter = [&](const std::string& directory) {
        if (here == directory)
            return;
        here = directory;
        plan.setup.push_back({.kind = StepKind::enter_directory, .path = plan.keep(directory)});
    };
    for (const Wanted& wanted : devices) {
        enter(wanted.directory);
        TRY(plan_device(wanted, plan));
    }
    enter("/dev");
    plan_links(has_kcore, plan);
    return {};
}

}  // namespace sigil::isolation
