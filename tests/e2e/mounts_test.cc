// --bind, --tmpfs and --mount.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using Bind = E2e;

Finished probe(Words options, Words command) {
    command.insert(command.begin(), "/bin/probe");
    return run(std::move(options), std::move(command));
}

std::string try_write(Words options, const std::string& path) {
    return probe(std::move(options), {"write", path, "x"}).out;
}

// A directory of the host with a tmpfs on its subdirectory "below" while it lives.
class Nested {
  public:
    Nested() : path_(make_directory_outside()) {
        make_directory(path_ + "/below");
        EXPECT_EQ(::mount("tmpfs", (path_ + "/below").c_str(), "tmpfs", 0, nullptr), 0);
        make_directory(path_ + "/below/deeper");
        EXPECT_EQ(::mount("tmpfs", (path_ + "/below/deeper").c_str(), "tmpfs", 0, nullptr), 0);
    }
    ~Nested() {
        EXPECT_EQ(::umount((path_ + "/below/deeper").c_str()), 0);
        EXPECT_EQ(::umount((path_ + "/below").c_str()), 0);
    }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

TEST_F(Bind, ShowsADirectoryOfTheHost) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/here", "text");
    const Words options = {"--bind", directory + ":/tmp"};
    EXPECT_EQ(run(options, {"cat", "/tmp/here"}).out, "text");
    EXPECT_EQ(try_write(options, "/tmp/new"), "ok\n");
    EXPECT_EQ(read_file(directory + "/new"), "x");
}

TEST_F(Bind, IsReadOnlyWithRo) {
    const std::string directory = make_directory_outside();
    EXPECT_EQ(try_write({"--bind", directory + ":/tmp:ro"}, "/tmp/new"), "error EROFS\n");
    EXPECT_EQ(names_in(directory), Words{});
    write_file(directory + "/host-still-writes", "");
}

TEST_F(Bind, BringsTheMountsBelowAlong) {
    const Nested nested;
    write_file(nested.path() + "/below/deeper/file", "deep");
    EXPECT_EQ(run({"--bind", nested.path() + ":/tmp"}, {"cat", "/tmp/below/deeper/file"}).out,
              "deep");
}

TEST_F(Bind, ReadOnlyReachesTheMountsBelow) {
    const Nested nested;
    const Words options = {"--bind", nested.path() + ":/tmp:ro"};
    EXPECT_EQ(try_write(options, "/tmp/file"), "error EROFS\n");
    EXPECT_EQ(try_write(options, "/tmp/below/file"), "error EROFS\n");
    EXPECT_EQ(try_write(options, "/tmp/below/deeper/file"), "error EROFS\n");
    write_file(nested.path() + "/below/deeper/host-still-writes", "");
}

TEST_F(Bind, OfAFileWorks) {
    const std::string file = make_directory_outside() + "/file";
    write_file(file, "content");
    EXPECT_EQ(run({"--bind", file + ":/etc/passwd"}, {"cat", "/etc/passwd"}).out, "content");
    EXPECT_EQ(try_write({"--bind", file + ":/etc/group:ro"}, "/etc/group"), "error EROFS\n");
}

TEST_F(Bind, MakesATargetThatIsMissing) {
    const std::string root = make_rootfs();
    const std::string directory = make_directory_outside();
    write_file(directory + "/file", "content");
    EXPECT_EQ(run({"--rootfs", root, "--bind", directory + ":/a/b/c"}, {"cat", "/a/b/c/file"}).out,
              "content");
    EXPECT_EQ(run({"--rootfs", root, "--bind", directory + "/file:/d/e/f"}, {"cat", "/d/e/f"}).out,
              "content");
    struct stat facts;
    ASSERT_EQ(::stat((root + "/a/b/c").c_str(), &facts), 0);
    EXPECT_TRUE(S_ISDIR(facts.st_mode));
    ASSERT_EQ(::stat((root + "/d/e/f").c_str(), &facts), 0);
    EXPECT_TRUE(S_ISREG(facts.st_mode));
    EXPECT_EQ(facts.st_size, 0);
}

