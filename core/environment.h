// A process's environment as a list of "NAME=value".
#pragma once

#include <string>
#include <vector>

namespace sigil {

// Of several values of a variable the last wins, where it stands.
void keep_last_values(std::vector<std::string>& env);

}  // namespace sigil
