// config-linux.md, "Seccomp": the form alone; isolation/seccomp knows the names of calls, actions
// and architectures.
#include "core/spec_reader_parts.h"

namespace sigil::spec_reader {
namespace {

Result<std::string> need_name(const Json& object, const char* key) {
    const Json value = TRY(object.need(key));
    const std::string_view text = TRY(value.text());
    if (text.empty())
        return value.fail("is empty");
    return std::string(text);
}

Result<void> read_argument(const Json& object, Seccomp::Rule& rule) {
    constexpr uint32_t kLastArgument = 5;
    Seccomp::Argument argument;
    argument.index = TRY(object.need_whole<uint32_t>("index", 0, kLastArgument));
    argument.value = TRY(object.need_whole<uint64_t>("value"));
    TRY(object.read("valueTwo", argument.value_two));
    argument.op = TRY(need_name(object, "op"));
    rule.arguments.push_back(std::move(argument));
    return {};
}

Result<void> read_rule(const Json& object, Seccomp& into) {
    Seccomp::Rule rule;
    const Json names = TRY(object.need("names"));
    TRY(object.read("names", rule.names));
    if (rule.names.empty())
        return names.fail("is empty");
    rule.action = TRY(need_name(object, "action"));
    TRY(object.read("errnoRet", rule.error));
    TRY(object.each("args", [&](const Json& argument) { return read_argument(argument, rule); }));
    into.rules.push_back(std::move(rule));
    return {};
}

}  // namespace

Result<void> read_seccomp(const Json& seccomp, Seccomp& into) {
    into.default_action = TRY(need_name(seccomp, "defaultAction"));
    TRY(seccomp.read("defaultErrnoRet", into.default_error));
    TRY(seccomp.read("architectures", into.architectures));
    TRY(seccomp.read("flags", into.flags));
    TRY(seccomp.read("listenerPath", into.listener_path));
    TRY(seccomp.read("listenerMetadata", into.listener_metadata));
    if (into.listener_path.empty() && !into.listener_metadata.empty())
        return seccomp.find("listenerMetadata")->fail("needs a listenerPath");
    return seccomp.each("syscalls", [&](const Json& rule) { return read_rule(rule, into); });
}

}  // namespace sigil::spec_reader
