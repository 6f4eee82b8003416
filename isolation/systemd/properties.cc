#include "isolation/systemd/properties.h"

#include <algorithm>

#include "core/parse.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr uint64_t kMostBits = 8192;  // the kernel's largest NR_CPUS

struct Known {
    std::string_view name;
    char type;
};
constexpr Known kKnown[] = {
    {"AllowedCPUs", 'y'},        {"AllowedMemoryNodes", 'y'}, {"CPUQuotaPerSecUSec", 't'},
    {"CPUQuotaPeriodUSec", 't'}, {"CPUWeight", 't'},          {"CollectMode", 's'},
    {"IOWeight", 't'},           {"MemoryHigh", 't'},         {"MemoryLow", 't'},
    {"MemoryMax", 't'},          {"MemoryMin", 't'},          {"MemorySwapMax", 't'},
    {"SendSIGHUP", 'b'},         {"SendSIGKILL", 'b'},        {"TasksMax", 't'},
    {"TimeoutStopUSec", 't'},
};

// "0-3,7"
Result<std::vector<uint8_t>> parse_set(std::string_view text) {
    std::vector<uint8_t> bits;
    while (!text.empty()) {
        const std::string_view part = take_part(text, ',');
        const size_t dash = part.find('-');
        const uint64_t first = TRY(parse_number(part.substr(0, dash), kMostBits - 1));
        const uint64_t last = dash == std::string_view::npos
                                  ? first
                                  : TRY(parse_number(part.substr(dash + 1), kMostBits - 1));
        if (last < first)
            return failure("{} is no range", part);
        bits.resize(std::max<size_t>(bits.size(), last / 8 + 1));
        for (uint64_t bit = first; bit <= last; ++bit)
            bits[bit / 8] |= static_cast<uint8_t>(1U << bit % 8);
    }
    return bits;
}

}  // namespace

Result<Property> parse_property(std::string_view text) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos)
        return failure("is not NAME=VALUE");
    const std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(equals + 1);
    for (const Known& known : kKnown) {
        if (known.name != name)
            continue;
        Property property = {.name = std::string(name), .type = known.type};
        if (known.type == 's')
            property.text = value;
        else if (known.type == 'y')
            property.bits = TRY(parse_set(value));
        else if (known.type == 'b')
            property.number = TRY(parse_number(value, 1));
        else
            property.number = value == "infinity" ? UINT64_MAX : TRY(parse_number(value));
        return property;
    }
    return failure("no property that sigil knows");
}

int append_property(sd_bus_message* message, const Property& property) {
    const char* name = property.name.c_str();
    switch (property.type) {
        case 's':
            return sd_bus_message_append(message, "(sv)", name, "s", property.text.c_str());
        case 'b':
            return sd_bus_message_append(message, "(sv)", name, "b",
                                         static_cast<int>(property.number));
        case 't':
            return sd_bus_message_append(message, "(sv)", name, "t", property.number);
        default:
            break;
    }
    for (int result :
         {sd_bus_message_open_container(message, 'r', "sv"),
          sd_bus_message_append(message, "s", name),
          sd_bus_message_open_container(message, 'v', "ay"),
          sd_bus_message_append_array(message, 'y', property.bits.data(), property.bits.size()),
          sd_bus_message_close_container(message), sd_bus_message_close_container(message)})
        if (result < 0)
            return result;
    return 0;
}

}  // namespace sigil::isolation
