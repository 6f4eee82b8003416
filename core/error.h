// Errors as values. An Error is one pointer, null on success; Result<T> is a value or an Error.
//
// An Error is made where a system call or a check failed, gains a frame of context at each TRY on
// its way up, and is printed once, at the edge: `prepare rootfs: open /nope: No such file or
// directory`. Nothing branches on its text: ask is(ENOENT).
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

#include "core/exit_code.h"

namespace sigil {

class [[nodiscard]] Error {
  public:
    // A failed system call. `code` is a positive errno value; `operation` a string literal.
    static Error from_errno(int code, const char* operation);
    // Anything else that went wrong, a user's mistake above all; the text names the option.
    static Error because(std::string text);

    // Adds a frame of context, outermost last.
    Error in(std::string frame) &&;
    // Sets what sigil exits with; kExitRuntimeFailure unless said.
    Error exiting(int exit_code) &&;

    // The errno, 0 where there was none.
    [[nodiscard]] int code() const { return detail_ ? detail_->code : 0; }
    [[nodiscard]] bool is(int code) const { return detail_ && detail_->code == code; }
    [[nodiscard]] int exit_code() const {
        return detail_ ? detail_->exit_code : kExitRuntimeFailure;
    }
    // "frame: frame: strerror", outermost first, no full stop.
    [[nodiscard]] std::string message() const;

  private:
    struct Detail {
        int code = 0;
        int exit_code = kExitRuntimeFailure;
        const char* operation = nullptr;
        std::vector<std::string> frames;  // innermost first
    };
    explicit Error(std::unique_ptr<Detail> detail) : detail_(std::move(detail)) {}
    std::unique_ptr<Detail> detail_;
};

template <typename T>
using Result = tl::expected<T, Error>;

// A failure whose text is formatted: `return failure("--memory: {} is no size", text);`
template <typename... Args>
tl::unexpected<Error> failure(fmt::format_string<Args...> format, Args&&... args) {
    return tl::unexpected(Error::because(fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace sigil
