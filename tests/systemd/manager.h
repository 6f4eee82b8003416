// A message bus of the test's own, and on it a service with systemd's name and interface: it
// answers as it is told to, and writes down what it was asked. It makes no scopes, unless it is
// given a cgroup: then each is a cgroup below that one, with the process it was made for, as long
// as something runs in it or until it is stopped.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "temp_dir.h"

namespace sigil::testing {

enum class Answer {
    done,       // the job is done
    failed,     // the job fails
    never,      // the job never ends
    unstarted,  // the job of a start never ends, that of a stop is done
    silence,    // no call is answered
    refused,    // StartTransientUnit and StopUnit are errors
    existing,   // the first StartTransientUnit is UnitExists
    taken,      // every StartTransientUnit is
    missing,    // StopUnit is NoSuchUnit
};

class FakeManager {
  public:
    // `cgroup`: the directory of one, and its path from the hierarchy's root.
    explicit FakeManager(Answer answer, std::string cgroup_directory = {},
                         std::string cgroup_path = {});
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
