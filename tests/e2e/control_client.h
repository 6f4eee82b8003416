// A client of a supervisor's control socket that says what it likes.
#pragma once

#include <string>
#include <string_view>

namespace sigil::e2e {

// Where the run of that name listens.
std::string control_socket(const std::string& run);
// Waits until it does.
bool await_control(const std::string& run);

class RawClient {
  public:
    // Of a Unix socket's path.
    explicit RawClient(const std::string& path);
    explicit RawClient(unsigned short port);  // of 127.0.0.1
    ~RawClient();
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    [[nodiscard]] bool is_connected() const { return fd_ >= 0; }
    void send(std::string_view text) const;
    void send_no_more() const;
    // The next line without its end; empty at the end of the connection.
    std::string line();
    // All until the end of the connection.
    std::string rest();

  private:
    bool fill();
    int fd_ = -1;
    std::string text_;
};

}  // namespace sigil::e2e
