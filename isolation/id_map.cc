#include "isolation/id_map.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "core/process.h"
#include "core/raw_syscall.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr int kPidfd = 3;  // P_PIDFD

// A process in a new user namespace, there until it is let go.
class Holder {
  public:
    static Result<Holder> start() {
        Holder holder;
        const pid_t parent = ::getpid();
        int pidfd = -1;
        clone_args arguments = {};
        arguments.flags = CLONE_NEWUSER | CLONE_PIDFD;
        arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
        const long pid = raw::call(__NR_clone3, &arguments, sizeof arguments);
        if (pid == 0)
            wait_in_child(parent);
        if (pid < 0)
            return tl::unexpected(Error::from_errno(static_cast<int>(-pid), "clone3"));
        holder.pid_ = static_cast<pid_t>(pid);
        holder.pidfd_ = Fd(pidfd);
        return holder;
    }
    Holder(Holder&&) = default;
    Holder& operator=(Holder&&) = delete;
    ~Holder() {
        if (pidfd_.get() < 0)
            return;
        (void)sys::pidfd_send_signal(pidfd_.get(), SIGKILL);
        siginfo_t ignored;
        raw::call(__NR_waitid, kPidfd, pidfd_.get(), &ignored, WEXITED | __WALL, nullptr);
    }

    [[nodiscard]] pid_t pid() const { return pid_; }

  private:
    Holder() = default;

    // A copy of a process that may have threads: raw system calls only. It ends with the thread
    // that made it, however that ends; not by a pipe's end, whose writer the holder of another
    // thread would have a copy of: two of them would wait for each other.
    [[noreturn]] static void wait_in_child(pid_t parent) {
        raw::call(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        const long now = raw::call(__NR_getppid);  // 0: it is in another pid namespace
        while (now == 0 || now == parent)  // NOLINT(bugprone-infinite-loop): SIGKILL ends it
            raw::call(__NR_pause);
        for (;;)
            raw::call(__NR_exit_group, 0);
    }

    pid_t pid_ = -1;
    Fd pidfd_;
};

// user_namespaces(7): one line of one's own id needs no privilege; with groups, setgroups(2) must
// be denied first.
bool is_single(std::span<const IdMapping> map, uint32_t own) {
    return map.size() == 1 && map[0].size == 1 && map[0].host_id == own;
}

Result<void> run_helper(const char* program, pid_t pid, std::span<const IdMapping> map) {
    std::vector<std::string> words = {program, std::to_string(pid)};
    for (const IdMapping& line : map)
        for (const uint32_t number : {line.container_id, line.host_id, line.size})
            words.push_back(std::to_string(number));
    const std::vector<char*> argv = pointers_to(words);
    pid_t helper = -1;
    const int error = ::posix_spawnp(&helper, program, nullptr, nullptr, argv.data(), environ);
    if (error != 0)
        return tl::unexpected(Error::from_errno(error, "posix_spawn").in(program));
    int word = 0;
    while (::waitpid(helper, &word, 0) < 0 && errno == EINTR) {
    }
    if (const int code = ExitStatus::from_wait_word(word).exit_code(); code != 0)
        return failure("{}: exit code {}", program, code);
    return {};
}

Result<void> write_map(pid_t pid, const char* file, const char* helper,
                       std::span<const IdMapping> map) {
    auto written =
        sys::write_file(AT_FDCWD, fmt::format("/proc/{}/{}", pid, file).c_str(), id_map_text(map));
    if (!written && written.error().is(EPERM) && ::geteuid() != 0)
        return run_helper(helper, pid, map);
    return written;
}

Result<void> write_gid_map(pid_t pid, std::span<const IdMapping> map) {
    if (::geteuid() != 0 && is_single(map, ::getegid()))
        TRY(sys::write_file(AT_FDCWD, fmt::format("/proc/{}/setgroups", pid).c_str(), "deny"),
            "deny setgroups");
    return write_map(pid, "gid_map", "newgidmap", map);
}

auto find(std::span<const IdMapping> mappings, uint32_t id) {
    return std::ranges::find_if(mappings, [id](const IdMapping& mapping) {
        return id >= mapping.container_id && id - mapping.container_id < mapping.size;
    });
}

}  // namespace

std::string id_map_text(std::span<const IdMapping> mappings) {
    std::string text;
    for (const IdMapping& mapping : mappings)
        text += fmt::format("{} {} {}\n", mapping.container_id, mapping.host_id, mapping.size);
    return text;
}

Result<Fd> make_user_namespace(std::span<const IdMapping> uids, std::span<const IdMapping> gids) {
    Holder holder = TRY(Holder::start(), "make a user namespace");
    TRY(write_gid_map(holder.pid(), gids), "set the group IDs' mapping");
    TRY(write_map(holder.pid(), "uid_map", "newuidmap", uids), "set the user IDs' mapping");
    return sys::open(AT_FDCWD, fmt::format("/proc/{}/ns/user", holder.pid()).c_str(), O_RDONLY);
}

Result<void> write_id_maps(pid_t pid, std::span<const IdMapping> uids,
                           std::span<const IdMapping> gids) {
    if (!gids.empty())
        TRY(write_gid_map(pid, gids), "linux.gidMappings");
    if (!uids.empty())
        TRY(write_map(pid, "uid_map", "newuidmap", uids), "linux.uidMappings");
    return {};
}

bool maps(std::span<const IdMapping> mappings, uint32_t id) {
    return find(mappings, id) != mappings.end();
}

uint32_t outside(std::span<const IdMapping> mappings, uint32_t id) {
    const auto found = find(mappings, id);
    return found->host_id + (id - found->container_id);
}

bool is_in_user_namespace() {
    // The number of the machine's own on every kernel (PROC_USER_INIT_INO; since Linux 6.18 in
    // <linux/nsfs.h>).
    constexpr uint64_t kFirstUserNamespace = 0xeffffffd;
    auto facts = sys::stat(AT_FDCWD, "/proc/self/ns/user");
    return facts && facts->stx_ino != kFirstUserNamespace;
}

}  // namespace sigil::isolation
