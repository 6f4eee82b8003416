#include "isolation/staged.h"

#include <asm/unistd.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "core/raw_syscall.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/child.h"
#include "isolation/clone.h"
#include "isolation/clone_there.h"
#include "isolation/embedded.h"
#include "isolation/interruption.h"
#include "isolation/stage/protocol.h"

namespace sigil::isolation {
namespace {

constexpr size_t kStackSize = 16UL * 1024;

// Bytes whose place in the stage's memory is known while they are written.
class Image {
  public:
    // `address`: where it will be.
    Image(size_t head, uint64_t address) : address_(address) { bytes_.resize(head); }

    template <typename T>
    const T* add(const T* items, size_t count) {
        bytes_.resize((bytes_.size() + alignof(T) - 1) / alignof(T) * alignof(T));
        const size_t at = bytes_.size();
        bytes_.append(reinterpret_cast<const char*>(items), count * sizeof(T));
        return reinterpret_cast<const T*>(address_ + at);
    }
    const char* add(const char* text) { return text ? add(text, ::strlen(text) + 1) : nullptr; }
    const char* const* add(const char* const* words) {
        if (!words)
            return nullptr;
        std::vector<const char*> moved;
        for (; *words; ++words)
            moved.push_back(add(*words));
        moved.push_back(nullptr);
        return add(moved.data(), moved.size());
    }
    const Ids* add(const Ids* ids) {
        if (!ids)
            return nullptr;
        Ids moved = *ids;
        moved.groups = add(ids->groups, ids->group_count);
        return add(&moved, 1);
    }
    const ExecArguments* add(const ExecArguments* exec) {
        if (!exec)
            return nullptr;
        const ExecArguments moved = {add(exec->candidates), add(exec->argv), add(exec->envp)};
        return add(&moved, 1);
    }
    const sock_fprog* add(const sock_fprog* filter) {
        if (!filter)
            return nullptr;
        sock_fprog moved = *filter;
        moved.filter = const_cast<sock_filter*>(add(filter->filter, filter->len));
        return add(&moved, 1);
    }
    const Step* add(const std::vector<Step>& steps) {
        std::vector<Step> moved = steps;
        for (Step& step : moved) {
            step.path = add(step.path);
            step.source = add(step.source);
            step.device_name = add(step.device_name);
            step.data = add(step.data);
            step.ids = add(step.ids);
            step.exec = add(step.exec);
            step.options = add(step.options);
            step.words = step.words ? add(step.words, step.word_count) : nullptr;
            step.filter = add(step.filter);
            step.origin = nullptr;  // for the parent's messages alone
        }
        return add(moved.data(), moved.size());
    }
    void set_head(const StagePlan& head) { ::memcpy(bytes_.data(), &head, sizeof head); }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }

  private:
    uint64_t address_;
    std::string bytes_;
};

// The child's way from clone3 to the stage: memory is shared with the parent, which is parked.
struct Jump {
    int stage;
    const std::vector<int>* kept;
    const char* const* argv;
    const char* const* envp;
    bool keeps_capabilities;
    long error;
};

// A new user namespace gives every capability in it, and an execve takes them away as long as it
// has no mapping for the user that executes (capabilities(7)): but for the ambient ones.
long make_capabilities_ambient() {
    constexpr uint64_t kAll = ~uint64_t{0};
    if (long set = set_capabilities(kAll, kAll, kAll); set < 0)
        return set;
    for (unsigned capability = 0;; ++capability) {
        const long raised =
            raw::call(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0);
        if (raised == -EINVAL)  // past the kernel's last
            return 0;
        if (raised < 0)
            return raised;
    }
}

[[noreturn]] void jump(void* argument) {
    auto& to = *static_cast<Jump*>(argument);
    for (const int fd : *to.kept)
        raw::call(__NR_fcntl, fd, F_SETFD, 0);
    if (to.keeps_capabilities)
        to.error = make_capabilities_ambient();
    if (to.error == 0)
        to.error = raw::call(__NR_execveat, to.stage, "", to.argv, to.envp, AT_EMPTY_PATH);
    for (;;)
        raw::call(__NR_exit_group, kExitRuntimeFailure);
}

// As we number it, wherever it was cloned.
Result<pid_t> pid_of(int pidfd) {
    const std::string info =
        TRY(sys::read_file(AT_FDCWD, fmt::format("/proc/self/fdinfo/{}", pidfd).c_str()));
    constexpr std::string_view kKey = "\nPid:\t";
    const size_t at = info.find(kKey);
    if (at == std::string::npos)
        return failure("a pidfd without a pid");
    return static_cast<pid_t>(std::atoi(info.c_str() + at + kKey.size()));
}

bool holds_descriptor(const Step& step) {
    return step.fd >= 0 && step.kind != StepKind::set_rlimit &&
           step.kind != StepKind::reset_signal && step.kind != StepKind::move_passed;
}

std::vector<int> descriptors_of(const LaunchPlan& plan) {
    std::vector<int> descriptors;
    for (const auto* steps : {&plan.setup, &plan.target, &plan.init})
        for (const Step& step : *steps)
            if (holds_descriptor(step))
                descriptors.push_back(step.fd);
    return descriptors;
}

// A plan as the stage reads it: StagePlan, steps, strings; pointers as from `address`.
enum class Part : uint8_t { whole, setup, rest };
Result<Fd> write_plan(const LaunchPlan& plan, Part part, int root, int channel) {
    Image image(sizeof(StagePlan), part == Part::rest ? kRestAddress : kPlanAddress);
    StagePlan head = {};
    if (part != Part::rest) {
        head.setup = image.add(plan.setup);
        head.setup_count = static_cast<uint32_t>(plan.setup.size());
    }
    if (part != Part::setup) {
        head.target = image.add(plan.target);
        head.target_count = static_cast<uint32_t>(plan.target.size());
        head.init = image.add(plan.init);
        head.init_count = static_cast<uint32_t>(plan.init.size());
    }
    head.is_parked = part == Part::setup;
    head.root = root;
    head.channel = channel;
    head.size = image.bytes().size();
    image.set_head(head);
    return sealed_file("sigil-plan", image.bytes(), false);
}

}  // namespace

