// `sigil run --metrics`.
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control_client.h"
#include "many.h"

namespace sigil::e2e {
namespace {

using Metrics = CgroupE2e;

constexpr std::string_view kGet = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";

std::string ask(const std::string& path, std::string_view request) {
    RawClient client(path);
    client.send(request);
    return client.rest();
}

TEST_F(Metrics, AreServedForPrometheusAndStrictly) {
    const std::string path = make_directory_outside() + "/metrics";
    Running running(sigil_run(
        {"--name", "web", "--count", "2", "--quiet", "--metrics", "unix:" + path}, kSleeper));
    ASSERT_TRUE(eventually([&] {
        return exists(path) &&
               ask(path, kGet).find("sigil_containers_started_total 2\n") != std::string::npos;
    }));
    const std::string text = ask(path, kGet);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
    EXPECT_TRUE(text.ends_with("\r\n0\r\n\r\n")) << text;
    for (const char* part :
         {"# TYPE sigil_container_cpu_seconds_total counter\n",
          "\nsigil_container_cpu_seconds_total{id=\"web-1\"} ", "sigil_containers_running 2\n",
          "sigil_container_cpu_seconds_total{id=\"web-2\"} ",
          "sigil_containers_ended_total{cause=\"oom\"} 0\n", "sigil_restarts_total 0\n"})
        EXPECT_NE(text.find(part), std::string::npos) << part;
    const std::pair<const char*, const char*> wrong[] = {
        {"hello\r\n\r\n", "400"},
        {"GET /metrics HTTP/1.1\r\n\r\n", "400"},
        {"GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n", "505"},
        {"POST /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "405"},
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"},
        {"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", "400"}};
    for (const auto& [request, status] : wrong)
        EXPECT_TRUE(ask(path, request).starts_with(std::string("HTTP/1.1 ") + status)) << request;
    EXPECT_TRUE(ask(path, std::string(5000, 'x')).starts_with("HTTP/1.1 431"));
    running.send(SIGTERM);
    (void)running.wait();
    EXPECT_FALSE(exists(path));
}

// A socket on a port of the loopback that nobody has; it is taken for as long as this lives.
class TakenPort {
  public:
    TakenPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* any = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(::bind(fd_, any, size), 0);
        EXPECT_EQ(::listen(fd_, 1), 0);
        EXPECT_EQ(::getsockname(fd_, any, &size), 0);
        number_ = ntohs(address.sin_port);
    }
    ~TakenPort() { ::close(fd_); }
    TakenPort(const TakenPort&) = delete;
    TakenPort& operator=(const TakenPort&) = delete;
    [[nodiscard]] unsigned short number() const { return number_; }

  private:
    int fd_;
    unsigned short number_ = 0;
};

TEST_F(Metrics, AreServedOnALoopbackPort) {
    for (const char* host : {"", "127.0.0.1:"}) {
        const unsigned short port = TakenPort().number();
        Running running(sigil_run(
            {"--name", "web", "--count", "2", "--quiet", "--metrics", host + std::to_string(port)},
            kSleeper));
        std::string text;
        EXPECT_TRUE(eventually([&] {
            const RawClient client(port);
            if (!client.is_connected())
                return false;
            RawClient asking(port);
            asking.send(kGet);
            text = asking.rest();
            return text.find("sigil_containers_running 2\n") != std::string::npos;
        })) << text;
        EXPECT_TRUE(text.starts_with("HTTP/1.1 200 OK\r\n")) << text;
        running.send(SIGTERM);
        (void)running.wait();
        EXPECT_FALSE(RawClient(port).is_connected()) << "the next one can have it";
    }
}

TEST_F(Metrics, APortThatIsTakenIsAnError) {
    const TakenPort taken;
    const std::string port = std::to_string(taken.number());
    expect_failure(run({"--metrics", port}, {"true"}),
                   "--metrics: listen on 127.0.0.1 port " + port + ": Address already in use");
}

TEST_F(Metrics, ARunThatCannotBeginLeavesNoSocket) {
    const std::string path = make_directory_outside() + "/metrics";
    for (const Words& wrong : {Words{"--events", "/nowhere/x"}, Words{"--log-dir", "/nowhere/x"},
                               Words{"--from", "/nowhere", "--quiet"}}) {
        Words options = {"--metrics", "unix:" + path};
        options.insert(options.end(), wrong.begin(), wrong.end());
        expect_failure(run(options, {"true"}), "/nowhere");
        EXPECT_FALSE(exists(path)) << wrong[0];
    }
}

TEST_F(Metrics, AnAddressThatIsNoneIsAnError) {
    expect_failure(run({"--metrics", "0"}, {"true"}), "--metrics: port 0 is none");
    expect_failure(run({"--metrics", "nowhere:9"}, {"true"}), "'nowhere' is no address");
    expect_failure(run({"--metrics", "unix:/nope/x"}, {"true"}), "--metrics: listen on /nope/x");
}

}  // namespace
}  // namespace sigil::e2e
