#include "cli/log_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

#include <array>

#include "core/sys.h"
#include "core/try.h"
#include "loop/rotated_logs.h"

namespace sigil::cli {
namespace {

constexpr int kPatience = 1000;  // milliseconds: not every filesystem tells of writes

}  // namespace

Result<LogReader> LogReader::open(const std::string& directory, std::string id) {
    LogReader reader(
        TRY(sys::open(AT_FDCWD, directory.c_str(), O_RDONLY | O_DIRECTORY), "open {}", directory),
        std::move(id));
    TRY(reader.open_oldest(), "{}", directory);
    return reader;
}

Result<void> LogReader::use(Fd file) {
    inode_ = TRY(sys::stat(file.get(), "", AT_EMPTY_PATH)).stx_ino;
    file_ = std::move(file);
    watch();
    return {};
}

// A rotation meanwhile may move it on to the next number: that one is looked for too.
Result<void> LogReader::open_oldest() {
    Result<Fd> oldest = sys::open(directory_.get(), loop::log_name(id_, 0).c_str(), O_RDONLY);
    for (unsigned number = 1;; ++number) {
        auto older = sys::open(directory_.get(), loop::log_name(id_, number).c_str(), O_RDONLY);
        if (!older && older.error().is(ENOENT))
            break;
        oldest = std::move(older);
    }
    return use(TRY(std::move(oldest), "open {}", loop::log_name(id_, 0)));
}

Result<int> LogReader::number() const {
    for (int number = 0;; ++number) {
        auto facts =
            sys::stat(directory_.get(), loop::log_name(id_, static_cast<unsigned>(number)).c_str());
        if (facts && facts->stx_ino == inode_)
            return number;
        if (!facts && !facts.error().is(ENOENT))
            return tl::unexpected(std::move(facts).error());
        if (!facts && number > 0)
            return -1;
    }
}

Result<void> LogReader::read_rest(const Take& take) {
    std::array<char, 65536> bytes;
    for (;;) {
        const size_t count = TRY(sys::read(file_.get(), bytes), "read the log of {}", id_);
        if (count == 0)
            return {};
        take({bytes.data(), count});
    }
}

Result<bool> LogReader::read(const Take& take) {
    bool is_whole = true;
    for (;;) {
        TRY(read_rest(take));
        const int before = TRY(number());
        if (before == 0)
            return is_whole;
        // It is not written to any more: what came between our reading and its renaming.
        TRY(read_rest(take));
        if (before < 0) {
            const uint64_t ours = inode_;
            auto opened = open_oldest();
            if (!opened && opened.error().is(ENOENT))
                return is_whole;  // between two files
            TRY(std::move(opened));
            is_whole = is_whole && (ours == inode_ || TRY(number()) <= 0);
            continue;
        }
        auto next =
            sys::open(directory_.get(),
                      loop::log_name(id_, static_cast<unsigned>(before - 1)).c_str(), O_RDONLY);
        if (!next && next.error().is(ENOENT))
            return is_whole;
        Fd file = TRY(std::move(next));
        if (TRY(number()) == before)  // else it may be a later one
            TRY(use(std::move(file)));
    }
}

void LogReader::watch() {
    if (!inotify_) {
        inotify_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        (void)::inotify_add_watch(inotify_.get(),
                                  fmt::format("/proc/self/fd/{}", directory_.get()).c_str(),
                                  IN_CREATE | IN_MOVED_TO);
    }
    if (watch_ >= 0)
        (void)::inotify_rm_watch(inotify_.get(), watch_);
    watch_ = ::inotify_add_watch(inotify_.get(),
                                 fmt::format("/proc/self/fd/{}", file_.get()).c_str(), IN_MODIFY);
}

Result<void> LogReader::wait(int other) {
    std::array<pollfd, 2> watched = {{{other, POLLIN, 0}, {inotify_.get(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), kPatience) < 0 && errno != EINTR)
        return tl::unexpected(Error::from_errno(errno, "poll"));
    std::array<char, 4096> events;  // what they say does not matter
    while (watched[1].revents != 0 && sys::read(inotify_.get(), events)) {
    }
    return {};
}

}  // namespace sigil::cli
