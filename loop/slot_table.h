// Values addressed by tokens. A slot counts what of it is in flight, and is given to the next value
// only when nothing is; its generation then differs, so that a late token finds nothing.
#pragma once

#include <stdint.h>

#include <cassert>
#include <memory>
#include <vector>

#include "loop/token.h"

namespace sigil::loop {

template <typename T>
class SlotTable {
  public:
    // A token without operation for the new value.
    template <typename... Args>
    Token emplace(Source source, Args&&... args) {
        if (free_.empty()) {
            free_.push_back(static_cast<uint32_t>(slots_.size()));
            slots_.emplace_back();
        }
        const uint32_t index = free_.back();
        free_.pop_back();
        Slot& slot = slots_[index];
        slot.value = std::make_unique<T>(std::forward<Args>(args)...);
        slot.retired = false;
        ++live_;
        return {source, Operation::none, slot.generation, index};
    }

    // Null when the token is of another generation.
    T* find(Token token) {
        if (token.slot >= slots_.size() || slots_[token.slot].generation != token.generation)
            return nullptr;
        return slots_[token.slot].value.get();
    }

    // An operation of the slot was handed in, or has completed.
    void launched(Token token) { ++slots_[token.slot].in_flight; }
    void landed(Token token) {
        assert(slots_[token.slot].in_flight > 0);
        --slots_[token.slot].in_flight;
        reclaim(token.slot);
    }

    // The value is done with: it goes once nothing of it is in flight.
    void retire(Token token) {
        slots_[token.slot].retired = true;
        reclaim(token.slot);
    }

    // Values that are not gone yet, retired ones included.
    [[nodiscard]] size_t size() const { return live_; }

    // `fn` may add and retire values.
    template <typename Fn>
    void for_each(Fn fn) {
        for (size_t index = 0; index < slots_.size(); ++index)
            if (slots_[index].value && !slots_[index].retired)
                fn(*slots_[index].value);
    }

  private:
    struct Slot {
        std::unique_ptr<T> value;
        uint32_t generation = 0;
        uint32_t in_flight = 0;
        bool retired = false;
    };

    void reclaim(uint32_t index) {
        Slot& slot = slots_[index];
        if (!slot.retired || slot.in_flight > 0 || !slot.value)
            return;
        slot.value.reset();
        slot.generation = (slot.generation + 1) & Token::kMask;
        free_.push_back(index);
        --live_;
    }

    std::vector<Slot> slots_;
    std::vector<uint32_t> free_;
    size_t live_ = 0;
};

}  // namespace sigil::loop
