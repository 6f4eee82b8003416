#include "loop/destination.h"

#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <utility>

namespace sigil::loop {
namespace {

// As much as a pipe takes: where the kernel can only block a worker thread in the write, its
// progress is told in steps of this.
constexpr size_t kWrite = size_t{64} * 1024;
// A buffer that once was larger isn't kept.
constexpr size_t kKept = size_t{16} * 1024;

}  // namespace

Destination::Destination(Reactor& reactor, Client& client, int fd, Token token, OnFull on_full)
    : reactor_(reactor), client_(client), fd_(fd), token_(token), on_full_(on_full) {}

size_t Destination::add(Token owner, std::initializer_list<std::string_view> pieces) {
    const size_t bytes = gather(owner, pieces);
    flush();
    return bytes;
}

size_t Destination::gather(Token owner, std::initializer_list<std::string_view> pieces) {
    if (gone_)
        return 0;
    const size_t before = gathered_.size();
    for (std::string_view piece : pieces)
        gathered_ += piece;
    const size_t bytes = gathered_.size() - before;
    if (!shares_.empty() && shares_.back().owner == owner)
        shares_.back().bytes += bytes;
    else
        shares_.push_back({owner, static_cast<uint32_t>(bytes)});
    return bytes;
}

void Destination::flush() {
    if (in_flight_)
        return;
    if (writing_.empty()) {
        if (gathered_.empty())
            return;
        writing_.swap(gathered_);
        if (mid_line_) {  // the rest of that line was lost
            writing_.insert(0, 1, '\n');
            shares_.push_front({Token{}, 1});
        }
    }
    in_flight_ = true;
    const size_t count = std::min(writing_.size() - written_, kWrite);
    reactor_.ring().write(token_.with(Operation::write), fd_, {writing_.data() + written_, count});
}

// A client that is told something may add lines: they are gathered, as the write is over only at
// the end.
void Destination::complete(const Completion& completion) {
    if (!in_flight_)
        return;   // told twice
    if (gone_) {  // abandoned during the write: the kernel lets go of the bytes only now
        in_flight_ = false;
        clear();
        return;
    }
    const int code = completion.result < 0 ? -completion.result : 0;
    if (completion.token.operation == Operation::write) {
        if (code == EAGAIN) {  // O_NONBLOCK, on a kernel that doesn't wait for such
            reactor_.ring().poll(token_.with(Operation::writable), fd_, POLLOUT);
            return;
        }
        if (completion.result > 0)
            advance(static_cast<size_t>(completion.result));
        else if ((code == ENOSPC || code == EDQUOT) && on_full_ == OnFull::go_on)
            lose(code);
        else if (code != EINTR)
            give_up(code == 0 ? EIO : code);
    }
    in_flight_ = false;
    flush();
}

void Destination::advance(size_t count) {
    full_ = false;
    const std::string_view done = std::string_view(writing_).substr(written_, count);
    written_ += count;
    mid_line_ = done.back() != '\n';
    settle(done, false);
    if (written_ == writing_.size())
        clear();
}

// A full disk may have room again later: what comes then is written, with what is missing told.
void Destination::lose(int code) {
    const std::string_view lost = std::string_view(writing_).substr(written_);
    written_ = writing_.size();
    if (!std::exchange(full_, true))
        client_.troubled(Error::from_errno(code, "write"));
    settle(lost, true);
    clear();
}

void Destination::give_up(int code) {
    gone_ = true;
    client_.troubled(Error::from_errno(code, "write"));
    abandon();
    clear();
}

size_t Destination::abandon() {
    gone_ = true;
    const size_t lost = pending();
    const std::string gathered = std::exchange(gathered_, {});
    const std::string_view rest = std::string_view(writing_).substr(written_);
    written_ = writing_.size();
    settle(rest, false);
    settle(gathered, false);
    if (!in_flight_)
        clear();
    return lost;
}

void Destination::clear() {
    written_ = 0;
    writing_.clear();
    if (writing_.capacity() > kKept)
        writing_.shrink_to_fit();
}

void Destination::settle(std::string_view text, bool lost) {
    while (!text.empty()) {
        Share& first = shares_.front();
        const std::string_view piece = text.substr(0, first.bytes);
        const Token owner = first.owner;
        first.bytes -= piece.size();
        if (first.bytes == 0)
            shares_.pop_front();
        text.remove_prefix(piece.size());
        Lost what;
        if (lost)
            what = {piece.size(), static_cast<size_t>(std::ranges::count(piece, '\n'))};
        client_.settled(owner, piece.size(), what);
    }
}

}  // namespace sigil::loop
