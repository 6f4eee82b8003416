#include "core/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include <rapidjson/document.h>

#include "core/json_writer.h"
#include "core/parse.h"
#include "core/run_record.h"
#include "core/stream_socket.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil {
namespace {

constexpr const char* kStateFile = "state.json";
constexpr const char* kStartSocket = "start";

std::string containers_path(const std::string& root) {
    return root + "/containers";
}

void add_annotations(JsonWriter& json, const ContainerState& state) {
    json.Key("annotations");
    json.StartObject();
    for (const auto& [key, value] : state.annotations)
        add(json, key.c_str(), value);
    json.EndObject();
}

std::string text_of(const rapidjson::Value& object, const char* key) {
    auto member = object.FindMember(key);
    if (member == object.MemberEnd() || !member->value.IsString())
        return {};
    return {member->value.GetString(), member->value.GetStringLength()};
}

template <typename T>
T number_of(const rapidjson::Value& object, const char* key, T otherwise) {
    auto member = object.FindMember(key);
    if (member == object.MemberEnd())
        return otherwise;
    if (member->value.IsUint64())
        return static_cast<T>(member->value.GetUint64());
    return member->value.IsInt64() ? static_cast<T>(member->value.GetInt64()) : otherwise;
}

bool flag_of(const rapidjson::Value& object, const char* key) {
    auto member = object.FindMember(key);
    return member != object.MemberEnd() && member->value.IsTrue();
}

// Fields of /proc/PID/stat behind the name, which may hold anything: from its last parenthesis on.
struct ProcessStat {
    char state;
    uint64_t start_time;
};

std::optional<ProcessStat> stat_of(pid_t pid) {
    auto text = sys::read_file(AT_FDCWD, fmt::format("/proc/{}/stat", pid).c_str());
    if (!text)
        return std::nullopt;
    const size_t name_end = text->rfind(')');
    if (name_end == std::string::npos)
        return std::nullopt;
    constexpr size_t kState = 0;       // field 3
    constexpr size_t kStartTime = 19;  // field 22
    const std::vector<std::string_view> fields =
        words_of(std::string_view(*text).substr(name_end + 1));
    if (fields.size() <= kStartTime)
        return std::nullopt;
    auto start_time = parse_number(fields[kStartTime]);
    if (!start_time)
        return std::nullopt;
    return ProcessStat{fields[kState].front(), *start_time};
}

Result<Fd> unix_socket(int flags) {
    Fd made(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
    if (!made)
        return tl::unexpected(Error::from_errno(errno, "socket"));
    return made;
}

tl::unexpected<Error> does_not_exist(const std::string& id) {
    return tl::unexpected(
        Error::from_errno(ENOENT, "open").in(fmt::format("container {} does not exist", id)));
}

Result<void> make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        TRY(sys::make_private(path.substr(0, slash)), "--root");
        if (slash == std::string::npos)
            return {};
    }
}

// Nothing: no container was ever made there. Whoever else could write there could have us kill or
// remove what they like.
Result<std::optional<Fd>> open_containers(const std::string& root) {
    TRY(check_root(root), "--root {}", printable(root));
    const std::string path = containers_path(root);
    auto found = sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
    if (!found && found.error().is(ENOENT))
        return std::nullopt;
    return TRY(std::move(found), "--root: open {}", printable(path));
}

}  // namespace

const char* name(ContainerStatus status) {
    switch (status) {
        case ContainerStatus::creating:
            return "creating";
        case ContainerStatus::created:
            return "created";
        case ContainerStatus::running:
            return "running";
        case ContainerStatus::paused:
            return "paused";
        case ContainerStatus::stopped:
            return "stopped";
    }
    return "unknown";
}

std::string ContainerState::to_json() const {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "ociVersion", kOciVersion);
    add(json, "id", id);
    add(json, "pid", int64_t{pid});
    add(json, "startTime", static_cast<int64_t>(start_time));
    json.Key("isCreated");
    json.Bool(is_created);
    add(json, "bundle", bundle);
    add(json, "rootfs", rootfs);
    add(json, "created", created);
    add(json, "cgroup", cgroup);
    add(json, "unit", unit);
    json.Key("userUnit");
    json.Bool(user_unit);
    add(json, "owner", int64_t{owner});
    add_annotations(json, *this);
    json.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

