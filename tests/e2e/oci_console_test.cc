// The terminal of a bundle's process (config.md, "process.terminal"), which goes to whoever listens
// on --console-socket.
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bundle.h"
#include "descriptor_socket.h"
#include "fixture.h"

namespace sigil::e2e {
namespace {

// The master's side: reads what is shown.
class Master {
  public:
    explicit Master(int fd) : fd_(fd) {}
    ~Master() { ::close(fd_); }
    Master(const Master&) = delete;
    Master& operator=(const Master&) = delete;

    bool expect(std::string_view text) {
        return eventually([&] {
            pollfd watched = {.fd = fd_, .events = POLLIN, .revents = 0};
            char bytes[4096];
            if (::poll(&watched, 1, 0) > 0)
                if (const ssize_t count = ::read(fd_, bytes, sizeof bytes); count > 0)
                    shown_.append(bytes, static_cast<size_t>(count));
            return shown_.find(text) != std::string::npos;
        });
    }
    void type(std::string_view text) const { (void)!::write(fd_, text.data(), text.size()); }
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] const std::string& shown() const { return shown_; }

  private:
    int fd_;
    std::string shown_;
};

class OciConsole : public E2e {
  protected:
    void TearDown() override {
        (void)container_.remove({"--force"});
        E2e::TearDown();
    }

    DescriptorSocket socket_;
    OciContainer container_{"console"};

    static Bundle with_terminal(const std::string& script) {
        Bundle bundle({"/bin/sh", "-c", script});
        bundle.set("/process/terminal", "true");
        return bundle;
    }
};

TEST_F(OciConsole, CreateSendsTheMasterOfAControllingTerminal) {
    Bundle bundle = with_terminal(
        "tty; stty size; test -c /dev/console && echo to-console > /dev/console;"
        "echo hi > /dev/tty; ls -l /dev/pts; read line; echo got $line");
    bundle.set("/process/consoleSize", R"({"height": 33, "width": 77})");
    ASSERT_EQ(container_.create(bundle, {"--console-socket", socket_.path()}).code(), 0);
    std::string name;
    Master master(socket_.receive(name));
    EXPECT_EQ(name, "/dev/ptmx");
    winsize size = {};
    EXPECT_EQ(::ioctl(master.fd(), TIOCGWINSZ, &size), 0);
    EXPECT_EQ(size.ws_row, 33);
    EXPECT_EQ(size.ws_col, 77);
    ASSERT_EQ(container_.start().code(), 0);
    for (const char* text : {"/dev/pts/0", "33 77", "to-console", "hi"})
        EXPECT_TRUE(master.expect(text)) << text << " is not in " << master.shown();
    master.type("words\n");
    EXPECT_TRUE(master.expect("got words")) << master.shown();
    EXPECT_TRUE(container_.await("stopped"));
}

TEST_F(OciConsole, AResizeIsASignal) {
    Bundle bundle = with_terminal("trap 'stty size' WINCH; echo up; while :; do sleep 0.1; done");
    ASSERT_EQ(container_.create(bundle, {"--console-socket", socket_.path()}).code(), 0);
    std::string name;
    Master master(socket_.receive(name));
    ASSERT_EQ(container_.start().code(), 0);
    ASSERT_TRUE(master.expect("up"));
    const winsize size = {.ws_row = 11, .ws_col = 22, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::ioctl(master.fd(), TIOCSWINSZ, &size), 0);
    EXPECT_TRUE(master.expect("11 22")) << master.shown();
}

TEST_F(OciConsole, RunAndExecHaveThemToo) {
    Bundle bundle = with_terminal("tty; read line");
    Running running(sigil(
        {"run", "--bundle", bundle.path(), "--console-socket", socket_.path(), container_.id()}));
    std::string name;
    Master master(socket_.receive(name));
    ASSERT_TRUE(master.expect("/dev/pts/0"));
    // The command may speak before `run` has written down that it runs, and exec wants that.
    ASSERT_TRUE(container_.await("running"));
    DescriptorSocket other;
    Running exec(sigil({"exec", "--tty", "--console-socket", other.path(), container_.id(),
                        "/bin/sh", "-c", "tty; read line; exit 5"}));
    Master second(other.receive(name));
    EXPECT_TRUE(second.expect("/dev/pts/1")) << second.shown();
    second.type("x\n");
    EXPECT_EQ(exec.wait().code(), 5);
    master.type("x\n");
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(OciConsole, BelongsToTheUser) {
    Bundle bundle = with_terminal("stat -c 'owner %u' /dev/pts/0");
    bundle.set("/process/user", R"({"uid": 1000, "gid": 1000})");
    ASSERT_EQ(container_.create(bundle, {"--console-socket", socket_.path()}).code(), 0);
    std::string name;
    Master master(socket_.receive(name));
    ASSERT_EQ(container_.start().code(), 0);
    EXPECT_TRUE(master.expect("owner 1000")) << master.shown();
}

TEST_F(OciConsole, ASocketTooFewOrTooManyIsAnError) {
    Bundle with = with_terminal("true");
    expect_failure(container_.create(with), "--console-socket is missing");
    Bundle without({"/bin/true"});
    expect_failure(container_.create(without, {"--console-socket", socket_.path()}),
                   "config.json asks for no terminal");
    EXPECT_FALSE(socket_.has_caller());
    expect_failure(container_.create(with, {"--console-socket", "/nope"}),
                   "--console-socket: connect to /nope");
    EXPECT_EQ(container_.status(), "(none)");
}

}  // namespace
}  // namespace sigil::e2e
