#include "cli/job_lines.h"

#include <algorithm>
#include <bitset>
#include <filesystem>

#include <rapidjson/document.h>

#include "cli/container_words.h"
#include "cli/device_words.h"
#include "cli/job_keys.h"
#include "cli/job_values.h"
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

// ---- a bundle ---------------------------------------------------------------------------------

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
    std::bitset<kMostKeyRows> seen_;
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
        case KeyKind::option:
            return apply_option(key.row, path, value);
        case KeyKind::args:
            return set_args(path, value);
        case KeyKind::env:
            if (!value.IsObject())
                return apply_option(key.row, path, value);
            TRY(check_names_differ(value), "{}", path);
            TRY(add_variables(value));
            return {};
        case KeyKind::init:
            spec.init = TRY(read_bool(value), "{}", path);
            return {};
        case KeyKind::mounts:
            return for_each(path, value, [&](const Value& mount) -> Result<void> {
                if (mount.IsObject())
                    return add_mount_object(spec, mount);
                if (!mount.IsString())
                    return failure("neither a string nor an object");
                return add_mount(spec, TRY(read_string(mount)));
            });
        case KeyKind::cap_add:
            return note_capabilities("cap-add", path, value);
        case KeyKind::cap_drop:
            return note_capabilities("cap-drop", path, value);
        case KeyKind::capabilities:
            return note_capability_object(path, value);
        case KeyKind::bundle:
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
    // Not of full precision: that of rapidjson 1.1 shifts by what it makes of the zero in "0e65".
    constexpr unsigned kFlags =
        rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
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
