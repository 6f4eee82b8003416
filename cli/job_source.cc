#include "cli/job_source.h"

#include <fmt/format.h>

namespace sigil::cli {

loop::JobSource::Answer CountedSource::next(std::shared_ptr<const Job>& job, std::string& name) {
    if (given_ == count_.value_or(1))
        return Answer::end;
    ++given_;
    job = job_;
    name = count_ ? fmt::format("{}-{}", job_->spec.name, given_) : job_->spec.name;
    return Answer::job;
}

}  // namespace sigil::cli
