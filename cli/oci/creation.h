// A container of a bundle, from its config.json to the moment when its command runs or waits for
// its start: what `create`, `run --bundle` and their kin have in common.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/error.h"
#include "core/spec.h"
#include "core/state.h"
#include "isolation/launch.h"

namespace sigil::cli::oci {

// runc's options of create, run and exec.
struct CreateOptions {
    std::string bundle = ".";
    std::string pid_file;
    std::string console_socket;
    std::string pidfd_socket;
    unsigned preserve_fds = 0;
    bool no_pivot = false;
    bool no_new_keyring = false;
};

class Creation final : public isolation::LaunchAttendant {
  public:
    // Reads the bundle, and takes the id: nobody else's container can be called so from here on.
    // What this makes goes with the object, unless keep() was called; then the poststop hooks run,
    // if there was a container (runtime.md, "Lifecycle", 12 and 13). A SIGTERM or SIGINT from here
    // on fails what is under way.
    static Result<std::unique_ptr<Creation>> open(const std::string& id, CreateOptions options);
    ~Creation() override;

    // With `waits` the launch stops before the execve, until start().
    Result<void> prepare(bool waits);
    // Launches it with this thread's streams, to outlive this process if need be.
    Result<void> launch();
    // For a supervisor of this process that launches it instead.
    [[nodiscard]] const isolation::BundleOptions& supervised();
    // Has the command of a launch that waits run, with the hooks that belong to it. `pid`: of a
    // launch that has not told of its process on the way.
    Result<void> start(pid_t pid);

    [[nodiscard]] isolation::LaunchContext& context() { return context_; }
    [[nodiscard]] const std::shared_ptr<const Spec>& spec() const { return spec_; }

    // Written down as created, its pid where that was asked for: all is done but the start.
    Result<void> created();
    // It lives on without this object, or is left to `delete`.
    void keep();

    Result<void> meet(isolation::Meeting meeting, const isolation::LaunchOutcome& so_far,
                      Fd passed) override;
    Result<void> making_cgroup(const std::string& path) override;
    Result<void> making_unit(const std::string& scope, bool is_user) override;

  private:
    Creation(ContainerDirectory directory, Fd interruption)
        : directory_(std::move(directory)), interruption_(std::move(interruption)) {}
    Result<void> is_there(const Process& process);
    Result<void> namespaces_are_there(const Process& process);

    CreateOptions options_;
    ContainerDirectory directory_;
    Fd interruption_;
    ContainerState state_;
    std::shared_ptr<const Spec> spec_;
    Fd start_socket_;
    isolation::LaunchContext context_;
    isolation::BundleOptions launch_;
    isolation::LaunchOutcome outcome_;
    bool waits_ = false;
    bool was_there_ = false;
    bool is_kept_ = false;
};

// The number alone, by a rename: whoever sees the file sees all of it.
Result<void> write_pid_file(const std::string& path, pid_t pid);

}  // namespace sigil::cli::oci
