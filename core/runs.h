// ROOT/runs as others read it: which supervisors are dead, and what each has written down
// (run_record.h). Nothing in it is trusted that is not ours: owner, mode and kind are checked.
//
// Who removes what a dead one left, or replaces it, holds the lock of ROOT/runs meanwhile. So among
// those no two act on one cgroup at once, and none takes another's short look at a directory for
// its owner's life.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/run_record.h"

namespace sigil {

class Runs {
  public:
    struct Link {
        std::string name;
        RunRecord::Kind kind;
        std::string target;
    };
    struct Run {
        std::string name;
        bool is_alive = false;
        std::vector<Link> links;
        std::vector<Error> garbage;  // what no supervisor writes
        Fd lock;                     // a dead one's, held
    };
    enum class Wait : bool { no, yes };

    // Opens and locks it. Nothing: it is not there, or somebody has the lock and we don't wait.
    static Result<std::optional<Runs>> open(const std::string& root, Wait wait);
    // The same, from wherever the thread stands.
    static Result<std::optional<Runs>> open(const RunRecord& record, Wait wait);

    // Names of what is in it.
    Result<std::vector<std::string>> names() const;
    // At most `most` of them, from a random place of the listing; reads no more than a page of it.
    Result<std::vector<std::string>> some_names(size_t most) const;
    // Nothing: it is gone meanwhile. An error: it is no supervisor's.
    Result<std::optional<Run>> look(const std::string& name) const;
    // Whether a living one, other than `except`, has written down something at or below `path`.
    Result<bool> is_claimed(std::string_view path, const std::string& except) const;
    // What all have written down but those of `except`, which is sorted. With the dead: one may
    // have died since it was looked at.
    Result<std::vector<std::string>> written_down(const std::vector<std::string>& except) const;

    // Of a dead one; what is gone already is no failure.
    Result<void> remove_link(const std::string& name, const std::string& link) const;
    Result<void> remove(const std::string& name) const;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    static Result<std::optional<Runs>> lock(std::string path, Result<Fd> directory, Wait wait);
    Result<std::vector<std::string>> targets(const std::vector<std::string>& except,
                                             bool of_the_dead) const;

    std::string path_;
    Fd directory_;
};

// Whether `path` is `top` or below it.
bool is_at_or_below(std::string_view path, std::string_view top);

}  // namespace sigil
