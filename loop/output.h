// What containers write, passed on: a pipe for the stdout and the stderr of each, read by the ring,
// taken apart into lines, and handed to sigil's own stdout and stderr, or to an observer.
//
//     pipe ─▶ partial line ─▶ sink: prefix ─▶ Destination ─▶ write
//                                   events ─▶ observer, who says when it is written
//     pipe of both ─────────▶       bytes ──▶ the same
//
// Memory is kept only for lines: a partial one of each pipe (16 KiB), and what a slow destination
// has not taken yet, which is limited for each container and in all. At a limit a container is
// blocked on its pipe (Policy::block), or loses lines, which are counted (Policy::drop).
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/fd.h"
#include "loop/destination.h"
#include "loop/reactor.h"
#include "loop/slot_table.h"

namespace sigil::loop {

enum class Stream : uint8_t { out, err };
inline constexpr size_t kStreams = 2;
const char* name(Stream stream);  // "stdout", "stderr"

enum class Sink : uint8_t {
    prefix,  // each line to sigil's own stdout or stderr, after the name of its container
    events,  // each line to the observer
    bytes,   // all to the observer as it comes: both streams are one pipe, and keep their order
};

enum class Policy : uint8_t { block, drop };

struct OutputOptions {
    Sink sink = Sink::prefix;
    Policy policy = Policy::block;
    std::array<int, kStreams> fds = {1, 2};  // sigil's; they outlive the Output
    std::array<bool, kStreams> colour = {};
    size_t container_limit = size_t{64} * 1024;  // bytes queued, beyond which the policy holds
    size_t total_limit = size_t{1024} * 1024;    // the same, of all containers
};

class OutputObserver {
  public:
    virtual ~OutputObserver() = default;
    // Sink::events: a line, without its end. Returns how many bytes it has queued of it, which
    // count as the container's until Output::written().
    virtual size_t line(Token id, const std::string& name, Stream stream,
                        std::string_view text) = 0;
    // Sink::bytes: the same of what has come.
    virtual size_t bytes(Token /*id*/, std::string_view /*bytes*/) { return 0; }
    // The last line of a container that has ended was told.
    virtual void read_out(Token id) = 0;
    // What a container has lost, once it has ended: to Policy::drop, or to a full disk.
    virtual void dropped(Token id, const std::string& name, uint64_t bytes, uint64_t lines) = 0;
    // A line of any container, while tap() has asked for them; those of Sink::bytes aside.
    virtual void tapped(const std::string& /*name*/, Stream /*stream*/, std::string_view /*line*/) {
    }
    // Everything that the container wrote is out. The id is no more.
    virtual void drained(Token id, const std::string& name) = 0;
    // sigil's own output is in trouble: what comes is lost. Told once for each trouble.
    virtual void warning(const Error& error) = 0;
};

// What a container is started with: its ends of the pipes, for the launcher, and its id.
struct OutputStreams {
    Token id;
    // To be closed once the container has them. Sink::bytes: the first is that of both.
    std::array<Fd, kStreams> fds;
};

class Output final : public Handler, private Destination::Client {
  public:
    Output(Reactor& reactor, const OutputOptions& options, OutputObserver& observer);

    // For each container, before it is launched.
    Result<OutputStreams> open(std::string name);
    // It was launched, or could not be: what it writes is read from now on, and so comes after what
    // is told of its start.
    void begin(Token id);
    // The container has ended, or its launch has failed: what its pipes hold now is the last,
    // whoever else has them. Exactly once for each open(); `drained` follows, perhaps before this
    // returns.
    void ended(Token id);
    // Writes a line of sigil's, given without its end, to its own stdout or stderr, between those
    // of the containers. Policy::drop holds for it too, beyond the limit of all.
    void post(Stream stream, std::string_view line);
    // So many bytes that the observer has queued of a container's are off its queue, `lost` of them
    // not written.
    void written(Token id, size_t bytes, const Destination::Lost& lost = {});
    // Waits for no reader any longer, once no container runs: everything that is not written is
    // lost, and each container drains within a few turns. Returns the number of those bytes.
    size_t give_up();

    // From now on the observer is told of each line, or is not.
    void tap(bool wanted) { is_tapped_ = wanted; }
    // Whether something of a container of that name is not out yet.
    [[nodiscard]] bool is_pending(std::string_view name);

    void complete(const Completion& completion) override;

    // Containers that are not drained, and bytes not written yet.
    [[nodiscard]] size_t live() const { return containers_.size(); }
    [[nodiscard]] size_t pending() const;
    // Whether those bytes leave room for what more containers write: they are within a part of the
    // limit of all, or what is beyond it is dropped.
    [[nodiscard]] bool has_room(size_t parts) const {
        return options_.policy == Policy::drop || !is_full(parts);
    }
    // Whether each line of it was told; so it was if it is gone.
    [[nodiscard]] bool is_read_out(Token id);
    // Whether it was drained.
    [[nodiscard]] bool is_drained(Token id);

  private:
    struct Pipe {
        Fd fd;                                 // none once closed
        std::unique_ptr<std::string> partial;  // a line whose end has not come yet
        uint32_t left = 0;                     // bytes to read before it is closed, once counted
        bool reading = false;
        bool stalled = false;  // not read until there is room
        bool counted = false;
    };
    struct Dropped {
        uint64_t bytes = 0;
        uint64_t lines = 0;
        uint64_t untold = 0;  // bytes that no line has told of
    };
    struct Container {
        explicit Container(std::string container_name) : name(std::move(container_name)) {}
        std::string name;
        std::array<Pipe, kStreams> pipes;
        std::unique_ptr<Dropped> dropped;
        uint32_t queued = 0;  // bytes at the destinations
        bool ended = false;
        bool dropping = false;
        bool closed = false;
        bool drained = false;
    };
    static_assert(sizeof(Container) <= 96, "there are thousands, most of them idle");

    void on_read(const Completion& completion);
    void go_on(Token id, Container& container, Stream stream);
    void read(Token id, Container& container, Stream stream);
    void close(Token id, Container& container, Stream stream);
    void try_drain(Token id, Container& container);
    void resume();

    void take(Token id, Container& container, Stream stream, std::string_view bytes);
    void take_bytes(Token id, Container& container, std::string_view bytes);
    void hold(Token id, Container& container, Stream stream, std::string_view bytes);
    void emit(Token id, Container& container, Stream stream, std::string_view line);
    void tell_dropped(Token id, Container& container, Stream stream);
    void write_line(Token id, Container& container, Stream stream, std::string_view line);
    bool is_over(const Container& container, size_t parts) const;
    bool is_full(size_t parts) const { return pending() > options_.total_limit / parts; }
    bool drops(Container& container) const;
    static void count_dropped(Container& container, size_t bytes, size_t lines);

    void settled(Token owner, size_t bytes, const Destination::Lost& lost) override;
    void troubled(const Error& error) override;

    Destination& destination(Stream stream);

    Reactor& reactor_;
    OutputOptions options_;
    OutputObserver& observer_;
    SlotTable<Container> containers_;
    std::array<Destination, kStreams> destinations_;
    bool same_destination_;
    size_t width_ = 0;           // of the names
    std::deque<Token> stalled_;  // reads that wait for room, the first first
    size_t observers_ = 0;       // bytes that the observer has queued
    bool is_tapped_ = false;
};

}  // namespace sigil::loop
