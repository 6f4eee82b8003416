// What a supervisor makes that outlives it when it is killed, written down before it is made: one
// directory for each supervisor, one symbolic link in it for each cgroup.
//
//     ROOT/runs/web/             mode 0700, flock(LOCK_EX) for as long as its supervisor lives
//         parent.0 -> /sys/fs/cgroup/sigil              made on the way: removed if it is empty
//         cgroup.1 -> /sys/fs/cgroup/sigil/sigil-web    killed and removed
//         control                                       the socket that the supervisor listens on
//
// A link is made with its content in one system call, so no record is ever half-written. The kernel
// lets go of the lock when the last process that holds it is gone, however it went: a directory
// that can be locked is a dead supervisor's, or one so young that its owner has no lock on it yet.
// Whoever sweeps such a young one away makes its owner start again (add()).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"

namespace sigil {

inline constexpr const char* kDefaultRoot = "/run/sigil";
inline constexpr const char* kControlSocket = "control";

// Refuses a root that another could have made before us, as in /tmp, where an ordinary user's may
// be: what they write down there would be removed in our name. One that is missing is fine.
Result<void> check_root(const std::string& root);

class RunRecord {
  public:
    enum class Kind : uint8_t {
        cgroup,  // with all that is in it
        parent,  // a directory that others may use too
    };
    // One thing that is written down; a default one is nothing.
    class Entry {
      public:
        Entry() = default;

      private:
        friend class RunRecord;
        std::string name_;
    };

    // Nothing is made before the first add(). The directory is called `name`, or, where that one is
    // taken, something that starts with it.
    RunRecord(std::string root, std::string name);
    RunRecord(const RunRecord&) = delete;
    RunRecord& operator=(const RunRecord&) = delete;

    // Makes the directory now: for threads that will have a table of descriptors of their own,
    // which all need its lock under the same number. release() takes it away.
    Result<void> hold();
    // The control socket, listening; held from now on. It goes with the directory.
    Result<Fd> listen();
    // Writes down that `path`, an absolute one, is about to be made. An error names --root.
    Result<Entry> add(Kind kind, std::string_view path);
    // It was not made, or is gone. The last one takes the directory with it.
    void forget(const Entry& entry);
    // The run is over: a directory that was held goes too, if nothing is written down in it.
    void release();

    [[nodiscard]] const std::string& root() const { return root_; }
    // The directory's name in ROOT/runs.
    [[nodiscard]] const std::string& directory_name() const { return directory_name_; }
    // ROOT/runs of one that is held, for who stands in another root; else -1.
    [[nodiscard]] int runs() const { return runs_ ? runs_.get() : -1; }
    // Whether anything is written down.
    [[nodiscard]] bool is_open() const { return static_cast<bool>(directory_); }

  private:
    Result<Fd> open();
    Result<void> make_directory();

    std::string root_;
    std::string name_;
    std::string directory_name_;
    Fd directory_;  // holds the lock
    Fd runs_;       // once it is held
    unsigned entries_ = 0;
    unsigned next_ = 0;
};

// How a kind's links are called, without their number: "cgroup.".
std::string_view prefix_of(RunRecord::Kind kind);
// ROOT/runs.
std::string runs_path(std::string_view root);

}  // namespace sigil
