// What `sigil run` exits with, and what it says.
#include <signal.h>
#include <unistd.h>

#include <memory>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using SigilRun = E2e;

// A root of its own with one more file in /bin.
std::string rootfs_with(const std::string& name, std::string_view text, unsigned mode) {
    std::string root = make_rootfs();
    write_file(root + "/bin/" + name, text, mode);
    return root;
}

TEST_F(SigilRun, ExitsWithTheCommandsCode) {
    for (int code : {0, 1, 7, 124, 128, 200, 255})
        EXPECT_EQ(run({}, {"/bin/probe", "exit", std::to_string(code)}).code(), code);
}

TEST_F(SigilRun, ExitsWithTheCommandsCodeWithoutInit) {
    for (int code : {0, 1, 7, 255})
        EXPECT_EQ(run({"--no-init"}, {"/bin/probe", "exit", std::to_string(code)}).code(), code);
}

TEST_F(SigilRun, SaysNothingOfItsOwn) {
    const Finished finished = run({}, {"/bin/probe", "exit", "3"});
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.err, "");
}

TEST_F(SigilRun, ExitsWith128PlusTheSignalThatKilledTheCommand) {
    for (int signal : {SIGHUP, SIGINT, SIGQUIT, SIGKILL, SIGSEGV, SIGTERM, SIGUSR1, 34, 64})
        EXPECT_EQ(run({}, {"/bin/probe", "die", std::to_string(signal)}).code(), 128 + signal);
}

TEST_F(SigilRun, ExitsWith128PlusTheSignalWithoutInit) {
    EXPECT_EQ(run({"--no-init"}, {"/bin/probe", "crash"}).code(), 128 + SIGSEGV);
}

TEST_F(SigilRun, FindsTheCommandInPath) {
    EXPECT_EQ(run({}, {"true"}).code(), 0);
    EXPECT_EQ(run({"--env", "PATH=/nowhere:/bin"}, {"probe", "exit", "9"}).code(), 9);
}

TEST_F(SigilRun, TakesARelativeCommandFromTheWorkingDirectory) {
    EXPECT_EQ(run({"--workdir", "/bin"}, {"./probe", "exit", "5"}).code(), 5);
}

TEST_F(SigilRun, GivesTheCommandItsArgumentsUnchanged) {
    const Words words = {"", "a b", "--help", "-x", "*", "$HOME", "\xff\x01"};
    Words command = {"/bin/sh", "-c", "for word; do echo \"[$word]\"; done", "name"};
    command.insert(command.end(), words.begin(), words.end());
    EXPECT_EQ(run({}, command).out, "[]\n[a b]\n[--help]\n[-x]\n[*]\n[$HOME]\n[\xff\x01]\n");
}

TEST_F(SigilRun, TakesTheFirstWordThatIsNoOptionAsTheCommand) {
    const Start start = sigil({"run", "--rootfs", shared_rootfs(), "echo", "--rootfs", "-n"});
    EXPECT_EQ(run_program(start).out, "--rootfs -n\n");
}

TEST_F(SigilRun, RunsAScript) {
    const std::string root = rootfs_with("script", "#!/bin/sh -e\nexit 4\n", 0755);
    EXPECT_EQ(run({"--rootfs", root}, {"script"}).code(), 4);
}

TEST_F(SigilRun, ExitsWith127WhenTheCommandIsNotFound) {
    expect_failure(run({}, {"/bin/nope"}), "/bin/nope", 127);
    expect_failure(run({}, {"nope"}), "nope", 127);
    expect_failure(run({}, {"/bin/sh/nope"}), "/bin/sh/nope", 127);
    expect_failure(run({"--no-init"}, {"/bin/nope"}), "/bin/nope", 127);
}

TEST_F(SigilRun, ExitsWith127AndSaysSoWhenTheInterpreterIsMissing) {
    const std::string root = rootfs_with("script", "#!/bin/no-such-shell\n", 0755);
    expect_failure(run({"--rootfs", root}, {"/bin/script"}), "interpreter", 127);
    expect_failure(run({"--rootfs", root}, {"script"}), "interpreter", 127);
}

