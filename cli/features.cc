// `sigil features`: the features document of the OCI runtime specification 1.3.0 (features.md,
// features-linux.md). It tells what this binary knows, whatever the host can do, so all of it is
// known when sigil is built; of the host, `sigil doctor` tells.
#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include "cli/command.h"
#include "core/capabilities.h"
#include "core/parse.h"
#include "core/try.h"
#include "isolation/mount_options.h"
#include "isolation/seccomp.h"

namespace sigil::cli {
namespace {

using Words = std::vector<std::string>;

// ---- the document -------------------------------------------------------------------------------

constexpr const char* kOldestVersion = "1.0.0";
constexpr const char* kNewestVersion = "1.3.0";

// Lists that config.json's readers know, by their place in the document.
struct List {
    const char* path;
    Words (*words)();
};

Words mount_options() {
    Words words = isolation::mount_option_names();
    for (const char* extension : {"idmap", "ridmap", "tmpcopyup"})
        words.emplace_back(extension);
    std::ranges::sort(words);
    return words;
}

Words capabilities() {
    Words words;
    for (std::string_view name : capability_names())
        words.push_back("CAP_" + std::string(name));
    return words;
}

// libseccomp's word for the machine's own is none of the specification's.
Words seccomp_architectures() {
    Words words = isolation::seccomp_vocabulary().architectures;
    std::erase(words, "SCMP_ARCH_NATIVE");
    std::ranges::sort(words);
    return words;
}

const std::array kLists = {
    List{"hooks",
         [] {
             return Words{"prestart",       "createRuntime", "createContainer",
                          "startContainer", "poststart",     "poststop"};
         }},
    List{"mountOptions", mount_options},
    List{"linux.namespaces",
         [] { return Words{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}; }},
    List{"linux.capabilities", capabilities},
    List{"linux.seccomp.actions", [] { return isolation::seccomp_vocabulary().actions; }},
    List{"linux.seccomp.operators", [] { return isolation::seccomp_vocabulary().operators; }},
    List{"linux.seccomp.archs", seccomp_architectures},
    List{"linux.seccomp.knownFlags", [] { return isolation::seccomp_vocabulary().flags; }},
    List{"linux.seccomp.supportedFlags", [] { return isolation::seccomp_vocabulary().flags; }},
    List{"linux.memoryPolicy.modes",
         [] {
             return Words{"MPOL_DEFAULT",    "MPOL_BIND",
                          "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
                          "MPOL_PREFERRED",  "MPOL_PREFERRED_MANY",
                          "MPOL_LOCAL"};
         }},
    List{"linux.memoryPolicy.flags",
         [] {
             return Words{"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"};
         }},
};

struct Switch {
    const char* path;
    bool is_on;
};

constexpr std::array kSwitches = {
    Switch{"linux.cgroup.v1", false},           Switch{"linux.cgroup.v2", true},
    Switch{"linux.cgroup.systemd", true},       Switch{"linux.cgroup.systemdUser", true},
    Switch{"linux.cgroup.rdma", true},          Switch{"linux.seccomp.enabled", true},
    Switch{"linux.apparmor.enabled", true},     Switch{"linux.selinux.enabled", true},
    Switch{"linux.intelRdt.enabled", false},    Switch{"linux.intelRdt.schemata", false},
    Switch{"linux.intelRdt.monitoring", false}, Switch{"linux.mountExtensions.idmap.enabled", true},
    Switch{"linux.netDevices.enabled", true},
};

// ---- how it is written --------------------------------------------------------------------------

using Writer = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

void write(Writer& json, std::string_view text) {
    json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void write(Writer& json, const Words& words) {
    json.StartArray();
    for (const std::string& word : words)
        write(json, std::string_view(word));
    json.EndArray();
}

// What the tables have below `prefix` ("linux." or nothing), as an object's members. A member with
// members of its own is written where its first row is.
void write_members(Writer& json, const std::string& prefix) {
    Words written;
    // The member that a row is in; empty: none, or one that is there already.
    auto begin = [&](std::string_view path) -> std::string {
        if (!path.starts_with(prefix))
            return {};
        const std::string_view rest = path.substr(prefix.size());
        std::string name(rest.substr(0, rest.find('.')));
        if (std::ranges::find(written, name) != written.end())
            return {};
        written.push_back(name);
        write(json, std::string_view(name));
        return name;
    };
    auto is_whole = [&](std::string_view path, const std::string& name) {
        return path == prefix + name;
    };
    auto nest = [&](const std::string& name) {
        json.StartObject();
        write_members(json, prefix + name + ".");
        json.EndObject();
    };
    for (const Switch& row : kSwitches)
        if (const std::string name = begin(row.path); !name.empty())
            is_whole(row.path, name) ? (void)json.Bool(row.is_on) : nest(name);
    for (const List& row : kLists)
        if (const std::string name = begin(row.path); !name.empty())
            is_whole(row.path, name) ? write(json, row.words()) : nest(name);
}

std::string document() {
    rapidjson::StringBuffer buffer;
    Writer json(buffer);
    json.StartObject();
    json.Key("ociVersionMin");
    write(json, std::string_view(kOldestVersion));
    json.Key("ociVersionMax");
    write(json, std::string_view(kNewestVersion));
    write_members(json, "");
    json.Key("annotations");
    json.StartObject();
    json.Key("run.sigil.version");
    write(json, std::string_view(SIGIL_VERSION));
    json.EndObject();
    // No annotation of a bundle makes sigil do anything.
    json.Key("potentiallyUnsafeConfigAnnotations");
    write(json, Words());
    json.EndObject();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

struct Request {
    bool wants_help = false;
};

const std::array kOptions = {
    Option<Request>{"Options", "help", 'h', nullptr, "Show this",
                    [](Request& r, std::string_view) -> Result<void> {
                        r.wants_help = true;
                        return {};
                    }},
};

}  // namespace

std::vector<OptionShape> features_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string features_help() {
    return "Usage: sigil features\n"
           "\n"
           "Prints what this sigil knows of the OCI runtime specification, as its features\n"
           "document: JSON, for engines. What this host can do is another matter, of which\n"
           "'sigil doctor' tells.\n"
           "\n" +
           describe_options(features_shapes()) +
           "\n"
           "Examples:\n"
           "  sigil features | jq .linux.seccomp.actions\n";
}

Result<int> features(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    if (request.wants_help) {
        print(features_help());
        return 0;
    }
    if (!arguments.empty())
        return failure("features: '{}': it takes no arguments", printable(arguments[0]));
    print(document());
    return 0;
}

}  // namespace sigil::cli
