// The wrappers of system calls that hold more than the call.
#include "core/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <thread>

#include <gtest/gtest.h>

#include "temp_dir.h"

namespace sigil {
namespace {

using testing::message_of;
using testing::TempDir;

std::string pattern(size_t size) {
    std::string text(size, '\0');
    for (size_t at = 0; at < size; ++at)
        text[at] = static_cast<char>('a' + at % 23);
    return text;
}

TEST(ReadAll, WaitsForTheEndHoweverSmallThePieces) {
    auto pipe = sys::pipe();
    ASSERT_TRUE(pipe);
    const std::string text = pattern(70'000);
    std::thread writer([&] {
        for (size_t at = 0; at < text.size(); at += 7'000)
            EXPECT_TRUE(sys::write_all(pipe->writer.get(), text.substr(at, 7'000)));
        pipe->writer.reset();
    });
    auto read = sys::read_all(pipe->reader.get());
    writer.join();
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, text);
}

TEST(ReadAll, TellsOfWhatIsTooMuch) {
    auto zeroes = sys::open(AT_FDCWD, "/dev/zero", O_RDONLY);
    ASSERT_TRUE(zeroes);
    EXPECT_EQ(message_of(sys::read_all(zeroes->get(), size_t{1} << 20)), "larger than 1M");
}

TEST(ReplaceFile, ReplacesAWholeFileOrNothing) {
    TempDir directory;
    const std::string path = directory.path() + "/file";
    ASSERT_TRUE(sys::replace_file(AT_FDCWD, path, "old", 0600));
    ASSERT_TRUE(sys::replace_file(AT_FDCWD, path, "new", 0600));
    EXPECT_EQ(*sys::read_file(AT_FDCWD, path.c_str()), "new");
    // What is there already cannot be replaced by a file: it stays, and nothing new is beside it.
    const std::string other = directory.path() + "/directory";
    ASSERT_TRUE(sys::mkdirat(AT_FDCWD, other.c_str(), 0700));
    EXPECT_TRUE(sys::replace_file(AT_FDCWD, other, "new", 0600).error().is(EISDIR));
    const auto listed = sys::open(AT_FDCWD, directory.path().c_str(), O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(listed);
    EXPECT_EQ(sys::all_names(listed->get())->size(), 2U);
}

TEST(ReadFile, ReadsFilesOfEverySize) {
    const TempDir directory;
    // Around the buffer's size and half of it, where it might stop too early.
    for (size_t size :
         {0, 1, 2047, 2048, 2049, 4095, 4096, 4097, 6143, 6144, 8192, 100'000, 3'000'001}) {
        const std::string text = pattern(size);
        directory.write("file", text);
        auto read = sys::read_file(AT_FDCWD, directory.at("file").c_str());
        ASSERT_TRUE(read);
        EXPECT_TRUE(*read == text) << size << " bytes, read " << read->size();
    }
}

TEST(ReadFile, ReadsProcfs) {
    auto text = sys::read_file(AT_FDCWD, "/proc/self/status");
    ASSERT_TRUE(text);
    EXPECT_HOLDS(*text, "Name:");
    EXPECT_TRUE(text->ends_with('\n'));
}

TEST(ReadFile, ReadsBeneathADirectory) {
    const TempDir directory;
    directory.write("sub/file", "text");
    const Fd sub = directory.open("sub");
    EXPECT_EQ(*sys::read_file(sub.get(), "file"), "text");
}

TEST(ReadFile, TellsWhatIsMissing) {
    auto text = sys::read_file(AT_FDCWD, "/nope");
    ASSERT_FALSE(text);
    EXPECT_TRUE(text.error().is(ENOENT));
    EXPECT_EQ(text.error().message(), "openat: No such file or directory");
}

TEST(WriteFile, WritesOnlyToWhatIsThere) {
    const TempDir directory;
    directory.write("file", "");
    EXPECT_TRUE(sys::write_file(AT_FDCWD, directory.at("file").c_str(), "64"));
    EXPECT_EQ(directory.read("file"), "64");
    auto written = sys::write_file(AT_FDCWD, directory.at("new").c_str(), "64");
    ASSERT_FALSE(written);
    EXPECT_TRUE(written.error().is(ENOENT));
    EXPECT_FALSE(directory.has("new"));
}

TEST(WriteFile, TellsWhatTheKernelRefused) {
    auto written = sys::write_file(AT_FDCWD, "/dev/full", "x");
    ASSERT_FALSE(written);
    EXPECT_TRUE(written.error().is(ENOSPC));
}

TEST(WriteAll, WritesMoreThanAPipeHolds) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    Fd reader(ends[0]);
    Fd writer(ends[1]);
    const std::string text = pattern(1'000'000);
    std::string got;
    std::thread consumer([&] {
        std::array<char, 65536> part;
        for (;;) {
            auto count = sys::read(reader.get(), part);
            if (!count || *count == 0)
                return;
            got.append(part.data(), *count);
        }
    });
    EXPECT_TRUE(sys::write_all(writer.get(), text));
    writer.reset();
    consumer.join();
    EXPECT_TRUE(got == text);
}

TEST(Descriptors, AllCloseOnExec) {
    auto is_cloexec = [](const Result<Fd>& fd) {
        return fd && ::fcntl(fd->get(), F_GETFD) == FD_CLOEXEC;
    };
    EXPECT_TRUE(is_cloexec(sys::open(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY)));
    EXPECT_TRUE(is_cloexec(sys::openat2(AT_FDCWD, "/", O_RDONLY | O_DIRECTORY, 0)));
    EXPECT_TRUE(is_cloexec(sys::eventfd(0, 0)));
    EXPECT_TRUE(is_cloexec(sys::memfd_create("test", 0)));
    EXPECT_TRUE(is_cloexec(sys::signalfd(sys::signal_bit(SIGUSR1))));
    EXPECT_TRUE(is_cloexec(sys::pidfd_open(::getpid())));
}

TEST(Stat, TellsKinds) {
    auto directory = sys::stat(AT_FDCWD, "/proc");
    ASSERT_TRUE(directory);
    EXPECT_TRUE(S_ISDIR(directory->stx_mode));
    EXPECT_TRUE(sys::stat(AT_FDCWD, "/nope").error().is(ENOENT));
}

TEST(FilesystemType, KnowsProcfs) {
    EXPECT_EQ(*sys::filesystem_type("/proc"), PROC_SUPER_MAGIC);
    EXPECT_TRUE(sys::filesystem_type("/nope").error().is(ENOENT));
}

TEST(Directories, AreMadeAndRemovedBeneathADescriptor) {
    const TempDir directory;
    const Fd fd = directory.open();
    ASSERT_TRUE(sys::mkdirat(fd.get(), "new", 0755));
    EXPECT_TRUE(directory.has("new"));
    EXPECT_TRUE(sys::mkdirat(fd.get(), "new", 0755).error().is(EEXIST));
    ASSERT_TRUE(sys::rmdirat(fd.get(), "new"));
    EXPECT_TRUE(sys::rmdirat(fd.get(), "new").error().is(ENOENT));
    directory.write("full/file", "");
    EXPECT_TRUE(sys::rmdirat(fd.get(), "full").error().is(ENOTEMPTY));
}

TEST(MonotonicNow, NeverGoesBack) {
    const auto first = sys::monotonic_now();
    const auto second = sys::monotonic_now();
    EXPECT_GT(first.count(), 0);
    EXPECT_LE(first, second);
}

TEST(SignalBit, IsTheKernels) {
    EXPECT_EQ(sys::signal_bit(1), 1U);
    EXPECT_EQ(sys::signal_bit(SIGTERM), uint64_t{1} << 14);
    EXPECT_EQ(sys::signal_bit(64), uint64_t{1} << 63);
}

TEST(IsIgnored, SeesTheDisposition) {
    EXPECT_FALSE(sys::is_ignored(SIGUSR2));
    ::signal(SIGUSR2, SIG_IGN);
    EXPECT_TRUE(sys::is_ignored(SIGUSR2));
    EXPECT_TRUE(sys::reset_signal_to_default(SIGUSR2));
    EXPECT_FALSE(sys::is_ignored(SIGUSR2));
}

TEST(IgnoredSignals, AreThoseOfEveryDisposition) {
    const sys::SignalSet before = sys::ignored_signals();
    for (int signal : {SIGHUP, SIGPIPE, 64}) {
        EXPECT_FALSE(before & sys::signal_bit(signal));
        ::signal(signal, SIG_IGN);
        EXPECT_TRUE(sys::ignored_signals() & sys::signal_bit(signal)) << signal;
    }
    for (int signal = 1; signal <= 64; ++signal)
        EXPECT_EQ(sys::ignored_signals() >> (signal - 1) & 1, sys::is_ignored(signal)) << signal;
    for (int signal : {SIGHUP, SIGPIPE, 64})
        EXPECT_TRUE(sys::reset_signal_to_default(signal));
    EXPECT_EQ(sys::ignored_signals(), before);
}

TEST(Signalfd, ReadsEvenTheSignalsThatLibcKeeps) {
    // In a thread, whose mask ends with it.
    std::thread([] {
        constexpr int kLibcsOwn = 33;
        ASSERT_TRUE(sys::set_signal_mask(sys::signal_bit(kLibcsOwn)));
        auto fd = sys::signalfd(sys::signal_bit(kLibcsOwn));
        ASSERT_TRUE(fd);
        ASSERT_EQ(::syscall(SYS_tgkill, ::getpid(), ::gettid(), kLibcsOwn), 0);
        signalfd_siginfo info;
        auto count = sys::read(fd->get(), {reinterpret_cast<char*>(&info), sizeof info});
        ASSERT_TRUE(count);
        EXPECT_EQ(*count, sizeof info);
        EXPECT_EQ(info.ssi_signo, uint32_t{kLibcsOwn});
    }).join();
}

}  // namespace
}  // namespace sigil
