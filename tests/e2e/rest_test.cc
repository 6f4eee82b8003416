// What a supervisor keeps in memory while nothing happens.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "machine.h"
#include "many.h"

namespace sigil::e2e {
namespace {

using Rest = E2e;

// Kilobytes of its program's text and constants that a process has mapped.
size_t mapped_text(pid_t pid) {
    const std::string directory = "/proc/" + std::to_string(pid);
    const std::string program = std::filesystem::read_symlink(directory + "/exe").string();
    std::ifstream smaps(directory + "/smaps");
    size_t sum = 0;
    bool is_text = false;
    for (std::string line; std::getline(smaps, line);) {
        std::istringstream words(line);
        std::string first, second;
        words >> first >> second;
        if (first.find('-') != std::string::npos)  // a mapping: "addresses permissions ... path"
            is_text = second == "r-xp" && line.ends_with(program);
        else if (is_text && first == "Rss:")
            sum += std::stoul(second);
    }
    return sum;
}

// What the kernel maps around a page that is touched, and once more for a border in between.
constexpr size_t kLittle = 128;

bool comes_to_rest(pid_t sigil) {
    return eventually([sigil] {
        const size_t text = mapped_text(sigil);
        return text > 0 && text <= kLittle;
    });
}

constexpr const char* kAnswer =
    "trap 'echo told' USR1; echo up; while :; do sleep 1000 & wait; done";

TEST_F(Rest, ASupervisorLetsGoOfItsProgramEachTimeThatItIsQuiet) {
    Running running(sigil_run({}, {"sh", "-c", kAnswer}));
    ASSERT_EQ(running.next_line(), "up");
    EXPECT_TRUE(comes_to_rest(running.pid())) << mapped_text(running.pid()) << " KB";
    for (int round = 0; round < 2; ++round) {
        running.send(SIGUSR1);
        EXPECT_EQ(running.next_line(), "told");
        EXPECT_TRUE(comes_to_rest(running.pid())) << mapped_text(running.pid()) << " KB";
    }
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

TEST_F(Rest, SoDoesOneOfMany) {
    Running running(sigil_run({"--count", "3", "--quiet"}, {"sh", "-c", kAnswer}));
    for (int count = 0; count < 3; ++count)
        EXPECT_TRUE(running.next_line().ends_with(" | up"));
    EXPECT_TRUE(comes_to_rest(running.pid())) << mapped_text(running.pid()) << " KB";
    running.send(SIGUSR1);
    for (int count = 0; count < 3; ++count)
        EXPECT_TRUE(running.next_line().ends_with(" | told"));
    EXPECT_TRUE(comes_to_rest(running.pid())) << mapped_text(running.pid()) << " KB";
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().code(), 128 + SIGTERM);
}

}  // namespace
}  // namespace sigil::e2e
