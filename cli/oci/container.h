// A container as the OCI verbs find it: one that `create` or `run --bundle` made, written down in
// ROOT/containers, or one of a `sigil run` that lives, written down in ROOT/runs.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "core/error.h"
#include "core/process.h"
#include "core/state.h"
#include "isolation/cgroup.h"

namespace sigil::cli::oci {

struct Container {
    ContainerState state;
    ContainerStatus status = ContainerStatus::stopped;
    std::optional<Process> process;                        // its first, while it lives
    std::optional<ContainerDirectory> directory;           // none: a supervisor's
    std::shared_ptr<const isolation::CgroupHost> cgroups;  // that of `cgroup`
    std::optional<isolation::Cgroup> cgroup;

    // To change it: others who want to wait until the object goes. An error says that it does not
    // exist.
    static Result<Container> open(const std::string& id);
    // To read of it alone, or to signal it: without waiting for anybody.
    static Result<Container> look_up(const std::string& id);
    // Of the one that a verb is about: the only argument left.
    static Result<Container> open_only(Arguments arguments, std::string_view verb);
    static Result<Container> look_up_only(Arguments arguments, std::string_view verb);
    // All that there are; what cannot be read is left out and logged.
    static Result<std::vector<Container>> all();
    [[nodiscard]] bool is_supervised() const { return !directory; }
    // "cannot pause container web: it is stopped"
    [[nodiscard]] Error not_while(std::string_view verb) const;

  private:
    static Result<Container> from(Result<ContainerDirectory> directory, const std::string& id);
    static Result<std::optional<Container>> find_supervised(const std::string& id);
    Result<void> look();
};

}  // namespace sigil::cli::oci