TEST_F(SigilRun, ExitsWith126WhenTheCommandIsADirectory) {
    expect_failure(run({}, {"/etc"}), "/etc", 126);
}

TEST_F(SigilRun, ExitsWith126WhenTheCommandIsNotExecutable) {
    expect_failure(run({}, {"/etc/passwd"}), "Permission denied", 126);
    const std::string root = rootfs_with("plain", "#!/bin/sh\n", 0644);
    expect_failure(run({"--rootfs", root}, {"plain"}), "plain", 126);
}

TEST_F(SigilRun, ExitsWith126WhenTheFormatIsUnknown) {
    const std::string root = rootfs_with("garbage", "neither ELF nor script\n", 0755);
    expect_failure(run({"--rootfs", root}, {"/bin/garbage"}), "Exec format error", 126);
    expect_failure(run({"--rootfs", root, "--no-init"}, {"/bin/garbage"}), "format", 126);
}

TEST_F(SigilRun, ExitsWith126ForALoopOfLinks) {
    const std::string root = make_rootfs();
    make_link("loop", root + "/bin/loop");
    expect_failure(run({"--rootfs", root}, {"/bin/loop"}), "/bin/loop", 126);
}

TEST_F(SigilRun, PassesOverWhatIsNotExecutableInPath) {
    const std::string root = make_rootfs();
    make_directory(root + "/first");
    write_file(root + "/first/true", "", 0644);
    EXPECT_EQ(run({"--rootfs", root, "--env", "PATH=/first:/bin"}, {"true"}).code(), 0);
}

TEST_F(SigilRun, NamesTheContainerInItsMessages) {
    expect_failure(run({"--name", "web-1"}, {"/bin/nope"}), "sigil: web-1: ", 127);
}

TEST_F(SigilRun, PassesThousandsOfArguments) {
    Words command = {"/bin/sh", "-c", "echo $#", "name"};
    command.resize(5000, "word");
    EXPECT_EQ(run({}, command).out, "4996\n");
}

TEST_F(SigilRun, ExitsWith126WhenTheEnvironmentIsTooLong) {
    std::string text;
    for (int index = 0; index < 60; ++index)
        text += "V" + std::to_string(index) + "=" + std::string(120'000, 'x') + "\n";
    const std::string file = make_directory_outside() + "/env";
    write_file(file, text);
    expect_failure(run({"--env-file", file}, {"/bin/true"}), "Argument list too long", 126);
}

TEST_F(SigilRun, WorksFromADirectoryThatIsGone) {
    const std::string directory = make_directory_outside();
    Start start = sigil_run({}, {"/bin/pwd"});
    start.before_exec = [&] {
        if (::chdir(directory.c_str()) < 0 || ::rmdir(directory.c_str()) < 0)
            ::_exit(1);
    };
    EXPECT_EQ(run_program(start).out, "/\n");
}

TEST_F(SigilRun, TakesARelativeRootfs) {
    Start start = sigil({"run", "--rootfs", ".", "true"});
    start.before_exec = [] {
        if (::chdir(shared_rootfs().c_str()) < 0)
            ::_exit(1);
    };
    EXPECT_EQ(run_program(start).code(), 0);
}

TEST_F(SigilRun, TakesALinkToTheRootfs) {
    const std::string link = make_directory_outside() + "/link";
    make_link(shared_rootfs(), link);
    EXPECT_EQ(run({"--rootfs", link}, {"true"}).code(), 0);
}

TEST_F(SigilRun, RunsSeveralContainersOfOneRootfsAtATime) {
    std::vector<std::unique_ptr<Running>> running;
    for (int code = 0; code < 8; ++code) {
        const std::string script = "echo ready; read line; exit " + std::to_string(code);
        Start start = sigil_run({}, {"/bin/sh", "-c", script});
        start.keeps_input_open = true;
        running.push_back(std::make_unique<Running>(start));
    }
    for (auto& each : running)
        EXPECT_EQ(each->next_line(), "ready");
    int code = 0;
    for (auto& each : running) {
        each->type("go\n");
        EXPECT_EQ(each->wait().code(), code++);
    }
}

}  // namespace
}  // namespace sigil::e2e
