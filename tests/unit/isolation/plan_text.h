// A plan as text, one line a step: "kind path <source>", so that a test can write out a whole
// recipe and a difference is read at a glance.
#pragma once

#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "isolation/launch_plan.h"

namespace sigil::isolation {

inline const char* kind_name(StepKind kind) {
    static constexpr const char* kNames[] = {
        "make_mounts_private",
        "open_root",
        "attach_root",
        "pivot_root",
        "detach_old_root",
        "use_shared",
        "new_mount",
        "enter",
        "mount_here",
        "make_directory",
        "make_link",
        "open_null",
        "mask_file",
        "mask_directory",
        "bind_here",
        "make_writable",
        "attach_tree",
        "mount_at",
        "read_only_root",
        "set_propagation",
        "open_proc",
        "open_null_mask",
        "bind_tree",
        "new_filesystem",
        "mount_in_root",
        "read_only_mount",
        "enter_directory",
        "make_device",
        "ensure_link",
        "hide_host",
        "change_root",
        "mask_path",
        "protect_path",
        "write_proc",
        "begin_network",
        "join_network",
        "unshare_cgroup",
        "set_hostname",
        "set_domainname",
        "raise_loopback",
        "set_umask",
        "new_session",
        "new_keyring",
        "own_group",
        "set_rlimit",
        "drop_bounding",
        "set_groups",
        "set_ids",
        "set_capabilities",
        "no_new_privileges",
        "seccomp",
        "become_user",
        "own_stream",
        "keep_capabilities",
        "set_capability_sets",
        "set_scheduler",
        "set_io_priority",
        "set_personality",
        "set_memory_policy",
        "enter_cwd",
        "check_cwd",
        "change_directory",
        "keep_descriptor",
        "move_descriptor",
        "move_passed",
        "close_descriptors",
        "close_on_exec",
        "reset_signal",
        "unblock_signals",
        "die_with_parent",
        "join_namespace",
        "set_undumpable",
        "meet_parent",
        "open_console",
        "pass_listener",
        "find_command",
        "await_start",
        "exec_command",
        "exec_init",
    };
    static_assert(std::size(kNames) == static_cast<size_t>(StepKind::exec_init) + 1);
    return kNames[static_cast<size_t>(kind)];
}

inline std::string line_of(const Step& step) {
    static constexpr const char* kPlaceNames[] = {"", " root", " proc", " dev", " sys"};
    std::string line = kind_name(step.kind);
    if (step.kind == StepKind::enter)
        line += kPlaceNames[static_cast<size_t>(step.place)];
    if (step.path)
        line += std::string(" ") + step.path;
    if (step.source)
        line += std::string(" <") + step.source + ">";
    return line;
}

using Lines = std::vector<std::string>;

inline Lines lines_of(const std::vector<Step>& steps) {
    Lines lines;
    lines.reserve(steps.size());
    for (const Step& step : steps)
        lines.push_back(line_of(step));
    return lines;
}

// Null when no step of the kind is there.
inline const Step* find_step(const std::vector<Step>& steps, StepKind kind) {
    for (const Step& step : steps)
        if (step.kind == kind)
            return &step;
    return nullptr;
}

// Where the step of that line is; fails the test where it is missing.
inline size_t index_of(const Lines& lines, const std::string& line) {
    for (size_t index = 0; index < lines.size(); ++index)
        if (lines[index] == line)
            return index;
    ADD_FAILURE() << "no step '" << line << "'";
    return lines.size();
}

inline bool has_kind(const std::vector<Step>& steps, StepKind kind) {
    return find_step(steps, kind) != nullptr;
}

}  // namespace sigil::isolation
