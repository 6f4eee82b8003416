#include "cli/streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// Without waiting for the other end of a FIFO; reads and writes wait again afterwards.
Result<Fd> open_without_waiting(int directory, const std::string& path, int flags) {
    Fd file = TRY(sys::open(directory, path.c_str(), flags | O_NONBLOCK | O_NOCTTY, 0644),
                  "open {}", printable(path));
    if (::fcntl(file.get(), F_SETFL, flags & O_APPEND) < 0)
        return tl::unexpected(Error::from_errno(errno, "fcntl"));
    return file;
}

// Which way the containers' output takes through sigil; none if it doesn't.
std::optional<loop::Sink> sink_of(const RunRequest& request) {
    if (request.log_max_size)
        return request.output == Output::discard ? std::nullopt : std::optional(loop::Sink::bytes);
    switch (request.output) {
        case Output::prefix:
            return loop::Sink::prefix;
        case Output::events:
            return loop::Sink::events;
        case Output::automatic:
            if (request.is_many() && !request.log_dir)
                return loop::Sink::prefix;
            return std::nullopt;
        case Output::inherit:
        case Output::discard:
            return std::nullopt;
    }
    return std::nullopt;
}

bool wants_streams(const RunRequest& request) {
    const Job& job = request.job;
    return request.is_many() || request.log_dir || request.output == Output::discard ||
           sink_of(request) || !job.stdin_path.empty() || !job.stdout_path.empty() ||
           !job.stderr_path.empty();
}

loop::OutputOptions output_options(const RunRequest& request, loop::Sink sink) {
    loop::OutputOptions options = {.sink = sink};
    if (request.log_policy == LogPolicy::drop)
        options.policy = loop::Policy::drop;
    options.colour = {::isatty(STDOUT_FILENO) == 1, ::isatty(STDERR_FILENO) == 1};
    return options;
}

}  // namespace

Result<std::unique_ptr<JobStreams>> JobStreams::open(const RunRequest& request,
                                                     loop::Reactor& reactor,
                                                     loop::OutputObserver& observer) {
    if (!wants_streams(request))
        return nullptr;
    std::unique_ptr<JobStreams> streams(new JobStreams(observer));
    streams->is_many_ = request.is_many();
    streams->is_discarded_ = request.output == Output::discard;
    streams->null_ = TRY(sys::open(AT_FDCWD, "/dev/null", O_RDWR), "open /dev/null");
    if (request.is_many()) {
        TRY(streams->share_file(request.job.stdout_path), "--stdout");
        TRY(streams->share_file(request.job.stderr_path), "--stderr");
    }
    if (const auto sink = sink_of(request)) {
        streams->output_.emplace(reactor, output_options(request, *sink), observer);
        streams->are_events_ = *sink == loop::Sink::events;
    }
    if (request.log_dir)
        TRY(streams->open_logs(request, reactor), "--log-dir {}", printable(*request.log_dir));
    return streams;
}

Result<void> JobStreams::open_logs(const RunRequest& request, loop::Reactor& reactor) {
    constexpr uint64_t kLogFiles = 5;
    auto made = sys::mkdirat(AT_FDCWD, request.log_dir->c_str(), 0755);
    if (!made && !made.error().is(EEXIST))
        return made;
    log_directory_ = TRY(sys::open(AT_FDCWD, request.log_dir->c_str(), O_PATH | O_DIRECTORY));
    if (!request.log_max_size)
        return {};
    loop::RotatedLogs::Client& client = *this;
    const auto files = static_cast<unsigned>(request.log_max_files.value_or(kLogFiles));
    logs_.emplace(reactor, client, log_directory_.get(),
                  loop::LogLimits{.size = *request.log_max_size, .files = files});
    return {};
}

// What the kernel calls it (proc(5), /proc/pid/fd): the directory may have been given relatively.
std::string JobStreams::log_directory() const {
    if (!log_directory_)
        return {};
    const std::string link = fmt::format("/proc/self/fd/{}", log_directory_.get());
    return sys::readlinkat(AT_FDCWD, link.c_str()).value_or("");
}

bool JobStreams::has_log(const std::string& name) const {
    return log_directory_ &&
           sys::stat(log_directory_.get(), loop::log_name(name, 0).c_str()).has_value();
}

Result<void> JobStreams::share_file(const std::string& path) {
    if (path.empty())
        return {};
    (void)TRY(open_without_waiting(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC));
    shared_files_.push_back(path);
    return {};
}

Result<int> JobStreams::open_input(const Job& job, Held& held) const {
    if (job.stdin_path.empty())
        return is_many_ ? null_.get() : -1;
    held.fds.push_back(TRY(open_without_waiting(AT_FDCWD, job.stdin_path, O_RDONLY), "stdin"));
    return held.fds.back().get();
}

// A restart goes on where the start before it ended.
Result<int> JobStreams::open_file(const std::string& path, bool is_restart, Held& held) const {
    if (path.empty())
        return is_discarded_ ? null_.get() : -1;
    const bool goes_on =
        is_restart || std::ranges::find(shared_files_, path) != shared_files_.end();
    const int flags = O_WRONLY | O_CREAT | O_APPEND | (goes_on ? 0 : O_TRUNC);
    held.fds.push_back(TRY(open_without_waiting(AT_FDCWD, path, flags)));
    return held.fds.back().get();
}

