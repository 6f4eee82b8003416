// Where containers' cgroups go: worked out, made and given its controllers once for each kind of
// container, not once for each container. Threads may ask at the same time.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/run_record.h"
#include "core/spec.h"
#include "isolation/cgroup_host.h"

namespace sigil::isolation {

// Where containers go when the supervisor's own cgroup cannot hold limited children.
inline constexpr const char* kFallbackParent = "/sigil";

class CgroupParents {
  public:
    // `group`: a cgroup of the supervisor's own, that all its containers' are below: "sigil-web";
    // empty: none. `host` must outlive it.
    // What is made is written down in `record` before; null: it is not. Both must outlive it.
    explicit CgroupParents(const CgroupHost* host, std::string group = {},
                           RunRecord* record = nullptr)
        : host_(host), group_(std::move(group)), record_(record) {
        made_.record = record;
    }
    CgroupParents(const CgroupParents&) = delete;
    CgroupParents& operator=(const CgroupParents&) = delete;
    ~CgroupParents() { remove_made(); }

    // The parent for this container's cgroup, as "/a/b": the one asked for; else the supervisor's
    // own, or /sigil where that has processes and so cannot give its children controllers.
    Result<std::string> parent_for(const Spec& spec, const std::vector<std::string>& controllers);
    // A parent that was used has gone: somebody else's container ended there, or a sweeper came.
    void forget_known();
    // Removes what it has made and is empty.
    void remove_made();

    // Where a container's cgroup is to be written down by itself; null: it is below a group that
    // is.
    [[nodiscard]] RunRecord* record_of_each() const { return group_.empty() ? record_ : nullptr; }
    // Where everything is; null: nowhere.
    [[nodiscard]] const RunRecord* record() const { return record_; }

  private:
    Result<std::string> choose(const Spec& spec, const std::vector<std::string>& controllers);
    Result<std::string> prepare(std::string parent, const std::vector<std::string>& controllers);

    const CgroupHost* host_;
    std::string group_;
    RunRecord* record_;
    std::mutex mutex_;
    std::map<std::string, std::string> known_;
    MadeCgroups made_;
    std::map<std::string, RunRecord::Entry> groups_;  // by path: each written down once
};

}  // namespace sigil::isolation
