// Where the streams of each container lead: files of the job, logs, through sigil, its own streams,
// or nowhere.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/run_options.h"
#include "core/fd.h"
#include "loop/fleet.h"
#include "loop/output.h"
#include "loop/rotated_logs.h"

namespace sigil::cli {

class JobStreams final : public loop::StreamProvider, private loop::RotatedLogs::Client {
  public:
    // Null where every stream is inherited.
    static Result<std::unique_ptr<JobStreams>> open(const RunRequest& request,
                                                    loop::Reactor& reactor,
                                                    loop::OutputObserver& observer);

    Result<isolation::Streams> open(const Job& job, const std::string& name, uint64_t tag,
                                    bool is_restart) override;
    void close(uint64_t tag) override;
    bool ended(uint64_t tag) override;

    // What containers write through sigil, which needs the ring; null where nothing is.
    [[nodiscard]] loop::Output* output() { return output_ ? &*output_ : nullptr; }
    // Where logs are, as an absolute path; empty: there are none.
    [[nodiscard]] std::string log_directory() const;
    [[nodiscard]] bool has_log(const std::string& name) const;
    // Whether everything that was written is out.
    [[nodiscard]] bool are_drained() const {
        return undrained_ == 0 && (!output_ || output_->pending() == 0);
    }
    // Logs that rotate: what a container has written, and how many bytes of it are queued.
    size_t log(loop::Token output, std::string_view bytes) { return logs_->add(output, bytes); }
    // What of an output is lost; before it is drained.
    void lost(loop::Token output, const loop::LostOutput& what);
    // The output of one start was told whole, or is out. The tag of the start whose end waits for
    // that, if one does.
    std::optional<uint64_t> told(loop::Token output);
    std::optional<uint64_t> drained(loop::Token output);
    // What is lost of a start that has ended; nothing: that is not known.
    std::optional<loop::LostOutput> take_lost(uint64_t tag);
    [[nodiscard]] std::optional<loop::LostOutput> all_lost() const;

  private:
    // One start's own descriptors, until the launch has taken them; then its output's id.
    struct Held {
        std::vector<Fd> fds;
        std::optional<loop::Token> output;
        bool is_begun = false;  // it is read
    };

    explicit JobStreams(loop::OutputObserver& observer) : observer_(observer) {}
    Result<void> open_logs(const RunRequest& request, loop::Reactor& reactor);
    Result<void> open_pipes(const std::string& name, Held& held, std::array<int, 2>& ends);
    void log_written(loop::Token owner, size_t bytes, const loop::Destination::Lost& lost) override;
    void log_troubled(const Error& error) override;
    std::optional<uint64_t> end_of(loop::Token output);
    // A file that the command line names for every container: emptied now, and not again.
    Result<void> share_file(const std::string& path);
    Result<int> open_input(const Job& job, Held& held) const;
    Result<int> open_file(const std::string& path, bool is_restart, Held& held) const;
    Result<void> open_rest(const std::string& name, isolation::Streams& streams, Held& held);

    loop::OutputObserver& observer_;
    Fd null_;
    Fd log_directory_;
    bool is_many_ = false;
    bool is_discarded_ = false;
    bool are_events_ = false;
    std::vector<std::string> shared_files_;
    std::optional<loop::Output> output_;
    uint64_t undrained_ = 0;  // starts whose output is not all out
    std::unordered_map<uint64_t, Held> held_;
    std::unordered_map<uint64_t, uint64_t> ending_;  // tags, by the output that their ends wait for
    std::optional<loop::RotatedLogs> logs_;
    std::unordered_map<uint64_t, loop::LostOutput> lost_;  // by outputs, then by tags
    loop::LostOutput all_lost_;
};

}  // namespace sigil::cli
