// Whole configurations as the engines write them.
#include <linux/capability.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include "core/spec_reader.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;
using Strings = std::vector<std::string>;

constexpr uint64_t bit(int number) {
    return uint64_t{1} << number;
}

Spec read(std::string_view json) {
    auto spec = read_config(json, "/bundle");
    EXPECT_TRUE(spec) << message_of(spec);
    if (!spec)
        return {.oci = std::make_shared<Oci>()};
    EXPECT_EQ(spec->oci->warnings, Strings{});
    return std::move(*spec);
}

// What is written below a cgroup's limits that have fields: "name=value".
Strings files_of(const Spec& spec) {
    Strings files;
    for (const Resources::File& file : spec.resources.files)
        files.push_back(file.name + "=" + file.value);
    return files;
}

// clang-format off
// `runc spec` of runc 1.1.5.
constexpr std::string_view kRunc = R"({
  "ociVersion": "1.0.2-dev",
  "process": {
    "terminal": true,
    "user": {"uid": 0, "gid": 0},
    "args": ["sh"],
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "ambient": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    },
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
    "noNewPrivileges": true
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "runc",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {
      "destination": "/dev",
      "type": "tmpfs",
      "source": "tmpfs",
      "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]
    },
    {
      "destination": "/dev/pts",
      "type": "devpts",
      "source": "devpts",
      "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    },
    {
      "destination": "/dev/shm",
      "type": "tmpfs",
      "source": "shm",
      "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]
    },
    {
      "destination": "/dev/mqueue",
      "type": "mqueue",
      "source": "mqueue",
      "options": ["nosuid", "noexec", "nodev"]
    },
    {
      "destination": "/sys",
      "type": "sysfs",
      "source": "sysfs",
      "options": ["nosuid", "noexec", "nodev", "ro"]
    },
    {
      "destination": "/sys/fs/cgroup",
      "type": "cgroup",
      "source": "cgroup",
      "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]
    }
  ],
  "linux": {
    "resources": {"devices": [{"allow": false, "access": "rwm"}]},
    "namespaces": [
      {"type": "pid"},
      {"type": "network"},
      {"type": "ipc"},
      {"type": "uts"},
      {"type": "mount"}
    ],
    "maskedPaths": [
      "/proc/acpi",
      "/proc/asound",
      "/proc/kcore",
      "/proc/keys",
      "/proc/latency_stats",
      "/proc/timer_list",
      "/proc/timer_stats",
      "/proc/sched_debug",
      "/sys/firmware",
      "/proc/scsi"
    ],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
})";

