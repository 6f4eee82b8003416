// A container's state file, and what is made of it.
#include "core/state.h"

#include "target.h"

void sigil::fuzz::run(std::string_view input) {
    const auto state = ContainerState::from_json(input);
    (void)check_container_id(input);
    if (!state)
        return;
    // What was read is written so that it reads as the same.
    const std::string text = state->to_json();
    const auto again = ContainerState::from_json(text);
    if (!again || again->to_json() != text)
        __builtin_trap();
    (void)oci_state(*state, ContainerStatus::running);
}
