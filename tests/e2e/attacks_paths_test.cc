// Places in a root that somebody swaps or has planted while sigil works there: CVE-2021-30465,
// CVE-2023-27561, CVE-2023-28642, CVE-2024-45310, CVE-2025-31133, CVE-2025-52881 and their kin.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "bundle.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

using std::chrono::steady_clock;

// Exchanges two names until it goes: what another container on the same files could do.
class Swapper {
  public:
    Swapper(std::string one, std::string other)
        : thread_([this, one, other] {
              while (!ends_)
                  count_ += ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(),
                                        RENAME_EXCHANGE) == 0;
          }) {}
    ~Swapper() {
        ends_ = true;
        thread_.join();
        EXPECT_GT(count_.load(), 100U) << "nothing was swapped";
    }
    Swapper(const Swapper&) = delete;
    Swapper& operator=(const Swapper&) = delete;

  private:
    std::atomic<bool> ends_ = false;
    std::atomic<unsigned> count_ = 0;
    std::thread thread_;
};

class AttackByPaths : public E2e {
  protected:
    void SetUp() override {
        E2e::SetUp();
        root_ = make_rootfs();
        outside_ = make_directory_outside();
        make_directory(outside_ + "/sub");
        write_file(outside_ + "/secret", "secret");
        given_ = make_directory_outside();
        write_file(given_ + "/given", "given");
    }
    void TearDown() override {
        EXPECT_EQ(names_in(outside_), (Words{"secret", "sub"})) << "the host was written to";
        EXPECT_EQ(names_in(outside_ + "/sub"), Words{}) << "the host was written to";
        EXPECT_EQ(read_file(outside_ + "/secret"), "secret");
        E2e::TearDown();
    }
    Bundle bundle(const std::string& script) const {
        Bundle made({"/bin/sh", "-c", script});
        made.set("/root/path", "\"" + root_ + "\"");
        return made;
    }
    static Finished run_bundle(Bundle& bundle) {
        return run_program(
            sigil({"run", "--bundle", bundle.path(), "attack-" + std::to_string(::getpid())}));
    }
    // For two seconds: as often as it goes.
    static void repeat(const std::function<void()>& act) {
        const auto until = steady_clock::now() + std::chrono::seconds(2);
        do
            act();
        while (steady_clock::now() < until && !HasFailure());
    }

    std::string root_;
    std::string outside_;
    std::string given_;
};

// Either it failed by itself, or it ran, and saw nothing of the outside.
void expect_inside(const Finished& finished) {
    EXPECT_TRUE(finished.code() == 0 || finished.code() == 125) << testing::PrintToString(finished);
    EXPECT_EQ(finished.out.find("secret"), std::string::npos) << finished.out;
}

TEST_F(AttackByPaths, ATargetThatIsSwappedForALinkNeverLeadsOut) {
    make_directory(root_ + "/mnt/target");
    make_link(outside_, root_ + "/mnt/link");
    const Swapper swapper(root_ + "/mnt/target", root_ + "/mnt/link");
    repeat([&] {
        expect_inside(run_script({"--rootfs", root_, "--bind", given_ + ":/mnt/target/new",
                                  "--tmpfs", "/mnt/target/sub"},
                                 "ls /mnt/target /mnt/target/; exit 0"));
    });
}

TEST_F(AttackByPaths, ABundlesTargetThatIsSwappedForALinkNeverLeadsOut) {
    make_directory(root_ + "/mnt/target");
    make_link("../../../../../../../.." + outside_, root_ + "/mnt/link");
    Bundle hostile = bundle("ls /mnt/target /mnt/target/; exit 0");
    hostile.append("/mounts", R"({"destination": "/mnt/target/new", "type": "bind", "source": ")" +
                                  given_ + R"(", "options": ["bind"]})");
    hostile.append("/mounts",
                   R"({"destination": "/mnt/target/sub", "type": "tmpfs", "source": "tmpfs"})");
    hostile.append("/linux/maskedPaths", "\"/mnt/target/secret\"");
    hostile.append("/linux/readonlyPaths", "\"/mnt/target/sub\"");
    const Swapper swapper(root_ + "/mnt/target", root_ + "/mnt/link");
    repeat([&] { expect_inside(run_bundle(hostile)); });
}

TEST_F(AttackByPaths, ASystemDirectoryThatIsSwappedForALinkNeverLeadsOut) {
    for (const char* name : {"/proc", "/sys", "/dev"}) {
        make_directory(root_ + name);
        make_link(outside_, root_ + "/link");
        {
            const Swapper swapper(root_ + name, root_ + "/link");
            Bundle hostile = bundle("ls /proc /sys /dev; exit 0");
            const auto until = steady_clock::now() + std::chrono::milliseconds(700);
            while (steady_clock::now() < until && !HasFailure()) {
                expect_inside(run_script({"--rootfs", root_}, "ls /proc /sys /dev; exit 0"));
                expect_inside(run_bundle(hostile));
            }
        }
        std::filesystem::remove_all(root_ + name);
        std::filesystem::remove_all(root_ + "/link");
    }
}