// docker run --memory 64m --cpu-shares 512 --cpus 0.5 --pids-limit 100
constexpr std::string_view kDocker = R"({
  "ociVersion": "1.2.0",
  "process": {
    "user": {"uid": 0, "gid": 0, "additionalGids": [0, 10]},
    "args": ["nginx", "-g", "daemon off;"],
    "env": [
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "HOSTNAME=5c2e1d"
    ],
    "cwd": "/",
    "capabilities": {
      "bounding": [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE"
      ],
      "effective": [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE"
      ],
      "permitted": [
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FSETID",
        "CAP_FOWNER",
        "CAP_MKNOD",
        "CAP_NET_RAW",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETFCAP",
        "CAP_SETPCAP",
        "CAP_NET_BIND_SERVICE",
        "CAP_SYS_CHROOT",
        "CAP_KILL",
        "CAP_AUDIT_WRITE"
      ]
    },
    "apparmorProfile": "docker-default",
    "oomScoreAdj": 0
  },
  "root": {"path": "/var/lib/docker/overlay2/9a/merged"},
  "hostname": "5c2e1d",
  "mounts": [
    {
      "destination": "/proc",
      "type": "proc",
      "source": "proc",
      "options": ["nosuid", "noexec", "nodev"]
    },
    {
      "destination": "/dev",
      "type": "tmpfs",
      "source": "tmpfs",
      "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]
    },
    {
      "destination": "/dev/pts",
      "type": "devpts",
      "source": "devpts",
      "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
    },
    {
      "destination": "/sys/fs/cgroup",
      "type": "cgroup",
      "source": "cgroup",
      "options": ["ro", "nosuid", "noexec", "nodev"]
    },
    {
      "destination": "/dev/shm",
      "type": "bind",
      "source": "/var/lib/docker/containers/5c/mounts/shm",
      "options": ["rbind", "rprivate"]
    },
    {
      "destination": "/etc/hosts",
      "type": "bind",
      "source": "/var/lib/docker/containers/5c/hosts",
      "options": ["rbind", "rprivate"]
    }
  ],
  "hooks": {
    "prestart": [
      {
        "path": "/proc/1234/exe",
        "args": ["libnetwork-setkey", "-exec-root=/var/run/docker", "5c2e1d", "f1"]
      }
    ]
  },
  "linux": {
    "sysctl": {
      "net.ipv4.ip_unprivileged_port_start": "0",
      "net.ipv4.ping_group_range": "0 2147483647"
    },
    "resources": {
      "devices": [
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
      ],
      "memory": {"limit": 67108864, "swap": 134217728},
      "cpu": {"shares": 512, "quota": 50000, "period": 100000},
      "pids": {"limit": 100},
      "blockIO": {"weight": 0}
    },
    "cgroupsPath": "system.slice:docker:5c2e1d",
    "namespaces": [
      {"type": "mount"},
      {"type": "network"},
      {"type": "uts"},
      {"type": "pid"},
      {"type": "ipc"},
      {"type": "cgroup"}
    ],
    "seccomp": {
      "defaultAction": "SCMP_ACT_ERRNO",
      "defaultErrnoRet": 1,
      "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
      "syscalls": [
        {"names": ["accept", "accept4", "read"], "action": "SCMP_ACT_ALLOW"},
        {
          "names": ["personality"],
          "action": "SCMP_ACT_ALLOW",
          "args": [{"index": 0, "value": 4294967295, "op": "SCMP_CMP_EQ"}]
        },
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}
      ]
    },
    "maskedPaths": ["/proc/asound", "/proc/kcore"],
    "readonlyPaths": ["/proc/sys"]
  }
})";

// podman run -it, rootless, with a user namespace of its own.
constexpr std::string_view kPodman = R"({
  "ociVersion": "1.2.0",
  "process": {
    "terminal": true,
    "user": {"uid": 1000, "gid": 1000, "umask": 18, "additionalGids": [1000]},
    "args": ["/bin/sh"],
    "env": ["TERM=xterm", "container=podman", "HOME=/root"],
    "cwd": "/home",
    "capabilities": {
      "bounding": ["CAP_CHOWN", "CAP_KILL"],
      "effective": ["CAP_CHOWN"],
      "inheritable": [],
      "permitted": ["CAP_CHOWN"]
    },
    "rlimits": [
      {"type": "RLIMIT_NOFILE", "hard": 1048576, "soft": 1048576},
      {"type": "RLIMIT_NPROC", "hard": 4194304, "soft": 4194304}
    ],
    "oomScoreAdj": 200
  },
  "root": {"path": "/home/u/.local/share/containers/storage/overlay/8b/merged"},
  "hostname": "f00f",
  "mounts": [
    {
      "destination": "/proc",
      "type": "proc",
      "source": "proc",
      "options": ["nosuid", "noexec", "nodev"]
    },
    {
      "destination": "/sys",
      "type": "sysfs",
      "source": "sysfs",
      "options": ["nosuid", "noexec", "nodev", "ro"]
    },
    {
      "destination": "/dev/shm",
      "type": "bind",
      "source": "/run/user/1000/containers/8b/shm",
      "options": ["bind", "rprivate", "nosuid", "noexec", "nodev"]
    },
    {
      "destination": "/sys/fs/cgroup",
      "type": "cgroup",
      "source": "cgroup",
      "options": ["rprivate", "nosuid", "noexec", "nodev", "relatime", "ro"]
    },
    {
      "destination": "/data",
      "type": "bind",
      "source": "/home/u/data",
      "options": ["rbind", "idmap", "rprivate"]
    }
  ],
  "annotations": {"io.container.manager": "libpod", "org.opencontainers.image.stopSignal": "15"},
  "linux": {
    "uidMappings": [
      {"containerID": 0, "hostID": 1000, "size": 1},
      {"containerID": 1, "hostID": 100000, "size": 65536}
    ],
    "gidMappings": [
      {"containerID": 0, "hostID": 1000, "size": 1},
      {"containerID": 1, "hostID": 100000, "size": 65536}
    ],
    "sysctl": {"net.ipv4.ping_group_range": "0 0"},
    "resources": {"pids": {"limit": 2048}},
    "cgroupsPath": "user.slice:libpod:f00f",
    "namespaces": [
      {"type": "pid"},
      {"type": "network", "path": "/run/user/1000/netns/netns-1"},
      {"type": "ipc"},
      {"type": "uts"},
      {"type": "mount"},
      {"type": "cgroup"},
      {"type": "user"}
    ],
    "devices": [
      {
        "path": "/dev/fuse",
        "type": "c",
        "major": 10,
        "minor": 229,
        "fileMode": 8630,
        "uid": 0,
        "gid": 0
      }
    ],
    "maskedPaths": ["/proc/acpi", "/sys/devices/virtual/powercap"],
    "readonlyPaths": ["/proc/bus"]
  }
})";

