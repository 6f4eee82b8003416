#include "cli/line_stream.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "cli/report.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// Gathered for a regular file, before the turn's end.
constexpr size_t kMostGathered = 1U << 16;

}  // namespace

Result<std::unique_ptr<LineStream>> LineStream::open(std::string_view target,
                                                     loop::Reactor& reactor, loop::Source source) {
    Fd file = TRY(open_for_writing(target, true));
    const bool is_regular = S_ISREG(TRY(sys::stat(file.get(), "", AT_EMPTY_PATH)).stx_mode);
    std::unique_ptr<LineStream> stream(new LineStream(std::move(file)));
    loop::Destination::Client& client = *stream;
    if (!is_regular)
        stream->destination_.emplace(reactor, client, stream->file_.get(), loop::Token{source},
                                     loop::Destination::OnFull::end);
    reactor.attach(source, *stream);
    reactor.attach(*stream);
    return stream;
}

size_t LineStream::add(loop::Token owner, std::string_view line) {
    if (!is_open_)
        return 0;
    if (destination_)
        return destination_->gather(owner, {line});
    gathered_ += line;
    if (gathered_.size() > kMostGathered)
        turn_ended();
    return 0;
}

size_t LineStream::pending() const {
    return destination_ ? destination_->pending() : gathered_.size();
}

void LineStream::turn_ended() {
    if (destination_)
        return destination_->flush();
    if (gathered_.empty())
        return;
    auto written = sys::write_all(file_.get(), gathered_);
    gathered_.clear();
    if (!written)
        troubled(written.error());
}

size_t LineStream::give_up() {
    is_open_ = false;
    return destination_ ? destination_->abandon() : 0;
}

void LineStream::complete(const loop::Completion& completion) {
    destination_->complete(completion);
}

void LineStream::settled(loop::Token owner, size_t bytes, const loop::Destination::Lost&) {
    if (on_written)
        on_written(owner, bytes);
}

void LineStream::troubled(const Error& error) {
    is_open_ = false;
    written_ = tl::unexpected(Error::from_errno(error.code(), "write"));
}

}  // namespace sigil::cli