Result<ContainerState> ContainerState::from_json(std::string_view text) {
    rapidjson::Document json;
    json.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
    if (json.HasParseError() || !json.IsObject())
        return failure("{}: not a container's state", kStateFile);
    ContainerState state;
    state.id = text_of(json, "id");
    state.pid = number_of<pid_t>(json, "pid", -1);
    state.start_time = number_of<uint64_t>(json, "startTime", 0);
    state.is_created = flag_of(json, "isCreated");
    state.bundle = text_of(json, "bundle");
    state.rootfs = text_of(json, "rootfs");
    state.created = text_of(json, "created");
    state.cgroup = text_of(json, "cgroup");
    state.unit = text_of(json, "unit");
    state.user_unit = flag_of(json, "userUnit");
    state.owner = number_of<uid_t>(json, "owner", 0);
    if (auto member = json.FindMember("annotations");
        member != json.MemberEnd() && member->value.IsObject())
        for (const auto& [key, value] : member->value.GetObject())
            if (value.IsString())
                state.annotations.emplace_back(key.GetString(), value.GetString());
    return state;
}

std::string oci_state(const ContainerState& state, ContainerStatus status) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "ociVersion", kOciVersion);
    add(json, "id", state.id);
    add(json, "status", name(status));
    if (status != ContainerStatus::creating || state.pid > 0)
        add(json, "pid", int64_t{status == ContainerStatus::stopped ? 0 : state.pid});
    add(json, "bundle", state.bundle);
    add(json, "rootfs", state.rootfs);
    add(json, "created", state.created);
    if (!state.annotations.empty())
        add_annotations(json, state);
    add(json, "owner", state.owner == 0 ? "root" : std::to_string(state.owner));
    json.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

std::optional<uint64_t> start_time_of(pid_t pid) {
    auto stat = stat_of(pid);
    return stat ? std::optional(stat->start_time) : std::nullopt;
}

Result<std::optional<Process>> living_process(const ContainerState& state) {
    if (state.pid <= 0)
        return std::nullopt;
    auto pidfd = sys::pidfd_open(state.pid);
    if (!pidfd && pidfd.error().is(ESRCH))
        return std::nullopt;
    Process process{state.pid, TRY(std::move(pidfd), "open process {}", state.pid)};
    // Looked at once the pidfd holds it: it is the pid's owner that we read of, or nobody.
    auto stat = stat_of(state.pid);
    if (!stat || stat->start_time != state.start_time || stat->state == 'Z' || stat->state == 'X')
        return std::nullopt;
    return process;
}

Result<void> check_container_id(std::string_view id) {
    constexpr size_t kLongest = 1024;
    auto is_allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '+' || c == '-' || c == '.';
    };
    if (id.empty())
        return failure("the container's id is empty");
    if (id == "." || id == ".." || id.size() > kLongest || !std::ranges::all_of(id, is_allowed))
        return failure("'{}' is no container id: letters, digits, '_', '+', '-' and '.' are",
                       printable(id));
    return {};
}

