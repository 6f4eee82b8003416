// Logs of a limited size.
#include <unistd.h>

#include <filesystem>

#include "full_disk.h"
#include "many.h"

namespace sigil::e2e {
namespace {

class LogRotation : public E2e {
  protected:
    [[nodiscard]] Words options(const std::string& size, const std::string& files) const {
        return {"--name", "web",     "--log-dir", logs,  "--log-max-size", size, "--log-max-files",
                files,    "--quiet", "--report",  report};
    }
    // The files of web, the oldest first.
    [[nodiscard]] Words files() const {
        Words names;
        for (int number = 1; exists(logs + "/web.log." + std::to_string(number)); ++number)
            names.insert(names.begin(), "web.log." + std::to_string(number));
        if (exists(logs + "/web.log"))
            names.emplace_back("web.log");
        return names;
    }
    [[nodiscard]] std::string whole() const {
        std::string text;
        for (const std::string& name : files())
            text += read_file(logs + "/" + name);
        return text;
    }

    std::string directory = make_directory_outside();
    std::string logs = directory + "/logs";
    std::string report = directory + "/report";
};

std::string numbers(unsigned from, unsigned to) {
    std::string text;
    for (unsigned number = from; number <= to; ++number)
        text += std::to_string(number) + "\n";
    return text;
}

TEST_F(LogRotation, LosesNoLineAndSplitsNone) {
    ASSERT_EQ(run(options("4K", "100"), {"seq", "1", "10000"}).code(), 0);
    EXPECT_EQ(whole(), numbers(1, 10000));
    EXPECT_GE(files().size(), 12U);
    for (const std::string& name : files()) {
        const std::string text = read_file(logs + "/" + name);
        EXPECT_LE(text.size(), 4096U + 6) << name;  // a line that was begun is ended there
        EXPECT_TRUE(text.ends_with('\n')) << name;
    }
    const auto told = parse_report(read_file(report));
    EXPECT_EQ(told["log"]["lost_bytes"].GetInt64(), 0);
}

TEST_F(LogRotation, KeepsSoManyFiles) {
    ASSERT_EQ(run(options("4K", "3"), {"seq", "1", "10000"}).code(), 0);
    EXPECT_EQ(names_in(logs), (Words{"web.log", "web.log.1", "web.log.2"}));
    EXPECT_TRUE(numbers(1, 10000).ends_with(whole()));
    EXPECT_GT(whole().size(), 8000U);
}

TEST_F(LogRotation, OneFileIsBegunAnew) {
    ASSERT_EQ(run(options("4K", "1"), {"seq", "1", "10000"}).code(), 0);
    EXPECT_EQ(names_in(logs), (Words{"web.log"}));
    EXPECT_TRUE(numbers(1, 10000).ends_with(whole()));
}

TEST_F(LogRotation, KeepsTheOrderOfBothStreamsAndALineWithoutEnd) {
    ASSERT_EQ(run(options("1M", "2"),
                  {"/bin/sh", "-c", "echo 1; echo 2 >&2; echo 3; echo 4 >&2; printf 5 >&2"})
                  .code(),
              0);
    EXPECT_EQ(whole(), "1\n2\n3\n4\n5");
}

TEST_F(LogRotation, CutsALineThatIsFarTooLong) {
    ASSERT_EQ(run(options("4K", "100"),
                  {"/bin/sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end"})
                  .code(),
              0);
    EXPECT_EQ(whole(), std::string(100'000, 'x') + "\nend\n");
    for (const std::string& name : files())
        EXPECT_LE(read_file(logs + "/" + name).size(), 4096U + 16384U) << name;
}

TEST_F(LogRotation, GoesOnWhereTheRunBeforeEnded) {
    ASSERT_EQ(run(options("4K", "9"), {"seq", "1", "700"}).code(), 0);
    ASSERT_EQ(run(options("4K", "9"), {"seq", "701", "1400"}).code(), 0);
    EXPECT_EQ(whole(), numbers(1, 1400));
    EXPECT_EQ(files().size(), 2U);
}

TEST_F(LogRotation, EachOfManyHasItsOwn) {
    Words all = options("4K", "50");
    all.insert(all.end(), {"--count", "20"});
    ASSERT_EQ(run(all, {"seq", "1", "3000"}).code(), 0);
    for (unsigned number = 1; number <= 20; ++number) {
        std::string text;
        for (int file = 20; file >= 0; --file)
            text += read_file(logs + "/" + numbered("web", number) + ".log" +
                              (file > 0 ? "." + std::to_string(file) : ""));
        EXPECT_EQ(text, numbers(1, 3000)) << number;
    }
}

TEST_F(LogRotation, AFullDiskIsCountedAndHarmsNoContainer) {
    const FullDisk disk("size=64k");
    logs = disk.path() + "/logs";
    const Finished finished =
        run({"--name", "web", "--log-dir", logs, "--log-max-size", "1M", "--count", "1", "--jobs",
             "1", "--report", report, "--events", directory + "/events"},
            {"/bin/sh", "-c", "seq 1 50000; exit 3"});
    EXPECT_EQ(finished.code(), 3) << testing::PrintToString(finished);
    const std::string kept = read_file(logs + "/web-1.log");
    const auto told = parse_report(read_file(report));
    const int64_t lost = told["log"]["lost_bytes"].GetInt64();
    EXPECT_EQ(kept.size() + static_cast<size_t>(lost), numbers(1, 50000).size());
    EXPECT_GT(told["log"]["lost_lines"].GetInt64(), 0);
    EXPECT_TRUE(numbers(1, 50000).starts_with(kept));
    const EventLog events(directory + "/events");
    EXPECT_EQ((*events.named("exited").at(0))["log"]["lost_bytes"].GetInt64(), lost);
    EXPECT_EQ((*events.named("summary").at(0))["log"]["lost_bytes"].GetInt64(), lost);
    size_t warnings = 0;
    for (const std::string& line : lines_of(finished.err))
        warnings += line.find("No space left on device") != std::string::npos;
    EXPECT_EQ(warnings, 1U) << finished.err;
    EXPECT_NE(finished.err.find("bytes of output dropped"), std::string::npos) << finished.err;
}

TEST_F(LogRotation, GoesOnOnceThereIsRoom) {
    const FullDisk disk("size=64k");
    write_file(disk.path() + "/filler", std::string(40'000, 'x'));
    logs = disk.path() + "/logs";
    const std::string door = directory + "/door";
    make_directory(door);
    Words all = options("1M", "2");
    all.insert(all.end(), {"--bind", door + ":/mnt"});
    Running running(sigil_run(all, {"/bin/sh", "-c",
                                    "seq 1 50000; : > /mnt/full; while [ ! -e /mnt/room ]; do "
                                    "sleep 0.01; done; echo whole; echo line"}));
    ASSERT_TRUE(eventually([&] { return exists(door + "/full"); }));
    // More than the disk and the pipe hold was read by now, so that some of it is lost.
    disk.resize("1M");
    write_file(door + "/room", "");
    EXPECT_EQ(running.wait().code(), 0);
    const std::string text = whole();
    EXPECT_TRUE(text.ends_with("whole\nline\n")) << text.substr(text.size() - 200);
    EXPECT_NE(text.find(" bytes lost]\n"), std::string::npos);
}

TEST_F(LogRotation, WhatIsNoFileIsAnError) {
    make_directory(logs + "/web.log");
    const Finished finished = run(options("4K", "2"), {"true"});
    expect_failure(finished, "--log-dir: open web.log: ");
    ASSERT_EQ(::mkfifo((logs + "/fifo.log").c_str(), 0600), 0);
    expect_failure(
        run({"--name", "fifo", "--log-dir", logs, "--log-max-size", "4K", "--quiet"}, {"true"}),
        "--log-dir: ");
}

TEST_F(LogRotation, NeedsADirectoryAndASize) {
    expect_failure(run({"--log-max-size", "1M"}, {"true"}), "--log-max-size: it needs --log-dir");
    expect_failure(run({"--log-dir", logs, "--log-max-files", "3"}, {"true"}),
                   "--log-max-files: it needs --log-max-size");
    expect_failure(run({"--log-dir", logs, "--log-max-size", "100"}, {"true"}),
                   "--log-max-size: '100' is less than 4K");
    expect_failure(
        run({"--log-dir", logs, "--log-max-size", "1M", "--log-max-files", "0"}, {"true"}),
        "--log-max-files: 0 is less than 1");
}

}  // namespace
}  // namespace sigil::e2e
