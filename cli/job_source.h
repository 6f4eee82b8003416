// Where the jobs of a run come from: one command line, or the lines of --from.
#pragma once

#include <memory>
#include <string>

#include "cli/line_reader.h"
#include "cli/run_options.h"
#include "core/fd.h"
#include "loop/fleet.h"
#include "loop/reactor.h"

namespace sigil::cli {

// One job, or `count` of it, named NAME-1, NAME-2 and so on. The containers share one Job.
class CountedSource final : public loop::JobSource {
  public:
    CountedSource(std::shared_ptr<const Job> job, std::optional<uint64_t> count)
        : job_(std::move(job)), count_(count) {}
    Answer next(std::shared_ptr<const Job>& job, std::string& name) override;

  private:
    std::shared_ptr<const Job> job_;
    std::optional<uint64_t> count_;
    uint64_t given_ = 0;
};

// The lines of a file or pipe, read as places become free. A line that is no job is told to the
// fleet, and the next one is taken.
class LineSource final : public loop::JobSource, public loop::Handler {
  public:
    // `target`: a file, or "-" for stdin. `defaults` must outlive it.
    static Result<std::unique_ptr<LineSource>> open(const std::string& target,
                                                    const RunRequest& defaults);

    void attach(loop::Reactor& reactor, loop::Fleet& fleet);
    Answer next(std::shared_ptr<const Job>& job, std::string& name) override;
    void complete(const loop::Completion& completion) override;

  private:
    LineSource(Fd file, const RunRequest& defaults) : file_(std::move(file)), defaults_(defaults) {}
    Result<Job> parse(const Line& line) const;
    void ask_for_more();

    Fd file_;
    const RunRequest& defaults_;
    LineReader reader_;
    loop::Reactor* reactor_ = nullptr;
    loop::Fleet* fleet_ = nullptr;
    bool is_asked_ = false;
    bool has_ended_ = false;
};

// Paths of the host from its root on: a container of many may be launched from where our working
// directory is not.
void make_paths_absolute(Spec& spec);

}  // namespace sigil::cli
