#include "isolation/step.h"

#include <fmt/format.h>

namespace sigil::isolation {
namespace {

const char* or_empty(const char* text) {
    return text ? text : "";
}

std::string what(const Step& step) {
    const char* path = or_empty(step.path);
    const char* source = or_empty(step.source);
    switch (step.kind) {
        case StepKind::make_mounts_private:
            return "make the mounts private";
        case StepKind::open_root:
            return "open the root";
        case StepKind::attach_root:
            return "attach the root filesystem";
        case StepKind::pivot_root:
            return "pivot_root";
        case StepKind::detach_old_root:
            return "detach the old root";
        case StepKind::use_shared:
            return fmt::format("open /{}", path);
        case StepKind::new_mount:
            return fmt::format("mount {} on /{}", source, path);
        case StepKind::enter:
            return "enter a directory of the container";
        case StepKind::mount_here:
        case StepKind::new_filesystem:
            return fmt::format("mount {} on {}", source, path);
        case StepKind::make_directory:
            return fmt::format("make directory {}", path);
        case StepKind::make_link:
        case StepKind::ensure_link:
            return fmt::format("make link /dev/{}", path);
        case StepKind::open_null:
            return "open /dev/null";
        case StepKind::mask_file:
        case StepKind::mask_directory:
        case StepKind::mask_path:
            return fmt::format("mask {}", path);
        case StepKind::bind_here:
        case StepKind::protect_path:
            return fmt::format("make {} read-only", path);
        case StepKind::make_writable:
            return "make a mount of the container writable";
        case StepKind::attach_tree:
        case StepKind::bind_tree:
            return fmt::format("bind on {}", path);
        case StepKind::mount_at:
            return fmt::format("mount {} on {}", step.device_name ? step.device_name : source,
                               path);
        case StepKind::read_only_root:
            return "make the root read-only";
        case StepKind::set_propagation:
            return "set the propagation of the mounts";
        case StepKind::open_proc:
            return "open a procfs";
        case StepKind::open_null_mask:
            return "open the host's /dev/null";
        case StepKind::mount_in_root:
            return fmt::format("mount {} on {}", or_empty(step.device_name), path);
        case StepKind::read_only_mount:
            return "make a mount of the container read-only";
        case StepKind::enter_directory:
            return fmt::format("enter {}", path);
        case StepKind::make_device:
            return step.source ? fmt::format("make device {}", source)
                               : fmt::format("make device /dev/{}", path);
        case StepKind::hide_host:
            return fmt::format("hide the host's {}", path);
        case StepKind::change_root:
            return "chroot";
        case StepKind::write_proc:
            return fmt::format("write '{}' to /proc/{}", source, path);
        case StepKind::begin_network:
            return "start the network namespace's helper";
        case StepKind::join_network:
            return "make a network namespace";
        case StepKind::unshare_cgroup:
            return "make a cgroup namespace";
        case StepKind::set_hostname:
            return fmt::format("set the hostname to {}", source);
        case StepKind::set_domainname:
            return fmt::format("set the domain name to {}", source);
        case StepKind::raise_loopback:
            return "raise the loopback";
        case StepKind::set_umask:
            return "set the umask";
        case StepKind::new_session:
            return "make a session";
        case StepKind::new_keyring:
            return "make a session keyring";
        case StepKind::own_group:
            return "make a process group";
        case StepKind::set_rlimit:
            return "set the limit";
        case StepKind::drop_bounding:
            return "drop capabilities from the bounding set";
        case StepKind::set_groups:
            return "set the groups";
        case StepKind::set_ids:
        case StepKind::become_user:
            return fmt::format("become user {}:{}", step.ids->uid, step.ids->gid);
        case StepKind::own_stream:
            return fmt::format("give descriptor {} to user {}", step.fd, step.mode);
        case StepKind::set_capabilities:
        case StepKind::set_capability_sets:
            return "set the capabilities";
        case StepKind::no_new_privileges:
            return "set no_new_privs";
        case StepKind::seccomp:
            return "install the system call filter";
        case StepKind::keep_capabilities:
            return "keep the capabilities";
        case StepKind::set_scheduler:
            return "set the scheduler";
        case StepKind::set_io_priority:
            return "set the I/O priority";
        case StepKind::set_personality:
            return "set the personality";
        case StepKind::set_memory_policy:
            return "set the memory policy";
        case StepKind::check_cwd:
            return "check that the working directory is in the container";
        case StepKind::change_directory:
        case StepKind::enter_cwd:
            return fmt::format("change to directory {}", path);
        case StepKind::keep_descriptor:
            return fmt::format("pass descriptor {}", step.fd);
        case StepKind::move_descriptor:
            return "move a descriptor";
        case StepKind::move_passed:
            return "move a descriptor that came with the command";
        case StepKind::close_descriptors:
            return "close descriptors";
        case StepKind::close_on_exec:
            return "have descriptors closed";
        case StepKind::reset_signal:
            return "reset a signal";
        case StepKind::unblock_signals:
            return "unblock the signals";
        case StepKind::die_with_parent:
            return "ask to die with the supervisor";
        case StepKind::join_namespace:
            return "join the namespace";
        case StepKind::set_undumpable:
            return "hide from the container";
        case StepKind::open_console:
            return "open the terminal";
        case StepKind::pass_listener:
            return "pass the filter's listener on";
        case StepKind::meet_parent:
            return "wait for the parent";
        case StepKind::await_start:
            return "wait for the start";
        case StepKind::find_command:
        case StepKind::exec_command:
            return source;
        case StepKind::exec_init:
            return "execute the init";
    }
    return "unknown step";
}

}  // namespace

std::string describe(const Step& step) {
    return step.origin ? fmt::format("{}: {}", step.origin, what(step)) : what(step);
}

}  // namespace sigil::isolation
