#include "cli/events.h"

#include "cli/report.h"
#include "core/json_writer.h"
#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "core/wall_time.h"

namespace sigil::cli {
template <typename Fill>
size_t EventStream::write(loop::Token owner, std::string_view event, std::string_view name,
                          Fill fill) {
    ++sequence_;
    const bool is_written = lines_ && lines_->is_open();
    if (!is_written && !tap_)
        return 0;
    buffer_.Clear();
    JsonWriter json(buffer_);
    json.StartObject();
    add(json, "seq", static_cast<int64_t>(sequence_));
    add(json, "mono_us", sys::monotonic_now().count() / 1000);
    add(json, "time", rfc3339_now(SecondDigits::micro));
    add(json, "event", event);
    if (!name.empty())
        add(json, "id", name);
    fill(json);
    json.EndObject();
    buffer_.Put('\n');
    const std::string_view line(buffer_.GetString(), buffer_.GetSize());
    if (tap_)
        tap_->told(line);
    return is_written ? lines_->add(owner, line) : 0;
}

Result<std::unique_ptr<EventStream>> EventStream::open(const std::optional<std::string>& target,
                                                       loop::Reactor& reactor) {
    std::unique_ptr<LineStream> lines;
    if (target)
        lines = TRY(LineStream::open(*target, Existing::emptied, reactor, loop::Source::events));
    return std::unique_ptr<EventStream>(new EventStream(std::move(lines)));
}

void EventStream::tell(std::string_view event, std::string_view name) {
    write({}, event, name, [](JsonWriter&) {});
}

void EventStream::started(std::string_view name, const loop::Outcome& so_far) {
    write({}, "started", name, [&](JsonWriter& json) { add(json, "pid", int64_t{so_far.pid}); });
}

void EventStream::out_of_memory(std::string_view name, const loop::Outcome& so_far) {
    write({}, "oom", name, [&](JsonWriter& json) {
        add(json, "message", describe_out_of_memory(so_far));
        add_memory(json, so_far);
    });
}

void EventStream::restarting(std::string_view name, loop::Time delay, uint64_t attempt) {
    write({}, "restarting", name, [&](JsonWriter& json) {
        add(json, "attempt", static_cast<int64_t>(attempt));
        add(json, "delay_us", delay.count() / 1000);
    });
}

void EventStream::exited(std::string_view name, const loop::Outcome& outcome) {
    write({}, "exited", name, [&](JsonWriter& json) { add_report(json, outcome); });
}

void EventStream::error(std::string_view name, const Error& error) {
    rejected(name, 0, error);
}

void EventStream::rejected(std::string_view name, uint64_t number, const Error& error) {
    write({}, "error", name, [&](JsonWriter& json) {
        if (number > 0)
            add(json, "line", static_cast<int64_t>(number));
        add(json, "error", printable(error.message()));
        add(json, "exit_code", int64_t{error.exit_code()});
    });
}

size_t EventStream::output(loop::Token owner, std::string_view name, std::string_view stream,
                           std::string_view text) {
    return write(owner, "output", name, [&](JsonWriter& json) {
        add(json, "stream", stream);
        // A container writes any bytes; JSON holds UTF-8.
        add(json, "text", printable(text));
    });
}

void EventStream::summary(const loop::Summary& summary, const std::optional<loop::LostOutput>& lost,
                          loop::Time elapsed, const char* ring) {
    write({}, "summary", {}, [&](JsonWriter& json) {
        add_summary(json, summary, elapsed);
        add_lost_output(json, lost);
        add(json, "ring", ring);
    });
}

}  // namespace sigil::cli
