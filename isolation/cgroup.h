// One container's cgroup v2 directory: made, limited, watched, killed and removed by its owner.
// Files and their meaning: Documentation/admin-guide/cgroup-v2.rst.
#pragma once

#include <stdint.h>

#include <memory>
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

    // A bundle's, at that very path ("/a/b"), which other processes will open by it. Its parents
    // are made and get what controllers there are, those of `resources` without fail; the limits
    // are written. One that is there already is taken if it has no process and is not frozen.
    // Removed with this object, and so are the parents made here, unless keep() is called. An error
    // names linux.cgroupsPath, or what of the limits was refused. `host` must outlive it.
    static Result<Cgroup> create_at(const CgroupHost* host, std::string path,
                                    const Resources& resources);
    // One that another process has made, or is the owner of; not removed with this object. ENOENT:
    // it is gone.
    static Result<Cgroup> open_at(const CgroupHost* host, std::string path);

    // For tests: a cgroup whose files are in `directory`, and which is removed as `name` in
    // `parent`.
    Cgroup(Fd directory, Fd parent, std::string name, std::string path);
    Cgroup(Cgroup&& other) noexcept;
    Cgroup& operator=(Cgroup&& other) noexcept;
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;
    // Removes what remove() has not, unless it is kept.
    ~Cgroup();

    // From now on it outlives this object; remove() still removes it.
    void keep() { is_kept_ = true; }

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
    // Needs open_memory_events(). Reading also arms the next POLLPRI. ENODEV: the cgroup is gone.
    Result<MemoryEvents> read_memory_events();

    // cgroup.events, for polling: its "populated" tells whether any process is left.
    Result<int> open_cgroup_events();
    // One that somebody else has removed, as systemd does with a scope's, is empty.
    Result<bool> is_populated();

    // Writes the limits that are set; what they don't speak of stays as it is. An error names the
    // option or the property of JSON.
    Result<void> apply(const Resources& resources);
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
    Result<void> apply_memory(const Resources& resources);
    Result<void> check_memory(const Resources& resources);
    Result<void> set(std::string_view origin, const std::string& name, std::string_view value);
    Result<void> set(const Resources::File& one);
    Result<void> set_limit(std::string origin, const char* name, uint64_t limit);
    Result<void> check_unused();
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
    std::unique_ptr<MadeCgroups> parents_;  // made with it; null: none
    bool is_kept_ = false;
};

}  // namespace sigil::isolation
