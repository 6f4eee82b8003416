// What a client sends to a supervisor's control socket.
#include "cli/control.h"

#include "core/json_reader.h"
#include "served.h"

namespace {

using sigil::JsonDocument;

class Supervisor {
  public:
    Supervisor() { control_.listen(served_.listener()); }
    std::string answer(std::string_view input) {
        return served_.answer(input, [this] { events_->tell("created", "web-1"); });
    }

  private:
    sigil::fuzz::Served served_;
    sigil::cli::RunRequest request_;
    std::unique_ptr<sigil::cli::EventStream> events_ =
        std::move(*sigil::cli::EventStream::open(std::nullopt, served_.reactor));
    std::string run_ = "web";
    sigil::cli::Control control_{served_.reactor,
                                 {request_, served_.fleet, nullptr, *events_, run_}};
};

}  // namespace

// Each line of the answer is a JSON object.
void sigil::fuzz::run(std::string_view input) {
    static Supervisor supervisor;
    const std::string answer = supervisor.answer(input);
    for (size_t begin = 0; begin < answer.size();) {
        const size_t end = answer.find('\n', begin);
        if (end == std::string::npos ||
            !JsonDocument::parse(std::string_view(answer).substr(begin, end - begin)))
            __builtin_trap();
        begin = end + 1;
    }
}
