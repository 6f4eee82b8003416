// TRY(expression) is the expression's value; if it holds an Error, the function returns that.
// TRY(expression, "open {}", path) adds a frame of context, formatted only on failure.
#pragma once

#include "core/error.h"

namespace sigil::detail {

template <typename T>
T take(Result<T>&& result) {
    return std::move(*result);
}
inline void take(Result<void>&&) {}

}  // namespace sigil::detail

#ifdef SIGIL_CPPCHECK  // which cannot read a statement that is an expression
#define TRY(expression, ...) ::sigil::detail::take(expression)
#else
#define TRY(expression, ...)                                                              \
    ({                                                                                    \
        auto try_result = (expression);                                                   \
        if (!try_result) [[unlikely]]                                                     \
            return tl::unexpected(                                                        \
                std::move(try_result).error() __VA_OPT__(.in(fmt::format(__VA_ARGS__)))); \
        ::sigil::detail::take(std::move(try_result));                                     \
    })
#endif
