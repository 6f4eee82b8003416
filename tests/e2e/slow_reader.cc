#include "slow_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <gtest/gtest.h>

#include "sigil_runner.h"

namespace sigil::e2e {

SlowReader::SlowReader() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_ = ends[0], write_ = ends[1];
    EXPECT_EQ(::fcntl(write_, F_SETPIPE_SZ, 4096), 4096);
}

SlowReader::~SlowReader() {
    leave();
    if (write_ >= 0)
        ::close(write_);
}

void SlowReader::fill() {
    const std::string page(4096, '#');
    EXPECT_EQ(::write(write_, page.data(), page.size()), 4096);
    filled_ = page.size();
}

std::string SlowReader::drain() {
    ::close(std::exchange(write_, -1));
    std::string text;
    for (;;) {
        pollfd watched = {.fd = read_, .events = POLLIN, .revents = 0};
        const auto milliseconds = std::chrono::milliseconds(patience()).count();
        if (::poll(&watched, 1, static_cast<int>(milliseconds)) <= 0) {
            ADD_FAILURE() << "somebody has the pipe, and writes nothing";
            break;
        }
        std::array<char, 65536> part;
        const ssize_t count = ::read(read_, part.data(), part.size());
        if (count <= 0)
            break;
        text.append(part.data(), static_cast<size_t>(count));
    }
    return text.substr(std::min(filled_, text.size()));
}

void SlowReader::leave() {
    if (read_ >= 0)
        ::close(std::exchange(read_, -1));
}

}  // namespace sigil::e2e
