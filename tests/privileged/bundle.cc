#include "bundle.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>

#include "core/sys.h"
#include "core/try.h"
#include "isolation/bootstrap.h"
#include "isolation/id_map.h"
#include "isolation/launch.h"
#include "isolation/namespaces.h"
#include "isolation/root_tree.h"

namespace sigil::bundle {
namespace {

constexpr uint32_t kFirstMapped = 100000;
constexpr uint64_t kCapabilities = 1U << 5 | 1U << 10 | 1U << 29;  // KILL, BIND, AUDIT_WRITE
constexpr size_t kStack = 64UL * 1024;

std::string read_all(int fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<size_t>(got));
    return text;
}

int wait_for(pid_t pid) {
    int word = 0;
    EXPECT_EQ(::waitpid(pid, &word, 0), pid);
    return WIFEXITED(word) ? WEXITSTATUS(word) : -WTERMSIG(word);
}

Ran run_by_launch(const Spec& spec) {
    auto context = isolation::LaunchContext::open(false);
    auto pipe = sys::pipe();
    if (!context || !pipe)
        return {.error = "the test's own preparations failed"};
    const isolation::LaunchRequest request = {
        .spec = spec,
        .name = spec.name,
        .streams = {-1, pipe->writer.get(), pipe->writer.get()},
    };
    isolation::Launch launch(*context, request);
    isolation::LaunchOutcome outcome = launch.run();
    pipe->writer.reset();
    Ran ran;
    if (outcome.error)
        ran.error = outcome.error->message();
    ran.out = read_all(pipe->reader.get());
    if (outcome.process)
        ran.code = wait_for(outcome.process->pid);
    return ran;
}

// Of a launch in a user namespace: who maps its IDs must not be parked by the clone, so the child
// has its own memory, but for the report.
class Forked {
  public:
    explicit Forked(const Bundle& bundle) : bundle_(bundle) {
        void* shared = ::mmap(nullptr, sizeof(isolation::LaunchReport), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        report_ = new (shared) isolation::LaunchReport;
    }
    ~Forked() { ::munmap(report_, sizeof *report_); }
    Forked(const Forked&) = delete;
    Forked& operator=(const Forked&) = delete;

    Result<Ran> run() {
        const Spec& spec = bundle_.spec;
        isolation::OpenedSources sources;
        auto trees = TRY(isolation::RootTrees::open_bundle(spec, -1, sources));
        sources.no_pivot = bundle_.no_pivot;
        sys::Pipe output = TRY(sys::pipe());
        sys::Pipe go = TRY(sys::pipe());
        isolation::ProcessSources process = {
            .env = spec.env,
            .supervisor = -1,
            .streams = {-1, output.writer.get(), output.writer.get()},
        };
        TRY(isolation::plan_oci_mounts(spec, sources, plan_));
        TRY(isolation::plan_oci_process(spec, process, plan_));
        clone_args arguments = {};
        arguments.flags = isolation::new_namespace_flags(spec);
        arguments.exit_signal = SIGCHLD;
        const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
        if (pid == 0)
            run_child(trees.root.get(), go);
        output.writer.reset();
        Ran ran;
        if (spec.oci->find(NamespaceKind::user))
            TRY(map(pid));
        go.writer.reset();
        ran.out = read_all(output.reader.get());
        ran.code = wait_for(pid);
        if (report_->failed)
            ran.error = failed_step();
        return ran;
    }

  private:
    [[noreturn]] void run_child(int root, sys::Pipe& go) {
        static char stack[kStack];
        char ignored;
        go.writer.reset();
        (void)!::read(go.reader.get(), &ignored, 1);
        isolation::run_bootstrap({.setup = plan_.setup,
                                  .target = plan_.target,
                                  .init = plan_.init,
                                  .root = root,
                                  .report = report_,
                                  .second_stack = stack,
                                  .second_stack_size = sizeof stack});
    }

    [[nodiscard]] Result<void> map(pid_t pid) const {
        const Oci& oci = *bundle_.spec.oci;
        const std::string process = fmt::format("/proc/{}/", pid);
        TRY(sys::write_file(AT_FDCWD, (process + "uid_map").c_str(),
                            isolation::id_map_text(oci.uid_mappings)));
        return sys::write_file(AT_FDCWD, (process + "gid_map").c_str(),
                               isolation::id_map_text(oci.gid_mappings));
    }

    [[nodiscard]] std::string failed_step() const {
        const auto& steps = report_->phase == isolation::Phase::setup ? plan_.setup : plan_.target;
        return Error::from_errno(report_->error, "launch")
            .in(isolation::describe(steps[report_->step]))
            .message();
    }

    const Bundle& bundle_;
    isolation::LaunchPlan plan_;
    isolation::LaunchReport* report_;
};

}  // namespace

Bundle::Bundle() : Bundle(e2e::shared_rootfs()) {}

Bundle::Bundle(std::string rootfs) {
    spec.name = "bundle";
    spec.rootfs = std::move(rootfs);
    spec.init = false;
    spec.env = {"PATH=/bin"};
    for (NamespaceKind kind : {NamespaceKind::mount, NamespaceKind::pid, NamespaceKind::network,
                               NamespaceKind::uts, NamespaceKind::ipc, NamespaceKind::cgroup})
        oci.namespaces.push_back({.kind = kind, .path = ""});
    oci.process.capabilities = {.bounding = kCapabilities,
                                .effective = kCapabilities,
                                .inheritable = 0,
                                .permitted = kCapabilities,
                                .ambient = 0};
    mount("proc", "proc", "/proc");
    mount("tmpfs", "tmpfs", "/dev", {"nosuid", "strictatime", "mode=755", "size=65536k"});
    mount("devpts", "devpts", "/dev/pts",
          {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
    mount("tmpfs", "shm", "/dev/shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"});
    mount("mqueue", "mqueue", "/dev/mqueue", {"nosuid", "noexec", "nodev"});
    mount("sysfs", "sysfs", "/sys", {"nosuid", "noexec", "nodev", "ro"});
}

Bundle& Bundle::runs(std::vector<std::string> args) {
    spec.args = std::move(args);
    return *this;
}

Bundle& Bundle::script(const std::string& text) {
    return runs({"/bin/sh", "-c", text});
}

Bundle& Bundle::mount(std::string type, std::string source, std::string target,
                      std::vector<std::string> options) {
    spec.mounts.push_back({.type = std::move(type),
                           .source = std::move(source),
                           .target = std::move(target),
                           .options = std::move(options),
                           .origin = fmt::format("mounts[{}]", spec.mounts.size())});
    return *this;
}

Bundle& Bundle::clear_mounts() {
    spec.mounts.clear();
    return *this;
}

Bundle& Bundle::without(NamespaceKind kind) {
    std::erase_if(oci.namespaces, [kind](const Namespace& space) { return space.kind == kind; });
    return *this;
}

Bundle& Bundle::in_user_namespace() {
    oci.namespaces.push_back({.kind = NamespaceKind::user, .path = ""});
    oci.uid_mappings =
        oci.gid_mappings = {{.container_id = 0, .host_id = kFirstMapped, .size = 65536}};
    return *this;
}

Ran run(const Bundle& bundle) {
    Bundle copy = bundle;
    copy.spec.oci = std::make_shared<Oci>(copy.oci);
    if (!copy.no_pivot && !copy.oci.find(NamespaceKind::user))
        return run_by_launch(copy.spec);
    auto ran = Forked(copy).run();
    return ran ? *ran : Ran{.error = ran.error().message()};
}

e2e::Facts facts_of(const Bundle& bundle) {
    Bundle copy = bundle;
    const Ran ran = run(copy.runs({"/bin/probe", "facts"}));
    EXPECT_EQ(ran.error, "");
    EXPECT_EQ(ran.code, 0) << ran.out;
    return e2e::Facts(ran.out);
}

std::string output_of(Bundle bundle, const std::string& script) {
    const Ran ran = run(bundle.script(script));
    EXPECT_EQ(ran.error, "");
    EXPECT_EQ(ran.code, 0) << ran.out;
    return ran.out;
}

}  // namespace sigil::bundle
