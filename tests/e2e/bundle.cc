#include "bundle.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include <gtest/gtest.h>
#include <rapidjson/pointer.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "files.h"
#include "rootfs.h"

namespace sigil::e2e {
namespace {

constexpr const char* kConfig = R"({
  "ociVersion": "1.2.0",
  "process": {
    "terminal": false,
    "user": {"uid": 0, "gid": 0},
    "args": [],
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    },
    "noNewPrivileges": true
  },
  "root": {"path": "rootfs", "readonly": false},
  "hostname": "bundled",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
     "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs",
     "options": ["nosuid", "noexec", "nodev", "ro"]}
  ],
  "linux": {
    "namespaces": [{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"},
                   {"type": "mount"}, {"type": "cgroup"}],
    "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
})";

rapidjson::Value parsed(const std::string& json, rapidjson::Document& owner) {
    rapidjson::Document value(&owner.GetAllocator());
    value.Parse(json.c_str());
    EXPECT_FALSE(value.HasParseError()) << json;
    return std::move(static_cast<rapidjson::Value&>(value));
}

}  // namespace

Bundle::Bundle(Words args) : Bundle(kConfig, std::move(args)) {}

Bundle::Bundle(const std::string& config, Words args) : directory_(make_directory_outside()) {
    config_.Parse(config.c_str());
    EXPECT_FALSE(config_.HasParseError()) << config;
    auto& allocator = config_.GetAllocator();
    rapidjson::Value words(rapidjson::kArrayType);
    for (const std::string& word : args)
        words.PushBack(rapidjson::Value(word.c_str(), allocator), allocator);
    rapidjson::Pointer("/process/args").Set(config_, words);
    rapidjson::Pointer("/root/path").Set(config_, shared_rootfs().c_str());
}

Bundle& Bundle::set(const char* pointer, const std::string& json) {
    rapidjson::Value value = parsed(json, config_);
    rapidjson::Pointer(pointer).Set(config_, value);
    return *this;
}

Bundle& Bundle::append(const char* pointer, const std::string& json) {
    return set((std::string(pointer) + "/-").c_str(), json);
}

Bundle& Bundle::remove(const char* pointer) {
    rapidjson::Pointer(pointer).Erase(config_);
    return *this;
}

std::string Bundle::config() const {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    config_.Accept(writer);
    return buffer.GetString();
}

const std::string& Bundle::path() {
    write_file(directory_ + "/config.json", config());
    return directory_;
}

OciContainer::OciContainer(const std::string& name)
    : id_(name + "-" + std::to_string(::getpid())) {}

OciContainer::~OciContainer() {
    (void)run_program(sigil({"delete", "--force", id_}));
    if (!output_file_.empty())
        (void)::unlink(output_file_.c_str());
}

Finished OciContainer::create(Bundle& bundle, Words options) {
    output_file_ = make_directory_outside() + "/output";
    const std::string error_file = output_file_ + ".errors";
    Words words = {"create", "--bundle", bundle.path()};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(id_);
    // The command's streams are create's, and stay open as long as it lives: files.
    Start start = sigil(words);
    start.before_exec = [this, error_file] {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND;
        ::dup2(::open(output_file_.c_str(), kFlags | O_CLOEXEC, 0600), STDOUT_FILENO);
        ::dup2(::open(error_file.c_str(), kFlags | O_CLOEXEC, 0600), STDERR_FILENO);
    };
    Finished finished = run_program(start);
    finished.err = read_file(error_file);
    return finished;
}

Finished OciContainer::verb(Words words) {
    words.push_back(id_);
    return run_program(sigil(words));
}

Finished OciContainer::remove(Words options) {
    options.insert(options.begin(), "delete");
    return verb(options);
}

std::string OciContainer::status() {
    const Finished finished = verb({"state"});
    return finished.code() == 0 ? member_of(finished.out, "/status") : "(none)";
}

pid_t OciContainer::pid() {
    return std::atoi(member_of(verb({"state"}).out, "/pid").c_str());
}

std::string OciContainer::output() const {
    return read_file(output_file_);
}

bool OciContainer::await(const std::string& status) {
    return eventually([&] { return this->status() == status; });
}

std::string member_of(const std::string& json, const char* pointer) {
    rapidjson::Document document;
    document.Parse(json.c_str());
    if (document.HasParseError())
        return "(none)";
    const rapidjson::Value* value = rapidjson::Pointer(pointer).Get(document);
    if (!value)
        return "(none)";
    if (value->IsString())
        return value->GetString();
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> writer(buffer);
    value->Accept(writer);
    return buffer.GetString();
}

}  // namespace sigil::e2e
