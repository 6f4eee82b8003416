#include "core/run_record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/parse.h"
#include "core/stream_socket.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil {
namespace {

constexpr mode_t kPrivate = 0700;
// Each means that a sweeper met the directory within microseconds of its birth, or that another
// supervisor has the name.
constexpr int kAttempts = 100;

std::string with_random_suffix(const std::string& name) {
    return fmt::format("{}-{:08x}", name, sys::random_below(uint64_t{1} << 32));
}

Result<Fd> open_locked(const std::string& path) {
    Fd directory = TRY(sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
                       "open {}", path);
    // A sweeper may hold it for a moment, to find it empty.
    TRY(sys::flock(directory.get(), LOCK_EX), "lock {}", path);
    return directory;
}

}  // namespace

std::string_view prefix_of(RunRecord::Kind kind) {
    return kind == RunRecord::Kind::cgroup ? "cgroup." : "parent.";
}

std::string runs_path(std::string_view root) {
    return fmt::format("{}/runs", root);
}

Result<void> check_root(const std::string& root) {
    auto facts = sys::stat(AT_FDCWD, root.c_str(), AT_SYMLINK_NOFOLLOW);
    if (!facts && facts.error().is(ENOENT))
        return {};
    const struct statx found = TRY(std::move(facts));
    if (found.stx_uid != ::geteuid())
        return failure("it belongs to another user");
    if (S_ISDIR(found.stx_mode) && found.stx_mode & (S_IWGRP | S_IWOTH))
        return failure("others may write to it");
    return {};
}

RunRecord::RunRecord(std::string root, std::string name)
    : root_(std::move(root)), name_(std::move(name)), directory_name_(name_) {}

// No errno goes further up: what the caller reads from one is about cgroups.
Result<RunRecord::Entry> RunRecord::add(Kind kind, std::string_view path) {
    const std::string target(path);
    Entry entry;
    entry.name_ = fmt::format("{}{}", prefix_of(kind), next_);
    Error error = Error::from_errno(EAGAIN, "symlinkat");
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        if (!directory_) {
            auto opened = open();
            if (!opened) {
                error = std::move(opened).error();
                if (error.is(ENOENT))
                    continue;  // swept between its mkdir and its open
                break;
            }
            directory_ = std::move(*opened);
        }
        auto linked = sys::symlinkat(target.c_str(), directory_.get(), entry.name_.c_str());
        if (linked) {
            ++next_;
            ++entries_;
            return entry;
        }
        error = std::move(linked).error().in(
            fmt::format("make {}/{}/{}", runs_path(root_), directory_name_, entry.name_));
        // Held, it is kept to the end: who asks may stand where its path leads elsewhere.
        if (entries_ > 0 || runs_ || !error.is(ENOENT)) {
            if (!runs_)
                release();
            break;
        }
        directory_.reset();  // swept between its mkdir and our lock
    }
    return failure("--root {}: {}", printable(root_), error.message());
}

Result<void> RunRecord::hold() {
    Error error = Error::from_errno(EAGAIN, "open");
    for (int attempt = 0; !directory_ && attempt < kAttempts; ++attempt) {
        auto opened = open();
        if (opened) {
            auto facts = sys::stat(opened->get(), "", AT_EMPTY_PATH);
            if (facts && facts->stx_nlink > 0)  // else swept between its mkdir and our lock
                directory_ = std::move(*opened);
        } else if (error = std::move(opened).error(); !error.is(ENOENT)) {
            break;
        }
    }
    if (!directory_)
        return failure("--root {}: {}", printable(root_), error.message());
    runs_ = TRY(sys::open(AT_FDCWD, runs_path(root_).c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW),
                "open {}", runs_path(root_));
    return {};
}

Result<Fd> RunRecord::listen() {
    TRY(hold());
    return TRY(listen_unix(directory_.get(), kControlSocket), "make {}/{}/{}", runs_path(root_),
               directory_name_, kControlSocket);
}

Result<Fd> RunRecord::open() {
    TRY(check_root(root_));
    TRY(make_directory());
    const std::string path = fmt::format("{}/{}", runs_path(root_), directory_name_);
    auto directory = open_locked(path);
    if (!directory && !directory.error().is(ENOENT))
        (void)sys::rmdirat(AT_FDCWD, path.c_str());
    return directory;
}

Result<void> RunRecord::make_directory() {
    const std::string runs = runs_path(root_);
    std::string path = fmt::format("{}/{}", runs, directory_name_);
    auto made = sys::mkdirat(AT_FDCWD, path.c_str(), kPrivate);
    if (!made && made.error().is(ENOENT)) {
        TRY(sys::make_private(root_));
        TRY(sys::make_private(runs));
        made = sys::mkdirat(AT_FDCWD, path.c_str(), kPrivate);
    }
    for (int attempt = 0; !made && made.error().is(EEXIST) && attempt < kAttempts; ++attempt) {
        directory_name_ = with_random_suffix(name_);
        path = fmt::format("{}/{}", runs, directory_name_);
        made = sys::mkdirat(AT_FDCWD, path.c_str(), kPrivate);
    }
    TRY(std::move(made), "make {}", path);
    return {};
}

void RunRecord::forget(const Entry& entry) {
    if (!entry.name_.empty() && sys::unlinkat(directory_.get(), entry.name_.c_str()))
        --entries_;
    if (entries_ == 0 && !runs_)
        release();
}

void RunRecord::release() {
    if (entries_ > 0 || !directory_)
        return;
    if (runs_)
        (void)sys::unlinkat(directory_.get(), kControlSocket);
    (void)sys::rmdirat(AT_FDCWD, fmt::format("{}/{}", runs_path(root_), directory_name_).c_str());
    directory_.reset();
}

}  // namespace sigil
