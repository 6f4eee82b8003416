// What a client sends to --metrics.
#include "cli/metrics.h"

#include "served.h"

namespace {

class Server {
  public:
    Server() { metrics_.listen(served_.listener()); }
    std::string answer(std::string_view input) {
        return served_.answer(input, [] {});
    }

  private:
    sigil::fuzz::Served served_;
    sigil::cli::Metrics metrics_{served_.reactor, {served_.fleet, nullptr, nullptr}};
};

}  // namespace

void sigil::fuzz::run(std::string_view input) {
    static Server server;
    const std::string answer = server.answer(input);
    if (!answer.empty() && !answer.starts_with("HTTP/1.1 "))
        __builtin_trap();
    if (answer.starts_with("HTTP/1.1 200 ") && !answer.ends_with("\r\n0\r\n\r\n"))
        __builtin_trap();
}
