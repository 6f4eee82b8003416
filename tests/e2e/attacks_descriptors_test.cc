// What a runtime leaves open is a way out (CVE-2016-9962, CVE-2024-21626): every descriptor of
// every process of a container is one that the caller gave.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "bundle.h"
#include "fixture.h"

namespace sigil::e2e {
namespace {

using AttackByDescriptors = E2e;

// "NUMBER TARGET" of each that a process has.
Words descriptors_of(pid_t pid) {
    const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
    Words all;
    for (const std::string& number : names_in(directory)) {
        std::error_code error;
        const auto target = std::filesystem::read_symlink(directory + "/" + number, error);
        if (!error)
            all.push_back(number + " " + target.string());
    }
    return all;
}

// As a careless engine leaves them: a directory of the host's among them.
void leave_open() {
    const int file = ::open("/", O_RDONLY | O_DIRECTORY);
    for (int number : {7, 8, 9, 30, 255})
        if (::dup2(file, number) < 0)
            ::_exit(1);
}

TEST_F(AttackByDescriptors, TheInitHoldsNone) {
    Start start = sigil_run({}, {"/bin/probe", "signals", "TERM"});
    start.before_exec = leave_open;
    Running running(start);
    ASSERT_EQ(running.next_line(), "ready");
    const pid_t init = init_of(running.pid());
    // It is the init a moment after the command runs.
    EXPECT_TRUE(eventually([&] { return descriptors_of(init).empty(); }))
        << testing::PrintToString(descriptors_of(init));
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(AttackByDescriptors, WhatWaitsForItsStartHoldsNoFileOfTheHosts) {
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    OciContainer container("waits");
    ASSERT_EQ(container.create(bundle).code(), 0);
    for (const std::string& one : descriptors_of(container.pid())) {
        const auto words = words_of(one);
        const bool is_stream = words[0] == "0" || words[0] == "1" || words[0] == "2";
        EXPECT_TRUE(is_stream || words[1].starts_with("socket:")) << one;
    }
}

TEST_F(AttackByDescriptors, ABundlesCommandHasTheStreamsAlone) {
    Bundle bundle({"/bin/probe", "facts"});
    Start start = sigil({"run", "--bundle", bundle.path(), "attack-" + std::to_string(::getpid())});
    start.before_exec = leave_open;
    const Facts facts(run_program(start).out);
    EXPECT_EQ(facts.descriptors().size(), 3U) << testing::PrintToString(facts.descriptors());
}

TEST_F(AttackByDescriptors, AnExecsCommandHasTheStreamsAlone) {
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    OciContainer container("exec");
    ASSERT_EQ(container.create(bundle).code(), 0);
    ASSERT_EQ(container.start().code(), 0);
    Start start = sigil({"exec", container.id(), "/bin/probe", "facts"});
    start.before_exec = leave_open;
    const Finished finished = run_program(start);
    ASSERT_EQ(finished.code(), 0) << finished.err;
    EXPECT_EQ(Facts(finished.out).descriptors().size(), 3U) << finished.out;
    EXPECT_EQ(descriptors_of(container.pid()).size(), 3U);
}

TEST_F(AttackByDescriptors, ABundlesDirectoryIsNoDescriptor) {
    const std::string root = make_rootfs();
    for (int fd = 0; fd < 32; ++fd) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        std::filesystem::remove(root + "/work");
        make_link(path, root + "/work");
        for (const std::string& cwd : {path, std::string("/work")}) {
            Bundle bundle({"/bin/pwd"});
            bundle.set("/root/path", "\"" + root + "\"").set("/process/cwd", "\"" + cwd + "\"");
            Start start =
                sigil({"run", "--bundle", bundle.path(), "attack-" + std::to_string(::getpid())});
            start.before_exec = leave_open;
            const Finished finished = run_program(start);
            EXPECT_EQ(finished.code(), 125) << cwd << " " << testing::PrintToString(finished);
            EXPECT_EQ(finished.out, "");
        }
    }
}

TEST_F(AttackByDescriptors, AnExecsDirectoryIsNoDescriptor) {
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    OciContainer container("cwd");
    ASSERT_EQ(container.create(bundle).code(), 0);
    ASSERT_EQ(container.start().code(), 0);
    for (int fd = 0; fd < 32; ++fd) {
        Start start = sigil(
            {"exec", "--cwd", "/proc/self/fd/" + std::to_string(fd), container.id(), "/bin/pwd"});
        start.before_exec = leave_open;
        const Finished finished = run_program(start);
        EXPECT_NE(finished.code(), 0) << fd;
        EXPECT_EQ(finished.out, "");
    }
}

}  // namespace
}  // namespace sigil::e2e
