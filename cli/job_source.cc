#include "cli/job_source.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "cli/job_lines.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr size_t kPiece = 65'536;
constexpr loop::Token kReadable = {loop::Source::lines, loop::Operation::readable};

// Of a line, under the name that its job has.
uint64_t digest_of(std::string_view name, std::string_view text) {
    const std::hash<std::string_view> hash;
    return hash(name) * 31 + hash(text);
}

// A job that names another in `after` which isn't in the list, or that waits for itself by way of
// others, would never start.
Result<void> check_order(const std::vector<loop::NamedJob>& jobs) {
    std::unordered_map<std::string_view, size_t> by_name;
    for (size_t index = 0; index < jobs.size(); ++index)
        if (!by_name.emplace(jobs[index].name, index).second)
            return failure("{}: given twice", jobs[index].name);
    std::vector<size_t> missing(jobs.size());
    std::vector<std::vector<size_t>> dependents(jobs.size());
    for (size_t index = 0; index < jobs.size(); ++index)
        for (const std::string& before : jobs[index].job->after) {
            const auto found = by_name.find(before);
            if (found == by_name.end())
                return failure("{}: after: there is no container named {}", jobs[index].name,
                               before);
            ++missing[index];
            dependents[found->second].push_back(index);
        }
    std::vector<size_t> free;
    for (size_t index = 0; index < jobs.size(); ++index)
        if (missing[index] == 0)
            free.push_back(index);
    size_t seen = 0;
    for (; !free.empty(); ++seen) {
        const size_t index = free.back();
        free.pop_back();
        for (const size_t dependent : dependents[index])
            if (--missing[dependent] == 0)
                free.push_back(dependent);
    }
    if (seen == jobs.size())
        return {};
    const auto waits = std::ranges::find_if(missing, [](size_t count) { return count > 0; });
    return failure("{}: after: a cycle", jobs[static_cast<size_t>(waits - missing.begin())].name);
}

std::string absolute(std::string path) {
    if (path.starts_with('/'))
        return path;
    char* here = ::getcwd(nullptr, 0);
    std::string full = here ? std::string(here) + "/" + path : path;
    ::free(here);
    return full;
}

}  // namespace

void make_paths_absolute(Spec& spec) {
    if (!spec.rootfs.empty())
        spec.rootfs = absolute(std::move(spec.rootfs));
    for (Mount& mount : spec.mounts)
        if (mount.type == "bind")
            mount.source = absolute(std::move(mount.source));
}

loop::JobSource::Answer CountedSource::next(std::shared_ptr<const Job>& job, std::string& name) {
    if (given_ == count_.value_or(1))
        return Answer::end;
    ++given_;
    job = job_;
    name = count_ ? fmt::format("{}-{}", job_->spec.name, given_) : job_->spec.name;
    return Answer::job;
}

std::shared_ptr<const Job> LatestJob::share(Job job) {
    if (job.spec.hostname == job.spec.name)
        job.spec.hostname.clear();  // then it is the container's name
    job.spec.name.clear();
    if (!latest_ || *latest_ != job)
        latest_ = std::make_shared<const Job>(std::move(job));
    return latest_;
}

Result<std::unique_ptr<LineSource>> LineSource::open(const std::string& target,
                                                     const RunRequest& defaults) {
    if (target != "-") {
        Fd file = TRY(sys::open(AT_FDCWD, target.c_str(), O_RDONLY | O_NOCTTY), "open {}",
                      printable(target));
        const bool is_regular = S_ISREG(TRY(sys::stat(file.get(), "", AT_EMPTY_PATH)).stx_mode);
        std::unique_ptr<LineSource> source(new LineSource(std::move(file), target, defaults));
        source->is_regular_ = is_regular;
        return source;
    }
    Fd copy(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!copy)
        return failure("stdin is not open");
    return std::unique_ptr<LineSource>(new LineSource(std::move(copy), "-", defaults));
}

