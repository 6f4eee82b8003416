// sigil-systemd-cgroup: asks systemd, over D-Bus, for a scope that a container's cgroup is. A
// program of its own, because sigil is static and starts without libsystemd; sigil runs it for
// --systemd-cgroup alone (isolation/systemd_cgroup.h). Interface: org.freedesktop.systemd1(5).
//
//     sigil                        sigil-systemd-cgroup                      systemd
//       spawn, stdin a pipe ───────▶ fork the placeholder
//                                    StartTransientUnit(PIDs=placeholder) ────▶ makes the cgroup
//                                    ◀ JobRemoved ───────────────────────────── moves it in
//       ◀ "/system.slice/web.scope"  exits
//       clone3(CLONE_INTO_CGROUP)
//       closes the pipe ───────────▶ the placeholder ends
//
// A scope is made around a process and goes with its last one; but sigil clones into a cgroup that
// is there already, so that nothing of the container ever runs outside. The placeholder fills the
// gap: it reads its standard input, which ends when sigil closes it or is gone itself, so that it
// is never left behind. It counts as one of the scope's tasks meanwhile.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <systemd/sd-bus.h>

#include "core/error.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/systemd/exit_code.h"
#include "isolation/systemd/properties.h"

namespace sigil::isolation {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";

template <typename T, T* (*Release)(T*)>
struct Releaser {
    void operator()(T* one) const { Release(one); }
};
using Bus = std::unique_ptr<sd_bus, Releaser<sd_bus, sd_bus_flush_close_unref>>;
using Message = std::unique_ptr<sd_bus_message, Releaser<sd_bus_message, sd_bus_message_unref>>;
using Slot = std::unique_ptr<sd_bus_slot, Releaser<sd_bus_slot, sd_bus_slot_unref>>;

struct Options {
    std::string command;
    std::string slice;
    std::string scope;
    std::string description;
    uint32_t pid = 0;  // 0: a placeholder
    std::vector<Property> properties;
    bool is_user = false;
    std::chrono::nanoseconds timeout = std::chrono::seconds(30);
};

Result<Options> parse_options(int count, char** words) {
    Options options;
    if (count < 2)
        return failure("usage: sigil-systemd-cgroup start|stop|set-properties --scope NAME ...");
    options.command = words[1];
    for (int at = 2; at < count; ++at) {
        const std::string_view option = words[at];
        if (option == "--user") {
            options.is_user = true;
            continue;
        }
        if (option == "--no-pid") {
            options.pid = 0;
            continue;
        }
        if (at + 1 == count)
            return failure("{}: unknown, or without its value", option);
        const std::string_view value = words[++at];
        if (option == "--slice")
            options.slice = value;
        else if (option == "--scope")
            options.scope = value;
        else if (option == "--description")
            options.description = value;
        else if (option == "--pid")
            options.pid = static_cast<uint32_t>(TRY(parse_number(value, INT32_MAX), "--pid"));
        else if (option == "--property")
            options.properties.push_back(TRY(parse_property(value), "--property {}", value));
        else if (option == "--timeout")
            options.timeout = TRY(parse_duration(value), "--timeout");
        else
            return failure("{}: no such option", option);
    }
    if (!options.scope.ends_with(".scope"))
        return failure("--scope {}: a scope's name ends in .scope", options.scope);
    return options;
}

// A negative errno of sd-bus.
Result<void> check(int result, const char* operation) {
    if (result < 0)
        return tl::unexpected(Error::from_errno(-result, operation));
    return {};
}

class Manager {
  public:
    static Result<Manager> connect(const Options& options) {
        sd_bus* bus = nullptr;
        const int opened = options.is_user ? sd_bus_open_user(&bus) : sd_bus_open_system(&bus);
        TRY(check(opened, "sd_bus_open"), "connect to the {} bus of D-Bus",
            options.is_user ? "user's" : "system's");
        return Manager(Bus(bus), sys::monotonic_now() + options.timeout);
    }

    Result<Message> make_call(const char* method) {
        sd_bus_message* call = nullptr;
        TRY(check(
            sd_bus_message_new_method_call(bus_.get(), &call, kService, kObject, kManager, method),
            method));
        return Message(call);
    }

