// What the process manager that started sigil is told: datagrams to its $NOTIFY_SOCKET, as
// sd_notify(3) has them. Nothing waits: what finds no room is queued, and sent when the ring tells
// of room. A status is told at most once a second, the latest.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "loop/reactor.h"

namespace sigil::loop {

class Notifier final : public Handler {
  public:
    // `address`: as $NOTIFY_SOCKET has it.
    static Result<std::unique_ptr<Notifier>> open(std::string_view address);

    // From now on what finds no room is sent later.
    void attach(Reactor& reactor);
    // Assignments, a line each: "READY=1".
    void tell(std::string message);
    // The same with the status, if that is news.
    void tell_with_status(std::string message);
    // Told at once, or with the next, but not more often than once a second.
    void set_status(std::string status);
    // WATCHDOG=1 now and after each `period`, as long as `is_alive` says so. Needs attach().
    void keep_alive(Time period, std::function<bool()> is_alive);
    void complete(const Completion& completion) override;

  private:
    Notifier(std::string address, Fd socket)
        : address_(std::move(address)), socket_(std::move(socket)) {}
    void flush();
    Result<void> send(const std::string& message);
    void tell_status();
    void beat();

    std::string address_;
    Fd socket_;
    Reactor* reactor_ = nullptr;
    std::deque<std::string> queue_;
    bool awaits_room_ = false;
    std::string status_;
    std::string told_status_;
    Time status_told_at_{};
    bool awaits_status_ = false;
    Time period_{};
    std::function<bool()> is_alive_;
};

}  // namespace sigil::loop
