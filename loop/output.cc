#include "loop/output.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
namespace {

constexpr size_t kLongestLine = size_t{16} * 1024;
constexpr size_t kWidest = 24;  // names beyond it stick out
constexpr std::array kBoth = {Stream::out, Stream::err};

constexpr size_t index(Stream stream) {
    return static_cast<size_t>(stream);
}

constexpr Operation operation(Stream stream) {
    return stream == Stream::out ? Operation::read_out : Operation::read_err;
}

constexpr Stream stream_of(Operation operation) {
    return operation == Operation::read_out ? Stream::out : Stream::err;
}

// Of a name always the same, in every run (FNV-1a).
std::string_view colour_of(std::string_view name) {
    constexpr std::array<std::string_view, 10> kPalette = {
        "\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m",
        "\x1b[96m", "\x1b[93m", "\x1b[92m", "\x1b[95m", "\x1b[94m"};
    uint32_t hash = 2166136261;
    for (const char letter : name)
        hash = (hash ^ static_cast<uint8_t>(letter)) * 16777619;
    return kPalette[hash % kPalette.size()];
}

std::string_view padding(size_t count) {
    constexpr std::string_view kSpaces = "                        ";
    static_assert(kSpaces.size() == kWidest);
    return kSpaces.substr(0, count);
}

// Where to cut a line that is too long: not within a character of UTF-8, if it is that.
size_t cut(std::string_view text) {
    size_t at = kLongestLine;
    while (at > kLongestLine - 4 && (static_cast<uint8_t>(text[at]) & 0xc0) == 0x80)
        --at;
    return at > kLongestLine - 4 ? at : kLongestLine;
}

bool is_end(int32_t result) {
    return result == 0 || (result < 0 && result != -ECANCELED && result != -ENOBUFS &&
                           result != -EAGAIN && result != -EINTR);
}

}  // namespace

const char* name(Stream stream) {
    return stream == Stream::out ? "stdout" : "stderr";
}

Output::Output(Reactor& reactor, const OutputOptions& options, OutputObserver& observer)
    : reactor_(reactor),
      options_(options),
      observer_(observer),
      destinations_{Destination(reactor, *this, options.fds[0], {Source::output, {}, 0, 0},
                                Destination::OnFull::go_on),
                    Destination(reactor, *this, options.fds[1], {Source::output, {}, 0, 1},
                                Destination::OnFull::go_on)},
      // Two writers of one terminal, pipe or file would cut into each other's lines.
      same_destination_(sys::is_same_file(options.fds[0], options.fds[1])) {
    reactor.attach(Source::output, *this);
}

Result<OutputStreams> Output::open(std::string name) {
    OutputStreams streams;
    std::array<Fd, kStreams> readers;
    for (Stream stream : kBoth) {
        if (options_.sink == Sink::bytes && stream == Stream::err)
            break;
        sys::Pipe pipe = TRY(sys::pipe(), "make a pipe for {} of {}", loop::name(stream), name);
        // Of our end alone: before Linux 6.4, io_uring waits for a pipe without a worker thread
        // only where it is O_NONBLOCK.
        TRY(sys::set_nonblocking(pipe.reader.get()));
        readers[index(stream)] = std::move(pipe.reader);
        streams.fds[index(stream)] = std::move(pipe.writer);
    }
    width_ = std::min(std::max(width_, name.size()), kWidest);
    streams.id = containers_.emplace(Source::output, std::move(name));
    Container& container = *containers_.find(streams.id);
    for (Stream stream : kBoth)
        container.pipes[index(stream)].fd = std::move(readers[index(stream)]);
    return streams;
}

void Output::begin(Token id) {
    if (Container* container = containers_.find(id))
        for (Stream stream : kBoth)
            go_on(id, *container, stream);
}

void Output::ended(Token id) {
    Container* container = containers_.find(id);
    if (!container || container->ended)
        return;
    container->ended = true;
    for (Stream stream : kBoth) {
        // A read that is under way may have bytes already, the first of what is left: it is waited
        // for. Cancelled, as whoever else has the pipe may never write again.
        if (container->pipes[index(stream)].reading)
            reactor_.ring().cancel(id.with(operation(stream)));
        else
            go_on(id, *container, stream);
    }
    try_drain(id, *container);
}

void Output::post(Stream stream, std::string_view line) {
    if (options_.policy == Policy::block || !is_full(1))
        destination(stream).add(Token{}, {line, "\n"});
}

