#include "loop/key_sequence.h"

#include <gtest/gtest.h>

namespace sigil::loop {
namespace {

struct Typed {
    std::string rest;
    int completed = 0;
};

Typed type(KeySequence& keys, std::string_view text) {
    Typed typed;
    for (const char key : text)
        typed.completed += keys.complete(key, typed.rest);
    return typed;
}

TEST(KeySequence, IsTakenOutOfWhatIsTyped) {
    KeySequence keys("pq");
    const Typed typed = type(keys, "apqb");
    EXPECT_EQ(typed.completed, 1);
    EXPECT_EQ(typed.rest, "ab");
}

TEST(KeySequence, HoldsItsBeginningBackUntilTheNextKey) {
    KeySequence keys("pq");
    EXPECT_EQ(type(keys, "p").rest, "");
    EXPECT_EQ(type(keys, "x").rest, "px");
}

TEST(KeySequence, IsFoundAfterAnotherBeginning) {
    KeySequence keys("ppq");
    const Typed typed = type(keys, "pppq");
    EXPECT_EQ(typed.completed, 1);
    EXPECT_EQ(typed.rest, "p");
}

TEST(KeySequence, NeverComesWhereThereIsNone) {
    KeySequence keys("");
    const Typed typed = type(keys, "pq");
    EXPECT_EQ(typed.completed, 0);
    EXPECT_EQ(typed.rest, "pq");
}

}  // namespace
}  // namespace sigil::loop
