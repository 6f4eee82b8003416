#include "loop/rotated_logs.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
namespace {

// A line that is begun in a file is ended there, unless it is longer beyond the limit than this.
constexpr uint64_t kLongestRest = uint64_t{16} * 1024;

size_t lines_in(std::string_view text) {
    return static_cast<size_t>(std::ranges::count(text, '\n'));
}

}  // namespace

std::string log_name(std::string_view id, unsigned number) {
    return number == 0 ? fmt::format("{}.log", id) : fmt::format("{}.log.{}", id, number);
}

RotatedLogs::RotatedLogs(Reactor& reactor, Client& client, int directory, LogLimits limits)
    : reactor_(reactor), client_(client), directory_(directory), limits_(limits) {
    reactor.attach(Source::logs, *this);
    reactor.attach(*this);
}

RotatedLogs::Log* RotatedLogs::find(Token owner) {
    Log* log = owner.slot < logs_.size() ? logs_[owner.slot].get() : nullptr;
    return log && log->generation == owner.generation ? log : nullptr;
}

Result<void> RotatedLogs::open(Token owner, const std::string& name) {
    auto log = std::make_unique<Log>();
    log->name = name;
    log->generation = owner.generation;
    TRY(open_file(*log));
    if (logs_.size() <= owner.slot)
        logs_.resize(owner.slot + 1);
    logs_[owner.slot] = std::move(log);
    return {};
}

Result<void> RotatedLogs::open_file(Log& log) const {
    const std::string path = log_name(log.name, 0);
    // A FIFO of that name is not waited for. It is an error.
    Fd file = TRY(sys::open(directory_, path.c_str(),
                            O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, 0644),
                  "open {}", path);
    const struct statx facts = TRY(sys::stat(file.get(), "", AT_EMPTY_PATH));
    if (!S_ISREG(facts.stx_mode))
        return failure("{}: it is no regular file", path);
    if (::fcntl(file.get(), F_SETFL, O_APPEND) < 0)  // else io_uring would not wait for the disk
        return tl::unexpected(Error::from_errno(errno, "fcntl"));
    log.file = std::move(file);
    log.size = facts.stx_size;
    log.has_no_file = false;
    return {};
}

void RotatedLogs::close(Token owner) {
    if (find(owner))
        logs_[owner.slot].reset();
}

size_t RotatedLogs::add(Token owner, std::string_view bytes) {
    Log& log = *find(owner);
    if (!log.batch)
        log.batch = std::make_unique<Batch>();
    log.batch->gathered += bytes;
    if (!log.in_flight && !std::exchange(log.is_due, true))
        due_.push_back(owner);
    return bytes.size();
}

void RotatedLogs::turn_ended() {
    for (const Token owner : std::exchange(due_, {}))
        if (Log* log = find(owner)) {
            log->is_due = false;
            while (step(owner)) {
            }
        }
}

// Hands in the next write. True: there may be more to do. Whoever is told that something is off the
// queue may close the log, so nothing of it is touched after that.
bool RotatedLogs::step(Token owner) {
    Log* found = find(owner);
    if (!found || found->in_flight || !found->batch)
        return false;
    Log& log = *found;
    Batch& batch = *log.batch;
    if (batch.written == batch.writing.size() && !refill(log))
        return false;
    if (log.skips)
        return skip(owner, log);
    tell_gap(log);
    const std::string_view text = std::string_view(batch.writing).substr(batch.written);
    size_t count = fitting(log, text);
    if (count == 0) {
        if (rotate(log))
            return true;
        count = text.size();
    }
    log.in_flight = true;
    reactor_.ring().write({Source::logs, Operation::write, owner.generation, owner.slot},
                          log.file.get(), {text.data(), count});
    return false;
}

// False: there is nothing more.
bool RotatedLogs::refill(Log& log) const {
    Batch& batch = *log.batch;
    batch.writing.clear();
    batch.written = 0;
    batch.own = 0;
    if (batch.gathered.empty()) {
        log.batch.reset();
        return false;
    }
    batch.writing.swap(batch.gathered);
    return true;
}

