// A server of sigil's and one who connects to it: what the other writes is the input. Everything is
// real, the sockets and the ring (epoll's), but for containers: there are three jobs of which
// nothing has been launched.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "loop/fleet.h"
#include "loop/open_ring.h"
#include "loop/supervisor.h"
#include "target.h"

namespace sigil::fuzz {

class NoLauncher final : public loop::Launcher {
  public:
    void launch(loop::Token, const isolation::LaunchRequest&) override {}
    void cancel(loop::Token) override {}
};

class NoObserver final : public loop::FleetObserver {
  public:
    void created(const loop::Subject&) override {}
    void started(const loop::Subject&, const loop::Outcome&) override {}
    void out_of_memory(const loop::Subject&, const loop::Outcome&) override {}
    void stopping(const loop::Subject&) override {}
    void ended(const loop::Subject&, loop::Outcome&&) override {}
    void warning(const loop::Subject&, const Error&) override {}
    void restarting(const loop::Subject&, loop::Time, uint64_t) override {}
    void rejected(const std::string&, uint64_t, const Error&) override {}
    void finished() override {}
};

class ThreeJobs final : public loop::JobSource {
  public:
    Answer next(std::shared_ptr<const Job>& job, std::string& name) override {
        if (given_ == 3)
            return Answer::end;
        job = std::make_shared<const Job>();
        name = "web-" + std::to_string(++given_);
        return Answer::job;
    }

  private:
    int given_ = 0;
};

class Served {
  public:
    Served() {
        auto ring = loop::open_ring(loop::RingChoice::epoll, 16);
        if (!ring)
            __builtin_trap();
        ring_ = std::move(*ring);
        reactor.use(*ring_);
        fleet.use(supervisor_, source_, nullptr);
        fleet.pump();
        address_.sun_family = AF_UNIX;
    }

    // For the server to listen on; by a name of the kernel's choice (unix(7), "Autobind").
    Fd listener() {
        Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        length_ = sizeof address_.sun_family;
        auto* address = reinterpret_cast<sockaddr*>(&address_);
        if (::bind(socket.get(), address, length_) != 0 || ::listen(socket.get(), 4) != 0)
            __builtin_trap();
        length_ = sizeof address_;
        ::getsockname(socket.get(), address, &length_);
        return socket;
    }

    // What is answered to the input, sent in two parts, while `between` happens after the first.
    template <typename Between>
    std::string answer(std::string_view input, Between between) {
        Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address_), length_) != 0)
            __builtin_trap();
        std::string answer;
        const size_t half = input.size() / 2;
        send(socket.get(), input.substr(0, half), answer);
        between();
        send(socket.get(), input.substr(half), answer);
        ::shutdown(socket.get(), SHUT_WR);
        turn(socket.get(), answer);
        socket.reset();
        turn_once();  // the server sees it go
        return answer;
    }

    loop::Reactor reactor;
    NoObserver observer;
    loop::Fleet fleet{reactor, observer, {}};

  private:
    void turn_once() {
        // Something always completes: no turn waits for ever.
        ring_->timer({loop::Source::settling, loop::Operation::timed_out}, loop::Time{});
        if (!reactor.turn())
            __builtin_trap();
    }

    void turn(int socket, std::string& answer) {
        std::array<char, 65536> part;
        for (int quiet = 0; quiet < 2;) {
            turn_once();
            const ssize_t count = ::recv(socket, part.data(), part.size(), MSG_DONTWAIT);
            quiet = count > 0 ? 0 : quiet + 1;
            if (count > 0)
                answer.append(part.data(), static_cast<size_t>(count));
        }
    }

    void send(int socket, std::string_view text, std::string& answer) {
        while (!text.empty()) {
            const ssize_t count =
                ::send(socket, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (count > 0)
                text.remove_prefix(static_cast<size_t>(count));
            else if (errno != EAGAIN)
                return;  // it has dropped us
            turn(socket, answer);
        }
        turn(socket, answer);
    }

    std::unique_ptr<loop::Ring> ring_;
    NoLauncher launcher_;
    ThreeJobs source_;
    loop::Supervisor supervisor_{reactor, launcher_, fleet};
    sockaddr_un address_ = {};
    socklen_t length_ = 0;
};

}  // namespace sigil::fuzz
