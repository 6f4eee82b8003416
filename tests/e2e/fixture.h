// The base of every end-to-end test: whatever the test did, nothing of it may be left afterwards.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "files.h"
#include "probe_facts.h"
#include "rootfs.h"
#include "sigil_runner.h"

namespace sigil::e2e {

// Mounts of our namespace, cgroups of our containers and the records of them, and processes that
// are ours.
struct Traces {
    std::vector<std::string> mounts;
    std::vector<std::string> cgroups;
    std::vector<std::string> records;
    std::vector<pid_t> processes;

    static Traces now();
    // What is here and was not there, a line each.
    [[nodiscard]] std::vector<std::string> beyond(const Traces& before) const;
};

// Reaps what was orphaned to us, and waits until nothing is there that wasn't before; fails the
// test if something stays.
void expect_no_traces(const Traces& before);
// For what may rightly stay after a SIGKILL to sigil: an empty cgroup and the record of it. Fails
// if it isn't empty.
void remove_abandoned_cgroups();
// Reaps orphans until this program has no child left. False: one stays.
bool await_no_processes();

class E2e : public testing::Test {
  protected:
    void SetUp() override { before_ = Traces::now(); }
    void TearDown() override;

  private:
    Traces before_;
};

// For tests that need cgroup v2 to be mounted.
class CgroupE2e : public E2e {
  protected:
    void SetUp() override;
};

// A command that runs until SIGTERM.
Start waiting(Words options);

// Before Linux 6.3 a tmpfs, on which the tests' roots are, has no idmapped mounts, and --userns
// cannot be used with them.
bool roots_can_be_mapped();

// sigil failed by itself: code 125, one line that starts with "sigil: " and has `part` in it.
void expect_failure(const Finished& finished, const std::string& part, int code = 125);

}  // namespace sigil::e2e
