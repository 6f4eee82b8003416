#include "cli/line_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// Gathered for a regular file, before the turn's end.
constexpr size_t kMostGathered = 1U << 16;

// "-", "fd:N" or a path.
Result<Fd> open_for_writing(std::string_view target, Existing existing) {
    if (target == "-" || target.starts_with("fd:")) {
        const int number = target == "-"
                               ? STDOUT_FILENO
                               : static_cast<int>(TRY(parse_number(target.substr(3), INT32_MAX)));
        const int copy = ::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (copy < 0)
            return failure("descriptor {} is not open", number);
        Fd file(copy);
        if ((::fcntl(copy, F_GETFL) & O_ACCMODE) == O_RDONLY)
            return failure("descriptor {} is not open for writing", number);
        return file;
    }
    const int empties = existing == Existing::emptied ? O_TRUNC : 0;
    return TRY(sys::open(AT_FDCWD, std::string(target).c_str(),
                         O_WRONLY | O_CREAT | O_NOCTTY | empties, 0644),
               "open {}", printable(target));
}

}  // namespace

Result<std::unique_ptr<LineStream>> LineStream::open(std::string_view target, Existing existing,
                                                     loop::Reactor& reactor, loop::Source source) {
    Fd file = TRY(open_for_writing(target, existing));
    const bool is_regular = S_ISREG(TRY(sys::stat(file.get(), "", AT_EMPTY_PATH)).stx_mode);
    std::unique_ptr<LineStream> stream(new LineStream(std::move(file)));
    loop::Destination::Client& client = *stream;
    if (!is_regular)
        stream->destination_.emplace(reactor, client, stream->file_.get(), loop::Token{source},
                                     loop::Destination::OnFull::end);
    else if (existing == Existing::replaced && target != "-" && !target.starts_with("fd:"))
        stream->replaces_ = 0;
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
    if (replaces_)
        *replaces_ += gathered_.size();
    gathered_.clear();
    if (!written)
        troubled(written.error());
}

size_t LineStream::give_up() {
    is_open_ = false;
    return destination_ ? destination_->abandon() : 0;
}

Result<void> LineStream::close() {
    if (written_ && replaces_ && ::ftruncate(file_.get(), static_cast<off_t>(*replaces_)) < 0)
        return tl::unexpected(Error::from_errno(errno, "truncate"));
    return std::move(written_);
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
