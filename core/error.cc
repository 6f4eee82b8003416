#include "core/error.h"

#include <string.h>

namespace sigil {

Error Error::from_errno(int code, const char* operation) {
    auto detail = std::make_unique<Detail>();
    detail->code = code;
    detail->operation = operation;
    return Error(std::move(detail));
}

Error Error::because(std::string text) {
    auto detail = std::make_unique<Detail>();
    detail->frames.push_back(std::move(text));
    return Error(std::move(detail));
}

Error Error::in(std::string frame) && {
    if (detail_)
        detail_->frames.push_back(std::move(frame));
    return std::move(*this);
}

Error Error::exiting(int exit_code) && {
    if (detail_)
        detail_->exit_code = exit_code;
    return std::move(*this);
}

std::string Error::message() const {
    if (!detail_)
        return {};
    std::string text;
    auto add = [&text](const char* part) {
        if (!text.empty())
            text += ": ";
        text += part;
    };
    for (auto frame = detail_->frames.rbegin(); frame != detail_->frames.rend(); ++frame)
        add(frame->c_str());
    if (detail_->code == 0)
        return text;
    // A frame says what was tried in the user's words; the call's name is for when there is none.
    if (detail_->frames.empty())
        add(detail_->operation);
    add(strerrordesc_np(detail_->code) ? strerrordesc_np(detail_->code) : "unknown error");
    return text;
}

}  // namespace sigil
