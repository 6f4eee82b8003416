#include "cli/manager.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/launch_plan.h"
#include "loop/write_now.h"

namespace sigil::cli {
namespace {

using std::chrono::microseconds;

// Beyond a container's grace: its SIGKILL, the wait for its end, and for those that it waits for.
constexpr auto kBeyondGrace = std::chrono::seconds(5);
constexpr uint64_t kMostListenFds = 1024;

std::string_view variable(const char* name) {
    const char* value = ::getenv(name);
    return value ? value : "";
}

// Whether a variable of systemd's that names a pid is meant for this process.
bool is_for_us(std::string_view pid) {
    auto number = parse_number(pid, INT32_MAX);
    return number && static_cast<pid_t>(*number) == ::getpid();
}

std::optional<loop::Time> watchdog_of_environment() {
    const std::string_view pid = variable("WATCHDOG_PID");
    auto period = parse_number(variable("WATCHDOG_USEC"), INT64_MAX / 1000);
    if (!period || *period == 0 || (!pid.empty() && !is_for_us(pid)))
        return std::nullopt;
    return microseconds(*period);
}

std::string in_microseconds(const char* name, loop::Time time) {
    return fmt::format("{}={}", name, time / microseconds(1));
}

}  // namespace

Result<std::unique_ptr<Manager>> Manager::open(const RunRequest& request,
                                               std::optional<Error>& warning) {
    std::unique_ptr<Manager> manager(new Manager);
    if (request.notification_fd) {
        manager->notification_ = Fd(*request.notification_fd);
        TRY(sys::set_close_on_exec(*request.notification_fd), "--notification-fd {}",
            *request.notification_fd);
    }
    const std::string_view socket = variable("NOTIFY_SOCKET");
    if (!socket.empty() && request.notify != Notify::ignore) {
        if (auto notifier = loop::Notifier::open(socket))
            manager->notifier_ = std::move(*notifier);
        else
            warning = std::move(notifier).error().in("NOTIFY_SOCKET");
    }
    if (manager->notifier_)
        manager->watchdog_ = watchdog_of_environment();
    if (!manager->notifier_ && !manager->notification_ && request.notify != Notify::container)
        return nullptr;
    return manager;
}

void Manager::attach(loop::Reactor& reactor) {
    if (!notifier_)
        return;
    notifier_->attach(reactor);
    if (watchdog_)
        notifier_->keep_alive(*watchdog_ / 2, [this] { return are_alive(); });
}

void Manager::tell(std::string message) {
    if (notifier_)
        notifier_->tell(std::move(message));
}

void Manager::ready() {
    if (is_ready_ && !is_reloading_)
        return;
    is_reloading_ = false;
    if (!std::exchange(is_ready_, true)) {
        if (notifier_)
            notifier_->tell_with_status(fmt::format("READY=1\nMAINPID={}", ::getpid()));
        if (notification_)  // one byte to a pipe: if it has no room, its reader has more than ours
            (void)loop::write_now(notification_.get(), "\n", true);
        notification_.reset();
        return;
    }
    if (reloads_.empty())
        tell("READY=1");
}

void Manager::reloading() {
    if (!is_ready_ || std::exchange(is_reloading_, true))
        return;
    if (reloads_.empty())
        tell("RELOADING=1\n" + in_microseconds("MONOTONIC_USEC", sys::monotonic_now()));
}

void Manager::stopping() {
    if (!std::exchange(is_stopping_, true))
        tell("STOPPING=1");
}

void Manager::extend(loop::Time grace) {
    constexpr auto kNothingNew = std::chrono::seconds(1);
    const loop::Time until = sys::monotonic_now() + grace + kBeyondGrace;
    if (!is_stopping_ || until < extended_to_ + kNothingNew)
        return;
    extended_to_ = until;
    tell(in_microseconds("EXTEND_TIMEOUT_USEC", grace + kBeyondGrace));
}

void Manager::tell_counts(const loop::Fleet& fleet, const std::string& name, bool is_many) {
    if (!notifier_ || !has_own_status_)
        return;
    const std::pair counts = {fleet.running(), fleet.ended()};
    if (counts_ == counts)
        return;
    counts_ = counts;
    if (is_many)
        notifier_->set_status(fmt::format("{:L} running, {:L} ended", counts.first, counts.second));
    else
        notifier_->set_status(
            fmt::format("{} {}", name, counts.first > 0 ? "is running" : "is not running"));
}

// ---- containers that speak for themselves -------------------------------------------------------

void Manager::heed(uint64_t tag, const std::string& name, const loop::Notification& word,
                   bool is_many) {
    if (word.is_ready && reloads_.erase(tag) > 0)
        go_on_after_reload();
    if (word.is_reloading && is_ready_ && reloads_.insert(tag).second && reloads_.size() == 1 &&
        !is_reloading_)
        tell("RELOADING=1\n" + in_microseconds("MONOTONIC_USEC", sys::monotonic_now()));
    if (word.is_stopping && !is_many)  // of many, one that stops is no end of the service
        stopping();
    if (word.is_alive)
        alive_[tag] = sys::monotonic_now();
    if (word.has_failed)
        tell("WATCHDOG=trigger");
    if (word.extend)
        tell(in_microseconds("EXTEND_TIMEOUT_USEC", *word.extend));
    if (word.status && notifier_) {
        has_own_status_ = is_many;
        const std::string text = printable(*word.status);
        notifier_->set_status(is_many ? fmt::format("{}: {}", name, text) : text);
    }
}

void Manager::forget(uint64_t tag) {
    alive_.erase(tag);
    if (reloads_.erase(tag) > 0)
        go_on_after_reload();
}

void Manager::go_on_after_reload() {
    if (reloads_.empty() && !is_reloading_)
        tell("READY=1");
}

// A container that has begun to send signs of life has to go on.
bool Manager::are_alive() const {
    const loop::Time now = sys::monotonic_now();
    return std::ranges::all_of(alive_,
                               [&](const auto& one) { return now - one.second <= *watchdog_; });
}

std::string Manager::watchdog_usec() const {
    return watchdog_ ? fmt::format("{}", *watchdog_ / microseconds(1)) : "";
}

// ---- sockets ------------------------------------------------------------------------------------

Result<bool> pass_listen_fds(Spec& spec) {
    constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
    if (variable("LISTEN_FDS").empty() || !is_for_us(variable("LISTEN_PID")))
        return false;
    const uint64_t count = TRY(parse_number(variable("LISTEN_FDS"), kMostListenFds), "LISTEN_FDS");
    for (int fd = kFirst; fd < kFirst + static_cast<int>(count); ++fd) {
        if (::fcntl(fd, F_GETFD) < 0)
            return failure("LISTEN_FDS: descriptor {} is not open", fd);
        if (std::ranges::find(spec.passed_fds, fd) == spec.passed_fds.end())
            spec.passed_fds.push_back(fd);
    }
    std::erase_if(spec.env, [](const std::string& entry) { return entry.starts_with("LISTEN_"); });
    spec.env.push_back(fmt::format("LISTEN_FDS={}", count));
    spec.env.push_back(fmt::format("LISTEN_PID={}", isolation::command_pid(spec)));
    if (const auto names = variable("LISTEN_FDNAMES"); !names.empty())
        spec.env.push_back(fmt::format("LISTEN_FDNAMES={}", names));
    return count > 0;
}

}  // namespace sigil::cli
