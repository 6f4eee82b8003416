// /dev of a bundle: config-linux.md, "Default Devices" and "Devices".
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/try.h"
#include "isolation/mount_options.h"
#include "isolation/oci_plan.h"

namespace sigil::isolation {
namespace {

constexpr uint32_t kEveryone = 0666;

struct Node {
    const char* path;
    unsigned major;
    unsigned minor;
};

constexpr std::array kDefault = {
    Node{"/dev/null", 1, 3},   Node{"/dev/zero", 1, 5},    Node{"/dev/full", 1, 7},
    Node{"/dev/random", 1, 8}, Node{"/dev/urandom", 1, 9}, Node{"/dev/tty", 5, 0},
};

struct Link {
    const char* name;
    const char* target;
};

constexpr std::array kLinks = {
    Link{"fd", "/proc/self/fd"},
    Link{"stdin", "/proc/self/fd/0"},
    Link{"stdout", "/proc/self/fd/1"},
    Link{"stderr", "/proc/self/fd/2"},
};

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
    for (const Node& node : kDefault)
        if (std::ranges::find(oci.devices, std::string_view(node.path), &Device::path) ==
            oci.devices.end())
            devices.push_back({.device = {.path = node.path,
                                          .type = 'c',
                                          .major = node.major,
                                          .minor = node.minor,
                                          .mode = kEveryone}});
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
    for (const Link& link : kLinks)
        plan.setup.push_back(
            {.kind = StepKind::ensure_link, .path = link.name, .source = link.target});
    if (has_kcore)
        plan.setup.push_back(
            {.kind = StepKind::ensure_link, .path = "core", .source = "/proc/kcore"});
    // Instead of the image's: only the container's own devpts has terminals for it.
    plan.setup.push_back(
        {.kind = StepKind::ensure_link, .path = "ptmx", .source = "pts/ptmx", .flags = 1});
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
