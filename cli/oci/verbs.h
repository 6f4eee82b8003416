// The verbs of an OCI runtime's command line, as runc has them, one file each (command.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/options.h"
#include "core/error.h"

namespace sigil::cli::oci {

std::string create_help();
Result<int> create(Arguments arguments);
std::vector<OptionShape> create_shapes();
std::string start_help();
Result<int> start(Arguments arguments);
std::string state_help();
Result<int> state(Arguments arguments);
std::string kill_help();
Result<int> kill(Arguments arguments);
std::vector<OptionShape> kill_shapes();
std::string delete_help();
Result<int> delete_container(Arguments arguments);
std::vector<OptionShape> delete_shapes();
std::string list_help();
Result<int> list(Arguments arguments);
std::vector<OptionShape> list_shapes();
std::string ps_help();
Result<int> ps(Arguments arguments);
std::vector<OptionShape> ps_shapes();
std::string pause_help();
Result<int> pause(Arguments arguments);
std::string resume_help();
Result<int> resume(Arguments arguments);
std::string update_help();
Result<int> update(Arguments arguments);
std::vector<OptionShape> update_shapes();
std::string events_help();
Result<int> events(Arguments arguments);
std::vector<OptionShape> events_shapes();
std::string exec_help();
Result<int> exec(Arguments arguments);
std::vector<OptionShape> exec_shapes();

// The one container that a verb is about: the only argument left.
Result<std::string> only_id(Arguments arguments, std::string_view verb);

}  // namespace sigil::cli::oci
