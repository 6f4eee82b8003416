// A root filesystem that was made to lead sigil astray: links that point out of it, in the places
// where sigil works. Either the container stays inside, or there is a clear error; nothing of the
// host is touched.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

// A hostile root, a directory of the host that it points to, and links to that.
class HostileRootfs : public E2e {
  protected:
    void SetUp() override {
        E2e::SetUp();
        root_ = make_rootfs();
        outside_ = make_directory_outside();
        write_file(outside_ + "/secret", "secret");
        make_directory(outside_ + "/sub");
        // One of them finds its end inside the root too, where the attacker has put it.
        relative_ = "../../../../../../../.." + outside_;
    }

    void TearDown() override {
        EXPECT_EQ(names_in(outside_), (Words{"secret", "sub"})) << "the host was written to";
        EXPECT_EQ(read_file(outside_ + "/secret"), "secret");
        EXPECT_EQ(names_in(outside_ + "/sub"), Words{});
        E2e::TearDown();
    }

    void replace_with_link(const std::string& path, const std::string& target) {
        std::filesystem::remove_all(root_ + path);
        make_link(target, root_ + path);
    }

    // It failed by itself, or ran without a view of the outside.
    void expect_harmless(Words options, const std::string& where) {
        options.insert(options.begin(), {"--rootfs", root_});
        const std::string script = "cat " + where + "/secret; ls -d " + outside_ + "; exit 0";
        const Finished finished = run_script(options, script);
        EXPECT_EQ(finished.out, "") << finished.err;
        EXPECT_TRUE(finished.code() == 0 || finished.code() == 125)
            << testing::PrintToString(finished);
        if (finished.code() == 125) {
            EXPECT_TRUE(finished.err.starts_with("sigil: ")) << finished.err;
        }
    }

    std::string root_;
    std::string outside_;
    std::string relative_;
};

TEST_F(HostileRootfs, SystemDirectoriesAsLinksLeadNowhere) {
    for (const char* name : {"/dev", "/proc", "/sys"})
        for (const std::string& target :
             {outside_, relative_, std::string("/"), std::string("."), std::string("/etc"),
              std::string("/nowhere"), std::string("/proc/self/cwd"),
              std::string("/proc/1/root")}) {
            replace_with_link(name, target);
            expect_harmless({}, name);
            std::filesystem::remove(root_ + name);
        }
}

TEST_F(HostileRootfs, SystemDirectoriesAsFilesAreAnError) {
    for (const char* name : {"/dev", "/proc", "/sys"}) {
        std::filesystem::remove_all(root_ + name);
        write_file(root_ + name, "");
        expect_failure(run({"--rootfs", root_}, {"true"}), name);
        std::filesystem::remove(root_ + name);
    }
}

TEST_F(HostileRootfs, ContentOfSystemDirectoriesIsHidden) {
    for (const char* name : {"/dev", "/proc", "/sys"}) {
        make_directory(root_ + name);
        make_link(outside_, root_ + name + "/leak");
        for (const char* inner : {"/pts", "/shm", "/null", "/fs", "/self"})
            make_link(outside_, root_ + name + inner);
    }
    const Finished finished =
        run({"--rootfs", root_}, {"/bin/sh", "-c", "ls /dev/leak /proc/leak"});
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.code(), 1);
    EXPECT_EQ(names_in(root_ + "/dev").size(), 6U);
}

TEST_F(HostileRootfs, ABindOntoALinkStaysInside) {
    const std::string given = make_directory_outside();
    write_file(given + "/given", "given");
    for (const std::string& target :
         {outside_, relative_, outside_ + "/sub", outside_ + "/new", relative_ + "/new"}) {
        replace_with_link("/target", target);
        expect_harmless({"--bind", given + ":/target"}, "/target");
        expect_harmless({"--bind", given + ":/target/below"}, "/target");
        expect_harmless({"--bind", given + "/given:/target/file"}, "/target");
        std::filesystem::remove(root_ + "/target");
    }
}

TEST_F(HostileRootfs, ABindOntoALinkThatEndsInsideWorks) {
    const std::string given = make_directory_outside();
    write_file(given + "/given", "given");
    make_directory(root_ + "/real");
    for (const char* target : {"/real", "real", "../../../real", "/tmp/../real"}) {
        replace_with_link("/target", target);
        EXPECT_EQ(
            run({"--rootfs", root_, "--bind", given + ":/target"}, {"cat", "/real/given"}).out,
            "given")
            << target;
    }
}

TEST_F(HostileRootfs, ATmpfsOntoALinkStaysInside) {
    for (const std::string& target : {outside_, relative_, outside_ + "/new"}) {
        replace_with_link("/target", target);
        expect_harmless({"--tmpfs", "/target"}, "/target");
        expect_harmless({"--mount", "type=tmpfs,target=/target/sub"}, "/target");
        std::filesystem::remove(root_ + "/target");
    }
}

