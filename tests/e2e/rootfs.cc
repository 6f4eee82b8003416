#include "rootfs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include <gtest/gtest.h>

#include "files.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

namespace fs = std::filesystem;

constexpr const char* kApplets[] = {
    "[",     "awk",   "cat",      "chmod", "cut",  "date",     "dd",   "echo",  "env",
    "false", "find",  "grep",     "head",  "id",   "kill",     "ln",   "ls",    "mkdir",
    "mknod", "mount", "hostname", "ps",    "pwd",  "readlink", "rm",   "rmdir", "seq",
    "sh",    "sleep", "sort",     "stat",  "stty", "tail",     "test", "touch", "tr",
    "true",  "tty",   "umount",   "wc",    "yes",  "ulimit",   "ip",
};

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "alice:x:1000:1000:Alice:/home/alice:/bin/sh\n"
    "bob:x:1001:100::/home/bob:/bin/sh\n"
    "homeless:x:1002:1002:::/bin/sh\n";

constexpr const char* kGroup =
    "root:x:0:\n"
    "users:x:100:alice\n"
    "alice:x:1000:\n"
    "wheel:x:10:bob,alice\n"
    "video:x:44:alice\n";

void copy_program(const std::string& from, const std::string& to) {
    std::error_code error;
    fs::copy_file(from, to, error);
    EXPECT_FALSE(error) << "cannot copy " << from << ": " << error.message();
    ::chmod(to.c_str(), 0755);
}

std::string new_directory(const char* kind) {
    static int count = 0;
    std::string path = scratch_directory() + "/" + kind + std::to_string(++count);
    make_directory(path);
    return path;
}

void add_texts(const std::string& root) {
    for (const char* name : {"/bin", "/etc", "/home/alice", "/root", "/tmp"})
        make_directory(root + name);
    ::chmod((root + "/tmp").c_str(), 01777);
    write_file(root + "/etc/passwd", kPasswd);
    write_file(root + "/etc/group", kGroup);
    for (const char* applet : kApplets)
        make_link("busybox", root + "/bin/" + applet);
}

}  // namespace

const std::string& shared_rootfs() {
    static const std::string root = [] {
        std::string path = new_directory("shared-rootfs");
        add_texts(path);
        copy_program(busybox_path(), path + "/bin/busybox");
        copy_program(probe_path(), path + "/bin/probe");
        copy_program(bare_path(), path + "/bin/bare");
        return path;
    }();
    return root;
}

std::string make_rootfs() {
    std::string path = new_directory("rootfs");
    add_texts(path);
    for (const char* program : {"/bin/busybox", "/bin/probe", "/bin/bare"})
        EXPECT_EQ(::link((shared_rootfs() + program).c_str(), (path + program).c_str()), 0);
    return path;
}

std::string make_directory_outside() {
    return new_directory("outside");
}

}  // namespace sigil::e2e
