#include "cli/job_lines.h"

#include <assert.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <filesystem>
#include <unordered_map>

#include <rapidjson/document.h>

#include "cli/container_words.h"
#include "cli/device_words.h"
#include "cli/line_reader.h"
#include "cli/seccomp_words.h"
#include "core/environment.h"
#include "core/json_reader.h"
#include "core/oci.h"
#include "core/parse.h"
#include "core/spec_reader.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

using Text = std::string_view;
using rapidjson::Value;

// ---- keys -------------------------------------------------------------------------------------

enum class Kind : uint8_t {
    option,
    args,
    env,
    mounts,
    init,
    cap_add,
    cap_drop,
    capabilities,
    bundle
};

struct Key {
    Kind kind;
    size_t row;  // of the option that stands behind it, or a number of its own
};

constexpr size_t kMostRows = 128;
constexpr size_t kLongestKey = 64;

struct Alias {
    const char* name;
    const char* option;  // null: none stands behind it
    Kind kind = Kind::option;
};

constexpr std::array kAliases = {
    Alias{"id", "name"},
    Alias{"cwd", "workdir"},
    Alias{"binds", "bind"},
    Alias{"pids", "pids-limit"},
    Alias{"ulimits", "ulimit"},
    Alias{"devices", "device"},
    Alias{"env", "env", Kind::env},
    Alias{"mount", "mount", Kind::mounts},
    Alias{"mounts", "mount", Kind::mounts},
    Alias{"init", "no-init", Kind::init},
    Alias{"cap-add", "cap-add", Kind::cap_add},
    Alias{"cap-drop", "cap-drop", Kind::cap_drop},
    Alias{"args", nullptr, Kind::args},
    Alias{"capabilities", nullptr, Kind::capabilities},
    Alias{"bundle", nullptr, Kind::bundle},
};

// Every key that is known, by its name with dashes. Built once.
class Keys {
  public:
    static const Keys& all() {
        static const Keys keys;
        return keys;
    }

    Result<Key> find(Text name) const {
        std::array<char, kLongestKey> dashed;
        if (name.size() > dashed.size())
            return failure("unknown key '{}...'", printable(name.substr(0, dashed.size())));
        std::ranges::replace_copy(name, dashed.begin(), '_', '-');
        const auto found = by_name_.find(Text(dashed.data(), name.size()));
        if (found != by_name_.end())
            return found->second;
        if (const char* meant = name.empty() ? nullptr : nearest(name, suggestions_))
            return failure("unknown key '{}'; did you mean '{}'?", printable(name), meant);
        return failure("unknown key '{}'", printable(name));
    }

    // Of an option that is there.
    [[nodiscard]] size_t row(Text option) const { return by_name_.find(option)->second.row; }

  private:
    Keys() {
        const auto options = run_options();
        for (size_t row = 0; row < options.size(); ++row) {
            by_name_[options[row].name] = {Kind::option, row};
            if (!options[row].of_run)
                suggest(options[row].name);
        }
        for (const Alias& alias : kAliases) {
            by_name_[alias.name] = {alias.kind, alias.option ? row(alias.option) : by_name_.size()};
            suggest(alias.name);
        }
        assert(by_name_.size() <= kMostRows);
        for (const std::string& name : underscored_)
            suggestions_.push_back(name.c_str());
    }

    void suggest(std::string name) {
        std::ranges::replace(name, '-', '_');
        underscored_.push_back(std::move(name));
    }

    std::unordered_map<Text, Key> by_name_;
    std::vector<std::string> underscored_;
    std::vector<const char*> suggestions_;
};

// ---- values -----------------------------------------------------------------------------------

Text view(const Value& string) {
    return {string.GetString(), string.GetStringLength()};
}

Result<Text> read_string(const Value& value) {
    if (!value.IsString())
        return failure("not a string");
    if (view(value).find('\0') != Text::npos)
        return failure("a NUL byte in a string");
    return view(value);
}

// A number as it would be written for an option, without an exponent.
Result<std::string> write_number(const Value& value) {
    if (value.IsUint64())
        return fmt::format("{}", value.GetUint64());
    if (value.IsInt64())
        return fmt::format("{}", value.GetInt64());
    const double number = value.GetDouble();
    if (std::abs(number) >= 1e20)
        return failure("the number is out of range");
    return number == std::trunc(number) ? fmt::format("{:.0f}", number) : fmt::format("{}", number);
}

