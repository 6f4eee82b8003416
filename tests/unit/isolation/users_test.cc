// Users by name and number, from the container's own files.
#include "isolation/users.h"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using testing::TempDir;
using Groups = std::vector<uint32_t>;

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
    "web:x:1000:1000:Web,,,:/home/web:/bin/sh\n"
    "homeless:x:1001:100::\n"
    "7up:x:1007:1007::/home/7up:/bin/sh\n";

constexpr const char* kGroup =
    "root:x:0:\n"
    "adm:x:4:web,daemon\n"
    "video:x:44:web\n"
    "users:x:100:webmaster\n"
    "web:x:1000:\n";

class FindUser : public ::testing::Test {
  protected:
    FindUser() {
        directory.write("etc/passwd", kPasswd);
        directory.write("etc/group", kGroup);
        root = directory.open();
    }
    Result<User> find(std::string_view text) { return find_user(root.get(), text); }
    User found(std::string_view text) {
        auto user = find(text);
        EXPECT_TRUE(user) << text << ": " << message_of(user);
        return user ? *user : User{.uid = 99999};
    }

    TempDir directory;
    Fd root;
};

TEST_F(FindUser, TakesNothingForRootAndReadsNoFile) {
    const auto user = find_user(-1, "");
    ASSERT_TRUE(user);
    EXPECT_EQ(user->uid, 0U);
    EXPECT_EQ(user->gid, 0U);
    EXPECT_EQ(user->groups, Groups{});
    EXPECT_EQ(user->home, "/root");
}

TEST_F(FindUser, FindsANameWithItsGroupsAndHome) {
    const User user = found("web");
    EXPECT_EQ(user.uid, 1000U);
    EXPECT_EQ(user.gid, 1000U);
    EXPECT_EQ(user.groups, (Groups{4, 44}));
    EXPECT_EQ(user.home, "/home/web");
}

TEST_F(FindUser, FindsANumberThatPasswdHolds) {
    const User user = found("1000");
    EXPECT_EQ(user.uid, 1000U);
    EXPECT_EQ(user.gid, 1000U);
    EXPECT_EQ(user.groups, (Groups{4, 44}));
    EXPECT_EQ(user.home, "/home/web");
}

TEST_F(FindUser, TakesANumberThatNobodyHas) {
    const User user = found("4242");
    EXPECT_EQ(user.uid, 4242U);
    EXPECT_EQ(user.gid, 0U);
    EXPECT_EQ(user.groups, Groups{});
    EXPECT_EQ(user.home, "/");
}

TEST_F(FindUser, AGroupThatIsGivenIsTheOnlyOne) {
    const User by_name = found("web:video");
    EXPECT_EQ(by_name.uid, 1000U);
    EXPECT_EQ(by_name.gid, 44U);
    EXPECT_EQ(by_name.groups, Groups{});
    EXPECT_EQ(by_name.home, "/home/web");
    EXPECT_EQ(found("web:7").gid, 7U);
}

TEST_F(FindUser, MixesNumbersAndNames) {
    EXPECT_EQ(found("4242:4343").uid, 4242U);
    EXPECT_EQ(found("4242:4343").gid, 4343U);
    EXPECT_EQ(found("4242:video").gid, 44U);
    EXPECT_EQ(found("daemon:4343").uid, 1U);
    EXPECT_EQ(found("0:0").uid, 0U);
}

TEST_F(FindUser, ANameThatIsOnlyDigitsInPartIsAName) {
    EXPECT_EQ(found("7up").uid, 1007U);
}

TEST_F(FindUser, AnEmptyHomeIsTheRoot) {
    EXPECT_EQ(found("homeless").home, "/");
    EXPECT_EQ(found("homeless").gid, 100U);
}

TEST_F(FindUser, IsAMemberOnlyByItsWholeName) {
    EXPECT_EQ(found("homeless").groups, Groups{});
    directory.write("etc/group", "a:x:5:webmaster,xweb\nb:x:6:other,web\nc:x:7:web,\n");
    EXPECT_EQ(found("web").groups, (Groups{6, 7}));
}

TEST_F(FindUser, RefusesWhatIsNoUser) {
    for (const char* text : {":", ":5", "web:", "5:"})
        EXPECT_EQ(message_of(find(text)),
                  "'" + std::string(text) + "' is not a user: UID, UID:GID, NAME or NAME:GROUP");
}

