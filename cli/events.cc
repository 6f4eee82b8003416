#include "cli/events.h"

#include <time.h>

#include "core/json_writer.h"
#include "cli/report.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

constexpr size_t kMostPending = 1U << 16;

std::string wall_time() {
    timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts;
    ::gmtime_r(&now.tv_sec, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                       now.tv_nsec / 1000);
}

}  // namespace

// One event: what all have in common, then what its maker adds, then into the stream.
struct EventStream::Line {
    Line(EventStream& into, std::string_view event, std::string_view name)
        : stream(into), json(buffer) {
        json.StartObject();
        add(json, "seq", static_cast<int64_t>(++stream.sequence_));
        add(json, "mono_us", sys::monotonic_now().count() / 1000);
        add(json, "time", wall_time());
        add(json, "event", event);
        if (!name.empty())
            add(json, "id", name);
    }
    ~Line() {
        json.EndObject();
        stream.pending_.append(buffer.GetString(), buffer.GetSize()).append("\n");
        if (stream.pending_.size() > kMostPending)
            stream.flush();
    }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    EventStream& stream;
    rapidjson::StringBuffer buffer;
    JsonWriter json;
};

Result<std::unique_ptr<EventStream>> EventStream::open(std::string_view target) {
    Fd file = TRY(open_for_writing(target, true));
    return std::unique_ptr<EventStream>(new EventStream(std::move(file)));
}

void EventStream::tell(std::string_view event, std::string_view name) {
    const Line line(*this, event, name);
}

void EventStream::started(std::string_view name, const loop::Outcome& so_far) {
    Line line(*this, "started", name);
    add(line.json, "pid", int64_t{so_far.pid});
}

void EventStream::out_of_memory(std::string_view name, const loop::Outcome& so_far) {
    Line line(*this, "oom", name);
    add(line.json, "message", describe_out_of_memory(so_far));
    add_memory(line.json, so_far);
}

void EventStream::restarting(std::string_view name, loop::Time delay, uint64_t attempt) {
    Line line(*this, "restarting", name);
    add(line.json, "attempt", static_cast<int64_t>(attempt));
    add(line.json, "delay_us", delay.count() / 1000);
}

void EventStream::exited(std::string_view name, const loop::Outcome& outcome) {
    Line line(*this, "exited", name);
    add_report(line.json, outcome);
}

void EventStream::error(std::string_view name, const Error& error) {
    Line line(*this, "error", name);
    add(line.json, "error", printable(error.message()));
    add(line.json, "exit_code", int64_t{error.exit_code()});
}

void EventStream::rejected(std::string_view name, uint64_t number, const Error& error) {
    Line line(*this, "error", name);
    if (number > 0)
        add(line.json, "line", static_cast<int64_t>(number));
    add(line.json, "error", printable(error.message()));
    add(line.json, "exit_code", int64_t{error.exit_code()});
}

void EventStream::output(std::string_view name, std::string_view stream, std::string_view text) {
    Line line(*this, "output", name);
    add(line.json, "stream", stream);
    // A container writes any bytes; JSON holds UTF-8.
    add(line.json, "text", printable(text));
}

void EventStream::summary(const loop::Summary& summary, loop::Time elapsed) {
    Line line(*this, "summary", {});
    add_summary(line.json, summary, elapsed);
}

void EventStream::turn_ended() {
    if (!pending_.empty())
        flush();
}

void EventStream::flush() {
    if (written_)
        written_ = sys::write_all(file_.get(), pending_);
    pending_.clear();
}

Result<void> EventStream::close() {
    flush();
    return std::move(written_);
}

}  // namespace sigil::cli
