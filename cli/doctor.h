// What `sigil doctor` finds out about a host: a table of checks, each of which looks at one thing
// and says what it saw, and where something is amiss, what mends it. Checks change nothing; the one
// that starts a container leaves nothing.
#pragma once

#include <stdint.h>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/run_record.h"

namespace sigil::cli {

enum class Verdict : uint8_t {
    good,
    note,     // neither here nor there
    warning,  // something that sigil can do does not work here
    failure,  // `sigil run` does not work here
};

struct Finding {
    Verdict verdict = Verdict::note;
    std::string text;
    std::string mend;  // a command, or what else to do; empty: nothing to be done
};

// The host as the checks see it. Tests have one of files.
struct Host {
    std::string prefix;                   // leads /proc, /sys, /etc and /run: empty, or a fixture
    std::string root = kDefaultRoot;      // --root
    long cgroup_filesystem = 0x63677270;  // CGROUP2_SUPER_MAGIC

    // The file without its last newline; nothing: it cannot be read.
    [[nodiscard]] std::optional<std::string> read(std::string_view path) const;
    [[nodiscard]] std::optional<uint64_t> number(std::string_view path) const;
    [[nodiscard]] bool has(std::string_view path) const;
};

struct Check {
    const char* section;  // null: that of the row above
    const char* name;
    Finding (*look)(const Host& host);
};
std::span<const Check> checks();

// The checks, a file for each of the host's sides.
Finding check_kernel(const Host& host);
Finding check_system_calls(const Host& host);
Finding check_namespaces(const Host& host);
Finding check_io_uring(const Host& host);
Finding check_container(const Host& host);

Finding check_cgroup_layout(const Host& host);
Finding check_controllers(const Host& host);
Finding check_cgroup_place(const Host& host);
Finding check_cgroup_kill(const Host& host);
Finding check_pressure(const Host& host);
Finding check_systemd(const Host& host);

Finding check_open_files(const Host& host);
Finding check_processes(const Host& host);
Finding check_memory(const Host& host);
Finding check_record(const Host& host);
Finding check_leftovers(const Host& host);

Finding check_capabilities(const Host& host);
Finding check_seccomp(const Host& host);
Finding check_security_modules(const Host& host);

Finding check_user_namespaces(const Host& host);
Finding check_subordinate_ids(const Host& host);
Finding check_id_mapped_mounts(const Host& host);
Finding check_overlay(const Host& host);

struct Diagnosis {
    const Check* check;
    Finding finding;
};
std::vector<Diagnosis> diagnose(const Host& host);
// As the terminal shows it, or as --json prints it.
std::string describe(std::span<const Diagnosis> diagnoses, bool is_coloured);
std::string to_json(std::span<const Diagnosis> diagnoses);
// 0: `sigil run` works here; 1: it does not.
int exit_code(std::span<const Diagnosis> diagnoses);

}  // namespace sigil::cli
