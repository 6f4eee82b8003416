// The Unix socket that a runtime sends a descriptor to: a terminal's master (--console-socket), a
// seccomp listener, a pidfd.
#pragma once

#include <string>

namespace sigil::e2e {

class DescriptorSocket {
  public:
    DescriptorSocket();
    ~DescriptorSocket();
    DescriptorSocket(const DescriptorSocket&) = delete;
    DescriptorSocket& operator=(const DescriptorSocket&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    // Waits for one connection. The descriptor, which the caller closes; -1 and a failed test:
    // none came. `text` gets the bytes that came with it.
    int receive(std::string& text) const;
    // Whether somebody has connected.
    [[nodiscard]] bool has_caller() const;

  private:
    std::string path_;
    int socket_ = -1;
};

}  // namespace sigil::e2e
