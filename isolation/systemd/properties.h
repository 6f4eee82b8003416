// Properties of a systemd unit as words ("MemoryMax=1048576") and as D-Bus has them
// (systemd.resource-control(5), org.freedesktop.systemd1(5)).
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

#include <systemd/sd-bus.h>

#include "core/error.h"

namespace sigil::isolation {

struct Property {
    std::string name;
    char type = 't';      // 't': number, 's': text, 'b': boolean, 'y': a set of bits
    uint64_t number = 0;  // UINT64_MAX: infinity
    std::string text;
    std::vector<uint8_t> bits;  // of CPUs or nodes, bit n of byte n / 8
};

// Numbers in the property's own unit, or "infinity"; sets as "0-3,7". An error says what is wrong.
Result<Property> parse_property(std::string_view text);

// Appends "(sv)". A negative errno of sd-bus.
int append_property(sd_bus_message* message, const Property& property);

}  // namespace sigil::isolation
