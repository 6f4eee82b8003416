// A launch as data: the steps that the child will interpret, and everything they point to. Built by
// the parent, before the clone; read by the child, which may allocate nothing. Pure: what is
// written here can be looked at without root.
#pragma once

#include <linux/filter.h>

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/spec.h"
#include "isolation/step.h"

namespace sigil::isolation {

class LaunchPlan {
  public:
    std::vector<Step> setup;
    std::vector<Step> target;
    std::vector<Step> init;

    // Keeps what steps point to, at an address that does not change.
    const char* keep(std::string text) { return strings_.emplace_back(std::move(text)).c_str(); }
    const char* const* keep(const std::vector<std::string>& words);
    const Ids* keep(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups);
    const ExecArguments* keep(ExecArguments arguments) { return &execs_.emplace_back(arguments); }
    // The instructions themselves stay where they are: in the Spec.
    const sock_fprog* keep(const SeccompProgram& program);
    void keep_words(Step& step, std::vector<uint64_t> words) {
        step.words = words_.emplace_back(std::move(words)).data();
        step.word_count = static_cast<uint32_t>(words_.back().size());
    }
    // A step that writes `text` to a file of procfs.
    Step writing(std::string path, std::string text, std::string origin);
    // As Step::options has them: each is a key, or "key=value". By turns a key and its value, which
    // is empty for a key alone; a null at the end.
    const char* const* keep_options(const std::vector<std::string>& options);

  private:
    std::deque<std::string> strings_;
    std::deque<std::vector<const char*>> pointers_;
    std::deque<std::vector<uint32_t>> groups_;
    std::deque<Ids> ids_;
    std::deque<ExecArguments> execs_;
    std::deque<sock_fprog> filters_;
    std::deque<std::vector<uint64_t>> words_;
};

// What the plan needs opened beforehand, by number: the planner itself touches nothing.
struct OpenedSources {
    int root_tree = -1;  // the root filesystem's detached clone; none: the root is a shared one
    struct Bind {
        int tree = -1;
        bool is_directory = true;
        bool is_proc = false;  // the root of a procfs: the one thing that may be put on /proc
    };
    std::vector<Bind> binds;  // one for each of the spec's mounts; unused unless it is a bind
    bool has_cgroup2 = true;  // the kernel has the filesystem
    bool is_busy = false;     // a helper would only wait for a processor
    int notify_mount = -1;    // of notify_socket.h
    int network = -1;         // a network namespace that is ready; none: it is to be made
    // The child is in a user namespace: it makes no device nodes, but binds the host's.
    bool in_user_namespace = false;
    bool joins_user_namespace = false;  // and the supervisor isn't: it has no user there yet
    bool maps_terminal_group = true;    // there is a group 5 (tty)
    // Of a bundle.
    bool no_pivot = false;         // the root is moved over the old one and entered by chroot(2)
    bool has_kcore = true;         // the kernel has /proc/kcore
    bool meets_at_mounts = false;  // the parent has something to do before the root is changed
};

// The mounts, in the order that the kernel demands; appended to plan.setup. Without a root tree the
// container starts in a root that plan_shared_root() has made, with its mounts.
Result<void> plan_mounts(const Spec& spec, const std::string& hostname,
                         const OpenedSources& sources, LaunchPlan& plan);

// The command's pid inside: it is PID 1, or the first that the init has. A thread that helps PID 1
// takes another one (child_network.cc).
constexpr int command_pid(const Spec& spec) {
    return spec.init ? 2 : 1;
}

// How many of the spec's mounts, from the first on, containers with that root can share. Nothing:
// no root can be shared (see SharedRoots): it has a bind that must be each container's own, or
// it is a bundle's.
std::optional<size_t> shareable_mounts(const Spec& spec);
// Whether /sys, with its masks, comes with a shared root: it shows the host's network to each of
// its containers alike, and none of them may reconfigure what is mounted there.
bool shares_sysfs(const Spec& spec);
// The steps that make a root to share in a new mount namespace.
Result<void> plan_shared_root(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan);

// Descriptors, above 2, that become the command's stdin, stdout and stderr; -1: inherited.
inline constexpr int kStreams = 3;
using Streams = std::array<int, kStreams>;
inline constexpr Streams kInheritedStreams = {-1, -1, -1};

struct ProcessSources {
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::vector<uint32_t> groups;
    std::vector<std::string> env;
    std::vector<int> ignored_signals;  // that the supervisor inherited as ignored
    int supervisor = -1;               // what can be read at its end: its pidfd; -1: may outlive it
    int init_image = -1;
    Streams streams = kInheritedStreams;
    int terminal = -1;  // what the master of spec.terminal is sent on
    bool in_user_namespace = false;
    // Of a bundle.
    unsigned preserved_fds = 0;   // from 3 on, that the command gets (LISTEN_FDS)
    bool no_new_keyring = false;  // it keeps the caller's session keyring
    bool has_apparmor = false;    // of the running kernel
    bool has_selinux = false;
    const SeccompProgram* filter = nullptr;
    bool is_staged = false;            // the parent is told when all but the execve is done
    int start_socket = -1;             // and then the command waits there to be started
    int channel = -1;                  // to the parent: closed by the execve alone
    std::optional<uint64_t> bounding;  // the set that whoever clones is known to have
    // Made ahead of need: the setup is done before the rest is known, and the streams come with
    // that.
    bool is_parked = false;
};

// The bounding set that a launcher of such containers may have itself, so that they inherit it:
// what the command keeps, and what the init must have (it gets it by an execve).
uint64_t bounding_of(const Spec& spec);

// A bundle's mounts: those of its config.json alone, in its order, from the new root to the
// read-only paths; appended to plan.setup. An error names the property.
Result<void> plan_oci_mounts(const Spec& spec, const OpenedSources& sources, LaunchPlan& plan);

// The process: appended to plan.setup (PID 1's death with its parent), plan.target and plan.init.
void plan_process(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan);

// A bundle's process, which is PID 1 itself; appended to plan.target. An error names the property.
Result<void> plan_oci_process(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan);

// What both kinds of process have in common: the command's own descriptors, signals and execve.
void plan_streams(const ProcessSources& sources, LaunchPlan& plan);
// Closes every descriptor above 2 that is not in `passed`; an error says `origin` and its number.
// `left`: those that are not touched (negative: none), for the execve to close.
void plan_descriptors(std::vector<int> passed, std::string_view origin, LaunchPlan& plan,
                      std::vector<int> left = {});
void plan_signals(const ProcessSources& sources, LaunchPlan& plan);
void plan_exec(const Spec& spec, const ProcessSources& sources, LaunchPlan& plan);

}  // namespace sigil::isolation
