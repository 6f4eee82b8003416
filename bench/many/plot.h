// The ladders as a picture: start latency and memory against the number of live containers.

#pragma once

#include <string>
#include <vector>

#include "many/ladder.h"
#include "many/section.h"

namespace sigil::bench {

Table tabulate_plot(const std::vector<Ladder>& ladders);

// An SVG file by itself, to be read on a light or a dark background.
void draw_plot(const std::vector<Ladder>& ladders, const std::string& path);

}  // namespace sigil::bench
