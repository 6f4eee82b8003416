#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/sys.h"

namespace sigil::cli {
namespace {

constexpr loop::Time kPause = std::chrono::milliseconds(200);
constexpr const char* kClear = "\r\x1b[K";

double seconds(loop::Time time) {
    return std::chrono::duration<double>(time).count();
}

}  // namespace

std::string describe_progress(const loop::Fleet& fleet, std::optional<uint64_t> total,
                              loop::Time elapsed) {
    const loop::Summary& summary = fleet.summary();
    const uint64_t done = fleet.ended();
    const uint64_t failed = done - summary.succeeded;
    const double rate = static_cast<double>(done) / std::max(seconds(elapsed), 0.001);
    std::string text = fmt::format("{:L} running, {:L}", fleet.running(), done);
    if (total)
        text += fmt::format(" of {:L}", *total);
    text += fmt::format(" done, {:L} failed, {:L} out of memory, {:.0f}/s", failed,
                        summary.out_of_memory, rate);
    if (total && rate > 0 && done < *total)
        text +=
            fmt::format(", {:.0f} s left", std::ceil(static_cast<double>(*total - done) / rate));
    return text;
}

std::unique_ptr<Progress> Progress::open(const RunRequest& request, loop::Time begin) {
    const bool shows_output = !request.log_dir && request.output != Output::discard &&
                              request.output != Output::events && ::isatty(STDOUT_FILENO);
    if (!request.is_many() || request.quiet || shows_output || !::isatty(STDERR_FILENO))
        return nullptr;
    return std::unique_ptr<Progress>(new Progress(request.count, begin));
}

void Progress::draw(const char* end) {
    const loop::Time now = sys::monotonic_now();
    drawn_ = now;
    is_shown_ = true;
    (void)sys::write_all(STDERR_FILENO,
                         kClear + describe_progress(*fleet_, total_, now - begin_) + end);
}

void Progress::turn_ended() {
    if (fleet_ && sys::monotonic_now() - drawn_ >= kPause)
        draw("");
}

void Progress::clear() {
    if (std::exchange(is_shown_, false))
        (void)sys::write_all(STDERR_FILENO, kClear);
}

void Progress::finish() {
    if (fleet_)
        draw("\n");
}

}  // namespace sigil::cli
