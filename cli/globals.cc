#include "cli/globals.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>

#include "cli/options.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/run_record.h"
#include "core/sys.h"
#include "core/try.h"
#include "core/wall_time.h"
#include "isolation/id_map.h"

namespace sigil::cli {
namespace {

Globals& mutable_globals() {
    static Globals globals;
    return globals;
}

// An ordinary user has a place of their own, also as the root of a user namespace of theirs (that
// of podman). Where all of a system is in one, the root there says so: as runc, by $USER.
bool is_ordinary_user() {
    if (::geteuid() != 0)
        return true;
    const char* user = ::getenv("USER");
    return isolation::is_in_user_namespace() && !(user && std::string_view(user) == "root");
}

std::string default_root() {
    const char* runtime = ::getenv("XDG_RUNTIME_DIR");
    if (!is_ordinary_user() || (::geteuid() == 0 && !runtime))
        return kDefaultRoot;
    return runtime && *runtime ? std::string(runtime) + "/sigil"
                               : fmt::format("/tmp/sigil-{}", ::geteuid());
}

const std::array kOptions = {
    Option<Globals>{"Before the command", "root", 0, "DIR",
                    "Where containers are written down; default: /run/sigil",
                    [](Globals& g, std::string_view v) -> Result<void> {
                        if (v.empty())
                            return failure("the directory is missing");
                        g.root = v;
                        return {};
                    }},
    Option<Globals>{nullptr, "log", 0, "FILE", "Write messages to this file too",
                    [](Globals& g, std::string_view v) -> Result<void> {
                        g.log = v;
                        return {};
                    }},
    Option<Globals>{nullptr, "log-format", 0, "text|json",
                    "Of messages: those in --log, or else on stderr; default: text",
                    [](Globals& g, std::string_view v) -> Result<void> {
                        g.log_format = TRY(parse_log_format(v));
                        return {};
                    }},
    Option<Globals>{nullptr, "debug", 0, nullptr, "Log more",
                    [](Globals& g, std::string_view v) -> Result<void> {
                        g.debug = v != "false";
                        return {};
                    }},
    Option<Globals>{nullptr, "systemd-cgroup", 0, nullptr,
                    "cgroupsPath is SLICE:PREFIX:NAME, and systemd makes the cgroup",
                    [](Globals& g, std::string_view v) -> Result<void> {
                        g.systemd_cgroup = v != "false";
                        return {};
                    }},
    Option<Globals>{nullptr, "rootless", 0, "true|false|auto",
                    "Taken for runc's sake: what an ordinary user may do is found out",
                    [](Globals&, std::string_view v) -> Result<void> {
                        if (v != "true" && v != "false" && v != "auto")
                            return failure("'{}' is none of true, false, auto", printable(v));
                        return {};
                    }},
};

const char* name(Level level) {
    switch (level) {
        case Level::error:
            return "error";
        case Level::warning:
            return "warning";
        case Level::info:
            return "info";
        case Level::debug:
            return "debug";
    }
    return "error";
}

// As logrus writes it, which is what engines read.
std::string as_text(Level level, std::string_view message) {
    rapidjson::StringBuffer quoted;
    JsonWriter writer(quoted);
    writer.String(message.data(), static_cast<rapidjson::SizeType>(message.size()));
    return fmt::format("time=\"{}\" level={} msg={}\n", rfc3339_now(SecondDigits::nano),
                       name(level), quoted.GetString());
}

}  // namespace

Result<LogFormat> parse_log_format(std::string_view text) {
    if (text != "text" && text != "json")
        return failure("'{}' is neither text nor json", printable(text));
    return text == "json" ? LogFormat::json : LogFormat::text;
}

void set_log_format(LogFormat format) {
    mutable_globals().log_format = format;
}

std::string message_json(Level level, std::string_view id, std::string_view message) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "level", name(level));
    add(json, "msg", message);
    if (!id.empty())
        add(json, "id", id);
    add(json, "time", rfc3339_now(SecondDigits::nano));
    json.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

const Globals& globals() {
    return mutable_globals();
}

Result<void> read_globals(Arguments& arguments) {
    Globals& globals = mutable_globals();
    globals.root = default_root();
    return parse_options(std::span<const Option<Globals>>(kOptions), globals, arguments);
}

std::vector<OptionShape> globals_shapes() {
    return shapes_of(std::span<const Option<Globals>>(kOptions));
}

void log(Level level, std::string_view message) {
    const Globals& globals = cli::globals();
    if (globals.log.empty() || (level == Level::debug && !globals.debug))
        return;
    auto file =
        sys::open(AT_FDCWD, globals.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY, 0644);
    if (file)
        (void)sys::write_all(file->get(), globals.log_format == LogFormat::json
                                              ? message_json(level, {}, message) + "\n"
                                              : as_text(level, message));
}

}  // namespace sigil::cli
