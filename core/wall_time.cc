#include "core/wall_time.h"

#include <fmt/format.h>

namespace sigil {

// Not by gmtime(3), which reads /etc/localtime first.
std::string rfc3339(WallTime time, SecondDigits digits) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    const auto width = static_cast<int>(digits);
    int64_t fraction = clock.subseconds().count();
    if (digits == SecondDigits::micro)
        fraction /= 1000;
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:0{}}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       fraction, width);
}

std::string rfc3339_now(SecondDigits digits) {
    return rfc3339(std::chrono::system_clock::now(), digits);
}

}  // namespace sigil