Result<ContainerDirectory> ContainerDirectory::create(const std::string& root,
                                                      const std::string& id) {
    const std::string path = containers_path(root);
    TRY(check_root(root), "--root {}", printable(root));
    TRY(make_directories(path));
    auto found = TRY(open_containers(root));
    if (!found)
        return failure("--root: {} is gone", printable(path));
    Fd parent = std::move(*found);
    auto made = sys::mkdirat(parent.get(), id.c_str(), 0700);
    if (!made && made.error().is(EEXIST))
        return failure("container with id exists: {} already exists", id);
    TRY(std::move(made), "make {}/{}", printable(path), id);
    auto locked = [&]() -> Result<Fd> {
        Fd directory =
            TRY(sys::open(parent.get(), id.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        TRY(sys::flock(directory.get(), LOCK_EX));
        return directory;
    };
    auto directory = locked();
    if (!directory)
        (void)sys::rmdirat(parent.get(), id.c_str());
    return ContainerDirectory(TRY(std::move(directory), "open container {}", id), std::move(parent),
                              id);
}

Result<ContainerDirectory> ContainerDirectory::open(const std::string& root,
                                                    const std::string& id) {
    for (;;) {
        ContainerDirectory found = TRY(look(root, id));
        TRY(sys::flock(found.directory_.get(), LOCK_EX));
        // Whoever had the lock may have removed it, and another of that name may be there now.
        auto again =
            sys::open(found.parent_.get(), id.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (again && sys::is_same_file(found.directory_.get(), again->get()))
            return found;
    }
}

Result<ContainerDirectory> ContainerDirectory::look(const std::string& root,
                                                    const std::string& id) {
    auto found = TRY(open_containers(root));
    if (!found)
        return does_not_exist(id);
    Fd parent = std::move(*found);
    auto opened = sys::open(parent.get(), id.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened && opened.error().is(ENOENT))
        return does_not_exist(id);
    Fd directory = TRY(std::move(opened), "open container {}", id);
    return ContainerDirectory(std::move(directory), std::move(parent), id);
}

Result<std::vector<std::string>> ContainerDirectory::list(const std::string& root) {
    const auto parent = TRY(open_containers(root));
    if (!parent)
        return std::vector<std::string>();
    std::vector<std::string> ids = TRY(sys::all_names(parent->get()), "--root");
    std::erase_if(ids, [](const std::string& id) { return !check_container_id(id); });
    std::ranges::sort(ids);
    return ids;
}

Result<std::string> ContainerDirectory::read_file(const char* file) const {
    return TRY(sys::read_file(directory_.get(), file), "read {} of container {}", file, id_);
}

Result<void> ContainerDirectory::write_file(const char* file, std::string_view text) const {
    constexpr mode_t kOurs = 0600;
    return TRY(sys::replace_file(directory_.get(), file, text, kOurs), "write {} of container {}",
               file, id_),
           Result<void>();
}

Result<ContainerState> ContainerDirectory::read() const {
    auto text = sys::read_file(directory_.get(), kStateFile);
    if (!text && text.error().is(ENOENT)) {
        // Its creator was killed before it had anything to write down.
        ContainerState state;
        state.id = id_;
        return state;
    }
    const std::string json = TRY(std::move(text), "read {} of container {}", kStateFile, id_);
    return TRY(ContainerState::from_json(json), "container {}", id_);
}

Result<void> ContainerDirectory::write(const ContainerState& state) const {
    return write_file(kStateFile, state.to_json());
}

Result<void> ContainerDirectory::remove() {
    for (const std::string& file : TRY(sys::all_names(directory_.get())))
        (void)sys::unlinkat(directory_.get(), file.c_str());
    auto removed = sys::rmdirat(parent_.get(), id_.c_str());
    if (!removed && !removed.error().is(ENOENT))
        return tl::unexpected(
            std::move(removed).error().in(fmt::format("remove container {}", id_)));
    directory_.reset();
    return {};
}

Result<Fd> ContainerDirectory::listen() const {
    Fd socket = TRY(unix_socket(0));
    const sockaddr_un address = TRY(unix_address(directory_.get(), kStartSocket));
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return tl::unexpected(Error::from_errno(errno, "bind").in("make the start socket"));
    if (::listen(socket.get(), 4) != 0)
        return tl::unexpected(Error::from_errno(errno, "listen").in("make the start socket"));
    return socket;
}

// 0 or an errno; EAGAIN, of a socket that does not block: as many wait there already as may.
int ContainerDirectory::connect_to_start(int socket) const {
    const auto address = unix_address(directory_.get(), kStartSocket);
    if (!address)
        return ENAMETOOLONG;
    return ::connect(socket, reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0
               ? 0
               : errno;
}

Result<bool> ContainerDirectory::is_awaited() const {
    Fd socket = TRY(unix_socket(SOCK_NONBLOCK));
    const int error = connect_to_start(socket.get());
    if (error == 0 || error == EAGAIN)
        return true;
    if (error == ECONNREFUSED || error == ENOENT)
        return false;
    return tl::unexpected(Error::from_errno(error, "connect").in("reach the start socket"));
}

Result<std::optional<Fd>> ContainerDirectory::connect() const {
    Fd socket = TRY(unix_socket(0));
    const int error = connect_to_start(socket.get());
    if (error == 0)
        return std::optional(std::move(socket));
    if (error == ECONNREFUSED || error == ENOENT)
        return std::nullopt;
    return tl::unexpected(Error::from_errno(error, "connect").in("reach the start socket"));
}

}  // namespace sigil