// What of stdout and stderr leads nowhere yet: into the log, or through sigil.
Result<void> JobStreams::open_rest(const std::string& name, isolation::Streams& streams,
                                   Held& held) {
    if (streams[1] >= 0 && streams[2] >= 0)
        return {};
    std::array<int, 2> rest = {-1, -1};
    if (logs_) {
        TRY(open_pipes(name, held, rest));
        if (auto opened = logs_->open(*held.output, name); !opened) {
            output_->ended(*held.output);
            return tl::unexpected(std::move(opened).error().in("--log-dir"));
        }
    } else if (log_directory_) {
        held.fds.push_back(TRY(open_without_waiting(log_directory_.get(), loop::log_name(name, 0),
                                                    O_WRONLY | O_CREAT | O_APPEND),
                               "--log-dir"));
        rest = {held.fds.back().get(), held.fds.back().get()};
    } else if (output_) {
        TRY(open_pipes(name, held, rest));
    }
    for (size_t stream : {1, 2})
        if (streams[stream] < 0)
            streams[stream] = rest[stream - 1];
    return {};
}

Result<void> JobStreams::open_pipes(const std::string& name, Held& held, std::array<int, 2>& ends) {
    loop::OutputStreams pipes = TRY(output_->open(name));
    held.output = pipes.id;
    ++undrained_;
    ends = {pipes.fds[0].get(), pipes.fds[pipes.fds[1] ? 1 : 0].get()};
    for (Fd& end : pipes.fds)
        held.fds.push_back(std::move(end));
    return {};
}

Result<isolation::Streams> JobStreams::open(const Job& job, const std::string& name, uint64_t tag,
                                            bool is_restart) {
    Held held;
    isolation::Streams streams;
    streams[0] = TRY(open_input(job, held));
    streams[1] = TRY(open_file(job.stdout_path, is_restart, held), "stdout");
    streams[2] = job.stderr_path == job.stdout_path && !job.stderr_path.empty()
                     ? streams[1]
                     : TRY(open_file(job.stderr_path, is_restart, held), "stderr");
    TRY(open_rest(name, streams, held));
    if (!held.fds.empty())
        held_.insert_or_assign(tag, std::move(held));
    return streams;
}

void JobStreams::close(uint64_t tag) {
    auto held = held_.find(tag);
    if (held == held_.end())
        return;
    held->second.fds.clear();
    if (!held->second.output)
        held_.erase(held);
    else if (!std::exchange(held->second.is_begun, true))
        output_->begin(*held->second.output);
}

// An end is an event too, and comes after what was written before it; but who reads the events
// doesn't wait for the reader of something else. Nobody reads a log: there the end can tell what of
// it is lost.
bool JobStreams::ended(uint64_t tag) {
    auto held = held_.find(tag);
    if (held == held_.end())
        return true;
    const auto output = held->second.output;
    held_.erase(held);
    if (!output)
        return true;
    output_->ended(*output);
    ending_.emplace(output->pack(), tag);
    const bool is_over = logs_         ? output_->is_drained(*output)
                         : are_events_ ? output_->is_read_out(*output)
                                       : true;
    if (is_over)
        (void)end_of(*output);
    return is_over;
}

std::optional<uint64_t> JobStreams::end_of(loop::Token output) {
    const auto ending = ending_.extract(output.pack());
    if (!ending)
        return std::nullopt;
    if (auto lost = lost_.extract(output.pack())) {
        lost.key() = ending.mapped();
        lost_.insert(std::move(lost));
    }
    return ending.mapped();
}

std::optional<uint64_t> JobStreams::told(loop::Token output) {
    return are_events_ ? end_of(output) : std::nullopt;
}

std::optional<uint64_t> JobStreams::drained(loop::Token output) {
    --undrained_;
    if (!logs_)
        return std::nullopt;
    logs_->close(output);
    return end_of(output);
}

void JobStreams::lost(loop::Token output, const loop::LostOutput& what) {
    if (!logs_)
        return;
    all_lost_.bytes += what.bytes;
    all_lost_.lines += what.lines;
    lost_.emplace(output.pack(), what);
}

std::optional<loop::LostOutput> JobStreams::take_lost(uint64_t tag) {
    if (!logs_)
        return std::nullopt;
    const auto lost = lost_.extract(tag);
    return lost ? lost.mapped() : loop::LostOutput{};
}

std::optional<loop::LostOutput> JobStreams::all_lost() const {
    return logs_ ? std::optional(all_lost_) : std::nullopt;
}

void JobStreams::log_written(loop::Token owner, size_t bytes, const loop::Destination::Lost& lost) {
    output_->written(owner, bytes, lost);
}

void JobStreams::log_troubled(const Error& error) {
    observer_.warning(Error::because("--log-dir: " + error.message() + ": output is lost"));
}

}  // namespace sigil::cli
