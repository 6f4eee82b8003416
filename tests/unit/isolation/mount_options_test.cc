// Mount options: the table, row by row, as mount(8) and the OCI runtime spec have it.
#include "isolation/mount_options.h"

#include <linux/mount.h>
#include <sys/mount.h>

#include <ostream>
#include <vector>

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;
using Words = std::vector<std::string>;

#ifndef MOUNT_ATTR_NOSYMFOLLOW
constexpr uint64_t MOUNT_ATTR_NOSYMFOLLOW = 0x00200000;
#endif

MountFlags bind(const Words& words) {
    auto flags = parse_mount_options(words, true);
    EXPECT_TRUE(flags) << message_of(flags);
    return flags ? *flags : MountFlags{};
}

MountFlags filesystem(const Words& words) {
    auto flags = parse_mount_options(words, false);
    EXPECT_TRUE(flags) << message_of(flags);
    return flags ? *flags : MountFlags{};
}

// ---- words that set or clear a flag -----------------------------------------------------------

struct Flag {
    const char* set;    // the word that sets it
    const char* clear;  // and the one that clears it
    uint64_t mount_flag;
    uint64_t attribute;
};

void PrintTo(const Flag& flag, std::ostream* out) {
    *out << flag.set;
}

constexpr Flag kFlags[] = {
    {"ro", "rw", MS_RDONLY, MOUNT_ATTR_RDONLY},
    {"nosuid", "suid", MS_NOSUID, MOUNT_ATTR_NOSUID},
    {"nodev", "dev", MS_NODEV, MOUNT_ATTR_NODEV},
    {"noexec", "exec", MS_NOEXEC, MOUNT_ATTR_NOEXEC},
    {"nosymfollow", "symfollow", MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW},
    {"nodiratime", "diratime", MS_NODIRATIME, MOUNT_ATTR_NODIRATIME},
};

class MountFlag : public ::testing::TestWithParam<Flag> {};

TEST_P(MountFlag, IsSet) {
    const Flag& flag = GetParam();
    const MountFlags flags = bind({flag.set});
    EXPECT_EQ(flags.mount_flags, flag.mount_flag);
    EXPECT_EQ(flags.attributes_set, flag.attribute);
    EXPECT_EQ(flags.attributes_clear, 0U);
    EXPECT_EQ(flags.recursive_set | flags.recursive_clear, 0U);
    EXPECT_EQ(filesystem({flag.set}).mount_flags, flag.mount_flag);
    EXPECT_EQ(filesystem({flag.set}).data, "");
}

TEST_P(MountFlag, IsCleared) {
    const Flag& flag = GetParam();
    const MountFlags flags = bind({flag.clear});
    EXPECT_EQ(flags.mount_flags, 0U);
    EXPECT_EQ(flags.attributes_set, 0U);
    EXPECT_EQ(flags.attributes_clear, flag.attribute);
}

TEST_P(MountFlag, IsAsTheLastWordSays) {
    const Flag& flag = GetParam();
    MountFlags flags = bind({flag.set, flag.clear});
    EXPECT_EQ(flags.mount_flags, 0U);
    EXPECT_EQ(flags.attributes_set, 0U);
    EXPECT_EQ(flags.attributes_clear, flag.attribute);
    flags = bind({flag.clear, flag.set});
    EXPECT_EQ(flags.mount_flags, flag.mount_flag);
    EXPECT_EQ(flags.attributes_set, flag.attribute);
    EXPECT_EQ(flags.attributes_clear, 0U);
}

TEST_P(MountFlag, ReachesBelowInItsRecursiveForm) {
    const Flag& flag = GetParam();
    MountFlags flags = bind({std::string("r") + flag.set});
    EXPECT_EQ(flags.recursive_set, flag.attribute);
    EXPECT_EQ(flags.recursive_clear, 0U);
    EXPECT_EQ(flags.attributes_set | flags.attributes_clear, 0U);
    flags = bind({std::string("r") + flag.clear});
    EXPECT_EQ(flags.recursive_set, 0U);
    EXPECT_EQ(flags.recursive_clear, flag.attribute);
    flags = bind({std::string("r") + flag.set, std::string("r") + flag.clear});
    EXPECT_EQ(flags.recursive_set, 0U);
    EXPECT_EQ(flags.recursive_clear, flag.attribute);
}