    // The answer; an error is systemd's own words, and its name is in error_name().
    Result<Message> call(const Message& call) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message* answer = nullptr;
        const int result =
            sd_bus_call(bus_.get(), call.get(), microseconds_left(), &error, &answer);
        error_name_ = error.name ? error.name : "";
        if (result < 0) {
            Error failed = error.message ? Error::because(error.message)
                                         : Error::from_errno(-result, "sd_bus_call");
            sd_bus_error_free(&error);
            return tl::unexpected(
                std::move(failed).in(sd_bus_message_get_member(call.get())).in("systemd"));
        }
        sd_bus_error_free(&error);
        return Message(answer);
    }
    [[nodiscard]] bool is_error(const char* name) const {
        return error_name_ == std::string("org.freedesktop.systemd1.") + name;
    }

    // From now on ends of jobs are heard of. Before the job is asked for, or its end may be missed.
    Result<void> watch_jobs() {
        sd_bus_slot* slot = nullptr;
        TRY(check(sd_bus_match_signal(bus_.get(), &slot, kService, kObject, kManager, "JobRemoved",
                                      job_removed, &ended_),
                  "sd_bus_match_signal"));
        match_ = Slot(slot);
        const Message subscribe = TRY(make_call("Subscribe"));
        TRY(call(subscribe));
        return {};
    }

    // `answer` is that of a method which started a job.
    Result<void> wait_for_job(const Message& answer) {
        const char* path = nullptr;
        TRY(check(sd_bus_message_read(answer.get(), "o", &path), "read the job"));
        for (;;) {
            for (const EndedJob& job : ended_)
                if (job.path == path)
                    return job.result == "done"
                               ? Result<void>()
                               : failure("systemd: the job ended as {}", job.result);
            const int processed = sd_bus_process(bus_.get(), nullptr);
            TRY(check(processed, "sd_bus_process"), "wait for systemd's job");
            if (processed > 0)
                continue;
            const uint64_t left = microseconds_left();
            if (left <= 1)
                return failure("systemd has not ended the job in time");
            TRY(check(sd_bus_wait(bus_.get(), left), "sd_bus_wait"), "wait for systemd's job");
        }
    }

    Result<std::string> control_group(const std::string& unit) {
        char* path = nullptr;
        TRY(check(sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.c_str(), &path),
                  "sd_bus_path_encode"));
        const std::unique_ptr<char, decltype(&::free)> owned_path(path, ::free);
        sd_bus_error error = SD_BUS_ERROR_NULL;
        char* text = nullptr;
        const int result =
            sd_bus_get_property_string(bus_.get(), kService, path, "org.freedesktop.systemd1.Scope",
                                       "ControlGroup", &error, &text);
        sd_bus_error_free(&error);
        TRY(check(result, "sd_bus_get_property"), "ask systemd for the cgroup of {}", unit);
        const std::unique_ptr<char, decltype(&::free)> owned_text(text, ::free);
        if (!*text)
            return failure("systemd: {} has no cgroup", unit);
        return std::string(text);
    }

  private:
    struct EndedJob {
        std::string path;
        std::string result;
    };

    Manager(Bus bus, std::chrono::nanoseconds deadline)
        : bus_(std::move(bus)), deadline_(deadline) {}

    static int job_removed(sd_bus_message* signal, void* ended, sd_bus_error*) {
        uint32_t id = 0;
        const char* path = nullptr;
        const char* unit = nullptr;
        const char* result = nullptr;
        if (sd_bus_message_read(signal, "uoss", &id, &path, &unit, &result) >= 0)
            static_cast<std::vector<EndedJob>*>(ended)->push_back({path, result});
        return 0;
    }

    // At least 1: 0 would be sd-bus's own default.
    [[nodiscard]] uint64_t microseconds_left() const {
        const auto left =
            std::chrono::duration_cast<std::chrono::microseconds>(deadline_ - sys::monotonic_now());
        return static_cast<uint64_t>(std::max<int64_t>(left.count(), 1));
    }

    Bus bus_;
    std::chrono::nanoseconds deadline_;
    std::string error_name_;
    std::vector<EndedJob> ended_;  // before match_, which points to it
    Slot match_;
};

Result<void> append_properties(const Message& call, const std::vector<Property>& properties) {
    for (const Property& property : properties)
        TRY(check(append_property(call.get(), property), "sd_bus_message_append"), "{}",
            property.name);
    return {};
}