TEST_F(Bind, TakesAnUntidyTarget) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/here", "text");
    EXPECT_EQ(run({"--bind", directory + "://tmp/./x/..//"}, {"cat", "/tmp/here"}).out, "text");
}

TEST_F(Bind, TakesARelativeSource) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/here", "text");
    Start start = sigil_run({"--bind", ".:/tmp"}, {"cat", "/tmp/here"});
    start.before_exec = [&] {
        if (::chdir(directory.c_str()) < 0)
            ::_exit(1);
    };
    EXPECT_EQ(run_program(start).out, "text");
}

TEST_F(Bind, MountsAreMadeInTheirOrder) {
    const std::string first = make_directory_outside();
    const std::string second = make_directory_outside();
    write_file(first + "/name", "first");
    write_file(second + "/name", "second");
    EXPECT_EQ(
        run({"--bind", first + ":/tmp", "--bind", second + ":/tmp"}, {"cat", "/tmp/name"}).out,
        "second");
    EXPECT_EQ(run({"--tmpfs", "/tmp", "--bind", first + ":/tmp/sub"}, {"cat", "/tmp/sub/name"}).out,
              "first");
}

TEST_F(Bind, WorksBelowDevAndSys) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/here", "text");
    EXPECT_EQ(run({"--bind", directory + ":/dev/host"}, {"cat", "/dev/host/here"}).out, "text");
    EXPECT_EQ(run({"--bind", directory + ":/sys/fs/cgroup"}, {"cat", "/sys/fs/cgroup/here"}).out,
              "text");
}

TEST_F(Bind, OfADeviceWorks) {
    EXPECT_EQ(probe({"--bind", "/dev/null:/dev/extra"}, {"open", "/dev/extra", "w"}).out, "ok\n");
}

TEST_F(Bind, TakesFurtherOptions) {
    const std::string directory = make_directory_outside();
    const Facts facts = facts_of({"--bind", directory + ":/tmp:ro,nosuid,noexec"});
    for (const char* option : {"ro", "nosuid", "noexec"})
        EXPECT_TRUE(facts.has_mount_option("/tmp", option)) << facts.mount_on("/tmp");
}

TEST_F(Bind, LeavesTheMountsOfTheHostAlone) {
    const Nested nested;
    const std::string before = read_file("/proc/self/mountinfo");
    EXPECT_EQ(run({"--bind", nested.path() + ":/tmp:ro,noexec"}, {"true"}).code(), 0);
    EXPECT_EQ(read_file("/proc/self/mountinfo"), before);
}

using Tmpfs = E2e;

TEST_F(Tmpfs, IsEmptyAndWritableForAll) {
    EXPECT_EQ(run({"--tmpfs", "/bin/sub"}, {"ls", "-A", "/bin/sub"}).out, "");
    EXPECT_EQ(try_write({"--tmpfs", "/etc/sub", "--user", "1000"}, "/etc/sub/file"), "ok\n");
    EXPECT_EQ(run({"--tmpfs", "/tmp"}, {"stat", "-c", "%a", "/tmp"}).out, "1777\n");
    const Facts facts = facts_of({"--tmpfs", "/tmp"});
    for (const char* option : {"nosuid", "nodev"})
        EXPECT_TRUE(facts.has_mount_option("/tmp", option)) << facts.mount_on("/tmp");
}

TEST_F(Tmpfs, HoldsNoMoreThanItsSize) {
    EXPECT_EQ(probe({"--tmpfs", "/tmp:1M"}, {"fill", "/tmp/file", "8000000"}).out,
              "filled 1048576 ENOSPC\n");
    EXPECT_EQ(probe({"--tmpfs", "/tmp:64K"}, {"fill", "/tmp/file", "8000000"}).out,
              "filled 65536 ENOSPC\n");
    EXPECT_EQ(probe({"--tmpfs", "/tmp:8M"}, {"fill", "/tmp/file", "8000000"}).out,
              "filled 8003584 ok\n");
}

