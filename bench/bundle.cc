#include "bundle.h"

#include <filesystem>
#include <fstream>
#include <initializer_list>

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include "failure.h"

namespace sigil::bench {

namespace {

using Writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;
using Words = std::initializer_list<const char*>;

struct Mount {
    const char* destination;
    const char* type;
    const char* source;
    Words options;
};

// The OCI runtime specification's defaults, as runc's `spec` command writes them.
const Mount kMounts[] = {
    {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
    {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
    {"/dev/pts",
     "devpts",
     "devpts",
     {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
    {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
    {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
    {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
    {"/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}},
};

const Words kMasked = {
    "/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
    "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",     "/sys/devices/virtual/powercap",
};

const Words kReadOnly = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

const char* const kCapabilities[] = {
    "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",     "CAP_FSETID",
    "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",    "CAP_SETFCAP",
    "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT",
};

void write_words(Writer& json, const char* key, const Command& words) {
    json.Key(key);
    json.StartArray();
    for (const std::string& word : words)
        json.String(word.c_str());
    json.EndArray();
}

void write_words(Writer& json, const char* key, Words words) {
    write_words(json, key, Command(words.begin(), words.end()));
}

void write_text(Writer& json, const char* key, const std::string& text) {
    json.Key(key);
    json.String(text.c_str());
}

void write_process(Writer& json, const Command& guest) {
    json.Key("process");
    json.StartObject();
    json.Key("terminal");
    json.Bool(false);
    json.Key("user");
    json.StartObject();
    json.Key("uid");
    json.Int(0);
    json.Key("gid");
    json.Int(0);
    json.EndObject();
    write_words(json, "args", guest);
    write_words(json, "env", Words{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"});
    write_text(json, "cwd", "/");
    json.Key("capabilities");
    json.StartObject();
    for (const char* set : {"bounding", "effective", "permitted"}) {
        write_words(json, set, Command(std::begin(kCapabilities), std::end(kCapabilities)));
    }
    json.EndObject();
    json.Key("noNewPrivileges");
    json.Bool(false);
    json.EndObject();
}

void write_mounts(Writer& json) {
    json.Key("mounts");
    json.StartArray();
    for (const Mount& mount : kMounts) {
        json.StartObject();
        write_text(json, "destination", mount.destination);
        write_text(json, "type", mount.type);
        write_text(json, "source", mount.source);
        write_words(json, "options", mount.options);
        json.EndObject();
    }
    json.EndArray();
}

void write_linux(Writer& json, bool own_network, const std::string& seccomp) {
    json.Key("linux");
    json.StartObject();
    json.Key("namespaces");
    json.StartArray();
    for (const char* type : {"pid", "mount", "uts", "ipc", "cgroup", "network"}) {
        if (!own_network && std::string(type) == "network")
            continue;
        json.StartObject();
        write_text(json, "type", type);
        json.EndObject();
    }
    json.EndArray();
    write_words(json, "maskedPaths", kMasked);
    write_words(json, "readonlyPaths", kReadOnly);
    if (!seccomp.empty()) {
        json.Key("seccomp");
        json.RawValue(seccomp.data(), seccomp.size(), rapidjson::kObjectType);
    }
    json.EndObject();
}

}  // namespace

std::span<const char* const> engine_capabilities() {
    return kCapabilities;
}

void write_bundle(const std::string& directory, const std::string& rootfs, const Command& guest,
                  bool own_network, const std::string& seccomp) {
    rapidjson::StringBuffer buffer;
    Writer json(buffer);
    json.StartObject();
    write_text(json, "ociVersion", "1.0.0");
    write_process(json, guest);
    json.Key("root");
    json.StartObject();
    write_text(json, "path", rootfs);
    json.Key("readonly");
    json.Bool(false);
    json.EndObject();
    write_text(json, "hostname", "sigil");
    write_mounts(json);
    write_linux(json, own_network, seccomp);
    json.EndObject();

    std::filesystem::create_directories(directory);
    std::ofstream file(directory + "/config.json");
    file << buffer.GetString() << '\n';
    file.close();
    if (!file)
        fail("write {}/config.json", directory);
}

}  // namespace sigil::bench
