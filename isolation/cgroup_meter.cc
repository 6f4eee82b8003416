#include "isolation/cgroup_meter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "core/parse.h"
#include "core/sys.h"
#include "isolation/cgroup_host.h"

namespace sigil::isolation {
namespace {

constexpr std::array<const char*, CgroupMeter::kFiles> kNames = {
    "cpu.stat", "memory.current", "memory.max",      "pids.current", "pids.max",
    "io.stat",  "cpu.pressure",   "memory.pressure", "io.pressure",  "cgroup.events"};

uint64_t number(std::string_view text) {
    return text == "max" ? UINT64_MAX : parse_number(text).value_or(0);
}

// The value of a line "KEY VALUE".
std::optional<uint64_t> value_of(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        std::string_view line = take_part(text, '\n');
        if (take_part(line, ' ') == key)
            return number(line);
    }
    return std::nullopt;
}

}  // namespace

// cgroupfs makes at most a page of each of these, but for io.stat on machines with many disks,
// whose rest is left out.
std::optional<std::string_view> CgroupMeter::read(File which) {
    static thread_local std::array<char, 8192> buffer;
    const auto index = static_cast<size_t>(which);
    if (is_gone_ || (missing_ & 1U << index))
        return std::nullopt;
    Fd& file = files_[index];
    if (!file) {
        const std::string path = path_ + "/" + kNames[index];
        auto opened = sys::open(root_, CgroupHost::relative(path), O_RDONLY);
        if (!opened) {
            const bool is_there =
                ::faccessat(root_, CgroupHost::relative(path_), F_OK, 0) == 0 || errno != ENOENT;
            is_gone_ = !is_there;
            if (is_there && opened.error().is(ENOENT))  // else no descriptor was free this time
                missing_ |= static_cast<uint16_t>(1U << index);
            return std::nullopt;
        }
        file = std::move(*opened);
    }
    const ssize_t count = ::pread(file.get(), buffer.data(), buffer.size(), 0);
    if (count < 0) {
        if (errno == ENODEV)  // removed (cgroup-v2.rst)
            is_gone_ = true;
        else
            missing_ |= static_cast<uint16_t>(1U << index);  // EOPNOTSUPP: PSI is off
        return std::nullopt;
    }
    return std::string_view(buffer.data(), static_cast<size_t>(count));
}

std::optional<uint64_t> CgroupMeter::read_number(File file) {
    auto text = read(file);
    return text ? std::optional(number(take_part(*text, '\n'))) : std::nullopt;
}

bool CgroupMeter::read_cpu(Reading& into) {
    if (const auto text = read(File::cpu))
        into.cpu = value_of(*text, "usage_usec").value_or(0);
    return !is_gone_;
}

bool CgroupMeter::read_memory(Reading& into) {
    into.memory = read_number(File::memory);
    return !is_gone_;
}

bool CgroupMeter::read_pids(Reading& into) {
    into.pids = read_number(File::pids);
    return !is_gone_;
}

bool CgroupMeter::read_io(Reading& into) {
    auto text = read(File::io);
    if (!text)
        return !is_gone_;
    into.read_bytes = into.written_bytes = 0;
    while (!text->empty()) {
        std::string_view line = take_part(*text, '\n');
        while (!line.empty()) {
            std::string_view value = take_part(line, ' ');
            const std::string_view key = take_part(value, '=');
            if (key == "rbytes")
                *into.read_bytes += number(value);
            else if (key == "wbytes")
                *into.written_bytes += number(value);
        }
    }
    return true;
}

bool CgroupMeter::read_pressure(Reading& into) {
    into.pressure = std::nullopt;
    for (const File file : {File::cpu_pressure, File::memory_pressure, File::io_pressure}) {
        const auto text = read(file);
        constexpr std::string_view kStart = "some avg10=";
        if (text && text->starts_with(kStart))
            into.pressure =
                std::max(into.pressure.value_or(0),
                         ::strtod(std::string(text->substr(kStart.size(), 8)).c_str(), nullptr));
    }
    return !is_gone_;
}

bool CgroupMeter::read_state(Reading& into) {
    if (const auto text = read(File::events))
        into.is_frozen = value_of(*text, "frozen").value_or(0) != 0;
    return !is_gone_;
}

bool CgroupMeter::read_limits(Reading& into) {
    into.memory_limit = read_number(File::memory_limit);
    into.pids_limit = read_number(File::pids_limit);
    return !is_gone_;
}

bool CgroupMeter::read_all(Reading& into) {
    return read_cpu(into) && read_memory(into) && read_pids(into) && read_io(into) &&
           read_pressure(into) && read_state(into) && read_limits(into);
}

void CgroupMeter::close_but(File kept) {
    for (size_t index = 0; index < kFiles; ++index)
        if (index != static_cast<size_t>(kept) && index != static_cast<size_t>(File::cpu))
            files_[index].reset();
}

}  // namespace sigil::isolation