TEST_F(Tmpfs, IsGoneWithTheContainer) {
    const std::string root = make_rootfs();
    EXPECT_EQ(try_write({"--rootfs", root, "--tmpfs", "/data"}, "/data/file"), "ok\n");
    EXPECT_EQ(names_in(root + "/data"), Words{});
}

using MountOption = E2e;

TEST_F(MountOption, BindsWithDockersWords) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/here", "text");
    for (const std::string& words :
         {"type=bind,source=" + directory + ",target=/tmp",
          "type=bind,src=" + directory + ",dst=/tmp", "source=" + directory + ",destination=/tmp",
          "dst=/tmp,src=" + directory})
        EXPECT_EQ(run({"--mount", words}, {"cat", "/tmp/here"}).out, "text") << words;
}

TEST_F(MountOption, BindIsReadOnlyByAnyOfItsWords) {
    const Nested nested;
    const std::string words = "type=bind,source=" + nested.path() + ",target=/tmp,";
    for (const char* word : {"ro", "readonly", "ro=true", "readonly=true", "rro", "ro=1"}) {
        EXPECT_EQ(try_write({"--mount", words + word}, "/tmp/x"), "error EROFS\n") << word;
        EXPECT_EQ(try_write({"--mount", words + word}, "/tmp/below/x"), "error EROFS\n") << word;
    }
    for (const char* word : {"rw", "readonly=false", "ro=false", "ro=0"})
        EXPECT_EQ(try_write({"--mount", words + word}, "/tmp/x"), "ok\n") << word;
}

TEST_F(MountOption, MakesATmpfs) {
    const Words options = {"--mount", "type=tmpfs,target=/tmp,tmpfs-size=1M,tmpfs-mode=0700"};
    EXPECT_EQ(probe(options, {"fill", "/tmp/file", "8000000"}).out, "filled 1048576 ENOSPC\n");
    EXPECT_EQ(run(options, {"stat", "-c", "%a", "/tmp"}).out, "700\n");
    EXPECT_EQ(try_write({"--mount", "type=tmpfs,target=/tmp,ro"}, "/tmp/x"), "error EROFS\n");
}

TEST_F(MountOption, TakesTheOptionsOfMount8) {
    const Facts facts =
        facts_of({"--mount", "type=tmpfs,dst=/tmp,noexec,nosuid,nodev,noatime,size=64k"});
    for (const char* option : {"noexec", "nosuid", "nodev", "noatime"})
        EXPECT_TRUE(facts.has_mount_option("/tmp", option)) << facts.mount_on("/tmp");
    EXPECT_NE(facts.mount_on("/tmp").find("size=64k"), std::string::npos);
}

TEST_F(MountOption, NoexecIsEnforced) {
    const std::string directory = make_directory_outside();
    write_file(directory + "/script", "#!/bin/sh\n", 0755);
    const std::string words = "type=bind,source=" + directory + ",target=/tmp";
    EXPECT_EQ(run({"--mount", words}, {"/tmp/script"}).code(), 0);
    expect_failure(run({"--mount", words + ",noexec"}, {"/tmp/script"}), "/tmp/script", 126);
}

TEST_F(MountOption, MakesOtherFilesystems) {
    const Facts facts = facts_of({"--mount", "type=mqueue,target=/queues"});
    EXPECT_NE(facts.mount_on("/queues").find(" - mqueue "), std::string::npos);
}

TEST_F(MountOption, BindWithoutRecursionLeavesTheMountsBelowOut) {
    const Nested nested;
    write_file(nested.path() + "/below/file", "");
    const std::string words = "type=bind,source=" + nested.path() + ",target=/tmp,bind";
    EXPECT_EQ(run({"--mount", words}, {"ls", "/tmp/below"}).out, "");
}

}  // namespace
}  // namespace sigil::e2e
