// What the options of one container do with their text, whether it comes from a command line or
// from a line of JSON. A failure says what was wrong with the text; the caller names the option.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/spec.h"

namespace sigil::cli {

std::vector<std::string> split(std::string_view text, char separator);

// ---- the process
// "NAME=VALUE", or "NAME" for the value that sigil itself has, if any. An earlier value of the name
// stays until keep_last_values().
Result<void> add_variable(Spec& spec, std::string_view entry);
// Lines as of --env; blank ones and those that start with "#" are passed over.
Result<void> read_env_file(Spec& spec, std::string_view path);
Result<void> pass_descriptor(Spec& spec, std::string_view text);
Result<void> set_network(Spec& spec, std::string_view text);
Result<void> set_workdir(Spec& spec, std::string_view text);

// ---- mounts
Result<void> add_bind(Spec& spec, std::string_view text);
Result<void> add_tmpfs(Spec& spec, std::string_view text);
// Docker's words for --mount, and every mount option by its own name.
Result<void> add_mount(Spec& spec, std::string_view text);
// A mount whose fields are filled: checks and completes it.
Result<void> add_mount(Spec& spec, Mount mount, bool read_only);

// ---- resources
Result<void> set_limit(std::optional<uint64_t>& limit, std::string_view text);
Result<void> set_cpus(Spec& spec, std::string_view text);
Result<void> set_pids(Spec& spec, std::string_view text);
Result<void> add_io_max(Spec& spec, std::string_view text);
Result<void> add_cgroup_file(Spec& spec, std::string_view text);
Result<void> set_cgroup_parent(Spec& spec, std::string_view text);

}  // namespace sigil::cli