// An option's text: a string or a number. `scratch` holds what a number becomes.
Result<Text> read_text(const Value& value, std::string& scratch) {
    if (!value.IsNumber()) {
        if (!value.IsString())
            return failure("neither a string nor a number");
        return read_string(value);
    }
    scratch = TRY(write_number(value));
    return Text(scratch);
}

Result<bool> read_bool(const Value& value) {
    if (!value.IsBool())
        return failure("neither true nor false");
    return value.GetBool();
}

// Calls act(element) for each element of an array, or for the one value that is none; what fails is
// at `path`, or at path[n].
template <typename Act>
Result<void> for_each(Text path, const Value& value, const Act& act) {
    if (!value.IsArray()) {
        TRY(act(value), "{}", path);
        return {};
    }
    for (rapidjson::SizeType index = 0; index < value.Size(); ++index)
        TRY(act(value[index]), "{}[{}]", path, index);
    return {};
}

Result<void> check_is_array(const Value& value) {
    if (!value.IsArray())
        return failure("not an array");
    return {};
}

// Of an object whose names are free to choose: keys would be told apart by the table.
Result<void> check_names_differ(const Value& object) {
    std::vector<Text> names;
    for (const auto& member : object.GetObject())
        names.push_back(view(member.name));
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    if (twice != names.end())
        return failure("'{}' is given twice", printable(*twice));
    return {};
}

// ---- mounts -----------------------------------------------------------------------------------

constexpr std::array kMountKeys = {"type", "source", "target", "options"};

Result<size_t> find_mount_key(Text name) {
    const Text known = name == "destination" ? "target" : name;
    const auto found = std::ranges::find(kMountKeys, known);
    if (found != kMountKeys.end())
        return static_cast<size_t>(found - kMountKeys.begin());
    if (const char* meant = name.size() <= kLongestKey ? nearest(name, kMountKeys) : nullptr)
        return failure("unknown key '{}'; did you mean '{}'?", printable(name), meant);
    return failure("unknown key '{}'", printable(name.substr(0, kLongestKey)));
}

// {"type":"bind","source":"/a","target":"/b","options":["ro"]}
Result<void> add_mount_object(Spec& spec, const Value& object) {
    Mount mount = {.type = "bind", .source = {}, .target = {}, .options = {}, .origin = {}};
    bool read_only = false;
    std::bitset<kMountKeys.size()> seen;
    for (const auto& member : object.GetObject()) {
        const Text name = view(member.name);
        const size_t key = TRY(find_mount_key(name));
        if (seen[key])
            return failure("'{}' is given twice", name);
        seen[key] = true;
        if (name == "options") {
            TRY(check_is_array(member.value), "options");
            auto add_option = [&](const Value& option) -> Result<void> {
                const Text text = TRY(read_string(option));
                if (text == "ro")
                    read_only = true;
                else
                    mount.options.emplace_back(text);
                return {};
            };
            TRY(for_each(name, member.value, add_option));
        } else {
            std::string& field = key == 0 ? mount.type : key == 1 ? mount.source : mount.target;
            field = TRY(read_string(member.value), "{}", name);
        }
    }
    mount.origin = "mount on " + printable(mount.target);
    return add_mount(spec, std::move(mount), read_only);
}

// ---- a bundle ---------------------------------------------------------------------------------

// Of a container whose bundle says what it is: what may be said beside it.
constexpr std::array kBesideABundle = {
    "name",        "env",        "workdir",     "timeout",     "stop-timeout",  "stop-signal",
    "restart",     "memory",     "memory-high", "memory-swap", "oom-group",     "cpus",
    "cpuset-cpus", "pids-limit", "io-max",      "cgroup-set",  "cgroup-parent", "after",
    "stdin",       "stdout",     "stderr"};

bool may_be_beside_a_bundle(Key key) {
    switch (key.kind) {
        case Kind::args:
        case Kind::env:
        case Kind::bundle:
            return true;
        case Kind::option:
            return std::ranges::find(kBesideABundle, Text(run_options()[key.row].name)) !=
                   kBesideABundle.end();
        default:
            return false;
    }
}

// The container of a bundle in place of the defaults' own, but for how it is supervised.
Result<void> take_bundle(Spec& spec, const std::string& path) {
    std::error_code failed;
    Spec bundle = TRY(read_bundle(std::filesystem::absolute(path, failed)));
    // Between these and the command there is no one to run them: the launch is not its own.
    const Hooks& hooks = bundle.oci->hooks;
    if (!hooks.poststart.empty() || !hooks.poststop.empty())
        return failure("hooks.{}: they need a run of this bundle alone: 'sigil run --bundle'",
                       hooks.poststart.empty() ? "poststop" : "poststart");
    bundle.timeout = spec.timeout;
    bundle.stop_timeout = spec.stop_timeout;
    bundle.init = false;
    spec = std::move(bundle);
    return {};
}

