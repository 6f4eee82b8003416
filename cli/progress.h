// The live line of many containers, on a terminal:
//
//     12 running, 88 of 100 done, 1 failed, 0 out of memory, 340/s, 1 s left
//
// It is written anew when something has happened, at most a few times a second: an idle run wakes
// nobody for it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/run_options.h"
#include "loop/fleet.h"
#include "loop/reactor.h"

namespace sigil::cli {

// The text, without escapes. `total`: where it is known.
std::string describe_progress(const loop::Fleet& fleet, std::optional<uint64_t> total,
                              loop::Time elapsed);

class Progress final : public loop::TurnEnd {
  public:
    // Null where none is wanted: stderr is no terminal, --quiet, or the terminal shows what the
    // containers write.
    static std::unique_ptr<Progress> open(const RunRequest& request, loop::Time begin);

    void watch(const loop::Fleet& fleet) { fleet_ = &fleet; }
    void turn_ended() override;
    // Makes room for another line.
    void clear();
    // The last state, which stays.
    void finish();

  private:
    Progress(std::optional<uint64_t> total, loop::Time begin) : total_(total), begin_(begin) {}
    void draw(const char* end);

    std::optional<uint64_t> total_;
    loop::Time begin_;
    loop::Time drawn_{};
    const loop::Fleet* fleet_ = nullptr;
    bool is_shown_ = false;
};

}  // namespace sigil::cli
