// sigil-bench-pty: how fast output comes through `sigil run --tty` beside script(1), which carries
// bytes between two terminals and does nothing else. The same program writes the same bytes on the
// terminal of each; this process is the terminal emulator of both.

#include <fcntl.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bars.h"
#include "failure.h"
#include "machine.h"
#include "process.h"
#include "statistics.h"
#include "workspace.h"

namespace sigil::bench {
namespace {

struct Options {
    std::string sigil = own_directory() + "/../sigil";
    int runs = 15;
    int megabytes = 64;
};

[[noreturn]] void become(const Command& command) {
    std::vector<char*> words;
    for (const std::string& word : command)
        words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(127);
}

// MB/s from the start of the program until its last byte is shown.
double throughput(const Command& command, size_t bytes) {
    int master = -1;
    const int64_t start = now_ns();
    const pid_t process = forkpty(&master, nullptr, nullptr, nullptr);
    if (process < 0)
        fail("forkpty");
    if (process == 0)
        become(command);
    static std::array<char, 65536> shown;
    size_t total = 0;
    for (ssize_t count; (count = read(master, shown.data(), shown.size())) > 0;)
        total += static_cast<size_t>(count);
    const double seconds = static_cast<double>(now_ns() - start) / 1e9;
    close(master);
    int status = 0;
    waitpid(process, &status, 0);
    if (status != 0 || total < bytes)
        fail("{}: status {}, {} of {} bytes", command[0], status, total, bytes);
    return static_cast<double>(bytes) / 1e6 / seconds;
}

int run(const Options& options) {
    const std::string busybox = find_program("busybox");
    const std::string script = find_program("script");
    if (busybox.empty() || script.empty())
        fail("busybox and script (bsdutils) are needed");
    settle_in();
    print_machine(describe_machine());
    const Workspace workspace(own_directory());
    std::filesystem::copy_file(busybox, workspace.rootfs() + "/busybox",
                               std::filesystem::copy_options::overwrite_existing);
    const size_t bytes = static_cast<size_t>(options.megabytes) << 20;
    const std::string writes = fmt::format("busybox head -c {} /dev/zero", bytes);
    const Command by_script = {script, "-qc", writes, "/dev/null"};
    const Command by_sigil = {options.sigil, "run",      "--tty", "--rootfs", workspace.rootfs(),
                              "--",          "/busybox", "head",  "-c",       std::to_string(bytes),
                              "/dev/zero"};
    std::vector<double> scripts;
    std::vector<double> sigils;
    std::vector<double> ratios;
    for (int round = -1; round < options.runs; ++round) {
        const bool is_sigil_first = round % 2 != 0;
        double of_sigil = is_sigil_first ? throughput(by_sigil, bytes) : 0;
        const double of_script = throughput(by_script, bytes);
        if (!is_sigil_first)
            of_sigil = throughput(by_sigil, bytes);
        if (round < 0)  // the first is a warm-up
            continue;
        scripts.push_back(of_script);
        sigils.push_back(of_sigil);
        ratios.push_back(of_sigil / of_script);
    }
    const Summary ratio = summarize(ratios);
    for (const auto& [name, samples] :
         {std::pair{"script", &scripts}, std::pair{"sigil -t", &sigils}})
        fmt::print("  {:<12} {:6.1f} MB/s, at best {:.1f}\n", name, summarize(*samples).median,
                   summarize(*samples).most);
    fmt::print("  sigil/script {:6.2f} (p10 {:.2f}, p90 {:.2f}, {} pairs), at least {}: {}\n",
               ratio.median, ratio.p10, ratio.p90, ratio.runs, kPtyToScript,
               ratio.median >= kPtyToScript ? "yes" : "NO");
    return ratio.median >= kPtyToScript ? 0 : 1;
}

Options parse(int argc, char** argv) {
    Options options;
    for (int index = 1; index + 1 < argc; index += 2) {
        const std::string_view word = argv[index];
        const char* value = argv[index + 1];
        if (word == "--sigil")
            options.sigil = value;
        else if (word == "--runs")
            options.runs = std::max(1, std::atoi(value));
        else if (word == "--megabytes")
            options.megabytes = std::max(1, std::atoi(value));
        else
            fail("usage: sigil-bench-pty [--sigil PATH] [--runs N] [--megabytes N]");
    }
    return options;
}

}  // namespace
}  // namespace sigil::bench

int main(int argc, char** argv) {
    return sigil::bench::run_guarded(
        [&] { return sigil::bench::run(sigil::bench::parse(argc, argv)); });
}
