// Paths inside a hostile root: nothing in it leads out of it.
#include "core/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;
using testing::TempDir;

constexpr size_t kLimit = 4096;

// root/ is the container's; secret beside it is the host's.
class Root : public ::testing::Test {
  protected:
    Root() {
        host.write("secret", "of the host");
        host.write("root/etc/passwd", "inside");
        host.write("root/secret", "inside too");
        host.make_directory("root/a/b");
        root = host.open("root");
    }

    std::string read(const char* path) {
        auto text = read_in_root(root.get(), path, kLimit);
        return text ? *text : "error: " + text.error().message();
    }
    int code_of(const char* path, int flags = O_RDONLY) {
        auto fd = open_in_root(root.get(), path, flags);
        return fd ? 0 : fd.error().code();
    }

    TempDir host;
    Fd root;
};

using OpenInRoot = Root;
using ReadInRoot = Root;

TEST_F(OpenInRoot, TakesTheRootForSlash) {
    EXPECT_EQ(read("/etc/passwd"), "inside");
    EXPECT_EQ(read("etc/passwd"), "inside");
    EXPECT_EQ(read("//etc/./passwd"), "inside");
}

TEST_F(OpenInRoot, DotDotEndsAtTheRoot) {
    EXPECT_EQ(read("../secret"), "inside too");
    EXPECT_EQ(read("/../../../secret"), "inside too");
    EXPECT_EQ(read("a/b/../../../../secret"), "inside too");
}

TEST_F(OpenInRoot, ALinkOfAnAbsolutePathStaysInside) {
    host.make_link("root/absolute", "/etc/passwd");
    EXPECT_EQ(read("absolute"), "inside");
    host.make_link("root/host", host.at("secret"));
    EXPECT_EQ(code_of("host"), ENOENT);
}

TEST_F(OpenInRoot, ALinkThatClimbsStaysInside) {
    host.make_link("root/climb", "../secret");
    EXPECT_EQ(read("climb"), "inside too");
    host.make_link("root/a/b/climb", "../../../../../../secret");
    EXPECT_EQ(read("a/b/climb"), "inside too");
}

TEST_F(OpenInRoot, ALinkInTheMiddleOfAPathStaysInside) {
    host.make_link("root/up", "..");
    EXPECT_EQ(read("up/secret"), "inside too");
    host.make_link("root/var", "/");
    EXPECT_EQ(read("var/var/var/etc/passwd"), "inside");
}

TEST_F(OpenInRoot, ALinkToItselfIsAnError) {
    host.make_link("root/loop", "loop");
    EXPECT_EQ(code_of("loop"), ELOOP);
    host.make_link("root/one", "two");
    host.make_link("root/two", "one");
    EXPECT_EQ(code_of("one"), ELOOP);
}

TEST_F(OpenInRoot, RefusesMagicLinks) {
    // /proc/self/root would lead to the host's root; here the root holds a whole procfs.
    auto slash = sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
    ASSERT_TRUE(slash);
    for (const char* path :
         {"proc/self/root/etc", "proc/self/cwd", "proc/self/exe", "proc/self/fd/0"}) {
        auto fd = open_in_root(slash->get(), path, O_PATH);
        ASSERT_FALSE(fd) << path;
        EXPECT_TRUE(fd.error().is(ELOOP)) << path;
    }
}

TEST_F(OpenInRoot, ClosesOnExec) {
    auto fd = open_in_root(root.get(), "etc/passwd", O_RDONLY);
    ASSERT_TRUE(fd);
    EXPECT_EQ(::fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(OpenInRoot, WorksFromADescriptorThatIsOnlyAPath) {
    auto path_only = sys::open(AT_FDCWD, host.at("root").c_str(), O_PATH | O_DIRECTORY);
    ASSERT_TRUE(path_only);
    EXPECT_EQ(*read_in_root(path_only->get(), "etc/passwd", kLimit), "inside");
}

TEST_F(ReadInRoot, RefusesAFifoWithoutWaiting) {
    ASSERT_EQ(::mkfifo(host.at("root/fifo").c_str(), 0600), 0);
    EXPECT_EQ(read("fifo"), "error: fifo is not a regular file");
}

TEST_F(ReadInRoot, RefusesADirectory) {
    EXPECT_EQ(read("etc"), "error: etc is not a regular file");
}

TEST_F(ReadInRoot, RefusesADevice) {
    auto slash = sys::open(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
    EXPECT_EQ(message_of(read_in_root(slash->get(), "dev/zero", kLimit)),
              "dev/zero is not a regular file");
}

TEST_F(ReadInRoot, TellsWhatIsMissing) {
    auto text = read_in_root(root.get(), "etc/group", kLimit);
    ASSERT_FALSE(text);
    EXPECT_TRUE(text.error().is(ENOENT));
}

TEST_F(ReadInRoot, ReadsAtMostItsLimit) {
    host.write("root/long", std::string(10'000, 'x'));
    EXPECT_EQ(read("long").size(), kLimit);
    EXPECT_EQ(read_in_root(root.get(), "long", 20'000)->size(), 10'000U);
    EXPECT_EQ(read_in_root(root.get(), "long", 0)->size(), 0U);
}

TEST_F(ReadInRoot, ReadsAnEmptyFile) {
    host.write("root/empty", "");
    EXPECT_EQ(read("empty"), "");
}

}  // namespace
}  // namespace sigil
