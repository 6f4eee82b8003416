// One container's cgroup v2 directory: made, limited, watched, killed and removed by its owner.
// Files and their meaning: Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <stdint.h>

#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/run_record.h"
#include "core/spec.h"
#include "isolation/cgroup_host.h"
#include "isolation/cgroup_parents.h"

namespace sigil::isolation {

struct MemoryEvents {
    uint64_t high = 0;            // times the container was throttled at memory.high
    uint64_t max = 0;             // times it was about to go over memory.max
    uint64_t oom = 0;             // times its own limit was reached and reclaim failed
    uint64_t oom_kill = 0;        // processes killed by any OOM killer
    uint64_t oom_group_kill = 0;  // times it was killed as a whole
};

class Cgroup {
  public:
    // A new directory for the container of that name, the spec's limits written. Nothing is
    // returned when the machine has no usable cgroup v2 and the spec asks for no limit. `host` and
    // what it opened must outlive it; the parents may be asked from any thread.
    static Result<std::optional<Cgroup>> create(const CgroupHost* host, CgroupParents& parents,
                                                const Spec& spec, const std::string& name);

    // For tests: a cgroup whose files are in `directory`, and which is removed as `name` in
    // `parent`.
    Cgroup(Fd directory, Fd parent, std::string name, std::string path);
    Cgroup(Cgroup&& other) noexcept;
    Cgroup& operator=(Cgroup&& other) noexcept;
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;
    // Removes what remove() has not.
    ~Cgroup();

    // For CLONE_INTO_CGROUP; -1 after close_directory().
    [[nodiscard]] int directory() const { return directory_.get(); }
    // From now on its files are reached by their path beneath the mount: a container that only
    // lives holds no descriptor for it.
    void close_directory();
    // From the mount's root, for messages: "/sigil-web".
    [[nodiscard]] const std::string& path() const { return path_; }

    // Opens memory.events for reading and polling (POLLPRI). False: no memory controller here.
    Result<bool> open_memory_events();
    [[nodiscard]] int memory_events_fd() const { return memory_events_.get(); }
    // Needs open_memory_events(). Reading also arms the next POLLPRI.
    Result<MemoryEvents> read_memory_events();

    // cgroup.events, for polling: its "populated" tells whether any process is left.
    Result<int> open_cgroup_events();
    Result<bool> is_populated();

    Result<void> write(const char* file, std::string_view value);
    // A file that holds one number, or "max" (UINT64_MAX).
    Result<uint64_t> read_number(const char* file) const;
    // Kills every process in it, now and for ever: a later clone into it is killed too.
    Result<void> kill();
    // Removes the directory and what the container made below it. EBUSY: a process is left.
    Result<void> remove();

  private:
    static Result<Cgroup> make(const CgroupHost& host, const CgroupParents& parents,
                               std::string path, const std::string& container);
    Cgroup(Fd directory, const CgroupHost* host, std::string path)
        : directory_(std::move(directory)), host_(host), path_(std::move(path)) {}
    Result<void> apply(const Resources& resources);
    // A file of its own, as a directory's descriptor and a path from there.
    [[nodiscard]] int base() const { return directory_ ? directory_.get() : host_->root(); }
    [[nodiscard]] std::string file(const char* name) const;
    [[nodiscard]] Result<void> remove_directory() const;

    Fd directory_;
    Fd parent_;         // tests alone
    std::string name_;  // tests alone
    const CgroupHost* host_ = nullptr;
    std::string path_;
    RunRecord* record_ = nullptr;
    RunRecord::Entry entry_;
    Fd memory_events_;
    Fd cgroup_events_;
};

}  // namespace sigil::isolation