Result<StagedChild> StagedChild::open(int interruption) {
    sys::SocketPair ends = TRY(sys::socket_pair(SOCK_SEQPACKET));
    StagedChild child;
    child.parent_end_ = std::move(ends.parent);
    child.child_end_ = std::move(ends.child);
    child.interruption_ = interruption;
    return child;
}

Result<Process> StagedChild::start(const Request& request) {
    const Fd stage = TRY(open_stage_image());
    const Fd plan = TRY(write_plan(request.plan, request.is_parked ? Part::setup : Part::whole,
                                   request.root, channel()));
    std::vector<int> kept = descriptors_of(request.plan);
    for (const int fd : {request.root, channel(), plan.get()})
        if (fd >= 0)
            kept.push_back(fd);
    const std::string number = std::to_string(plan.get());
    const char* const argv[] = {"sigil-stage", number.c_str(), nullptr};
    const char* const envp[] = {nullptr};
    const bool changes_user = request.clone_flags & CLONE_NEWUSER || request.user_namespace >= 0;
    Jump to = {stage.get(), &kept, argv, envp, changes_user, 0};

    int pidfd = -1;
    const auto stack = std::make_unique<char[]>(kStackSize);
    clone_args arguments = {};
    arguments.flags = CLONE_PIDFD | request.clone_flags;
    if (request.shares_memory)
        arguments.flags |= CLONE_VM | CLONE_VFORK;
    arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<uint64_t>(stack.get());
    arguments.stack_size = kStackSize;
    long pid;
    if (request.user_namespace >= 0) {
        const auto helper_stack = std::make_unique<char[]>(kStackSize);
        CloneThere there = {.user_namespace = request.user_namespace,
                            .cgroup = request.cgroup,
                            .arguments = arguments,
                            .body = jump,
                            .argument = &to,
                            .helper_stack = helper_stack.get(),
                            .helper_stack_size = kStackSize};
        pid = clone_there(there);
    } else {
        if (request.cgroup >= 0) {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = static_cast<uint64_t>(request.cgroup);
        }
        pid = clone_onto_stack(&arguments, jump, &to);
    }
    if (pid < 0)
        return tl::unexpected(Error::from_errno(static_cast<int>(-pid), "clone3"));
    Process process{static_cast<pid_t>(pid), Fd(pidfd)};
    if (request.user_namespace >= 0)
        process.pid = TRY(pid_of(pidfd));
    child_end_.reset();
    if (to.error != 0) {
        // It has exited, or is about to: nobody else will wait for it.
        (void)::waitid(P_PIDFD, static_cast<id_t>(pidfd), nullptr, WEXITED);
        return tl::unexpected(
            Error::from_errno(static_cast<int>(-to.error), "execveat").in("execute the stage"));
    }
    return process;
}

Result<std::optional<StagedWord>> StagedChild::next() {
    TRY(wait_readable(parent_end_.get(), interruption_));
    return next(parent_end_.get());
}

Result<std::optional<StagedWord>> StagedChild::next(int connection) {
    StagedWord word;
    iovec bytes = {.iov_base = &word.message, .iov_len = sizeof word.message};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr header = {};
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t count;
    do
        count = ::recvmsg(connection, &header, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    // What it left unread when it went makes the kernel reset the connection (unix(7)).
    if (count == 0 || (count < 0 && errno == ECONNRESET))
        return std::nullopt;
    if (count < 0)
        return tl::unexpected(Error::from_errno(errno, "recvmsg"));
    if (const cmsghdr* rights = CMSG_FIRSTHDR(&header);
        rights && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
        int fd = -1;
        ::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
        word.passed = Fd(fd);
    }
    if (static_cast<size_t>(count) != sizeof word.message)
        return failure("the stage sent {} bytes", count);
    word.meeting = static_cast<Meeting>(word.message.meeting);
    return word;
}

Result<void> StagedChild::go_on() {
    if (::send(parent_end_.get(), "", 1, MSG_NOSIGNAL) != 1)
        return tl::unexpected(Error::from_errno(errno, "send"));
    return {};
}

Result<void> StagedChild::send_rest(const LaunchPlan& plan, std::span<const int> passed) {
    const Fd written = TRY(write_plan(plan, Part::rest, -1, -1));
    PlanDescriptors descriptors = {written.get()};
    std::ranges::copy(passed, descriptors.begin() + 1);
    constexpr char kWord = 0;
    return sys::send_descriptors(parent_end_.get(), {&kWord, 1},
                                 {descriptors.data(), 1 + passed.size()});
}

bool StagedChild::is_gone() const {
    pollfd channel = {.fd = parent_end_.get(), .events = 0, .revents = 0};
    return ::poll(&channel, 1, 0) != 0;
}

}  // namespace sigil::isolation
