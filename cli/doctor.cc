// `sigil doctor`.
#include "cli/doctor.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/command.h"
#include "cli/globals.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr std::array kChecks = {
    Check{"Kernel", "version", check_kernel},
    Check{nullptr, "system calls", check_system_calls},
    Check{nullptr, "namespaces", check_namespaces},
    Check{nullptr, "io_uring", check_io_uring},
    Check{nullptr, "a container", check_container},

    Check{"Control groups", "layout", check_cgroup_layout},
    Check{nullptr, "controllers", check_controllers},
    Check{nullptr, "place", check_cgroup_place},
    Check{nullptr, "cgroup.kill", check_cgroup_kill},
    Check{nullptr, "pressure", check_pressure},
    Check{nullptr, "systemd", check_systemd},

    Check{"How many", "open files", check_open_files},
    Check{nullptr, "processes", check_processes},
    Check{nullptr, "memory", check_memory},

    Check{"Security", "capabilities", check_capabilities},
    Check{nullptr, "seccomp", check_seccomp},
    Check{nullptr, "modules", check_security_modules},

    Check{"Without root", "user namespaces", check_user_namespaces},
    Check{nullptr, "subordinate ids", check_subordinate_ids},

    Check{"Filesystems", "overlay", check_overlay},
    Check{nullptr, "id-mapped mounts", check_id_mapped_mounts},

    Check{"sigil's own", "record", check_record},
    Check{nullptr, "left behind", check_leftovers},
};

struct Appearance {
    const char* word;
    const char* colour;  // an SGR sequence
};

Appearance appearance(Verdict verdict) {
    switch (verdict) {
        case Verdict::good:
            return {"ok", "\x1b[32m"};
        case Verdict::note:
            return {"note", "\x1b[36m"};
        case Verdict::warning:
            return {"warning", "\x1b[33m"};
        case Verdict::failure:
            return {"failure", "\x1b[1;31m"};
    }
    return {};
}

constexpr size_t kWordWidth = 9;
constexpr size_t kNameWidth = 18;

size_t count(std::span<const Diagnosis> diagnoses, Verdict verdict) {
    return static_cast<size_t>(std::ranges::count_if(
        diagnoses, [verdict](const Diagnosis& d) { return d.finding.verdict == verdict; }));
}

std::string conclusion(std::span<const Diagnosis> diagnoses) {
    const size_t failures = count(diagnoses, Verdict::failure);
    const size_t warnings = count(diagnoses, Verdict::warning);
    std::string text = failures ? "sigil run does not work here" : "sigil run works here";
    if (warnings)
        text += fmt::format("; {} warning{}", warnings, warnings == 1 ? "" : "s");
    return text;
}

// ---- options ------------------------------------------------------------------------------------

struct Request {
    Host host;
    bool is_json = false;
    bool wants_help = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "json", 0, nullptr, "Print one JSON object",
                    [](Request& r, std::string_view v) -> Result<void> {
                        r.is_json = v != "false";
                        return {};
                    }},
    Option<Request>{nullptr, "root", 0, "DIR", "As before the command",
                    [](Request& r, std::string_view v) -> Result<void> {
                        if (v.empty())
                            return failure("the directory is missing");
                        r.host.root = v;
                        return {};
                    }},
    Option<Request>{nullptr, "help", 'h', nullptr, "Show this",
                    [](Request& r, std::string_view) -> Result<void> {
                        r.wants_help = true;
                        return {};
                    }},
};

bool wants_colour() {
    const char* refused = ::getenv("NO_COLOR");  // no-color.org
    return ::isatty(STDOUT_FILENO) == 1 && !(refused && *refused);
}

}  // namespace

std::span<const Check> checks() {
    return kChecks;
}

std::optional<std::string> Host::read(std::string_view path) const {
    auto text = sys::read_file(AT_FDCWD, (prefix + std::string(path)).c_str());
    if (!text)
        return std::nullopt;
    if (text->ends_with('\n'))
        text->pop_back();
    return std::move(*text);
}

std::optional<uint64_t> Host::number(std::string_view path) const {
    const auto text = read(path);
    if (!text)
        return std::nullopt;
    auto value = parse_number(*text);
    return value ? std::optional(*value) : std::nullopt;
}

bool Host::has(std::string_view path) const {
    return sys::stat(AT_FDCWD, (prefix + std::string(path)).c_str()).has_value();
}

std::vector<Diagnosis> diagnose(const Host& host) {
    std::vector<Diagnosis> diagnoses;
    diagnoses.reserve(kChecks.size());
    for (const Check& check : kChecks)
        diagnoses.push_back({&check, check.look(host)});
    return diagnoses;
}

std::string describe(std::span<const Diagnosis> diagnoses, bool is_coloured) {
    std::string text;
    for (const auto& [check, finding] : diagnoses) {
        if (check->section)
            text += fmt::format("{}{}\n", text.empty() ? "" : "\n", check->section);
        const Appearance shown = appearance(finding.verdict);
        text += fmt::format("  {}{:<{}}{}{:<{}}{}\n", is_coloured ? shown.colour : "", shown.word,
                            kWordWidth, is_coloured ? "\x1b[0m" : "", check->name, kNameWidth,
                            printable(finding.text));
        if (!finding.mend.empty())
            text += fmt::format("  {:<{}}mend: {}\n", "", kWordWidth + kNameWidth, finding.mend);
    }
    return text + "\n" + conclusion(diagnoses) + "\n";
}

std::string to_json(std::span<const Diagnosis> diagnoses) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    json.Key("works");
    json.Bool(exit_code(diagnoses) == 0);
    add(json, "warnings", static_cast<int64_t>(count(diagnoses, Verdict::warning)));
    json.Key("checks");
    json.StartArray();
    std::string_view section;
    for (const auto& [check, finding] : diagnoses) {
        if (check->section)
            section = check->section;
        json.StartObject();
        add(json, "section", section);
        add(json, "name", std::string_view(check->name));
        add(json, "verdict", std::string_view(appearance(finding.verdict).word));
        add(json, "text", printable(finding.text));
        if (!finding.mend.empty())
            add(json, "mend", finding.mend);
        json.EndObject();
    }
    json.EndArray();
    json.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

int exit_code(std::span<const Diagnosis> diagnoses) {
    return count(diagnoses, Verdict::failure) ? 1 : 0;
}

std::vector<OptionShape> doctor_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string doctor_help() {
    return "Usage: sigil doctor [OPTIONS]\n"
           "\n"
           "Looks at this host and tells what of sigil works here, what does not, and what mends\n"
           "it. It tries things rather than asking for versions, and starts one container, of the\n"
           "host's own root, read-only, which runs 'sigil version'. It changes nothing. Exits "
           "with\n"
           "0 if 'sigil run' works, also with warnings, and with 1 if it does not.\n"
           "\n" +
           describe_options(doctor_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil doctor\n"
           "  sigil doctor --json | jq '.checks[] | select(.verdict != \"ok\")'\n";
}

Result<int> doctor(Arguments arguments) {
    Request request;
    request.host.root = globals().root;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (request.wants_help) {
        print(doctor_help());
        return 0;
    }
    if (!arguments.empty())
        return failure("doctor: '{}': it takes no arguments", printable(arguments[0]));
    const std::vector<Diagnosis> diagnoses = diagnose(request.host);
    print(request.is_json ? to_json(diagnoses) : describe(diagnoses, wants_colour()));
    return exit_code(diagnoses);
}

}  // namespace sigil::cli
