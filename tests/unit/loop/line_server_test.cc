// Who connects to sigil and talks in lines, on each of the kernel's rings.
#include "loop/line_server.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/stream_socket.h"
#include "core/sys.h"
#include "loop/backends.h"
#include "loop/fake_ring.h"
#include "temp_dir.h"

namespace sigil::loop {
namespace {

using Words = std::vector<std::string>;

// What the server tells; answers are the test's.
class Listener : public LineServer::Client {
  public:
    void request(Token peer, std::string_view line) override {
        heard.push_back("request " + std::string(line));
        last = peer;
        if (on_request)
            on_request(peer, line);
    }
    void overlong(Token peer) override {
        heard.emplace_back("overlong");
        server->close(peer);
    }
    void flushed(Token) override { ++flushes; }
    void left(Token) override { ++leavers; }

    LineServer* server = nullptr;
    Words heard;
    std::function<void(Token, std::string_view)> on_request;
    Token last;
    int flushes = 0;
    int leavers = 0;
};

class LineServerTest : public ::testing::TestWithParam<Backend>, private Handler {
  protected:
    static constexpr Token kGuard = {Source::settling, Operation::timed_out};

    void SetUp() override {
        auto opened = GetParam().open(64);
        ASSERT_TRUE(opened) << opened.error().message();
        ring_ = std::move(*opened);
        reactor.use(*ring_);
        reactor.attach(Source::settling, *this);
        ring_->timer(kGuard, sys::monotonic_now() + std::chrono::seconds(20));
    }
    void serve(LineServerOptions options = {}) {
        server.emplace(reactor, listener, Source::control, std::move(options));
        listener.server = &*server;
        auto socket = listen_unix(files.open().get(), "socket");
        ASSERT_TRUE(socket) << socket.error().message();
        server->listen(std::move(*socket));
    }
    [[nodiscard]] Fd connect() const {
        auto socket = connect_unix(files.open().get(), "socket");
        EXPECT_TRUE(socket) << socket.error().message();
        return socket ? std::move(*socket) : Fd();
    }
    // Turns the loop until something is true.
    template <typename Is>
    void await(Is is) {
        while (!is() && !is_over_)
            ASSERT_TRUE(reactor.turn());
        EXPECT_TRUE(is());
    }
    void await_heard(size_t count) {
        await([&] { return listener.heard.size() >= count; });
    }
    static void say(const Fd& socket, std::string_view text) {
        EXPECT_TRUE(sys::write_all(socket.get(), text));
    }
    // What has come so far; `is_over`: and the end.
    static std::string come(const Fd& socket, bool* is_over = nullptr) {
        std::string text;
        std::array<char, 65536> bytes;
        for (;;) {
            auto count = receive(socket.get(), bytes);
            if (is_over && ((count && *count == 0) || (!count && count.error().is(ECONNRESET))))
                *is_over = true;
            if (!count || *count == 0)
                return text;
            text.append(bytes.data(), *count);
        }
    }
    // Everything until the end of the connection.
    std::string all(const Fd& socket) {
        std::string text;
        bool is_over = false;
        await([&] {
            text += come(socket, &is_over);
            return is_over;
        });
        return text;
    }

    testing::TempDir files;
    Reactor reactor;
    Listener listener;
    std::optional<LineServer> server;

