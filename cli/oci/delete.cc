// `sigil delete`: removes what is left of a container.
#include <poll.h>
#include <signal.h>

#include <array>

#include "cli/globals.h"
#include "cli/oci/container.h"
#include "cli/oci/lifecycle.h"
#include "cli/oci/verb.h"
#include "core/spec_reader.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_removal.h"
#include "isolation/hooks.h"
#include "isolation/systemd_cgroup.h"

namespace sigil::cli::oci {
namespace {

struct Request {
    bool force = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "force", 'f', nullptr,
                    "Kill it first; no failure if it does not exist",
                    [](Request& r, Text v) -> Result<void> {
                        r.force = v != "false";
                        return {};
                    }},
};

constexpr std::chrono::milliseconds kPatience(10'000);  // that a killed process gets to be gone

void run_poststop_of(const Container& container) {
    auto text = container.directory->read_file("config.json");
    if (!text)
        return;  // the creator was killed before it had written it
    auto spec = read_config(*text, container.state.bundle);
    if (spec)
        run_poststop(container.state, *spec);
    else
        log(Level::warning, spec.error().message());
}

// One whose `create` is under way keeps the directory locked: without its process that fails, and
// removes everything by itself.
void end_creation(const std::string& id) {
    auto seen = Container::look_up(id);
    if (seen && !seen->is_supervised() && seen->status == ContainerStatus::creating)
        kill_all(*seen);
}

}  // namespace

void run_poststop(const ContainerState& state, const Spec& spec) {
    for (const Hook& hook : spec.oci->hooks.poststop)
        if (auto ran = isolation::run_hooks({&hook, 1}, oci_state(state, ContainerStatus::stopped));
            !ran)
            log(Level::warning, ran.error().message());
}

void kill_all(Container& container) {
    if (container.cgroup)
        (void)container.cgroup->kill();
    if (!container.process)
        return;
    (void)sys::pidfd_send_signal(container.process->pidfd.get(), SIGKILL);
    pollfd ended = {.fd = container.process->pidfd.get(), .events = POLLIN, .revents = 0};
    (void)::poll(&ended, 1, static_cast<int>(kPatience.count()));
}

Result<void> stop_unit(const ContainerState& state) {
    if (state.unit.empty())
        return {};
    isolation::SystemdHelper helper = TRY(isolation::SystemdHelper::find());
    helper.is_user = state.user_unit;
    return isolation::stop_systemd_scope(helper, state.unit);
}

Result<void> remove_stopped(Container& container) {
    // Systemd would ask what is left to end, and wait for that.
    if (container.cgroup && !container.state.unit.empty())
        (void)container.cgroup->kill();
    TRY(stop_unit(container.state));
    if (container.cgroup)
        TRY(isolation::end_cgroup(container.cgroups->root(),
                                  isolation::CgroupHost::relative(container.state.cgroup),
                                  container.cgroup->directory(), sys::monotonic_now() + kPatience),
            "remove cgroup {}", container.state.cgroup);
    run_poststop_of(container);
    return container.directory->remove();
}

std::vector<OptionShape> delete_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string delete_help() {
    return "Usage: sigil delete [OPTIONS] ID\n"
           "\n"
           "Removes what is left of a container: its cgroup, and what is written down of it.\n"
           "\n" +
           describe_options(delete_shapes());
}

Result<int> delete_container(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    const std::string id = TRY(only_id(arguments, "delete"));
    if (request.force)
        end_creation(id);
    auto opened = Container::open(id);
    if (!opened) {
        if (request.force && opened.error().is(ENOENT))
            return 0;
        return tl::unexpected(std::move(opened).error());
    }
    Container& container = *opened;
    if (container.is_supervised())
        return failure("cannot delete container {}: the 'sigil run' that it belongs to removes it",
                       id);
    // Nobody creates it any more: the directory is locked.
    const bool has_begun =
        container.status == ContainerStatus::running || container.status == ContainerStatus::paused;
    if (has_begun && !request.force)
        return tl::unexpected(container.not_while("delete"));
    if (container.process)
        kill_all(container);
    TRY(remove_stopped(container), "delete container {}", id);
    return 0;
}

}  // namespace sigil::cli::oci
