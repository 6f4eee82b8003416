// The runtime's own program, executed in a container, is in its reach (CVE-2019-5736): whoever
// executes /proc/self/exe before the command has replaced it keeps the host's file, and writes to
// it once nobody executes it any more.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "bundle.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

class AttackOnTheProgram : public E2e {
  protected:
    void SetUp() override {
        E2e::SetUp();
        if (is_sanitized())
            GTEST_SKIP() << "a dynamic program needs its loader in the container";
        before_ = read_file(sigil_path());
        root_ = make_rootfs();
    }
    void TearDown() override {
        const bool is_same = is_sanitized() || read_file(sigil_path()) == before_;
        EXPECT_TRUE(is_same) << "sigil's program has changed";
        E2e::TearDown();
    }
    // It would print sigil's version if it ran. 126: the kernel has not let it be executed at all,
    // as for /proc/1/exe, whose process has more capabilities.
    void expect_refused(const Words& options, const Words& command) const {
        Words all = {"--rootfs", root_};
        all.insert(all.end(), options.begin(), options.end());
        const Finished finished = run(all, command);
        EXPECT_TRUE(finished.code() == 125 || finished.code() == 126)
            << testing::PrintToString(finished);
        EXPECT_EQ(finished.out, "");
    }

    std::string root_;
    std::string before_;
};

TEST_F(AttackOnTheProgram, RunsNeitherAsACommandNorAsAnInterpreter) {
    make_link("/proc/self/exe", root_ + "/bin/app");
    make_link("/proc/1/exe", root_ + "/bin/first");
    write_file(root_ + "/bin/script", "#!/proc/self/exe version\n", 0755);
    write_file(root_ + "/bin/linked", "#!/bin/app version\n", 0755);
    for (const Words& options : {Words{}, Words{"--no-init"}, Words{"--read-only"},
                                 Words{"--user", "alice"}, Words{"--network", "host"}}) {
        for (const char* command : {"/proc/self/exe", "/bin/app", "/bin/first", "/proc/1/exe"})
            expect_refused(options, {command, "version"});
        for (const char* script : {"/bin/script", "/bin/linked"})
            expect_refused(options, {script});
    }
}

TEST_F(AttackOnTheProgram, SaysWhyItDoesNotRun) {
    expect_failure(run({"--rootfs", root_}, {"/proc/self/exe", "version"}),
                   "executed from outside of this mount namespace");
}

TEST_F(AttackOnTheProgram, RunsInNoContainerOfMany) {
    make_link("/proc/self/exe", root_ + "/bin/app");
    const Finished finished =
        run({"--rootfs", root_, "--count", "4", "--jobs", "4"}, {"/bin/app", "version"});
    EXPECT_EQ(finished.code(), 125);
    EXPECT_EQ(finished.out.find("0.1"), std::string::npos) << finished.out;
}

// A sigil of the container's own is any program.
TEST_F(AttackOnTheProgram, ACopyInTheContainerRuns) {
    std::filesystem::copy_file(sigil_path(), root_ + "/bin/sigil");
    EXPECT_TRUE(run({"--rootfs", root_}, {"/bin/sigil", "version"}).out.starts_with("sigil "));
}

// A link of procfs that names nothing of sigil's works as before.
TEST_F(AttackOnTheProgram, ADescriptorThatWasPassedOnRuns) {
    const int program = ::open((root_ + "/bin/probe").c_str(), O_PATH | O_CLOEXEC);
    Start start =
        sigil_run({"--rootfs", root_, "--pass-fd", "5"}, {"/proc/self/fd/5", "exit", "7"});
    start.descriptors = {{5, program}};
    EXPECT_EQ(run_program(start).code(), 7);
    ::close(program);
}

// What waits for its start is a sealed copy in memory, of a program that is nobody's file.
TEST_F(AttackOnTheProgram, ACreatedContainerHoldsASealedCopy) {
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    OciContainer container("sealed");
    ASSERT_EQ(container.create(bundle).code(), 0);
    const std::string exe = "/proc/" + std::to_string(container.pid()) + "/exe";
    EXPECT_EQ(std::filesystem::read_symlink(exe).string().substr(0, 18), "/memfd:sigil-stage");
    const int file = ::open(exe.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(file, 0);
    const int seals = ::fcntl(file, F_GET_SEALS);
    EXPECT_EQ(seals & (F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL),
              F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    ASSERT_EQ(container.remove({"--force"}).code(), 0);
    // Nobody executes it any more, and still it cannot be written to.
    ::close(::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(::pwrite(file, "x", 1, 0), -1);
    const int writable =
        ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_TRUE(writable < 0 || ::write(writable, "x", 1) < 0);
    ::close(writable);
    ::close(file);
}

TEST_F(AttackOnTheProgram, CreateAndExecRunNoProgramOfTheHost) {
    write_file(root_ + "/bin/script", "#!/proc/self/exe version\n", 0755);
    for (const char* command : {"/proc/self/exe", "/bin/script"}) {
        Bundle bundle({command, "version"});
        bundle.set("/root/path", "\"" + root_ + "\"");
        OciContainer container("own");
        ASSERT_EQ(container.create(bundle).code(), 0);
        (void)container.start();
        EXPECT_TRUE(container.await("stopped"));
        EXPECT_EQ(container.output(), "");
    }
    Bundle bundle({"/bin/probe", "signals", "TERM"});
    bundle.set("/root/path", "\"" + root_ + "\"");
    OciContainer container("host");
    ASSERT_EQ(container.create(bundle).code(), 0);
    ASSERT_EQ(container.start().code(), 0);
    for (const char* command : {"/proc/self/exe", "/bin/script"}) {
        const Finished finished = run_program(sigil({"exec", container.id(), command, "version"}));
        EXPECT_NE(finished.code(), 0);
        EXPECT_EQ(finished.out, "");
    }
}

}  // namespace
}  // namespace sigil::e2e