void Output::written(Token id, size_t bytes, const Destination::Lost& lost) {
    observers_ -= bytes;
    settled(id, bytes, lost);
    resume();
}

size_t Output::give_up() {
    size_t lost = pending();
    containers_.for_each([&lost](Container& container) {
        for (const Pipe& pipe : container.pipes) {
            lost += pipe.partial ? pipe.partial->size() : 0;
            lost += pipe.fd ? sys::bytes_in_pipe(pipe.fd.get()).value_or(0) : 0;
        }
    });
    for (Destination& one : destinations_)
        one.abandon();
    resume();  // what waited for room is read, and leads nowhere
    return lost;
}

size_t Output::pending() const {
    return destinations_[0].pending() + destinations_[1].pending() + observers_;
}

bool Output::is_read_out(Token id) {
    const Container* container = containers_.find(id);
    return !container || container->closed;
}

bool Output::is_pending(std::string_view name) {
    bool found = false;
    containers_.for_each([&](const Container& container) {
        found = found || (!container.closed && container.name == name);
    });
    return found;
}

bool Output::is_drained(Token id) {
    const Container* container = containers_.find(id);
    return !container || container->drained;
}

void Output::complete(const Completion& completion) {
    switch (completion.token.operation) {
        case Operation::read_out:
        case Operation::read_err:
            on_read(completion);
            break;
        case Operation::write:
        case Operation::writable:
            destinations_[completion.token.slot].complete(completion);
            resume();
            break;
        default:
            break;
    }
}

// ---- reading ------------------------------------------------------------------------------------

void Output::on_read(const Completion& completion) {
    const Token id = completion.token.with(Operation::none);
    const Stream stream = stream_of(completion.token.operation);
    Container* container = containers_.find(id);
    if (!container || !container->pipes[index(stream)].reading)
        return;  // late, for a container that is gone, or told twice
    Pipe& pipe = container->pipes[index(stream)];
    pipe.reading = false;
    const std::string_view bytes = reactor_.ring().data(completion);
    pipe.left -= std::min(pipe.left, static_cast<uint32_t>(bytes.size()));
    take(id, *container, stream, bytes);
    if (is_end(completion.result))
        close(id, *container, stream);
    else
        go_on(id, *container, stream);
    try_drain(id, *container);
    containers_.landed(id);  // last: it may free the container
}

// Decides what is next for a pipe that no read is under way of.
void Output::go_on(Token id, Container& container, Stream stream) {
    Pipe& pipe = container.pipes[index(stream)];
    if (!pipe.fd)
        return;
    if (container.ended) {
        if (!std::exchange(pipe.counted, true))
            pipe.left = static_cast<uint32_t>(sys::bytes_in_pipe(pipe.fd.get()).value_or(0));
        if (pipe.left == 0) {
            close(id, container, stream);
            return;
        }
    }
    if (pipe.stalled)
        return;
    if (options_.policy == Policy::block && is_over(container, 1)) {
        pipe.stalled = true;
        stalled_.push_back(id.with(operation(stream)));
        return;
    }
    read(id, container, stream);
}

void Output::read(Token id, Container& container, Stream stream) {
    Pipe& pipe = container.pipes[index(stream)];
    pipe.reading = true;
    containers_.launched(id);
    reactor_.ring().read(id.with(operation(stream)), pipe.fd.get());
}

void Output::close(Token id, Container& container, Stream stream) {
    Pipe& pipe = container.pipes[index(stream)];
    pipe.fd.reset();
    if (auto partial = std::exchange(pipe.partial, nullptr))
        emit(id, container, stream, *partial);
}

void Output::try_drain(Token id, Container& container) {
    if (!container.ended || container.pipes[0].fd || container.pipes[1].fd)
        return;
    if (!std::exchange(container.closed, true)) {
        tell_dropped(id, container, Stream::err);
        observer_.read_out(id);
    }
    if (container.queued > 0)
        return;
    const std::string name = std::move(container.name);
    const auto dropped = std::move(container.dropped);
    container.drained = true;
    containers_.retire(id);
    if (dropped)
        observer_.dropped(id, name, dropped->bytes, dropped->lines);
    observer_.drained(id, name);
}

// Reads again what waited for room, once half of it is free.
void Output::resume() {
    if (stalled_.empty() || pending() > options_.total_limit / 2)
        return;
    for (Token token : std::exchange(stalled_, {})) {
        const Token id = token.with(Operation::none);
        Container* container = containers_.find(id);
        if (!container)
            continue;
        Pipe& pipe = container->pipes[index(stream_of(token.operation))];
        if (!pipe.fd)
            continue;
        if (is_over(*container, 2)) {
            stalled_.push_back(token);
            continue;
        }
        pipe.stalled = false;
        read(id, *container, stream_of(token.operation));
    }
}