void LineSource::attach(loop::Reactor& reactor, loop::Fleet& fleet) {
    reactor_ = &reactor;
    fleet_ = &fleet;
    reactor.attach(loop::Source::lines, *this);
}

Result<Job> LineSource::parse(const Line& line) const {
    if (line.is_too_long)
        return failure("longer than {} bytes", kLongestLine);
    Job job = TRY(parse_job_line(line.text, defaults_));
    if (job.spec.name.empty())
        TRY(number_job(job, defaults_.job.spec.name, line.number));
    make_paths_absolute(job.spec);
    return job;
}

loop::JobSource::Answer LineSource::next(std::shared_ptr<const Job>& job, std::string& name) {
    if (is_read_again_ && rest_.empty())
        return Answer::end;
    if (is_read_again_) {
        loop::NamedJob given = std::move(rest_.front());
        rest_.pop_front();
        taken_.insert(given.digest);
        name = std::move(given.name);
        job = std::move(given.job);
        return Answer::job;
    }
    while (fleet_->has_room()) {
        auto line = reader_.next();
        if (!line) {
            if (has_ended_)
                return Answer::end;
            ask_for_more();
            break;
        }
        if (!line->is_too_long && is_blank(line->text))
            continue;
        auto parsed = parse(*line);
        if (!parsed) {
            fleet_->reject_line(line->number,
                                std::move(parsed).error().in(fmt::format("line {}", line->number)));
            continue;
        }
        name = parsed->spec.name;
        if (is_regular_)
            taken_.insert(digest_of(name, line->text));
        job = latest_.share(std::move(*parsed));
        return Answer::job;
    }
    return Answer::later;
}

Result<std::string> LineSource::read_whole() const {
    Fd file = TRY(sys::open(AT_FDCWD, target_.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK), "open {}",
                  printable(target_));
    return TRY(sys::read_all(file.get()), "read {}", printable(target_));
}

Result<std::vector<loop::NamedJob>> LineSource::read_again() {
    const std::string text = TRY(read_whole());
    LineReader reader;
    reader.feed(text);
    reader.finish();
    LatestJob latest;
    std::vector<loop::NamedJob> jobs;
    while (auto line = reader.next()) {
        if (!line->is_too_long && is_blank(line->text))
            continue;
        Job job = TRY(parse(*line), "line {}", line->number);
        loop::NamedJob named = {.name = job.spec.name,
                                .digest = digest_of(job.spec.name, line->text)};
        named.is_past = taken_.contains(named.digest);
        named.job = latest.share(std::move(job));
        jobs.push_back(std::move(named));
    }
    TRY(check_order(jobs));
    return jobs;
}

void LineSource::go_on_with(const std::vector<loop::NamedJob>& all,
                            std::vector<loop::NamedJob> rest) {
    is_read_again_ = true;
    has_ended_ = true;
    taken_.clear();
    for (const loop::NamedJob& job : all)
        taken_.insert(job.digest);
    for (const loop::NamedJob& job : rest)
        taken_.erase(job.digest);
    rest_.assign(std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
}

void LineSource::ask_for_more() {
    if (std::exchange(is_asked_, true))
        return;
    reactor_->ring().poll(kReadable, file_.get(), POLLIN);
}

void LineSource::complete(const loop::Completion&) {
    is_asked_ = false;
    if (is_read_again_)
        return;
    std::array<char, kPiece> piece;
    auto count = sys::read(file_.get(), piece);
    if (!count && count.error().is(EAGAIN))
        return ask_for_more();
    const size_t size = count.value_or(0);
    if (!count)
        fleet_->reject_line(0, std::move(count).error().in("--from"));
    else
        reader_.feed({piece.data(), size});
    if (size == 0) {
        reader_.finish();
        has_ended_ = true;
    }
    fleet_->pump();
}

}  // namespace sigil::cli