// The first mount brings links of its own into the path of the second.
TEST_F(HostileRootfs, ABindBelowAHostileBindStaysInside) {
    const std::string hostile = make_directory_outside();
    make_link(outside_, hostile + "/link");
    make_link(relative_, hostile + "/relative");
    const std::string given = make_directory_outside();
    for (const char* name : {"/mnt/link", "/mnt/link/new", "/mnt/relative", "/mnt/relative/new"})
        expect_harmless({"--bind", hostile + ":/mnt", "--bind", given + ":" + name}, name);
    EXPECT_EQ(names_in(hostile), (Words{"link", "relative"}));
}

TEST_F(HostileRootfs, AMountThroughProcIsRefused) {
    const std::string given = make_directory_outside();
    for (const char* target : {"/proc/self/cwd", "/proc/self/fd", "/proc/1/root", "/proc/sys"}) {
        replace_with_link("/target", target);
        expect_failure(run({"--rootfs", root_, "--bind", given + ":/target/x"}, {"true"}),
                       "--bind");
    }
}

TEST_F(HostileRootfs, TheWorkingDirectoryAsALinkStaysInside) {
    for (const std::string& target : {outside_, relative_}) {
        replace_with_link("/work", target);
        const Finished finished = run({"--rootfs", root_, "--workdir", "/work"}, {"cat", "secret"});
        EXPECT_EQ(finished.out, "") << finished.err;
        EXPECT_NE(finished.code(), 0);
    }
    make_directory(root_ + "/real");
    replace_with_link("/work", "/real");
    EXPECT_EQ(run({"--rootfs", root_, "--workdir", "/work"}, {"/bin/pwd"}).out, "/real\n");
}

// CVE-2024-21626 and its kin: a descriptor of the runtime's as the way out.
TEST_F(HostileRootfs, TheWorkingDirectoryIsNoDescriptorOfSigil) {
    for (int fd = 0; fd < 24; ++fd) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        expect_failure(run({"--rootfs", root_, "--workdir", path}, {"true"}), path);
        replace_with_link("/work", path);
        expect_failure(run({"--rootfs", root_, "--workdir", "/work"}, {"true"}), "/work");
    }
    for (const char* path : {"/proc/self/cwd", "/proc/1/root", "/proc/self/root/tmp"})
        expect_failure(run({"--rootfs", root_, "--workdir", path}, {"true"}), path);
}

TEST_F(HostileRootfs, TheCommandIsNoDescriptorOfSigil) {
    for (int fd = 3; fd < 24; ++fd) {
        replace_with_link("/bin/app", "/proc/self/fd/" + std::to_string(fd));
        const Finished finished =
            run({"--rootfs", root_, "--timeout", "3s"}, {"/bin/app", "--version"});
        EXPECT_TRUE(finished.code() == 126 || finished.code() == 127)
            << fd << " " << testing::PrintToString(finished);
    }
}

TEST_F(HostileRootfs, UsersAreNotReadFromOutside) {
    write_file(outside_ + "/sub/passwd", "mallory:x:0:0::/:/bin/sh\n");
    for (const std::string& target : {outside_ + "/sub/passwd", relative_ + "/sub/passwd"}) {
        replace_with_link("/etc/passwd", target);
        expect_failure(run({"--rootfs", root_, "--user", "mallory"}, {"true"}), "--user");
    }
    replace_with_link("/etc", outside_ + "/sub");
    expect_failure(run({"--rootfs", root_, "--user", "mallory"}, {"true"}), "--user");
    std::filesystem::remove(outside_ + "/sub/passwd");
}

TEST_F(HostileRootfs, ADatabaseOfUsersThatIsNoFileIsAnError) {
    std::filesystem::remove(root_ + "/etc/passwd");
    ASSERT_EQ(::mkfifo((root_ + "/etc/passwd").c_str(), 0666), 0);
    expect_failure(run({"--rootfs", root_, "--user", "alice"}, {"true"}), "--user");
    replace_with_link("/etc/passwd", "passwd");
    expect_failure(run({"--rootfs", root_, "--user", "alice"}, {"true"}), "--user");
    replace_with_link("/etc/passwd", "/dev/zero");
    expect_failure(run({"--rootfs", root_, "--user", "alice"}, {"true"}), "--user");
}

// What PID 1 is, before it becomes the init, is nothing that the command may look into: it shares
// the memory of the supervisor.
// The command runs a moment before the init replaces what PID 1 was.
TEST_F(HostileRootfs, ATracerInsideNeverFindsTheSupervisorInPid1) {
    expect_failure(run({"--cap-add", "SYS_PTRACE"}, {"/bin/true"}), "it needs --no-init");
    const int rounds = is_slow() ? 20 : 200;
    for (int round = 0; round < rounds; ++round) {
        const Finished without = run({}, {"/bin/probe", "readlink", "/proc/1/exe"});
        ASSERT_EQ(without.out.find(sigil_path()), std::string::npos) << without.out;
        const Finished finished = run({"--no-init", "--cap-add", "SYS_PTRACE"},
                                      {"/bin/probe", "readlink", "/proc/1/exe"});
        ASSERT_EQ(finished.out.find(sigil_path()), std::string::npos) << finished.out;
    }
}

}  // namespace
}  // namespace sigil::e2e
