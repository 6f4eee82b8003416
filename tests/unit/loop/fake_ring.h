// A ring driven by hand: it remembers what was asked for, and completes what the test says, in the
// order that the test says. No kernel, no waiting.
#pragma once

#include <errno.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "loop/ring.h"

namespace sigil::loop {

class FakeRing final : public Ring {
  public:
    struct Asked {
        Token token;
        int fd = -1;                  // of a poll, read, write
        uint32_t events = 0;          // of a poll
        Time at{};                    // of a timer
        std::span<const char> bytes;  // of a write: the caller's
    };

    void poll(Token token, int fd, uint32_t events) override {
        EXPECT_FALSE(find(token)) << "a second poll of the same operation";
        in_flight_.push_back({.token = token, .fd = fd, .events = events});
    }
    void timer(Token token, Time at) override {
        EXPECT_FALSE(find(token)) << "a second timer of the same operation";
        in_flight_.push_back({.token = token, .at = at});
    }
    void read(Token token, int fd) override {
        EXPECT_FALSE(find(token)) << "a second read of the same operation";
        in_flight_.push_back({.token = token, .fd = fd});
    }
    void write(Token token, int fd, std::span<const char> bytes) override {
        EXPECT_FALSE(find(token)) << "a second write of the same operation";
        EXPECT_FALSE(bytes.empty());
        in_flight_.push_back({.token = token, .fd = fd, .bytes = bytes});
    }
    void drop(std::span<const char> pages) override { dropped_.push_back(pages); }
    void cancel(Token token) override { cancels_.push_back(token); }

    // Gives what was completed since. A turn that would wait for ever is an error.
    Result<void> wait(std::vector<Completion>& completions) override {
        if (ready_.empty())
            return failure("nothing is ready on the fake ring");
        completions.insert(completions.end(), ready_.begin(), ready_.end());
        ready_.clear();
        return {};
    }
    [[nodiscard]] const std::vector<std::span<const char>>& dropped() const { return dropped_; }
    [[nodiscard]] std::string_view data(const Completion& completion) const override {
        auto found = buffers_.find(completion.buffer);
        return found == buffers_.end() ? std::string_view() : found->second;
    }
    void give_back(const Completion& completion) override {
        EXPECT_EQ(buffers_.erase(completion.buffer), 1U) << "given back twice";
    }
    [[nodiscard]] const char* name() const override { return "fake"; }
    // Buffers that were not given back.
    [[nodiscard]] size_t buffers() const { return buffers_.size(); }

    // What is in flight under the token, or null.
    [[nodiscard]] const Asked* find(Token token) const {
        auto found = std::ranges::find(in_flight_, token, &Asked::token);
        return found == in_flight_.end() ? nullptr : &*found;
    }
    [[nodiscard]] bool has(Token token) const { return find(token) != nullptr; }
    [[nodiscard]] bool was_cancelled(Token token) const {
        return std::ranges::find(cancels_, token) != cancels_.end();
    }
    [[nodiscard]] size_t in_flight() const { return in_flight_.size(); }

    // Completes what is in flight under the token.
    void complete(Token token, int32_t result) {
        EXPECT_TRUE(has(token)) << "operation " << static_cast<int>(token.operation)
                                << " is not in flight";
        std::erase_if(in_flight_, [token](const Asked& asked) { return asked.token == token; });
        inject(token, result);
    }
    // The same of a read, with bytes.
    void complete_read(Token token, std::string bytes) {
        const auto count = static_cast<int32_t>(bytes.size());
        buffers_[++last_buffer_] = std::move(bytes);
        complete(token, count);
        ready_.back().buffer = last_buffer_;
    }
    // A completion that was never asked for, or a second one.
    void inject(Token token, int32_t result) { ready_.push_back({token, result}); }
    // Works off the cancels as the kernel does: one completion for the operation, if it is still in
    // flight, and one for the cancel itself, that belongs to nobody. Says whether there were any.
    bool work_off_cancels() {
        auto cancels = std::exchange(cancels_, {});
        for (Token token : cancels) {
            const bool found = has(token);
            if (found)
                complete(token, -ECANCELED);
            inject(Token{}, found ? 0 : -ENOENT);
        }
        return !cancels.empty();
    }

  private:
    std::vector<Asked> in_flight_;
    std::vector<std::span<const char>> dropped_;
    std::vector<Token> cancels_;
    std::vector<Completion> ready_;
    std::map<uint16_t, std::string> buffers_;
    uint16_t last_buffer_ = 0;
};

}  // namespace sigil::loop
