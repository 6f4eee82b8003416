// What is in every container's /dev, of `run` as of a bundle (config-linux.md, "Default Devices").
#pragma once

#include <stdint.h>

#include <array>

namespace sigil::isolation {

inline constexpr uint32_t kDefaultDeviceMode = 0666;
inline constexpr const char kDevPrefix[] = "/dev/";

struct DefaultDevice {
    const char* path;
    uint32_t major;
    uint32_t minor;
    // In /dev.
    [[nodiscard]] constexpr const char* name() const { return path + sizeof kDevPrefix - 1; }
};

// Character devices, all.
inline constexpr std::array kDefaultDevices = {
    DefaultDevice{"/dev/null", 1, 3},    DefaultDevice{"/dev/zero", 1, 5},
    DefaultDevice{"/dev/full", 1, 7},    DefaultDevice{"/dev/random", 1, 8},
    DefaultDevice{"/dev/urandom", 1, 9}, DefaultDevice{"/dev/tty", 5, 0},
};

struct DefaultLink {
    const char* name;
    const char* target;
};

inline constexpr std::array kDefaultLinks = {
    DefaultLink{"fd", "/proc/self/fd"},
    DefaultLink{"stdin", "/proc/self/fd/0"},
    DefaultLink{"stdout", "/proc/self/fd/1"},
    DefaultLink{"stderr", "/proc/self/fd/2"},
};
// Only the container's own devpts has terminals for it.
inline constexpr DefaultLink kPtmxLink = {"ptmx", "pts/ptmx"};
// Where the kernel has /proc/kcore.
inline constexpr DefaultLink kCoreLink = {"core", "/proc/kcore"};

}  // namespace sigil::isolation
