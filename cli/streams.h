// Where the streams of each container lead: files of the job, logs, sigil's own streams, or
// nowhere.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "cli/run_options.h"
#include "core/fd.h"
#include "loop/fleet.h"

namespace sigil::cli {

class JobStreams final : public loop::StreamProvider {
  public:
    static Result<std::unique_ptr<JobStreams>> open(const RunRequest& request);

    Result<isolation::Streams> open(const Job& job, const std::string& name, uint64_t tag,
                                    bool is_restart) override;
    void close(uint64_t tag) override { held_.erase(tag); }

  private:
    JobStreams() = default;
    // The descriptor for one stream, kept in `held` if it is this start's own.
    Result<int> open_input(const Job& job, std::vector<Fd>& held) const;
    Result<int> open_output(const std::string& path, bool is_restart, std::vector<Fd>& held) const;

    Fd null_;
    Fd log_directory_;
    bool is_many_ = false;
    bool is_discarded_ = false;
    std::unordered_map<uint64_t, std::vector<Fd>> held_;  // until the launch has taken them
};

}  // namespace sigil::cli
