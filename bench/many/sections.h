// The sections of sigil-bench-many: each measures, and returns its tables and bars.

#pragma once

#include <vector>

#include "many/ladder.h"
#include "many/section.h"
#include "many/setup.h"

namespace sigil::bench {

// Starts per second of `true`, each contestant with the number of threads or processes that serves
// it best.
Section measure_rate(const Setup& setup);

// A thousand that sleep: until all are up, then until all are killed, reaped and cleaned away.
Section measure_up(const Setup& setup);

// Starts that come by and by, with containers made ahead of them and without.
Section measure_warm(const Setup& setup);

// A stream of JSON lines through `--from -`.
Section measure_lines(const Setup& setup);

// The section of that name: who is missing from it, and which ladder is shorter than planned.
Section open_section(const Setup& setup, const std::string& name,
                     const std::vector<Ladder>& ladders);
// How long starts take: a row for each ladder and rung.
Table tabulate_starts(const std::string& key, const std::string& title,
                      const std::vector<Ladder>& ladders);

// What these say, the ladders (ladder.h) found out.
Section judge_latency(const Setup& setup, const std::vector<Ladder>& ladders);
Section judge_exit(const Setup& setup, const std::vector<Ladder>& ladders);
Section judge_idle(const Setup& setup, const std::vector<Ladder>& ladders);
Section judge_memory(const Setup& setup, const std::vector<Ladder>& ladders);

}  // namespace sigil::bench
