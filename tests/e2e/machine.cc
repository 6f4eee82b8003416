#include "machine.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "cgroups.h"

namespace sigil::e2e {
namespace {

std::string from_environment(const char* name, const char* otherwise) {
    const char* value = ::getenv(name);
    return value && *value ? value : otherwise;
}

std::string& scratch() {
    static std::string directory;
    return directory;
}

class Machine final : public testing::Environment {
  public:
    void SetUp() override {
        if (::geteuid() != 0)
            GTEST_SKIP() << "containers need root";
        enter_mount_namespace();
        make_scratch();
        hide_records();
        enter_test_cgroup();
        // What sigil leaves behind becomes our child, and is seen (leaks.h).
        ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    }

    void TearDown() override {
        leave_test_cgroup();
        if (scratch().empty())
            return;
        ::umount2(scratch().c_str(), MNT_DETACH);
        ::rmdir(scratch().c_str());
    }

  private:
    // Shared in itself, as systemd sets a machine up: mounts of a container would show here if
    // sigil forgot to cut the propagation. Private to the outside.
    static void enter_mount_namespace() {
        ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << strerror(errno);
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
        ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr), 0);
    }

    // sigil's record of what it makes: an empty one of our own, where others don't see it.
    static void hide_records() {
        std::filesystem::create_directories(records_root());
        ASSERT_EQ(::mount("tmpfs", records_root(), "tmpfs", 0, "mode=700"), 0) << strerror(errno);
    }

    static void make_scratch() {
        std::string name = from_environment("TMPDIR", "/tmp") + "/sigil-e2e.XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr) << name << ": " << strerror(errno);
        scratch() = name;
        ASSERT_EQ(::mount("tmpfs", name.c_str(), "tmpfs", 0, "mode=755"), 0) << strerror(errno);
    }
};

[[maybe_unused]] testing::Environment* const machine =
    testing::AddGlobalTestEnvironment(new Machine);

std::string find_in_path(const std::string& name) {
    std::istringstream path(from_environment("PATH", "/usr/bin:/bin"));
    for (std::string directory; std::getline(path, directory, ':');) {
        std::string candidate = directory + "/" + name;
        if (::access(candidate.c_str(), X_OK) == 0)
            return candidate;
    }
    return name;
}

}  // namespace

std::string sigil_path() {
    return from_environment("SIGIL", SIGIL_BINARY);
}

std::string probe_path() {
    return from_environment("SIGIL_PROBE", SIGIL_PROBE_BINARY);
}

std::string bare_path() {
    return from_environment("SIGIL_BARE", SIGIL_BARE_BINARY);
}

std::string busybox_path() {
    const std::string named = from_environment("SIGIL_BUSYBOX", "");
    return named.empty() ? find_in_path("busybox") : named;
}

bool in_virtual_machine() {
    return from_environment("SIGIL_VM", "0") != "0";
}

bool is_sanitized() {
    return SIGIL_IS_SANITIZED;
}

bool is_slow() {
    return in_virtual_machine() || is_sanitized();
}

const char* records_root() {
    return "/run/sigil";
}

const std::string& scratch_directory() {
    return scratch();
}

}  // namespace sigil::e2e