TEST_P(MountFlag, HasNoRecursiveFormForAFilesystem) {
    const std::string word = std::string("r") + GetParam().set;
    EXPECT_EQ(message_of(parse_mount_options(Words{word}, false)),
              "option '" + word + "' is for binds: a new filesystem has nothing below it");
}

INSTANTIATE_TEST_SUITE_P(Table, MountFlag, ::testing::ValuesIn(kFlags));

// ---- access times: one field of three bits ------------------------------------------------------

struct Atime {
    const char* word;
    uint64_t mount_flag;
    uint64_t attribute;
};

void PrintTo(const Atime& row, std::ostream* out) {
    *out << row.word;
}

constexpr Atime kAtimes[] = {
    {"relatime", MS_RELATIME, MOUNT_ATTR_RELATIME},
    {"norelatime", MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    {"noatime", MS_NOATIME, MOUNT_ATTR_NOATIME},
    {"atime", MS_RELATIME, MOUNT_ATTR_RELATIME},
    {"strictatime", MS_STRICTATIME, MOUNT_ATTR_STRICTATIME},
    {"nostrictatime", MS_RELATIME, MOUNT_ATTR_RELATIME},
};

class MountAtime : public ::testing::TestWithParam<Atime> {};

// mount_setattr(2): a value of the field is set only together with clearing all of it.
TEST_P(MountAtime, ClearsTheWholeFieldFirst) {
    const MountFlags flags = bind({GetParam().word});
    EXPECT_EQ(flags.mount_flags, GetParam().mount_flag);
    EXPECT_EQ(flags.attributes_clear, uint64_t{MOUNT_ATTR__ATIME});
    EXPECT_EQ(flags.attributes_set, GetParam().attribute);
}

TEST_P(MountAtime, ReplacesEveryOtherValue) {
    for (const Atime& before : kAtimes) {
        const MountFlags flags = bind({before.word, GetParam().word});
        EXPECT_EQ(flags.mount_flags, GetParam().mount_flag) << before.word;
        EXPECT_EQ(flags.attributes_clear, uint64_t{MOUNT_ATTR__ATIME}) << before.word;
        EXPECT_EQ(flags.attributes_set, GetParam().attribute) << before.word;
    }
}

TEST_P(MountAtime, LeavesOtherFlagsAlone) {
    const MountFlags flags = bind({"ro", "nodiratime", GetParam().word, "suid"});
    EXPECT_EQ(flags.mount_flags, MS_RDONLY | MS_NODIRATIME | GetParam().mount_flag);
    EXPECT_EQ(flags.attributes_set,
              MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODIRATIME | GetParam().attribute);
    EXPECT_EQ(flags.attributes_clear, uint64_t{MOUNT_ATTR__ATIME} | MOUNT_ATTR_NOSUID);
}

TEST_P(MountAtime, ReachesBelowInItsRecursiveForm) {
    const MountFlags flags = bind({std::string("r") + GetParam().word});
    EXPECT_EQ(flags.recursive_clear, uint64_t{MOUNT_ATTR__ATIME});
    EXPECT_EQ(flags.recursive_set, GetParam().attribute);
    EXPECT_EQ(flags.attributes_set | flags.attributes_clear, 0U);
}

INSTANTIATE_TEST_SUITE_P(Table, MountAtime, ::testing::ValuesIn(kAtimes));

// ---- a filesystem's own flags -------------------------------------------------------------------

struct Superblock {
    const char* set;
    const char* clear;  // null: none
    uint64_t mount_flag;
};

void PrintTo(const Superblock& row, std::ostream* out) {
    *out << row.set;
}

constexpr Superblock kSuperblock[] = {
    {"sync", "async", MS_SYNCHRONOUS},       {"dirsync", nullptr, MS_DIRSYNC},
    {"mand", "nomand", MS_MANDLOCK},         {"silent", "loud", MS_SILENT},
    {"lazytime", "nolazytime", MS_LAZYTIME}, {"iversion", "noiversion", MS_I_VERSION},
};

class SuperblockFlag : public ::testing::TestWithParam<Superblock> {};

TEST_P(SuperblockFlag, IsOfTheFilesystemOnly) {
    const MountFlags flags = filesystem({GetParam().set});
    EXPECT_EQ(flags.mount_flags, GetParam().mount_flag);
    EXPECT_EQ(flags.attributes_set | flags.attributes_clear, 0U);
    EXPECT_EQ(flags.data, "");
}

TEST_P(SuperblockFlag, IsAsTheLastWordSays) {
    if (!GetParam().clear)
        return;
    EXPECT_EQ(filesystem({GetParam().set, GetParam().clear}).mount_flags, 0U);
    EXPECT_EQ(filesystem({GetParam().clear, GetParam().set}).mount_flags, GetParam().mount_flag);
}

INSTANTIATE_TEST_SUITE_P(Table, SuperblockFlag, ::testing::ValuesIn(kSuperblock));

// ---- propagation --------------------------------------------------------------------------------

struct Propagation {
    const char* word;
    uint64_t value;
};

void PrintTo(const Propagation& row, std::ostream* out) {
    *out << row.word;
}

constexpr Propagation kPropagation[] = {
    {"private", MS_PRIVATE},
    {"slave", MS_SLAVE},
    {"shared", MS_SHARED},
    {"unbindable", MS_UNBINDABLE},
};

class MountPropagation : public ::testing::TestWithParam<Propagation> {};

TEST_P(MountPropagation, IsOfOneMountOrOfAllBelow) {
    MountFlags flags = bind({GetParam().word});
    EXPECT_EQ(flags.propagation, GetParam().value);
    EXPECT_FALSE(flags.recursive_propagation);
    flags = bind({std::string("r") + GetParam().word});
    EXPECT_EQ(flags.propagation, GetParam().value);
    EXPECT_TRUE(flags.recursive_propagation);
    EXPECT_EQ(flags.mount_flags, 0U);
}

INSTANTIATE_TEST_SUITE_P(Table, MountPropagation, ::testing::ValuesIn(kPropagation));

TEST(MountOptions, TheLastPropagationWins) {
    const MountFlags flags = bind({"rshared", "slave"});
    EXPECT_EQ(flags.propagation, uint64_t{MS_SLAVE});
    EXPECT_FALSE(flags.recursive_propagation);
}

// ---- the rest -----------------------------------------------------------------------------------

TEST(MountOptions, NoneAreNothing) {
    const MountFlags flags = bind({});
    EXPECT_EQ(flags.mount_flags | flags.attributes_set | flags.attributes_clear, 0U);
    EXPECT_EQ(flags.propagation, 0U);
    EXPECT_FALSE(flags.recursive_bind);
    EXPECT_EQ(flags.data, "");
}

TEST(MountOptions, DefaultsChangesNothing) {
    EXPECT_EQ(bind({"defaults"}).mount_flags, 0U);
    EXPECT_EQ(bind({"defaults"}).attributes_set, 0U);
    EXPECT_EQ(filesystem({"defaults"}).data, "");
}

TEST(MountOptions, BindsAreOfOneMountOrOfAllBelow) {
    EXPECT_FALSE(bind({"bind"}).recursive_bind);
    EXPECT_TRUE(bind({"rbind"}).recursive_bind);
    EXPECT_FALSE(bind({"rbind", "bind"}).recursive_bind);
}

TEST(MountOptions, FlagsAddUp) {
    const MountFlags flags = bind({"rbind", "ro", "nosuid", "rnodev"});
    EXPECT_EQ(flags.attributes_set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
    EXPECT_EQ(flags.recursive_set, uint64_t{MOUNT_ATTR_NODEV});
    EXPECT_TRUE(flags.recursive_bind);
}

TEST(MountOptions, AnUnknownWordIsAnErrorOfABind) {
    for (const char* word : {"size=64m", "nope", "RO", "ro=1", "", "rsync", "rdefaults", "rrro"})
        EXPECT_EQ(message_of(parse_mount_options(Words{word}, true)),
                  "'" + std::string(word) + "' is not an option of a bind");
}

TEST(MountOptions, AnUnknownWordIsLeftToTheFilesystemInOrder) {
    const MountFlags flags = filesystem({"size=64m", "nosuid", "mode=1777", "rsync", "huge"});
    EXPECT_EQ(flags.data, "size=64m,mode=1777,rsync,huge");
    EXPECT_EQ(flags.mount_flags, uint64_t{MS_NOSUID});
}

TEST(MountOptions, AnErrorShowsNoControlCharacters) {
    EXPECT_EQ(message_of(parse_mount_options(Words{"\x1b[0m"}, true)),
              "'\\x1b[0m' is not an option of a bind");
}

}  // namespace
}  // namespace sigil::isolation