// A container of a pod by containerd, as Kubernetes asks for it.
constexpr std::string_view kCri = R"({
  "ociVersion": "1.2.1",
  "process": {
    "user": {"uid": 65535, "gid": 65535, "additionalGids": [65535]},
    "args": ["/pause"],
    "env": ["PATH=/bin"],
    "cwd": "/",
    "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]},
    "noNewPrivileges": true,
    "oomScoreAdj": -998
  },
  "root": {"path": "rootfs", "readonly": true},
  "mounts": [
    {
      "destination": "/proc",
      "type": "proc",
      "source": "proc",
      "options": ["nosuid", "noexec", "nodev"]
    },
    {
      "destination": "/dev/shm",
      "type": "bind",
      "source": "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/aa/shm",
      "options": ["rbind", "ro", "nosuid", "nodev", "noexec"]
    }
  ],
  "annotations": {
    "io.kubernetes.cri.container-type": "container",
    "io.kubernetes.cri.sandbox-id": "aa"
  },
  "linux": {
    "resources": {
      "devices": [{"allow": false, "access": "rwm"}],
      "memory": {"limit": 134217728, "swap": 134217728},
      "cpu": {"shares": 2, "quota": 10000, "period": 100000, "cpus": "0"},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 0}, {"pageSize": "1GB", "limit": 0}],
      "unified": {"memory.oom.group": "1", "memory.high": "100000000"}
    },
    "cgroupsPath": "kubepods-besteffort-pod1.slice:cri-containerd:aa",
    "namespaces": [
      {"type": "pid"},
      {"type": "ipc", "path": "/proc/77/ns/ipc"},
      {"type": "uts", "path": "/proc/77/ns/uts"},
      {"type": "mount"},
      {"type": "network", "path": "/proc/77/ns/net"},
      {"type": "cgroup"}
    ],
    "maskedPaths": ["/proc/acpi"],
    "readonlyPaths": ["/proc/bus"]
  }
})";

// clang-format on

TEST(EngineConfig, OfRuncSpec) {
    const Spec spec = read(kRunc);
    const Oci& oci = *spec.oci;
    EXPECT_EQ(oci.version, "1.0.2-dev");
    EXPECT_EQ(spec.args, Strings{"sh"});
    EXPECT_EQ(spec.env.size(), 2U);
    EXPECT_TRUE(oci.process.terminal);
    EXPECT_EQ(oci.process.capabilities.ambient,
              bit(CAP_AUDIT_WRITE) | bit(CAP_KILL) | bit(CAP_NET_BIND_SERVICE));
    EXPECT_EQ(oci.process.capabilities.inheritable, 0U);
    ASSERT_EQ(spec.rlimits.size(), 1U);
    EXPECT_EQ(spec.rlimits[0].resource, RLIMIT_NOFILE);
    EXPECT_EQ(spec.rlimits[0].hard, 1024U);
    EXPECT_TRUE(spec.no_new_privileges);
    EXPECT_EQ(spec.rootfs, "/bundle/rootfs");
    EXPECT_TRUE(spec.read_only_root);
    EXPECT_EQ(spec.hostname, "runc");
    ASSERT_EQ(spec.mounts.size(), 7U);
    EXPECT_EQ(spec.mounts[2].target, "/dev/pts");
    EXPECT_EQ(spec.mounts[2].options.back(), "gid=5");
    EXPECT_EQ(oci.namespaces.size(), 5U);
    EXPECT_EQ(oci.device_rules.size(), 1U);
    EXPECT_EQ(oci.masked_paths.size(), 10U);
    EXPECT_EQ(oci.readonly_paths.size(), 5U);
    EXPECT_EQ(files_of(spec), Strings{});
}