// ---- lines --------------------------------------------------------------------------------------

void Output::take(Token id, Container& container, Stream stream, std::string_view bytes) {
    if (options_.sink == Sink::bytes)
        return take_bytes(id, container, bytes);
    std::unique_ptr<std::string>& partial = container.pipes[index(stream)].partial;
    while (!bytes.empty()) {
        const size_t end = bytes.find('\n');
        if (end == std::string_view::npos) {
            hold(id, container, stream, bytes);
            return;
        }
        const std::string_view line = bytes.substr(0, end);
        if (auto begun = std::exchange(partial, nullptr))
            emit(id, container, stream, begun->append(line));
        else
            emit(id, container, stream, line);
        bytes.remove_prefix(end + 1);
    }
}

void Output::take_bytes(Token id, Container& container, std::string_view bytes) {
    if (bytes.empty())
        return;
    if (options_.policy == Policy::drop && drops(container)) {
        const auto lines = std::ranges::count(bytes, '\n');
        return count_dropped(container, bytes.size(), static_cast<size_t>(lines));
    }
    const size_t queued = observer_.bytes(id, bytes);
    container.queued += queued;
    observers_ += queued;
}

void Output::hold(Token id, Container& container, Stream stream, std::string_view bytes) {
    std::unique_ptr<std::string>& partial = container.pipes[index(stream)].partial;
    if (!partial)
        partial = std::make_unique<std::string>();
    partial->append(bytes);
    while (partial->size() > kLongestLine) {
        const size_t length = cut(*partial);
        emit(id, container, stream, std::string_view(*partial).substr(0, length));
        partial->erase(0, length);
    }
}

void Output::emit(Token id, Container& container, Stream stream, std::string_view line) {
    if (is_tapped_)
        observer_.tapped(container.name, stream, line);
    if (options_.policy == Policy::drop && drops(container)) {
        count_dropped(container, line.size() + 1, 1);
        return;
    }
    tell_dropped(id, container, stream);
    write_line(id, container, stream, line);
}

// Where the gap is.
void Output::tell_dropped(Token id, Container& container, Stream stream) {
    if (!container.dropped || options_.sink != Sink::prefix)
        return;
    if (const uint64_t bytes = std::exchange(container.dropped->untold, 0))
        write_line(id, container, stream, fmt::format("[sigil: {:L} bytes dropped]", bytes));
}

void Output::write_line(Token id, Container& container, Stream stream, std::string_view line) {
    if (options_.sink == Sink::events) {
        const size_t bytes = observer_.line(id, container.name, stream, line);
        container.queued += bytes;
        observers_ += bytes;
        return;
    }
    const std::string_view name = container.name;
    const std::string_view pad = padding(width_ - std::min(width_, name.size()));
    const bool coloured = options_.colour[index(stream)];
    container.queued +=
        destination(stream).add(id, {coloured ? colour_of(name) : "", name, pad, " |",
                                     coloured ? "\x1b[0m " : " ", line, "\n"});
}

// Beyond its limit, or that of all, or beyond a part of it.
bool Output::is_over(const Container& container, size_t parts) const {
    return container.queued > options_.container_limit / parts || is_full(parts);
}

// From its limit on, until half of it is free: so gaps are few.
bool Output::drops(Container& container) const {
    container.dropping = is_over(container, container.dropping ? 2 : 1);
    return container.dropping;
}

void Output::count_dropped(Container& container, size_t bytes, size_t lines) {
    if (!container.dropped)
        container.dropped = std::make_unique<Dropped>();
    container.dropped->bytes += bytes;
    container.dropped->untold += bytes;
    container.dropped->lines += lines;
}

// ---- destinations -------------------------------------------------------------------------------

Destination& Output::destination(Stream stream) {
    return destinations_[same_destination_ ? 0 : index(stream)];
}

void Output::settled(Token owner, size_t bytes, const Destination::Lost& lost) {
    Container* container = owner == Token{} ? nullptr : containers_.find(owner);
    if (!container)
        return;
    container->queued -= bytes;
    if (lost.bytes > 0)
        count_dropped(*container, lost.bytes, lost.lines);
    try_drain(owner, *container);
}

void Output::troubled(const Error& error) {
    observer_.warning(error);
}

}  // namespace sigil::loop
