#include "isolation/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace sigil::isolation {
namespace {

struct Row {
    NamespaceKind kind;
    const char* name;
    uint64_t flag;
};

// In the order of joining.
constexpr std::array kRows = {
    Row{NamespaceKind::user, "user", CLONE_NEWUSER},
    Row{NamespaceKind::pid, "pid", CLONE_NEWPID},
    Row{NamespaceKind::ipc, "ipc", CLONE_NEWIPC},
    Row{NamespaceKind::uts, "uts", CLONE_NEWUTS},
    Row{NamespaceKind::network, "network", CLONE_NEWNET},
    Row{NamespaceKind::cgroup, "cgroup", CLONE_NEWCGROUP},
    Row{NamespaceKind::time, "time", CLONE_NEWTIME},
    Row{NamespaceKind::mount, "mount", CLONE_NEWNS},
};

const Row& row_of(NamespaceKind kind) {
    return *std::ranges::find(kRows, kind, &Row::kind);
}

size_t order_of(NamespaceKind kind) {
    return static_cast<size_t>(&row_of(kind) - kRows.data());
}

Result<Fd> open_namespace(const Namespace& space) {
    Fd fd = TRY(sys::open(AT_FDCWD, space.path.c_str(), O_RDONLY), "open");
    const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
    if (type < 0)
        return failure("it is no namespace");
    if (static_cast<uint64_t>(type) != flag_of(space.kind))
        return failure("it is no {} namespace", name(space.kind));
    return fd;
}

Result<void> write_offsets(const Oci& oci) {
    std::string text;
    auto add = [&text](const char* clock, const std::optional<TimeOffset>& offset) {
        if (offset)
            text += fmt::format("{} {} {}\n", clock, offset->seconds, offset->nanoseconds);
    };
    add("monotonic", oci.monotonic_offset);
    add("boottime", oci.boottime_offset);
    if (text.empty())
        return {};
    return TRY(sys::write_file(AT_FDCWD, "/proc/self/timens_offsets", text), "linux.timeOffsets"),
           Result<void>();
}

}  // namespace

uint64_t flag_of(NamespaceKind kind) {
    return row_of(kind).flag;
}

const char* name(NamespaceKind kind) {
    return row_of(kind).name;
}

Result<std::vector<JoinedNamespace>> open_namespaces(std::span<const Namespace> namespaces) {
    std::vector<JoinedNamespace> joined;
    for (size_t index = 0; index < namespaces.size(); ++index) {
        const Namespace& space = namespaces[index];
        if (space.path.empty())
            continue;
        std::string origin =
            fmt::format("linux.namespaces[{}].path {}", index, printable(space.path));
        Fd fd = TRY(open_namespace(space), "{}", origin);
        joined.push_back({space.kind, flag_of(space.kind), std::move(fd), std::move(origin)});
    }
    std::ranges::sort(joined, {}, [](const JoinedNamespace& j) { return order_of(j.kind); });
    return joined;
}

Result<uint64_t> foreign_namespaces(pid_t pid) {
    struct Row {
        const char* name;
        uint64_t flag;
    };
    constexpr uint64_t kTime = 0x80;  // CLONE_NEWTIME
    constexpr std::array kRows = {
        Row{"user", CLONE_NEWUSER},     Row{"ipc", CLONE_NEWIPC}, Row{"uts", CLONE_NEWUTS},
        Row{"net", CLONE_NEWNET},       Row{"mnt", CLONE_NEWNS},  Row{"time", kTime},
        Row{"cgroup", CLONE_NEWCGROUP}, Row{"pid", CLONE_NEWPID},
    };
    uint64_t flags = 0;
    for (const Row& row : kRows) {
        auto own = sys::readlinkat(AT_FDCWD, fmt::format("/proc/self/ns/{}", row.name).c_str());
        auto theirs =
            sys::readlinkat(AT_FDCWD, fmt::format("/proc/{}/ns/{}", pid, row.name).c_str());
        if (own && theirs && *own != *theirs)
            flags |= row.flag;
    }
    return flags;
}

uint64_t new_namespace_flags(const Spec& spec) {
    // The network's is made by the child's helper, the cgroup's once the child is in its cgroup.
    if (!spec.oci)
        return CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC;
    uint64_t flags = 0;
    for (const Namespace& space : spec.oci->namespaces)
        if (space.path.empty() && space.kind != NamespaceKind::cgroup &&
            space.kind != NamespaceKind::time)
            flags |= flag_of(space.kind);
    return flags;
}

Result<EnteredNamespaces> EnteredNamespaces::enter(std::span<const JoinedNamespace> joined,
                                                   const Oci* oci) {
    EnteredNamespaces entered;
    for (const JoinedNamespace& space : joined) {
        if (space.kind != NamespaceKind::pid)
            continue;
        Fd own = TRY(sys::open(AT_FDCWD, "/proc/thread-self/ns/pid", O_RDONLY));
        TRY(sys::setns(space.fd.get(), CLONE_NEWPID), "{}", space.origin);
        entered.left_.push_back({std::move(own), CLONE_NEWPID});
    }
    if (oci && makes_time_namespace(*oci)) {
        Fd own = TRY(sys::open(AT_FDCWD, "/proc/thread-self/ns/time", O_RDONLY),
                     "linux.namespaces: the kernel has no time namespaces");
        TRY(sys::unshare(CLONE_NEWTIME), "make a time namespace");
        entered.left_.push_back({std::move(own), CLONE_NEWTIME});
        TRY(write_offsets(*oci));
    }
    return entered;
}

bool makes_time_namespace(const Oci& oci) {
    const Namespace* time = oci.find(NamespaceKind::time);
    return time && time->path.empty();
}

EnteredNamespaces::~EnteredNamespaces() {
    for (const Left& left : left_)
        (void)sys::setns(left.fd.get(), left.flag);
}

}  // namespace sigil::isolation
