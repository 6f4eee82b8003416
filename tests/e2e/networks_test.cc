// Network namespaces that containers of one supervisor have one after another: only those in which
// nothing has happened.
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "many.h"

namespace sigil::e2e {
namespace {

constexpr unsigned kCount = 5;

class Networks : public E2e {
  protected:
    // What each container's /bin/probe cookie printed, one after another on one launcher; before
    // that, the second ran `meanwhile`.
    static Words cookies(const Words& options, const std::string& meanwhile) {
        Words all = {"--count", std::to_string(kCount), "--jobs", "1", "--launchers", "1"};
        all.insert(all.end(), options.begin(), options.end());
        const ManyRun run = run_many_script(all, "[ $(hostname) != web-2 ] || { " + meanwhile +
                                                     "; } >/dev/null; /bin/probe cookie");
        EXPECT_EQ(run.finished.code(), 0) << run.finished.err;
        Words found;
        for (unsigned number = 1; number <= kCount; ++number)
            found.push_back(run.outputs.log(numbered("web", number)));
        return found;
    }
    static size_t different(const Words& cookies) {
        return std::set<std::string>(cookies.begin(), cookies.end()).size();
    }
};

TEST_F(Networks, ThatNobodyHasUsedAreHadOneAfterAnother) {
    EXPECT_EQ(different(cookies({}, "true")), 1U);
    EXPECT_EQ(different(cookies({"--no-init"}, "true")), 1U);
}

TEST_F(Networks, ThatSomethingWasSentInAreNotHadAgain) {
    for (const char* use : {"/bin/probe talk", "/bin/probe connect 127.0.0.1 9 || true",
                            "/bin/probe connect 192.0.2.1 9 || true"}) {
        const Words all = cookies({}, use);
        EXPECT_EQ(all[0], all[1]) << use;
        EXPECT_NE(all[1], all[2]) << use;
        EXPECT_EQ(all[2], all[4]) << use;
    }
}

TEST_F(Networks, OfContainersThatMayConfigureThemAreTheirsAlone) {
    for (const Words& options :
         {Words{"--cap-add", "NET_ADMIN"}, Words{"--privileged"}, Words{"--cap-add", "SYS_ADMIN"}})
        EXPECT_EQ(different(cookies(options, "true")), kCount) << options.front();
}

TEST_F(Networks, OfContainersThatRunAtOnceAreDifferent) {
    const std::string shared = make_directory_outside();
    const ManyRun run =
        run_many_script({"--count", std::to_string(kCount), "--bind", shared + ":/mnt"},
                        "/bin/probe cookie; : >/mnt/$(hostname); until [ $(ls /mnt | wc -l) = " +
                            std::to_string(kCount) + " ]; do sleep 0.01; done");
    ASSERT_EQ(run.finished.code(), 0) << run.finished.err;
    Words all;
    for (unsigned number = 1; number <= kCount; ++number)
        all.push_back(run.outputs.log(numbered("web", number)));
    EXPECT_EQ(different(all), kCount);
}

// A socket that somebody else still holds would let him into the next container's network.
TEST_F(Networks, ThatSomebodyHasASocketOfAreNotHadAgain) {
    const std::string shared = make_directory_outside();
    const Outputs outputs;
    Running running(sigil_run(outputs.with({"--count", "3", "--jobs", "1", "--launchers", "1",
                                            "--bind", shared + ":/mnt"}),
                              {"/bin/sh", "-c",
                               "/bin/probe cookie; [ $(hostname) != web-2 ] || until [ -e /mnt/go "
                               "]; do sleep 0.01; done"}));
    ASSERT_TRUE(eventually([&] { return !outputs.log("web-2").empty(); }));
    ASSERT_TRUE(outputs.await("started", 2));
    const EventLog events(outputs.events);
    const int pid = (*events.named("started").back())["pid"].GetInt();
    const std::string network = "/proc/" + std::to_string(pid) + "/ns/net";
    int held = -1;
    std::thread([&] {
        const int there = ::open(network.c_str(), O_RDONLY | O_CLOEXEC);
        if (::setns(there, CLONE_NEWNET) == 0)
            held = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ::close(there);
    }).join();
    ASSERT_GE(held, 0);
    write_file(shared + "/go", "");
    EXPECT_EQ(running.wait().code(), 0);
    ::close(held);
    EXPECT_EQ(outputs.log("web-1"), outputs.log("web-2"));
    EXPECT_NE(outputs.log("web-2"), outputs.log("web-3"));
}

TEST_F(Networks, AreUpAndEmptyForEach) {
    const ManyRun run = run_many_script(
        {"--count", "4", "--jobs", "1", "--launchers", "1"},
        "/bin/probe talk && grep -c ' 00000000:0000 0A\\| 06 ' /proc/net/tcp || true");
    EXPECT_EQ(run.finished.code(), 0) << run.finished.err;
    for (unsigned number = 1; number <= 4; ++number)
        EXPECT_EQ(run.outputs.log(numbered("web", number)), "ok\n1\n") << number;
}

}  // namespace
}  // namespace sigil::e2e
