// Where the jobs of a run come from: one command line, or the lines of --from.
#pragma once

#include <memory>
#include <string>

#include "cli/run_options.h"
#include "loop/fleet.h"

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

}  // namespace sigil::cli
