#include "cli/report.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmath>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// Whether stderr is what systemd has connected to the journal: $JOURNAL_STREAM names its device and
// inode (systemd.exec(5)), and is inherited by those whose stderr is another.
bool is_journal() {
    const char* stream = ::getenv("JOURNAL_STREAM");
    struct stat file;
    return stream && ::fstat(STDERR_FILENO, &file) == 0 &&
           fmt::format("{}:{}", file.st_dev, file.st_ino) == stream;
}

const char* priority_of(Level level) {
    switch (level) {
        case Level::error:
            return "<3>";
        case Level::warning:
            return "<4>";
        case Level::info:
            return "<6>";
        case Level::debug:
            return "<7>";
    }
    return "";
}

int64_t microseconds(const timeval& time) {
    return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
}

void add_usage(JsonWriter& json, const rusage& usage) {
    json.Key("rusage");
    json.StartObject();
    add(json, "user_us", microseconds(usage.ru_utime));
    add(json, "system_us", microseconds(usage.ru_stime));
    add(json, "max_rss_kb", usage.ru_maxrss);
    add(json, "minor_faults", usage.ru_minflt);
    add(json, "major_faults", usage.ru_majflt);
    add(json, "blocks_in", usage.ru_inblock);
    add(json, "blocks_out", usage.ru_oublock);
    add(json, "voluntary_switches", usage.ru_nvcsw);
    add(json, "involuntary_switches", usage.ru_nivcsw);
    json.EndObject();
}

// Microseconds since the request; a phase that was not reached is null.
void add_phases(JsonWriter& json, const loop::Times& times) {
    auto phase = [&](const char* key, loop::Time time) {
        json.Key(key);
        if (time == loop::Time{})
            json.Null();
        else
            json.Double(std::round(static_cast<double>((time - times.request).count()) / 100) / 10);
    };
    json.Key("phases_us");
    json.StartObject();
    phase("request", times.request);
    phase("cloned", times.cloned);
    phase("isolated", times.isolated);
    phase("executed", times.executed);
    phase("exit_seen", times.exit_seen);
    phase("reaped", times.reaped);
    phase("cleaned", times.cleaned);
    json.EndObject();
}

}  // namespace

void add_memory(JsonWriter& json, const loop::Outcome& outcome) {
    json.Key("memory");
    json.StartObject();
    add_limit(json, "peak_bytes", outcome.memory_peak);
    add(json, "oom", static_cast<int64_t>(outcome.memory.oom));
    add(json, "oom_kill", static_cast<int64_t>(outcome.memory.oom_kill));
    add(json, "oom_group_kill", static_cast<int64_t>(outcome.memory.oom_group_kill));
    json.EndObject();
}

void add_lost_output(JsonWriter& json, const std::optional<loop::LostOutput>& lost) {
    if (!lost)
        return;
    json.Key("log");
    json.StartObject();
    add(json, "lost_bytes", static_cast<int64_t>(lost->bytes));
    add(json, "lost_lines", static_cast<int64_t>(lost->lines));
    json.EndObject();
}

std::string describe_message(std::string_view name, std::string_view message, Level level) {
    if (globals().log_format == LogFormat::json && globals().log.empty())
        return message_json(level, name, message);
    // A path in it may hold what a terminal would act on.
    const std::string text = printable(message);
    const char* priority = is_journal() ? priority_of(level) : "";
    return name.empty() ? fmt::format("{}sigil: {}", priority, text)
                        : fmt::format("{}sigil: {}: {}", priority, name, text);
}

void print_message(std::string_view name, std::string_view message, Level level) {
    (void)sys::write_all(STDERR_FILENO, describe_message(name, message, level) + "\n");
}

void print_error(std::string_view name, const Error& error) {
    print_message(name, error.message());
}

std::string describe_out_of_memory(const loop::Outcome& outcome) {
    std::string text = "out of memory: ";
    const bool own_limit = outcome.memory.oom > 0;
    if (own_limit && outcome.memory_max && *outcome.memory_max != UINT64_MAX)
        text += fmt::format("the container's limit (memory.max {}) was reached",
                            format_size(*outcome.memory_max));
    else if (own_limit)
        text += "a limit inside the container was reached";
    else
        text += "a limit above the container, or the machine's memory, was reached";
    text += fmt::format("; {} process{} killed", outcome.memory.oom_kill,
                        outcome.memory.oom_kill == 1 ? "" : "es");
    if (outcome.memory_peak)
        text += fmt::format(", peak {}", format_size(*outcome.memory_peak));
    return text;
}

void add_report(JsonWriter& json, const loop::Outcome& outcome) {
    add(json, "pid", int64_t{outcome.pid});
    add(json, "cause", loop::name(outcome.cause));
    add(json, "exit_code", int64_t{loop::exit_code(outcome)});
    json.Key("signal");
    if (outcome.status.is_signal() && !outcome.error)
        json.String(signal_name(outcome.status.signal()).c_str());
    else
        json.Null();
    json.Key("error");
    if (outcome.error) {
        // Paths in it may hold any byte; JSON holds UTF-8.
        const std::string message = printable(outcome.error->message());
        json.String(message.c_str());
    } else {
        json.Null();
    }
    add_usage(json, outcome.usage);
    add_memory(json, outcome);
    add_lost_output(json, outcome.lost_output);
    add_phases(json, outcome.times);
}

std::string report_json(std::string_view name, const loop::Outcome& outcome) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartObject();
    add(json, "id", name);
    add_report(json, outcome);
    json.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

void add_summary(JsonWriter& json, const loop::Summary& summary, loop::Time elapsed) {
    auto count = [&json](const char* key, uint64_t value) {
        add(json, key, static_cast<int64_t>(value));
    };
    count("succeeded", summary.succeeded);
    for (int cause = 0; cause < loop::kCauses; ++cause)
        count(loop::name(static_cast<loop::Cause>(cause)),
              summary.causes[static_cast<size_t>(cause)]);
    count("rejected", summary.rejected);
    count("not_started", summary.not_started);
    count("restarts", summary.restarts);
    count("out_of_memory", summary.out_of_memory);
    add(json, "exit_code", int64_t{summary.exit_code});
    add(json, "elapsed_us", elapsed.count() / 1000);
}

bool takes_more(int fd) {
    pollfd watched = {.fd = fd, .events = POLLOUT, .revents = 0};
    return ::poll(&watched, 1, 0) > 0;
}

}  // namespace sigil::cli
