// Tokens: what travels through the kernel comes back whole.
#include "loop/token.h"

#include <set>

#include <gtest/gtest.h>

namespace sigil::loop {
namespace {

constexpr uint32_t kNumbers[] = {0, 1, 2, 0x7fffff, 0x800000, Token::kMask - 1, Token::kMask};

TEST(Token, ComesBackAsItWasPacked) {
    for (int source = 0; source < kSources; ++source)
        for (int operation = 0; operation < kOperations; ++operation)
            for (uint32_t generation : kNumbers)
                for (uint32_t slot : kNumbers) {
                    const Token token = {static_cast<Source>(source),
                                         static_cast<Operation>(operation), generation, slot};
                    EXPECT_EQ(Token::unpack(token.pack()), token);
                }
}

TEST(Token, OfNothingIsZero) {
    EXPECT_EQ(Token{}.pack(), 0U);  // what the completion of a cancel carries
    EXPECT_EQ(Token::unpack(0), Token{});
}

TEST(Token, HasABitForEachField) {
    const Token all = {static_cast<Source>(0xff), static_cast<Operation>(0xff), Token::kMask,
                       Token::kMask};
    EXPECT_EQ(all.pack(), UINT64_MAX);
    EXPECT_EQ(Token::unpack(UINT64_MAX), all);
}

TEST(Token, LeavesNoFieldToRunIntoAnother) {
    const Token too_large = {Source::none, Operation::none, Token::kMask + 1, Token::kMask + 3};
    EXPECT_EQ(Token::unpack(too_large.pack()), (Token{Source::none, Operation::none, 0, 2}));
}

TEST(Token, DiffersInEachFieldAlone) {
    const std::set<uint64_t> bits = {
        Token{}.pack(),
        Token{.source = Source::signals}.pack(),
        Token{.operation = Operation::readable}.pack(),
        Token{.generation = 1}.pack(),
        Token{.slot = 1}.pack(),
    };
    EXPECT_EQ(bits.size(), 5U);
}

TEST(Token, OfAnotherOperationIsOfTheSameValue) {
    const Token token = {Source::container, Operation::none, 5, 9};
    EXPECT_EQ(token.with(Operation::oom), (Token{Source::container, Operation::oom, 5, 9}));
}

TEST(Completion, IsASmallPlainValue) {
    EXPECT_EQ(sizeof(Token), 12U);
    EXPECT_EQ(sizeof(Completion), 20U);
    EXPECT_TRUE(std::is_trivially_copyable_v<Completion>);
}

}  // namespace
}  // namespace sigil::loop
