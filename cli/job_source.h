// Where the jobs of a run come from: one command line, or the lines of --from.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

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

// Jobs that follow each other and differ in nothing but the name are one: a job is most of what a
// container that lives costs in memory.
class LatestJob {
  public:
    // Its name, which the container has for itself, is left out; and the hostname that is the name.
    std::shared_ptr<const Job> share(Job job);

  private:
    std::shared_ptr<const Job> latest_;
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

    // Whether it is a regular file, which can be read anew.
    [[nodiscard]] bool can_be_read_again() const { return is_regular_; }
    // The jobs that the file has now, all of it. An error names the line; nothing has changed then.
    Result<std::vector<loop::NamedJob>> read_again();
    // From now on these are what is to come, instead of what the file had.
    void go_on_with(const std::vector<loop::NamedJob>& all, std::vector<loop::NamedJob> rest);

  private:
    LineSource(Fd file, std::string target, const RunRequest& defaults)
        : file_(std::move(file)), target_(std::move(target)), defaults_(defaults) {}
    Result<Job> parse(const Line& line) const;
    Result<std::string> read_whole() const;
    void ask_for_more();

    Fd file_;
    std::string target_;
    const RunRequest& defaults_;
    bool is_regular_ = false;
    std::unordered_set<uint64_t> taken_;  // digests of lines, of a regular file
    std::deque<loop::NamedJob> rest_;     // once it was read again
    bool is_read_again_ = false;
    LineReader reader_;
    LatestJob latest_;
    loop::Reactor* reactor_ = nullptr;
    loop::Fleet* fleet_ = nullptr;
    bool is_asked_ = false;
    bool has_ended_ = false;
};

// Paths of the host from its root on: a container of many may be launched from where our working
// directory is not.
void make_paths_absolute(Spec& spec);

}  // namespace sigil::cli