  private:
    void complete(const Completion&) override { is_over_ = true; }
    std::unique_ptr<Ring> ring_;
    bool is_over_ = false;
};

TEST_P(LineServerTest, TakesLinesInWhateverPiecesTheyCome) {
    serve();
    const Fd one = connect();
    say(one, "first\r\nsec");
    await_heard(1);
    say(one, "ond\n\nthird\n");
    await_heard(4);
    EXPECT_EQ(listener.heard,
              (Words{"request first", "request second", "request ", "request third"}));
    EXPECT_EQ(server->peers(), 1U);
}

TEST_P(LineServerTest, ALineMayBeSoLongAndNoLonger) {
    serve({.longest_line = 8});
    const Fd one = connect();
    say(one, "12345678\n");
    await_heard(1);
    EXPECT_EQ(listener.heard.back(), "request 12345678");
    say(one, "123456789");
    await_heard(2);
    EXPECT_EQ(listener.heard.back(), "overlong");
    EXPECT_EQ(all(one), "");
    EXPECT_EQ(listener.leavers, 1);
}

TEST_P(LineServerTest, AnswersComeToWhoSendsNoMore) {
    serve();
    listener.on_request = [&](Token peer, std::string_view line) {
        server->send(peer, "heard " + std::string(line) + "\n");
        server->close(peer);
    };
    const Fd one = connect();
    say(one, "a\n");
    ASSERT_EQ(::shutdown(one.get(), SHUT_WR), 0);
    EXPECT_EQ(all(one), "heard a\n");
    await([&] { return server->peers() == 0; });
}

TEST_P(LineServerTest, WhoIsClosedIsHeededNoLonger) {
    serve();
    listener.on_request = [&](Token peer, std::string_view) {
        server->send(peer, "bye\n");
        server->close(peer);
        server->send(peer, "more\n");
    };
    const Fd one = connect();
    say(one, "a\nb\n");
    EXPECT_EQ(all(one), "bye\n");
    EXPECT_EQ(listener.heard, Words{"request a"});
}

TEST_P(LineServerTest, APeerTooManyIsToldSo) {
    serve({.most_peers = 2, .refusal = "full\n"});
    std::vector<Fd> served;
    for (int index = 0; index < 2; ++index) {
        served.push_back(connect());
        say(served.back(), "in\n");
        await_heard(static_cast<size_t>(index) + 1);
    }
    EXPECT_EQ(all(connect()), "full\n");
    served.pop_back();
    await([&] { return server->peers() == 1; });
    const Fd next = connect();
    say(next, "in\n");
    await_heard(3);
}

TEST_P(LineServerTest, ALongAnswerGoesOnOnceThereIsRoom) {
    serve();
    const std::string long_answer(900'000, 'x');  // more than a socket holds
    listener.on_request = [&](Token peer, std::string_view) {
        server->send(peer, long_answer);
        server->send(peer, "\n");
    };
    const Fd one = connect();
    say(one, "a\n");
    std::string text;
    await([&] {
        text += come(one);
        return text.ends_with("\n");
    });
    EXPECT_EQ(text, long_answer + "\n");
    await([&] { return listener.flushes > 0; });
    EXPECT_EQ(listener.leavers, 0);
}

TEST_P(LineServerTest, WhoNeverReadsIsDroppedAndTheOthersAreServedOn) {
    serve({.most_queued = size_t{64} * 1024});
    const Fd slow = connect();
    say(slow, "a\n");
    await_heard(1);
    const Token token = listener.last;
    const std::string part(16'000, 'x');
    for (int count = 0; count < 1000 && listener.leavers == 0; ++count)
        server->send(token, part);
    EXPECT_EQ(listener.leavers, 1);
    server->send(token, part);  // to nobody
    const Fd other = connect();
    say(other, "b\n");
    await_heard(2);
    await([&] { return server->peers() == 1; });
}

TEST_P(LineServerTest, WhoGoesIsLeftOnce) {
    serve();
    {
        const Fd one = connect();
        say(one, "a\n");
        await_heard(1);
    }
    await([&] { return server->peers() == 0; });
    EXPECT_EQ(listener.leavers, 1);
}

TEST_P(LineServerTest, TheEndSendsWhatIsQueued) {
    serve();
    const Fd one = connect();
    say(one, "a\n");
    await_heard(1);
    server->send(listener.last, "the end\n");
    server->shut();
    EXPECT_EQ(come(one), "the end\n");
    EXPECT_FALSE(connect_unix(files.open().get(), "socket")) << "nobody listens any more";
}

INSTANTIATE_TEST_SUITE_P(Rings, LineServerTest, backends(), name_of);

// Who connects waits for a while.
TEST(LineServer, WithoutDescriptorsListensAgainLater) {
    constexpr Token kConnection = {Source::control, Operation::connection};
    constexpr Token kPause = {Source::control, Operation::timed_out};
    const testing::TempDir files;
    FakeRing ring;
    Reactor reactor;
    reactor.use(ring);
    Listener listener;
    LineServer server(reactor, listener, Source::control, {});
    const Fd directory = files.open();
    server.listen(std::move(*listen_unix(directory.get(), "socket")));
    const Fd one = std::move(*connect_unix(directory.get(), "socket"));
    ring.complete(kConnection, POLLIN);
    EXPECT_TRUE(reactor.turn());
    EXPECT_EQ(server.peers(), 1U);
    const Fd other = std::move(*connect_unix(directory.get(), "socket"));
    rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit none = {3, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    ring.complete(kConnection, POLLIN);
    EXPECT_TRUE(reactor.turn());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(server.peers(), 1U);
    EXPECT_FALSE(ring.has(kConnection));
    ring.complete(kPause, -ETIME);
    EXPECT_TRUE(reactor.turn());
    ring.complete(kConnection, POLLIN);
    EXPECT_TRUE(reactor.turn());
    EXPECT_EQ(server.peers(), 2U);
}

}  // namespace
}  // namespace sigil::loop