// ---- one line ---------------------------------------------------------------------------------

// A line's job in the making: the defaults, and one key after another on top.
class JobFiller {
  public:
    explicit JobFiller(const RunRequest& defaults) : defaults_(defaults) {
        request_.job = defaults.job;
        request_.seccomp = defaults.seccomp;
        request_.job.spec.name.clear();
    }

    Result<Job> fill(const Value& object);

  private:
    struct Capability {
        int turn;
        Text option;
        Text name;
        std::string path;
    };

    Result<void> apply(Key key, Text path, const Value& value);
    Result<void> apply_option(size_t row, Text path, const Value& value);
    Result<void> set_args(Text path, const Value& value);
    Result<void> add_variables(const Value& object);
    Result<void> note_capabilities(Text option, Text path, const Value& value);
    Result<void> note_capability_object(Text path, const Value& object);
    Result<void> apply_capabilities();
    Result<void> finish();
    Result<void> finish_order();

    const RunRequest& defaults_;
    RunRequest request_;
    std::bitset<kMostRows> seen_;
    std::vector<Capability> capabilities_;
};

Result<Job> JobFiller::fill(const Value& object) {
    const Keys& keys = Keys::all();
    const auto bundle = object.FindMember("bundle");
    const bool has_bundle = bundle != object.MemberEnd();
    if (has_bundle) {
        const Text path = TRY(read_string(bundle->value), "bundle");
        TRY(take_bundle(request_.job.spec, std::string(path)), "bundle");
    }
    for (const auto& member : object.GetObject()) {
        const Text path = view(member.name);
        const Key key = TRY(keys.find(path));
        if (has_bundle && !may_be_beside_a_bundle(key))
            return failure("{}: with a bundle, that is its config.json's to say", path);
        if (seen_[key.row])
            return failure("{}: given twice", path);
        seen_[key.row] = true;
        TRY(apply(key, path, member.value));
    }
    TRY(apply_capabilities());
    TRY(finish());
    return std::move(request_.job);
}

Result<void> JobFiller::apply(Key key, Text path, const Value& value) {
    Spec& spec = request_.job.spec;
    switch (key.kind) {
        case Kind::option:
            return apply_option(key.row, path, value);
        case Kind::args:
            return set_args(path, value);
        case Kind::env:
            if (!value.IsObject())
                return apply_option(key.row, path, value);
            TRY(check_names_differ(value), "{}", path);
            TRY(add_variables(value));
            return {};
        case Kind::init:
            spec.init = TRY(read_bool(value), "{}", path);
            return {};
        case Kind::mounts:
            return for_each(path, value, [&](const Value& mount) -> Result<void> {
                if (mount.IsObject())
                    return add_mount_object(spec, mount);
                if (!mount.IsString())
                    return failure("neither a string nor an object");
                return add_mount(spec, TRY(read_string(mount)));
            });
        case Kind::cap_add:
            return note_capabilities("cap-add", path, value);
        case Kind::cap_drop:
            return note_capabilities("cap-drop", path, value);
        case Kind::capabilities:
            return note_capability_object(path, value);
        case Kind::bundle:
            return {};  // taken before all others
    }
    return {};
}

Result<void> JobFiller::apply_option(size_t row, Text path, const Value& value) {
    const auto& option = run_options()[row];
    if (option.of_run)
        return failure("{}: it is for the whole run: give it on the command line", path);
    if (!option.argument) {
        const bool is_set = TRY(read_bool(value), "{}", path);
        return option.apply(request_, is_set ? "true" : "false");
    }
    std::string scratch;
    return for_each(path, value, [&](const Value& element) -> Result<void> {
        return option.apply(request_, TRY(read_text(element, scratch)));
    });
}

Result<void> JobFiller::set_args(Text path, const Value& value) {
    std::vector<std::string>& args = request_.job.spec.args;
    TRY(check_is_array(value), "{}", path);
    args.clear();
    return for_each(path, value, [&](const Value& element) -> Result<void> {
        args.emplace_back(TRY(read_string(element)));
        return {};
    });
}

Result<void> JobFiller::add_variables(const Value& object) {
    std::string scratch;
    for (const auto& member : object.GetObject()) {
        const Text name = TRY(read_string(member.name), "env");
        if (name.empty() || name.find('=') != Text::npos)
            return failure("env: '{}' is not the name of a variable", printable(name));
        const Text value = TRY(read_text(member.value, scratch), "env.{}", printable(name));
        request_.job.spec.env.push_back(fmt::format("{}={}", name, value));
    }
    return {};
}

