// A sequence of keys that is looked for in what is typed. What may be its beginning is held back
// until the next key tells.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace sigil::loop {

class KeySequence {
  public:
    // Empty: it never comes.
    explicit KeySequence(std::string keys) : keys_(std::move(keys)) {}

    // Whether `key` completes it. What was no part of it is appended to `rest`.
    bool complete(char key, std::string& rest) {
        held_ += key;
        if (!keys_.empty() && held_ == keys_) {
            held_.clear();
            return true;
        }
        while (!held_.empty() && !std::string_view(keys_).starts_with(held_)) {
            rest += held_.front();
            held_.erase(0, 1);
        }
        return false;
    }

  private:
    std::string keys_;
    std::string held_;  // a beginning of keys_
};

}  // namespace sigil::loop