TEST_F(AttackByPaths, ABundlesSystemDirectoriesAsLinksLeadNowhere) {
    for (const char* name : {"/dev", "/proc", "/sys"})
        for (const std::string& target :
             {outside_, "../../../../../.." + outside_, std::string("/tmp"), std::string("/"),
              std::string("/nowhere")}) {
            std::filesystem::remove_all(root_ + name);
            make_link(target, root_ + name);
            Bundle hostile = bundle("cat /dev/secret /proc/secret /sys/secret; exit 0");
            expect_inside(run_bundle(hostile));
            std::filesystem::remove_all(root_ + name);
        }
}

TEST_F(AttackByPaths, PtmxAsALinkLeadsNowhere) {
    make_directory(root_ + "/dev");
    make_link(outside_ + "/new", root_ + "/dev/ptmx");
    Bundle hostile = bundle("readlink /dev/ptmx");
    hostile.remove("/mounts/1");  // the tmpfs on /dev
    const Finished finished = run_bundle(hostile);
    EXPECT_TRUE(finished.code() == 125 || finished.out == "pts/ptmx\n")
        << testing::PrintToString(finished);
}

// What hides a file is the kernel's /dev/null, not what the root has by that name.
TEST_F(AttackByPaths, AMaskIsNotTheRootsOwnNull) {
    make_directory(root_ + "/dev");
    make_link("/proc/sys/kernel/hostname", root_ + "/dev/null");
    Bundle hostile = bundle("stat -c %t:%T /proc/timer_list; cat /proc/timer_list /tmp/masked");
    write_file(root_ + "/tmp/masked", "unmasked");
    hostile.remove("/mounts/1").append("/linux/maskedPaths", "\"/tmp/masked\"");
    hostile.append("/linux/maskedPaths", "\"/proc/timer_list\"");
    const Finished finished = run_bundle(hostile);
    EXPECT_TRUE(finished.code() == 125 || finished.out == "1:3\n")
        << testing::PrintToString(finished);
}

TEST_F(AttackByPaths, AMaskSurvivesANullThatIsSwapped) {
    make_directory(root_ + "/dev");
    write_file(root_ + "/dev/null", "shown");
    make_link("/etc/passwd", root_ + "/dev/other");
    write_file(root_ + "/masked", "unmasked");
    Bundle hostile = bundle("cat /masked");
    hostile.remove("/mounts/1").append("/linux/maskedPaths", "\"/masked\"");
    const Swapper swapper(root_ + "/dev/null", root_ + "/dev/other");
    repeat([&] {
        const Finished finished = run_bundle(hostile);
        EXPECT_EQ(finished.out, "") << testing::PrintToString(finished);
    });
}

// A tree that only looks like /proc: what sigil writes there goes to the real one, or nowhere.
TEST_F(AttackByPaths, AFakeProcIsNotWrittenTo) {
    const std::string fake = make_directory_outside();
    const char* const kFiles[] = {"/self/oom_score_adj", "/self/attr/exec",
                                  "/self/attr/apparmor/exec", "/sys/net/ipv4/ping_group_range"};
    for (const char* file : kFiles) {
        make_directory(fake + std::filesystem::path(file).parent_path().string());
        write_file(fake + file, "fake");
    }
    Bundle hostile = bundle("exit 0");
    hostile.append("/mounts", R"({"destination": "/proc", "type": "bind", "source": ")" + fake +
                                  R"(", "options": ["bind"]})");
    hostile.set("/process/oomScoreAdj", "555");
    hostile.set("/linux/sysctl", R"({"net.ipv4.ping_group_range": "0 7"})");
    (void)run_bundle(hostile);
    for (const char* file : kFiles)
        EXPECT_EQ(read_file(fake + file), "fake") << file;
}

// A sysctl whose file is a link to another (CVE-2025-52881): no name leads out of /proc/sys.
TEST_F(AttackByPaths, ASysctlNamesNoOtherFile) {
    for (const char* name :
         {"net.../../sysrq-trigger", "net/../../sysrq-trigger", "net",
          "net.ipv4/../../../self/oom_score_adj", "kernel.core_pattern", "../self/oom_score_adj"}) {
        Bundle hostile = bundle("exit 0");
        hostile.set("/linux/sysctl", std::string(R"({")") + name + R"(": "1"})");
        const Finished finished = run_bundle(hostile);
        EXPECT_EQ(finished.code(), 125) << name;
        EXPECT_NE(finished.err.find("linux.sysctl"), std::string::npos) << finished.err;
    }
}

}  // namespace
}  // namespace sigil::e2e
