// The filter of devices in the kernel: of a cgroup that is made here, asked by a process in it.
#include "isolation/device_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include <gtest/gtest.h>

#include "isolation/cgroup_host.h"
#include "isolation/id_map.h"
#include "temp_dir.h"

namespace sigil::isolation {
namespace {

using testing::message_of;

class Devices : public ::testing::Test {
  protected:
    void SetUp() override {
        if (::geteuid() != 0)
            GTEST_SKIP() << "needs root";
        auto host = CgroupHost::find();
        if (!host || !*host)
            GTEST_SKIP() << "no cgroup v2 on this machine";
        path_ = (**host).mount_point() + "/sigil-devices-" + std::to_string(::getpid());
        ASSERT_TRUE(sys::mkdirat(AT_FDCWD, path_.c_str(), 0755)) << path_;
        cgroup_ = *sys::open(AT_FDCWD, path_.c_str(), O_RDONLY | O_DIRECTORY);
    }
    void TearDown() override {
        if (cgroup_) {
            EXPECT_EQ(message_of(sys::rmdirat(AT_FDCWD, path_.c_str())), "(no error)");
        }
    }

    // What `act` returns in a process in the cgroup: 0, or an error number.
    template <typename Act>
    [[nodiscard]] int in_cgroup(Act act) const {
        const pid_t pid = ::fork();
        if (pid == 0) {
            if (!sys::write_file(cgroup_.get(), "cgroup.procs", "0"))
                ::_exit(99);
            errno = 0;
            act();
            ::_exit(errno);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    [[nodiscard]] int open_as(const char* path, int flags) const {
        return in_cgroup([=] {
            if (::open(path, flags) >= 0)
                errno = 0;
        });
    }

    std::string path_;
    Fd cgroup_;
};

TEST_F(Devices, AreTheDefaultOnesAndNoOthers) {
    ASSERT_EQ(message_of(restrict_devices(cgroup_.get(), {})), "(no error)");
    EXPECT_EQ(open_as("/dev/null", O_RDWR), 0);
    EXPECT_EQ(open_as("/dev/urandom", O_RDONLY), 0);
    EXPECT_EQ(open_as("/dev/ptmx", O_RDWR), 0);
    ASSERT_EQ(::access("/dev/kmsg", F_OK), 0);
    EXPECT_EQ(open_as("/dev/kmsg", O_WRONLY), EPERM);
    EXPECT_EQ(in_cgroup([] { ::access("/dev/kmsg", F_OK); }), 0);
    const testing::TempDir files;
    const std::string made = files.at("made");
    EXPECT_EQ(in_cgroup([&] { ::mknod(made.c_str(), S_IFBLK | 0600, makedev(8, 0)); }), 0);
}

TEST_F(Devices, AreThoseOfTheLastUpdate) {
    const DeviceRule zero_less = {.allow = false, .type = 'c', .major = 1, .minor = 5};
    auto everything = DeviceFilter::load(std::vector<DeviceRule>{{.allow = true}});
    auto no_zero = DeviceFilter::load(std::vector<DeviceRule>{{.allow = true}, zero_less});
    ASSERT_EQ(message_of(no_zero), "(no error)");
    ASSERT_EQ(message_of(everything), "(no error)");
    ASSERT_TRUE(no_zero->attach_first(cgroup_.get()));
    EXPECT_EQ(open_as("/dev/zero", O_RDONLY), EPERM);
    EXPECT_EQ(open_as("/dev/null", O_RDONLY), 0);
    ASSERT_EQ(message_of(everything->attach(cgroup_.get())), "(no error)");
    EXPECT_EQ(open_as("/dev/zero", O_RDONLY), 0);
    ASSERT_EQ(message_of(no_zero->attach(cgroup_.get())), "(no error)");
    EXPECT_EQ(open_as("/dev/zero", O_RDONLY), EPERM);
}

std::vector<DeviceRule> many_rules(uint32_t count) {
    std::vector<DeviceRule> rules;
    for (uint32_t at = 0; at < count; ++at)
        rules.push_back(
            {.allow = at % 2 == 0, .type = 'b', .major = at, .minor = at % 7, .read = at % 3 != 0});
    return rules;
}

TEST_F(Devices, AreAskedForInManyRules) {
    EXPECT_EQ(message_of(restrict_devices(cgroup_.get(), many_rules(500))), "(no error)");
    EXPECT_EQ(open_as("/dev/null", O_RDWR), 0);
}

TEST_F(Devices, InMoreRulesThanTheKernelFollowsAreAnError) {
    EXPECT_EQ(message_of(restrict_devices(cgroup_.get(), many_rules(20000))),
              "linux.resources.devices: load the filter of devices: 20010 rules are more than the "
              "kernel's verifier follows: Argument list too long");
}

// Forks, changes with `leave` what the process may do, and tells how restrict_devices() went.
template <typename Leave>
std::string restricted_after(int cgroup, Leave leave) {
    sys::Pipe pipe = *sys::pipe();
    const pid_t pid = ::fork();
    if (pid == 0) {
        const bool has_left = leave();
        (void)sys::write_all(pipe.writer.get(),
                             has_left ? message_of(restrict_devices(cgroup, {})) : "not left");
        ::_exit(0);
    }
    EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
    std::array<char, 256> text = {};
    return {text.data(), *sys::read(pipe.reader.get(), text)};
}

TEST_F(Devices, AreLeftAsTheyAreFromWithinAUserNamespace) {
    EXPECT_FALSE(is_in_user_namespace());
    EXPECT_EQ(restricted_after(cgroup_.get(),
                               [] {
                                   return sys::unshare(CLONE_NEWUSER) &&
                                          sys::write_file(AT_FDCWD, "/proc/self/uid_map",
                                                          "0 0 1") &&
                                          is_in_user_namespace();
                               }),
              "(no error)");
    EXPECT_EQ(open_as("/dev/kmsg", O_WRONLY), 0);
}

TEST_F(Devices, WithoutTheCapabilityAreAnErrorThatNamesTheProperty) {
    EXPECT_EQ(restricted_after(cgroup_.get(), [] { return ::setuid(65534) == 0; }),
              "linux.resources.devices: load the filter of devices: Operation not permitted");
}

TEST_F(Devices, OfAnythingButACgroupAreAnErrorThatNamesTheProperty) {
    const testing::TempDir files;
    const auto refused = restrict_devices(files.open().get(), {});
    EXPECT_TRUE(message_of(refused).starts_with("linux.resources.devices: "))
        << message_of(refused);
}

}  // namespace
}  // namespace sigil::isolation