Result<Message> start_call(Manager& manager, const Options& options, uint32_t pid) {
    Message call = TRY(manager.make_call("StartTransientUnit"));
    // "fail": a unit of that name is an error, not ours to replace.
    auto append = [&call](auto... values) {
        return check(sd_bus_message_append(call.get(), values...), "sd_bus_message_append");
    };
    TRY(append("ss", options.scope.c_str(), "fail"));
    TRY(check(sd_bus_message_open_container(call.get(), 'a', "(sv)"), "open_container"));
    TRY(append("(sv)", "Description", "s", options.description.c_str()));
    if (!options.slice.empty())
        TRY(append("(sv)", "Slice", "s", options.slice.c_str()));
    TRY(append("(sv)", "PIDs", "au", 1, pid));
    // The cgroup is ours from here on, with all below it; and its end is not the machine's shutdown
    // alone, so it must not wait for what ordinary units do.
    TRY(append("(sv)", "Delegate", "b", 1));
    TRY(append("(sv)", "DefaultDependencies", "b", 0));
    TRY(append_properties(call, options.properties));
    TRY(check(sd_bus_message_close_container(call.get()), "close_container"));
    TRY(append("a(sa(sv))", 0));
    return call;
}

// One who only waits for the end of its standard input.
Result<uint32_t> start_placeholder() {
    const pid_t pid = ::fork();
    if (pid < 0)
        return tl::unexpected(Error::from_errno(errno, "fork"));
    if (pid == 0) {
        ::setsid();
        // Our own output is read to its end.
        ::close(STDOUT_FILENO);
        ::close(STDERR_FILENO);
        char ignored;
        while (::read(STDIN_FILENO, &ignored, 1) > 0) {
        }
        ::_exit(0);
    }
    return static_cast<uint32_t>(pid);
}

Result<void> reset_failed(Manager& manager, const std::string& scope) {
    Message call = TRY(manager.make_call("ResetFailedUnit"));
    TRY(check(sd_bus_message_append(call.get(), "s", scope.c_str()), "sd_bus_message_append"));
    TRY(manager.call(call));
    return {};
}

Result<void> start(const Options& options) {
    // Forked before the bus is open: a connection must not be shared.
    const uint32_t pid = options.pid ? options.pid : TRY(start_placeholder());
    Manager manager = TRY(Manager::connect(options));
    TRY(manager.watch_jobs());
    Message call = TRY(start_call(manager, options, pid));
    auto started = manager.call(call);
    // A scope of that name that has failed is still known: it is in nobody's way.
    if (!started && manager.is_error("UnitExists") && reset_failed(manager, options.scope)) {
        call = TRY(start_call(manager, options, pid));
        started = manager.call(call);
    }
    if (!started && manager.is_error("UnitExists"))
        return tl::unexpected(Error::because("a unit of that name is there already")
                                  .in(fmt::format("start {}", options.scope))
                                  .exiting(kExitUnitExists));
    const Message job = TRY(std::move(started), "start {}", options.scope);
    TRY(manager.wait_for_job(job), "start {}", options.scope);
    const std::string cgroup = TRY(manager.control_group(options.scope));
    TRY(sys::write_all(STDOUT_FILENO, cgroup + "\n"));
    return {};
}

Result<void> stop(const Options& options) {
    Manager manager = TRY(Manager::connect(options));
    TRY(manager.watch_jobs());
    Message call = TRY(manager.make_call("StopUnit"));
    TRY(check(sd_bus_message_append(call.get(), "ss", options.scope.c_str(), "replace"),
              "sd_bus_message_append"));
    auto stopped = manager.call(call);
    // It went with its last process.
    if (!stopped && manager.is_error("NoSuchUnit"))
        return {};
    const Message job = TRY(std::move(stopped), "stop {}", options.scope);
    TRY(manager.wait_for_job(job), "stop {}", options.scope);
    (void)reset_failed(manager, options.scope);
    return {};
}

Result<void> set_properties(const Options& options) {
    Manager manager = TRY(Manager::connect(options));
    Message call = TRY(manager.make_call("SetUnitProperties"));
    // Until the next boot.
    TRY(check(sd_bus_message_append(call.get(), "sb", options.scope.c_str(), 1),
              "sd_bus_message_append"));
    TRY(check(sd_bus_message_open_container(call.get(), 'a', "(sv)"), "open_container"));
    TRY(append_properties(call, options.properties));
    TRY(check(sd_bus_message_close_container(call.get()), "close_container"));
    TRY(manager.call(call));
    return {};
}

Result<void> run(int count, char** words) {
    const Options options = TRY(parse_options(count, words));
    if (options.command == "start")
        return start(options);
    if (options.command == "stop")
        return stop(options);
    if (options.command == "set-properties")
        return set_properties(options);
    return failure("{}: no such command", options.command);
}

}  // namespace
}  // namespace sigil::isolation

int main(int count, char** words) {
    auto done = sigil::isolation::run(count, words);
    if (done)
        return 0;
    // The caller adds who we are.
    ::fprintf(stderr, "%s\n", done.error().message().c_str());
    return done.error().exit_code();
}