bool RotatedLogs::skip(Token owner, Log& log) {
    Batch& batch = *log.batch;
    const std::string_view text = std::string_view(batch.writing).substr(batch.written);
    const size_t end = text.find('\n');
    log.skips = end == std::string_view::npos;
    const size_t count = log.skips ? text.size() : end + 1;
    batch.written += count;
    log.gap += count;
    client_.log_written(owner, count, {count, log.skips ? 0U : 1U});
    return true;
}

// Where the gap is, before what comes after it.
void RotatedLogs::tell_gap(Log& log) {
    Batch& batch = *log.batch;
    if (log.gap == 0 || batch.own > 0)
        return;
    const std::string line =
        fmt::format("{}[sigil: {:L} bytes lost]\n", log.is_line_start ? "" : "\n", log.gap);
    batch.writing.replace(0, batch.written, line);
    batch.written = 0;
    batch.own = line.size();
}

// How many bytes of it go into the file before that is rotated; 0: none.
size_t RotatedLogs::fitting(const Log& log, std::string_view text) const {
    const uint64_t left = limits_.size > log.size ? limits_.size - log.size : 0;
    if (text.size() <= left)
        return text.size();
    const size_t end = left > 0 ? text.rfind('\n', left - 1) : std::string_view::npos;
    if (end != std::string_view::npos)
        return end + 1;
    if (log.is_line_start && log.size > 0)
        return 0;
    const size_t line = std::min(text.find('\n'), text.size() - 1) + 1;
    const uint64_t most = limits_.size + kLongestRest;
    return std::min<uint64_t>(line, most > log.size ? most - log.size : 0);
}

// Failing, it goes on with the file that there is.
bool RotatedLogs::rotate(Log& log) {
    auto rotated = try_rotate(log);
    if (rotated)
        return true;
    trouble(std::move(rotated).error().in("rotate"));
    return false;
}

Result<void> RotatedLogs::try_rotate(Log& log) const {
    if (!log.has_no_file && limits_.files == 1) {
        auto removed = sys::unlinkat(directory_, log_name(log.name, 0).c_str());
        if (!removed && !removed.error().is(ENOENT))
            return removed;
    }
    for (unsigned number = limits_.files - 1; number > 0 && !log.has_no_file; --number) {
        const std::string from = log_name(log.name, number - 1);
        auto renamed = sys::renameat(directory_, from.c_str(), log_name(log.name, number).c_str());
        if (!renamed && !renamed.error().is(ENOENT))
            return tl::unexpected(std::move(renamed).error().in("rename " + from));
    }
    log.has_no_file = true;
    return open_file(log);
}

void RotatedLogs::complete(const Completion& completion) {
    const Token owner = {Source::output, Operation::none, completion.token.generation,
                         completion.token.slot};
    Log* log = find(owner);
    if (!log || !std::exchange(log->in_flight, false))
        return;
    if (completion.result > 0)
        advance(owner, *log, static_cast<size_t>(completion.result));
    else if (completion.result != -EINTR && completion.result != -EAGAIN)
        lose(owner, *log,
             Error::from_errno(completion.result == 0 ? EIO : -completion.result, "write"));
    while (step(owner)) {
    }
}

void RotatedLogs::advance(Token owner, Log& log, size_t count) {
    Batch& batch = *log.batch;
    batch.written += count;
    log.size += count;
    log.is_line_start = batch.writing[batch.written - 1] == '\n';
    const size_t own = std::min(batch.own, count);
    batch.own -= own;
    if (batch.own == 0 && own > 0)
        log.gap = 0;
    if (count > own)
        client_.log_written(owner, count - own, {});
}

// All that is being written: what comes after it begins at a line's start again.
void RotatedLogs::lose(Token owner, Log& log, const Error& error) {
    Batch& batch = *log.batch;
    const std::string_view lost = std::string_view(batch.writing).substr(batch.written + batch.own);
    const size_t count = lost.size();
    const size_t lines = lines_in(lost);
    log.gap += count;
    log.skips = !lost.ends_with('\n');
    batch.written = batch.writing.size();
    batch.own = 0;
    trouble(error);
    client_.log_written(owner, count, {count, lines});
}

void RotatedLogs::trouble(const Error& error) {
    if (!std::exchange(is_troubled_, true))
        client_.log_troubled(error);
}

}  // namespace sigil::loop
