// A message bus of the test's own, and on it a service with systemd's name and interface, which
// makes no scopes: it answers as it is told to, and writes down what it was asked.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "fixture.h"

namespace sigil::testing {

enum class Answer {
    done,      // the job is done
    failed,    // the job fails
    never,     // the job never ends
    silence,   // no call is answered
    refused,   // StartTransientUnit and StopUnit are errors
    existing,  // the first StartTransientUnit is UnitExists
    missing,   // StopUnit is NoSuchUnit
};

class FakeManager {
  public:
    explicit FakeManager(Answer answer);
    FakeManager(const FakeManager&) = delete;
    FakeManager& operator=(const FakeManager&) = delete;
    ~FakeManager();

    // What was asked, a line each: "StartTransientUnit web.scope fail", and its properties as
    // "  MemoryMax t 4096".
    [[nodiscard]] std::vector<std::string> asked() const;
    // The pid in the last StartTransientUnit.
    [[nodiscard]] pid_t pid() const;

  private:
    TempDir files_;
    pid_t bus_ = -1;
    pid_t manager_ = -1;
};

}  // namespace sigil::testing