TEST(EngineConfig, OfDocker) {
    const Spec spec = read(kDocker);
    const Oci& oci = *spec.oci;
    EXPECT_EQ(spec.args.back(), "daemon off;");
    EXPECT_EQ(oci.process.additional_gids, (std::vector<uint32_t>{0, 10}));
    EXPECT_EQ(oci.process.apparmor_profile, "docker-default");
    EXPECT_EQ(oci.process.oom_score_adj, 0);
    EXPECT_EQ(oci.hooks.prestart.size(), 1U);
    EXPECT_EQ(oci.cgroups_path, "system.slice:docker:5c2e1d");
    EXPECT_EQ(spec.resources.memory, 64U << 20);
    EXPECT_EQ(spec.resources.memory_swap, 128U << 20);
    EXPECT_EQ(spec.resources.cpu_quota, 50'000U);
    EXPECT_EQ(spec.resources.pids, 100U);
    EXPECT_EQ(files_of(spec), Strings{"cpu.weight=59"});
    EXPECT_EQ(oci.device_rules.size(), 3U);
    EXPECT_EQ(spec.mounts[4].type, "bind");
    ASSERT_TRUE(oci.seccomp);
    EXPECT_EQ(oci.seccomp->rules.size(), 3U);
    EXPECT_EQ(oci.seccomp->rules[1].arguments[0].value, 4294967295U);
    EXPECT_EQ(oci.sysctl.size(), 2U);
}

TEST(EngineConfig, OfPodman) {
    const Spec spec = read(kPodman);
    const Oci& oci = *spec.oci;
    EXPECT_EQ(oci.process.uid, 1000U);
    EXPECT_EQ(oci.process.umask, 022U);
    EXPECT_EQ(oci.process.oom_score_adj, 200);
    EXPECT_EQ(spec.rlimits.size(), 2U);
    EXPECT_EQ(oci.uid_mappings.size(), 2U);
    EXPECT_EQ(oci.find(NamespaceKind::network)->path, "/run/user/1000/netns/netns-1");
    EXPECT_EQ(oci.annotations[0].second, "libpod");
    EXPECT_EQ(spec.mounts[4].options[1], "idmap");
    EXPECT_EQ(oci.devices[0].mode, 0666U);
    EXPECT_EQ(spec.resources.pids, 2048U);
    EXPECT_FALSE(oci.seccomp);
}

TEST(EngineConfig, OfContainerdForKubernetes) {
    const Spec spec = read(kCri);
    const Oci& oci = *spec.oci;
    EXPECT_EQ(oci.process.uid, 65535U);
    EXPECT_EQ(oci.process.oom_score_adj, -998);
    EXPECT_EQ(oci.find(NamespaceKind::ipc)->path, "/proc/77/ns/ipc");
    EXPECT_EQ(spec.resources.memory, spec.resources.memory_swap);
    EXPECT_EQ(spec.resources.cpuset_cpus, "0");
    EXPECT_EQ(
        files_of(spec),
        (Strings{"cpu.weight=1", "hugetlb.2MB.max=0", "hugetlb.2MB.rsvd.max=0", "hugetlb.1GB.max=0",
                 "hugetlb.1GB.rsvd.max=0", "memory.oom.group=1", "memory.high=100000000"}));
}

}  // namespace
}  // namespace sigil
