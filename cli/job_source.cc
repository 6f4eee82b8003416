#include "cli/job_source.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>

#include "cli/job_lines.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr size_t kPiece = 65'536;
constexpr loop::Token kReadable = {loop::Source::lines, loop::Operation::readable};

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

Result<std::unique_ptr<LineSource>> LineSource::open(const std::string& target,
                                                     const RunRequest& defaults) {
    if (target != "-") {
        Fd file = TRY(sys::open(AT_FDCWD, target.c_str(), O_RDONLY | O_NOCTTY), "open {}",
                      printable(target));
        return std::unique_ptr<LineSource>(new LineSource(std::move(file), defaults));
    }
    Fd copy(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    if (!copy)
        return failure("stdin is not open");
    return std::unique_ptr<LineSource>(new LineSource(std::move(copy), defaults));
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
    while (auto line = reader_.next()) {
        if (!line->is_too_long && is_blank(line->text))
            continue;
        auto parsed = parse(*line);
        if (!parsed) {
            fleet_->reject_line(line->number,
                                std::move(parsed).error().in(fmt::format("line {}", line->number)));
            continue;
        }
        name = parsed->spec.name;
        job = std::make_shared<const Job>(std::move(*parsed));
        return Answer::job;
    }
    if (has_ended_)
        return Answer::end;
    ask_for_more();
    return Answer::later;
}

void LineSource::ask_for_more() {
    if (std::exchange(is_asked_, true))
        return;
    reactor_->ring().poll(kReadable, file_.get(), POLLIN);
}

void LineSource::complete(const loop::Completion&) {
    is_asked_ = false;
    std::array<char, kPiece> piece;
    auto count = sys::read(file_.get(), piece);
    if (!count && count.error().is(EAGAIN))
        return ask_for_more();
    if (!count)
        fleet_->reject_line(0, std::move(count).error().in("--from"));
    else
        reader_.feed({piece.data(), *count});
    if (!count || *count == 0) {
        reader_.finish();
        has_ended_ = true;
    }
    fleet_->pump();
}

}  // namespace sigil::cli
