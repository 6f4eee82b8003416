// The kernel orders nothing: every order of the same completions must tell the same story.
#include <algorithm>
#include <array>
#include <ostream>

#include <gtest/gtest.h>

#include "loop/supervisor_fixture.h"

namespace sigil::loop {
namespace {

// How completions reach the supervisor that were in flight when the exit was seen.
enum class Late : uint8_t {
    completed,  // they beat their cancel
    cancelled,
};

struct Order {
    std::array<Operation, 3> operations;
    bool in_one_batch;
    Late late;
};

const char* operation_name(Operation operation) {
    switch (operation) {
        case Operation::exit:
            return "Exit";
        case Operation::oom:
            return "Oom";
        case Operation::grace_over:
            return "GraceOver";
        default:
            return "Other";
    }
}

std::string order_name(const Order& order) {
    std::string text;
    for (Operation operation : order.operations)
        text += operation_name(operation);
    text += order.in_one_batch ? "InOneBatch" : "";
    return text + (order.late == Late::cancelled ? "LateOnesCancelled" : "");
}

void PrintTo(const Order& order, std::ostream* out) {
    *out << order_name(order);
}

std::vector<Order> every_order() {
    std::array operations = {Operation::exit, Operation::oom, Operation::grace_over};
    std::ranges::sort(operations);
    std::vector<Order> orders;
    do
        for (bool in_one_batch : {false, true})
            for (Late late : {Late::completed, Late::cancelled})
                orders.push_back({operations, in_one_batch, late});
    while (std::ranges::next_permutation(operations).found);
    return orders;
}

class SupervisorOrder : public SupervisorTest, public ::testing::WithParamInterface<Order> {
  protected:
    // Feeds the three completions of the parameter, in its order, and works off what follows.
    void feed(Token token) {
        bool has_exited = false;
        for (Operation operation : GetParam().operations) {
            const bool cancelled = has_exited && GetParam().late == Late::cancelled;
            const int32_t result = operation == Operation::grace_over ? -ETIME : POLLIN | POLLPRI;
            ring.complete(token.with(operation), cancelled ? -ECANCELED : result);
            has_exited = has_exited || operation == Operation::exit;
            if (!GetParam().in_one_batch)
                turn();
        }
        if (GetParam().in_one_batch)
            turn();
        settle();
    }
    void expect_nothing_left(const CgroupFiles& files) {
        EXPECT_EQ(supervisor.live(), 0U);
        EXPECT_EQ(ring.in_flight(), 0U);
        EXPECT_TRUE(files.is_removed());
    }
};

TEST_P(SupervisorOrder, OfAnOomTellsTheOomFirstAndOnce) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child, files);
    supervisor.stop({.number = SIGTERM, .value = {}});
    files.set_oom_kills(1);
    child.kill(SIGKILL);
    child.await_end();
    feed(token);
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web oom 137"}));
    EXPECT_EQ(record.last.cause, Cause::oom);
    expect_nothing_left(files);
}

TEST_P(SupervisorOrder, OfAKillWithoutOomInventsNone) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child, files);
    supervisor.stop({.number = SIGTERM, .value = {}});
    child.kill(SIGKILL);
    child.await_end();
    feed(token);
    EXPECT_EQ(record.log, (Log{"web started", "web stopped 137"}));
    expect_nothing_left(files);
}

TEST_P(SupervisorOrder, OfAnExitIsTheExit) {
    CgroupFiles files;
    files.add_memory();
    const Child child = Child::exiting(3);
    const Token token = run(child, files);
    child.await_end();  // so that the stop's signal comes too late to change it
    supervisor.stop({.number = SIGTERM, .value = {}});
    files.set_oom_kills(1);  // of another process
    feed(token);
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web stopped 3"}));
    expect_nothing_left(files);
}

TEST_P(SupervisorOrder, WithAProcessLeftWaitsForTheCgroup) {
    CgroupFiles files;
    files.add_memory();
    files.write("cgroup.events", "populated 1\n");
    const Child child = Child::ignoring_sigterm();
    const Token token = run(child, files);
    supervisor.stop({.number = SIGTERM, .value = {}});
    child.kill(SIGKILL);
    child.await_end();
    feed(token);
    EXPECT_EQ(record.log, Log{"web started"});
    files.set_oom_kills(1);
    files.write("cgroup.events", "populated 0\n");
    complete(token, Operation::emptied, POLLPRI);
    EXPECT_EQ(record.log, (Log{"web started", "web oom 1", "web oom 137"}));
    expect_nothing_left(files);
}

INSTANTIATE_TEST_SUITE_P(All, SupervisorOrder, ::testing::ValuesIn(every_order()),
                         [](const auto& instance) { return order_name(instance.param); });

}  // namespace
}  // namespace sigil::loop
