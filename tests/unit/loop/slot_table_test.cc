// The slot table: a late token finds nothing, and no slot is reused while anything of it is in
// flight.
#include "loop/slot_table.h"

#include <string>

#include <gtest/gtest.h>

namespace sigil::loop {
namespace {

using Table = SlotTable<std::string>;

class Counted {
  public:
    explicit Counted(int& alive) : alive_(alive) { ++alive_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --alive_; }

  private:
    int& alive_;
};

TEST(SlotTable, FindsWhatWasPutIn) {
    Table table;
    const Token first = table.emplace(Source::container, "first");
    const Token second = table.emplace(Source::container, "second");
    EXPECT_EQ(*table.find(first), "first");
    EXPECT_EQ(*table.find(second), "second");
    EXPECT_NE(first.slot, second.slot);
    EXPECT_EQ(first.source, Source::container);
    EXPECT_EQ(first.operation, Operation::none);
    EXPECT_EQ(table.size(), 2U);
}

TEST(SlotTable, FindsTheSameForEveryOperation) {
    Table table;
    const Token token = table.emplace(Source::container, "value");
    EXPECT_EQ(*table.find(token.with(Operation::oom)), "value");
}

TEST(SlotTable, FindsNothingForATokenItNeverGave) {
    Table table;
    EXPECT_EQ(table.find({Source::container, Operation::none, 0, 0}), nullptr);
    const Token token = table.emplace(Source::container, "value");
    EXPECT_EQ(table.find({Source::container, Operation::none, token.generation + 1, token.slot}),
              nullptr);
    EXPECT_EQ(table.find({Source::container, Operation::none, 0, token.slot + 1}), nullptr);
    EXPECT_EQ(table.find({Source::container, Operation::none, 0, Token::kMask}), nullptr);
}

TEST(SlotTable, FreesAValueThatIsRetiredWithNothingInFlight) {
    int alive = 0;
    SlotTable<Counted> table;
    const Token token = table.emplace(Source::container, alive);
    EXPECT_EQ(alive, 1);
    table.retire(token);
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(table.size(), 0U);
    EXPECT_EQ(table.find(token), nullptr);
}

TEST(SlotTable, KeepsARetiredValueWhileAnythingIsInFlight) {
    int alive = 0;
    SlotTable<Counted> table;
    const Token token = table.emplace(Source::container, alive);
    table.launched(token);
    table.launched(token);
    table.retire(token);
    EXPECT_EQ(alive, 1);
    EXPECT_NE(table.find(token), nullptr);
    table.landed(token);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(table.size(), 1U);
    table.landed(token);
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(table.find(token), nullptr);
}

TEST(SlotTable, KeepsAValueThatNobodyRetired) {
    Table table;
    const Token token = table.emplace(Source::container, "value");
    table.launched(token);
    table.landed(token);
    EXPECT_EQ(*table.find(token), "value");
}

TEST(SlotTable, GivesAFreeSlotAgainInAnotherGeneration) {
    Table table;
    const Token first = table.emplace(Source::container, "first");
    table.retire(first);
    const Token second = table.emplace(Source::container, "second");
    EXPECT_EQ(second.slot, first.slot);
    EXPECT_NE(second.generation, first.generation);
    EXPECT_EQ(table.find(first), nullptr);
    EXPECT_EQ(*table.find(second), "second");
}

TEST(SlotTable, GivesNoSlotAgainWhileAnythingOfItIsInFlight) {
    Table table;
    const Token first = table.emplace(Source::container, "first");
    table.launched(first);
    table.retire(first);
    const Token second = table.emplace(Source::container, "second");
    EXPECT_NE(second.slot, first.slot);
    table.landed(first);
    const Token third = table.emplace(Source::container, "third");
    EXPECT_EQ(third.slot, first.slot);
    EXPECT_EQ(*table.find(second), "second");
    EXPECT_EQ(table.find(first), nullptr);
}

TEST(SlotTable, RetiresOnce) {
    Table table;
    const Token first = table.emplace(Source::container, "first");
    table.retire(first);
    table.retire(first);
    EXPECT_EQ(table.size(), 0U);
    const Token second = table.emplace(Source::container, "second");
    const Token third = table.emplace(Source::container, "third");
    EXPECT_NE(second.slot, third.slot);
}

TEST(SlotTable, KeepsValuesWhereTheyAreAsItGrows) {
    Table table;
    const Token first = table.emplace(Source::container, "first");
    const std::string* address = table.find(first);
    for (int count = 0; count < 1000; ++count)
        table.emplace(Source::container, "more");
    EXPECT_EQ(table.find(first), address);
    EXPECT_EQ(table.size(), 1001U);
}

TEST(SlotTable, NeverGivesTheSameTokenTwiceInARow) {
    Table table;
    Token token = table.emplace(Source::container, "value");
    const uint32_t slot = token.slot;
    for (int count = 0; count < 1000; ++count) {
        const Token before = token;
        table.retire(token);
        token = table.emplace(Source::container, "value");
        ASSERT_EQ(token.slot, slot);
        ASSERT_NE(token.generation, before.generation);
        ASSERT_EQ(table.find(before), nullptr);
        ASSERT_EQ(Token::unpack(token.pack()), token);
    }
}

TEST(SlotTable, VisitsWhatIsNotRetired) {
    Table table;
    table.emplace(Source::container, "a");
    const Token retired = table.emplace(Source::container, "b");
    table.emplace(Source::container, "c");
    table.launched(retired);
    table.retire(retired);
    std::string seen;
    table.for_each([&seen](const std::string& value) { seen += value; });
    EXPECT_EQ(seen, "ac");
}

}  // namespace
}  // namespace sigil::loop
