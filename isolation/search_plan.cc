#include "isolation/search_plan.h"

#include <algorithm>

namespace sigil::isolation {
namespace {

constexpr size_t kWindow = 24;       // wider tables are halved before they are weighed
constexpr uint32_t kCalls = 512;     // no architecture has more without a bit of its own
constexpr size_t kInstruction = 64;  // as dear as a step of so many numbers
constexpr size_t kMostAlone = 9;     // longer rows are never told from each other number by number

}  // namespace

SearchPlan::SearchPlan(std::span<const Range> ranges, bool by_bits) : has_masks_(by_bits) {
    for (const Range& range : ranges) {
        // A mask's leaf ends where the numbers that it may hold do.
        while (by_bits && !ranges_.empty() && next_block() < std::min(range.first, kCalls))
            ranges_.push_back({next_block(), ranges_.back().action, ranges_.back().cases});
        ranges_.push_back(range);
    }
    for (size_t index = 0; index < ranges_.size(); ++index)
        weights_.push_back(weights_.back() + numbers_in(index));
    steps_.resize(ranges_.size() * (kWindow + 1));
}

bool SearchPlan::are_same(size_t one, size_t other) const {
    const Range& first = ranges_[one];
    const Range& second = ranges_[other];
    if (first.action != second.action || !first.cases != !second.cases)
        return false;
    return !first.cases || *first.cases == *second.cases;
}

SearchPlan::Step SearchPlan::step(size_t begin, size_t end) {
    if (end - begin > kWindow)
        return {How::halves, static_cast<uint32_t>(middle_of(begin, end)), 0};
    const Step& known = steps_[place_of(begin, end)];
    if (known.how == How::unknown)
        weigh(begin, end);
    return known;
}

size_t SearchPlan::main_of(size_t begin, size_t end) const {
    for (size_t index = begin; index < end; ++index)
        if (!is_one_number(index))
            return index;
    return begin;
}

std::pair<size_t, size_t> SearchPlan::two_of(size_t begin, size_t end) const {
    const size_t one = plain_unlike(end, begin, end);
    return {one, one == end ? end : plain_unlike(one, begin, end)};
}

size_t SearchPlan::place_of(size_t begin, size_t end) {
    return begin * (kWindow + 1) + end - begin;
}

bool SearchPlan::is_one_number(size_t index) const {
    return index + 1 < ranges_.size() && ranges_[index + 1].first - ranges_[index].first == 1;
}

uint32_t SearchPlan::next_block() const {
    return (ranges_.back().first / kBits + 1) * kBits;
}

// The kernel runs a filter once for each number when it is installed, to learn which ones are
// always allowed (seccomp_cache_prepare() in kernel/seccomp.c): what many numbers lead to is to be
// found in few steps.
size_t SearchPlan::numbers_in(size_t index) const {
    auto first = [this](size_t of) {
        return of < ranges_.size() ? std::min(ranges_[of].first, kCalls) : kCalls;
    };
    return first(index + 1) - first(index);
}

// Where of [begin, end) both sides weigh about the same; neither is empty.
size_t SearchPlan::middle_of(size_t begin, size_t end) const {
    const size_t half = (weights_[begin] + weights_[end]) / 2;
    const auto past = std::ranges::upper_bound(weights_, half) - weights_.begin();
    return std::clamp(static_cast<size_t>(past), begin + 1, end - 1);
}

// From the shortest rows on.
void SearchPlan::weigh(size_t begin, size_t end) {
    for (size_t length = 2; length <= end - begin; ++length)
        for (size_t first = begin; first + length <= end; ++first)
            steps_[place_of(first, first + length)] = cheapest(first, first + length);
}

SearchPlan::Step SearchPlan::cheapest(size_t begin, size_t end) const {
    const size_t test = kInstruction + weights_[end] - weights_[begin];
    size_t least = kImpossible;
    size_t middle = begin + 1;
    for (size_t one = middle; one < end; ++one) {
        const size_t cost = steps_[place_of(begin, one)].cost + steps_[place_of(one, end)].cost;
        if (cost < least) {
            least = cost;
            middle = one;
        }
    }
    Step found = {How::halves, static_cast<uint32_t>(middle), test + least};
    if (const size_t cost = of_numbers(begin, end, test); cost <= found.cost)
        found = {How::numbers, 0, cost};
    if (const size_t cost = of_mask(begin, end, test); cost < found.cost)
        found = {How::mask, 0, cost};
    return found;
}

size_t SearchPlan::of_numbers(size_t begin, size_t end, size_t test) const {
    if (end - begin > kMostAlone)
        return kImpossible;
    const size_t main = main_of(begin, end);
    return of_each(begin, end, test, main, main);
}

// A mask is loaded, and then looked at.
size_t SearchPlan::of_mask(size_t begin, size_t end, size_t test) const {
    if (!has_masks_ || end == ranges_.size() ||
        ranges_[begin].first / kBits != (ranges_[end].first - 1) / kBits)
        return kImpossible;
    const auto [one, other] = two_of(begin, end);
    if (other == end)
        return kImpossible;
    const size_t each = of_each(begin, end, test, one, other);
    return each == kImpossible ? each : 2 * test + each;
}

// Of a test for each number that leads neither to what `one` nor to what `other` does.
size_t SearchPlan::of_each(size_t begin, size_t end, size_t test, size_t one, size_t other) const {
    size_t cost = 0;
    for (size_t index = begin; index < end; ++index) {
        if (are_same(index, one) || are_same(index, other))
            continue;
        if (!is_one_number(index))
            return kImpossible;
        cost += test;
    }
    return cost;
}

// `known` may be `end`: then any.
size_t SearchPlan::plain_unlike(size_t known, size_t begin, size_t end) const {
    while (begin < end && (ranges_[begin].cases || (known < end && are_same(begin, known))))
        ++begin;
    return begin;
}

}  // namespace sigil::isolation