TEST_F(FindUser, RefusesANameThatIsNotThere) {
    EXPECT_EQ(message_of(find("nobody")), "the container's /etc/passwd has no user 'nobody'");
    EXPECT_EQ(message_of(find("-1")), "the container's /etc/passwd has no user '-1'");
    EXPECT_EQ(message_of(find("we")), "the container's /etc/passwd has no user 'we'");
    EXPECT_EQ(message_of(find("\x1b[0m")), "the container's /etc/passwd has no user '\\x1b[0m'");
}

TEST_F(FindUser, RefusesAGroupThatIsNotThere) {
    EXPECT_EQ(message_of(find("web:nogroup")), "the container's /etc/group has no group 'nogroup'");
    EXPECT_EQ(message_of(find("web:a:b")), "the container's /etc/group has no group 'a:b'");
}

// setresuid(2) takes -1 for "leave as it is": the user would stay root.
TEST_F(FindUser, RefusesMinusOneInEveryDisguise) {
    EXPECT_FALSE(find("4294967295"));
    EXPECT_FALSE(find("4294967296"));
    EXPECT_FALSE(find("18446744073709551615"));
    EXPECT_FALSE(find("5:4294967295"));
    EXPECT_EQ(found("4294967294").uid, 4294967294U);
    directory.write("etc/passwd",
                    "evil:x:4294967295:0::/:/bin/sh\nworse:x:5:4294967295::/:/bin/sh\n");
    EXPECT_FALSE(find("evil"));
    EXPECT_FALSE(find("worse"));
}

TEST_F(FindUser, TakesMissingFilesForEmptyOnes) {
    const TempDir empty;
    const Fd there = empty.open();
    EXPECT_EQ(find_user(there.get(), "5")->uid, 5U);
    EXPECT_EQ(find_user(there.get(), "5:6")->gid, 6U);
    EXPECT_EQ(message_of(find_user(there.get(), "web")),
              "the container's /etc/passwd has no user 'web'");
    EXPECT_EQ(message_of(find_user(there.get(), "5:video")),
              "the container's /etc/group has no group 'video'");
}

TEST_F(FindUser, PassesOverMalformedLines) {
    directory.write("etc/passwd",
                    "\n"
                    ":\n"
                    "web\n"
                    "web:x\n"
                    "web:x:one:1000::/a:/bin/sh\n"
                    "web:x:1000:\n"
                    "web:x::1000::/b:/bin/sh\n"
                    "web:x:-5:1000::/c:/bin/sh\n"
                    "# web:x:6:6::/d:/bin/sh\n"
                    "web:x:1002:1003::/good:/bin/sh:more:fields\n"
                    "web:x:9:9::/second:/bin/sh\n");
    directory.write("etc/group", "\n:::\nbad:x:five:web\ngood:x:8:web\nlast:x:9:web");
    const User user = found("web");
    EXPECT_EQ(user.uid, 1002U);
    EXPECT_EQ(user.gid, 1003U);
    EXPECT_EQ(user.home, "/good");
    EXPECT_EQ(user.groups, (Groups{8, 9}));
}

TEST_F(FindUser, ReadsALastLineWithoutANewline) {
    directory.write("etc/passwd", "web:x:12:13::/home/web:/bin/sh");
    EXPECT_EQ(found("web").uid, 12U);
    directory.write("etc/passwd", "web:x:14:15");
    EXPECT_EQ(found("web").uid, 14U);
    EXPECT_EQ(found("web").home, "/");
}

TEST_F(FindUser, RefusesAFifoForPasswd) {
    const TempDir hostile;
    hostile.make_directory("etc");
    ASSERT_EQ(::mkfifo(hostile.at("etc/passwd").c_str(), 0600), 0);
    const Fd there = hostile.open();
    EXPECT_EQ(message_of(find_user(there.get(), "web")), "etc/passwd is not a regular file");
}

TEST_F(FindUser, ReadsNoPasswdOutsideTheRoot) {
    const TempDir hostile;
    hostile.write("outside", "web:x:666:666::/:/bin/sh\n");
    hostile.make_directory("root/etc");
    hostile.make_link("root/etc/passwd", hostile.at("outside"));
    const Fd there = hostile.open("root");
    EXPECT_EQ(message_of(find_user(there.get(), "web")),
              "the container's /etc/passwd has no user 'web'");
}

}  // namespace
}  // namespace sigil::isolation
