// The process manager that started sigil, and what it is told: readiness, what runs, reloads, stops
// and signs of life, by sd_notify(3) or a notification descriptor as s6 has it; and what it has
// handed down: sockets (sd_listen_fds(3)).
//
// With --notify container the containers speak for themselves, and what they say is joined here.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cli/run_options.h"
#include "core/error.h"
#include "core/fd.h"
#include "loop/fleet.h"
#include "loop/notifier.h"
#include "loop/notify_relay.h"
#include "loop/reactor.h"

namespace sigil::cli {

class Manager {
  public:
    // By the environment and the request. Null: nobody is to be told anything. What is wrong with a
    // manager's socket is in `warning`, and no reason to run nothing.
    static Result<std::unique_ptr<Manager>> open(const RunRequest& request,
                                                 std::optional<Error>& warning);

    void attach(loop::Reactor& reactor);
    // Every container that it is about is up. Told once, and again after a reload.
    void ready();
    [[nodiscard]] bool is_ready() const { return is_ready_; }
    // sigil begins to do what it was sent SIGHUP for; ready() ends it.
    void reloading();
    // The run ends.
    void stopping();
    // A container may take so long to stop from now on.
    void extend(loop::Time grace);
    // Told again only where it changed.
    void tell_counts(const loop::Fleet& fleet, const std::string& name, bool is_many);
    // A container's own word. Whether it is ready is the fleet's to heed.
    void heed(uint64_t tag, const std::string& name, const loop::Notification& word, bool is_many);
    // A container has ended.
    void forget(uint64_t tag);

    // What of the watchdog is passed on to containers (WATCHDOG_USEC); empty: none.
    [[nodiscard]] std::string watchdog_usec() const;

  private:
    Manager() = default;
    [[nodiscard]] bool are_alive() const;
    void tell(std::string message);
    void go_on_after_reload();

    std::unique_ptr<loop::Notifier> notifier_;
    Fd notification_;
    std::optional<loop::Time> watchdog_;
    bool is_ready_ = false;
    bool is_reloading_ = false;
    bool is_stopping_ = false;
    loop::Time extended_to_{};
    bool has_own_status_ = true;  // no container has told one
    std::optional<std::pair<uint64_t, uint64_t>> counts_;
    std::map<uint64_t, loop::Time> alive_;  // when each container that sends WATCHDOG=1 last did
    std::set<uint64_t> reloads_;            // containers that reload
};

// Sockets that were handed down to sigil ($LISTEN_FDS with our $LISTEN_PID) are its container's:
// their descriptors, and variables that name the command's own pid. True: there are some.
Result<bool> pass_listen_fds(Spec& spec);

}  // namespace sigil::cli
