// A container's log in a --log-dir, the oldest file first, while it is written to and rotated
// (loop/rotated_logs.h) or not.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"

namespace sigil::cli {

class LogReader {
  public:
    using Take = std::function<void(std::string_view)>;

    // The log of `id` in `directory`. ENOENT: there is none.
    static Result<LogReader> open(const std::string& directory, std::string id);

    // Hands on all that there is by now and was not read yet. False: some was rotated away before.
    Result<bool> read(const Take& take);
    // Waits until there may be more, or `other` can be read; returns at the latest after a second.
    Result<void> wait(int other);

  private:
    LogReader(Fd directory, std::string id)
        : directory_(std::move(directory)), id_(std::move(id)) {}
    Result<void> open_oldest();
    Result<void> use(Fd file);
    Result<void> read_rest(const Take& take);
    // Which of the files ours is by now; -1: none.
    Result<int> number() const;
    void watch();

    Fd directory_;
    std::string id_;
    Fd file_;  // none: the next one is not there yet
    uint64_t inode_ = 0;
    Fd inotify_;
    int watch_ = -1;
};

}  // namespace sigil::cli
