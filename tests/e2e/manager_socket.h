// A process manager's end of sd_notify(3): a socket, and what has come.
#pragma once

#include <string>
#include <vector>

#include "sigil_runner.h"

namespace sigil::e2e {

class ManagerSocket {
  public:
    explicit ManagerSocket(bool is_abstract = false);
    ~ManagerSocket();
    ManagerSocket(const ManagerSocket&) = delete;
    ManagerSocket& operator=(const ManagerSocket&) = delete;

    // The program with NOTIFY_SOCKET, and other variables ("A=b").
    [[nodiscard]] Start told_by(Start start, const Words& more = {}) const;
    // Waits for a line of some message; those before it are heard().
    bool await(const std::string& line);
    // Every line that has come so far.
    const Words& heard();
    [[nodiscard]] size_t count(const std::string& line);

  private:
    void take();

    std::string address_;
    int fd_ = -1;
    Words lines_;
};

}  // namespace sigil::e2e
