// What --device, --privileged and --userns make of their words.
#pragma once

#include <string_view>

#include "core/error.h"
#include "core/spec.h"

namespace sigil::cli {

// "PATH[:INSIDE][:rwm]". Looks at the device.
Result<void> add_device(Spec& spec, std::string_view text);

// What a privileged container has beside what isolation gives it: every capability that sigil has,
// and the devices that are below /dev now. Nothing where it isn't one.
Result<void> complete_privileged(Spec& spec);

// "host", "auto", or "UID:GID:SIZE[,UID:GID:SIZE...]".
Result<void> set_userns(Spec& spec, std::string_view text);

}  // namespace sigil::cli