// ---- capabilities: in any order of the keys, what is named counts more than ALL ---------------

Result<void> JobFiller::note_capabilities(Text option, Text path, const Value& value) {
    size_t index = 0;
    return for_each(path, value, [&](const Value& element) -> Result<void> {
        const Text name = TRY(read_string(element));
        const bool is_all = name.size() == 3 && ::strncasecmp(name.data(), "all", 3) == 0;
        const bool gives = option == "cap-add";
        const int turn = is_all ? (gives ? 0 : 1) : (gives ? 3 : 2);
        capabilities_.push_back(
            {turn, option, name,
             value.IsArray() ? fmt::format("{}[{}]", path, index++) : std::string(path)});
        return {};
    });
}

Result<void> JobFiller::note_capability_object(Text path, const Value& object) {
    if (!object.IsObject())
        return failure("{}: not an object", path);
    TRY(check_names_differ(object), "{}", path);
    for (const auto& member : object.GetObject()) {
        const Text name = view(member.name);
        if (name != "add" && name != "drop")
            return failure("{}: '{}' is neither add nor drop", path,
                           printable(name.substr(0, kLongestKey)));
        TRY(note_capabilities(name == "add" ? "cap-add" : "cap-drop",
                              fmt::format("{}.{}", path, name), member.value));
    }
    return {};
}

Result<void> JobFiller::apply_capabilities() {
    std::ranges::stable_sort(capabilities_, {}, &Capability::turn);
    for (const Capability& capability : capabilities_) {
        const size_t row = Keys::all().row(capability.option);
        TRY(run_options()[row].apply(request_, capability.name), "{}", capability.path);
    }
    return {};
}

// What depends on more than one key.
Result<void> JobFiller::finish() {
    Job& job = request_.job;
    Spec& spec = job.spec;
    keep_last_values(spec.env);
    if (spec.oci)
        return finish_order();
    TRY(complete_privileged(spec), "privileged");
    if (request_.seccomp != defaults_.seccomp || spec.privileged != defaults_.job.spec.privileged ||
        spec.capabilities != defaults_.job.spec.capabilities)  // else it is the default's
        TRY(set_seccomp(spec, request_.seccomp), "seccomp");
    if (spec.hostname.empty())
        spec.hostname = spec.name;
    TRY(finish_order());
    if (spec.args.empty())
        return failure("args: the command is missing");
    if (spec.args[0].empty())
        return failure("args[0]: the command is empty");
    return check_job(job, "");
}

Result<void> JobFiller::finish_order() {
    Job& job = request_.job;
    const std::string& name = job.spec.name;
    // A default that all come after one of them is not meant for that one.
    const auto own = job.after.begin() + static_cast<ptrdiff_t>(defaults_.job.after.size());
    if (!name.empty() && std::find(own, job.after.end(), name) != job.after.end())
        return failure("after: {} can't come after itself", name);
    std::erase(job.after, name);
    std::ranges::sort(job.after);
    job.after.erase(std::unique(job.after.begin(), job.after.end()), job.after.end());
    return {};
}

}  // namespace

bool is_blank(Text line) {
    return line.find_first_not_of(" \t\r\n") == Text::npos;
}

Result<Job> parse_job_line(Text line, const RunRequest& defaults) {
    if (line.size() > kLongestLine)
        return failure("the line is longer than {} bytes", kLongestLine);
    // To the parser it would be the end.
    if (const size_t nul = line.find('\0'); nul != Text::npos)
        return failure("column {}: a NUL byte", nul + 1);
    // Iterative: the depth of the nesting is the input's choice, our stack is not.
    constexpr unsigned kFlags = rapidjson::kParseIterativeFlag |
                                rapidjson::kParseValidateEncodingFlag |
                                rapidjson::kParseFullPrecisionFlag;
    std::array<char, 16384> memory;
    rapidjson::MemoryPoolAllocator<> allocator(memory.data(), memory.size());
    rapidjson::Document document(&allocator);
    document.Parse<kFlags>(line.data(), line.size());
    if (document.HasParseError())
        return failure("column {}: {}", document.GetErrorOffset() + 1,
                       describe(document.GetParseError()));
    if (!document.IsObject())
        return failure("not a JSON object");
    return JobFiller(defaults).fill(document);
}

}  // namespace sigil::cli
