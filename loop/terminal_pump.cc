#include "loop/terminal_pump.h"

#include <errno.h>
#include <poll.h>
#include <termios.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::loop {
namespace {

// What is read ahead of a reader that is slow: several times what the kernel keeps of a terminal.
constexpr size_t kMostOutput = size_t{64} * 1024;
constexpr size_t kChunk = 4096;  // n_tty hands out no more at a time
constexpr Time kFirstEnd = std::chrono::milliseconds(10);
constexpr Time kLongestEnd = std::chrono::seconds(1);

constexpr uint32_t kUser = 0;  // slots: whose side
constexpr uint32_t kContainer = 1;

constexpr Token token(Operation operation, uint32_t side) {
    return {Source::terminal, operation, 0, side};
}

constexpr Token kInput = token(Operation::readable, kUser);
constexpr Token kOutput = token(Operation::readable, kContainer);
constexpr Token kRoom = token(Operation::writable, kContainer);
constexpr Token kEnd = token(Operation::end_of_input, kContainer);
constexpr Token kWrite = token(Operation::write, kUser);
constexpr Token kWritable = token(Operation::writable, kUser);

}  // namespace

TerminalPump::TerminalPump(Reactor& reactor, Client& client, TerminalOptions options)
    : reactor_(reactor),
      client_(client),
      options_(std::move(options)),
      detach_keys_(options_.detach_keys),
      end_delay_(kFirstEnd) {
    reactor.attach(Source::terminal, *this);
}

Result<void> TerminalPump::begin(Fd master) {
    TRY(sys::set_nonblocking(master.get()));
    peer_ = TRY(sys::open_peer(master.get()));
    master_ = std::move(master);
    arm_input();
    arm_output();
    return {};
}

void TerminalPump::detach() {
    is_attached_ = false;
    if (polls_input_)
        reactor_.ring().cancel(kInput);
    out_.clear();
    arm_output();
}

void TerminalPump::attach() {
    is_attached_ = true;
    arm_input();
}

void TerminalPump::set_window(const winsize& size) {
    if (master_)
        (void)sys::set_window_size(master_.get(), size);
}

void TerminalPump::ended() {
    has_ended_ = true;
    in_.clear();
    peer_.reset();  // where a read is waited for, that is told of it (POLLHUP)
    arm_output();
    settle();
}

void TerminalPump::hang_up() {
    out_.clear();
    close_output();
    settle();
}

size_t TerminalPump::give_up() {
    const size_t lost = out_.size() + writing_.size() - written_;
    is_attached_ = false;
    hang_up();
    is_drained_ = true;
    return lost;
}

void TerminalPump::complete(const Completion& completion) {
    const Token& of = completion.token;
    if (of == kInput) {
        polls_input_ = false;
        on_input();
    } else if (of == kOutput) {
        polls_output_ = false;
        on_output();
    } else if (of == kRoom) {
        polls_room_ = false;
        push();
    } else if (of == kEnd) {
        waits_to_end_ = false;
        end_input();
    } else if (of == kWrite || of == kWritable) {
        on_written(completion);
    }
    settle();
}

// ---- what the user types ------------------------------------------------------------------------

void TerminalPump::arm_input() {
    if (!is_attached_ || is_input_over_ || is_output_over_ || has_ended_ || polls_input_ ||
        !master_ || !in_.empty())
        return;
    polls_input_ = true;
    reactor_.ring().poll(kInput, options_.input, POLLIN);
}

void TerminalPump::on_input() {
    if (!is_attached_ || has_ended_ || is_output_over_)
        return;
    // A poll that began in other modes, or while the shell was reading too, may tell of what is not
    // there any more: the read would wait, and all with it.
    if (options_.is_input_terminal && !sys::is_readable_now(options_.input)) {
        arm_input();
        return;
    }
    std::array<char, kChunk> typed;
    auto count = sys::read(options_.input, typed);
    if (count && *count > 0) {
        take({typed.data(), *count});
        push();
    } else if (!count && (count.error().is(EAGAIN) || count.error().is(EINTR))) {
        arm_input();
    } else if (options_.is_input_terminal) {
        client_.input_lost();
    } else {
        is_input_over_ = true;
        end_input();
    }
}

void TerminalPump::take(std::string_view typed) {
    for (const char key : typed) {
        if (detach_keys_.complete(key, in_)) {
            client_.detach_typed();
            return;
        }
        if (!in_.empty() && in_.back() == key && suspends(key))
            in_.pop_back();
    }
}

bool TerminalPump::suspends(char key) {
    constexpr char kFirstPrintable = ' ';
    if (!options_.is_input_terminal || key < 0 || key >= kFirstPrintable)
        return false;
    const auto modes = sys::terminal_modes(master_.get());
    if (!modes || !(modes->c_lflag & ISIG) || modes->c_cc[VSUSP] != static_cast<cc_t>(key))
        return false;
    const auto session = sys::session_of(master_.get());
    const auto group = sys::foreground_group(master_.get());
    return session && group && *session == *group && client_.suspend_typed(*session);
}

void TerminalPump::push() {
    while (master_ && !has_ended_ && !in_.empty()) {
        const auto count = sys::write(master_.get(), in_);
        if (count) {
            in_.erase(0, *count);
        } else if (count.error().is(EAGAIN)) {
            if (!std::exchange(polls_room_, true))
                reactor_.ring().poll(kRoom, master_.get(), POLLOUT);
            return;
        } else if (!count.error().is(EINTR)) {
            in_.clear();
        }
    }
    arm_input();
}

// A terminal knows no end but a key, which it takes for one only while it works by lines: what
// comes while a shell edits a line itself is a character. So the key is given when everything
// before it was read, and again as long as somebody reads on: an end of file that stays, as a
// pipe's does. The kernel tells nobody of a read, so it is asked, ever less often.
void TerminalPump::end_input() {
    if (!master_ || has_ended_ || is_output_over_ || waits_to_end_)
        return;
    if (in_.empty() && !sys::is_readable_now(peer_.get())) {
        const auto modes = sys::terminal_modes(master_.get());
        if (modes && modes->c_cc[VEOF] != _POSIX_VDISABLE) {
            in_ += static_cast<char>(modes->c_cc[VEOF]);
            push();
        }
    }
    waits_to_end_ = true;
    reactor_.ring().timer(kEnd, sys::monotonic_now() + end_delay_);
    end_delay_ = std::min(2 * end_delay_, kLongestEnd);
}

// ---- what the container shows -------------------------------------------------------------------

void TerminalPump::arm_output() {
    if (!master_ || is_output_over_ || polls_output_ || out_.size() >= kMostOutput)
        return;
    polls_output_ = true;
    reactor_.ring().poll(kOutput, master_.get(), POLLIN);
}

void TerminalPump::on_output() {
    std::array<char, kChunk> shown;
    while (!is_output_over_ && out_.size() < kMostOutput) {
        const auto count = sys::read(master_.get(), shown);
        if (count && *count > 0) {
            out_.append(shown.data(), *count);
        } else if (!count && count.error().is(EAGAIN) && !has_ended_) {
            break;
        } else if (count || !count.error().is(EINTR)) {
            // EIO: nobody has the other end. EAGAIN: somebody outside of the container has, and
            // all that the container wrote is read.
            close_output();
        }
    }
    if (!is_attached_)
        out_.clear();
    flush();
    arm_output();
}

// The ring holds on to what it polls: the master is closed once that has been called off.
void TerminalPump::close_output() {
    is_output_over_ = true;
    peer_.reset();
    in_.clear();
    if (polls_output_)
        reactor_.ring().cancel(kOutput);
    if (polls_room_)
        reactor_.ring().cancel(kRoom);
    if (polls_input_)
        reactor_.ring().cancel(kInput);
    if (waits_to_end_)
        reactor_.ring().cancel(kEnd);
}

void TerminalPump::flush() {
    if (writes_ || out_.empty())
        return;
    writing_.swap(out_);
    write_rest();
}

void TerminalPump::write_rest() {
    writes_ = true;
    reactor_.ring().write(kWrite, options_.output, std::span(writing_).subspan(written_));
}

void TerminalPump::on_written(const Completion& completion) {
    writes_ = false;
    if (completion.token == kWritable) {
        write_rest();
        return;
    }
    if (completion.result == -EAGAIN) {  // O_NONBLOCK, on a kernel that doesn't wait for such
        writes_ = true;
        reactor_.ring().poll(kWritable, options_.output, POLLOUT);
        return;
    }
    const bool is_gone =
        completion.result == 0 || (completion.result < 0 && completion.result != -EINTR);
    if (completion.result > 0)
        written_ += static_cast<size_t>(completion.result);
    if (is_gone || written_ == writing_.size() || (!is_attached_ && !is_gone)) {
        writing_.clear();
        written_ = 0;
    }
    if (is_gone)
        hang_up();  // nobody sees it any more
    else if (!writing_.empty())
        write_rest();
    else
        flush();
    arm_output();
}

void TerminalPump::settle() {
    if (!is_output_over_)
        return;
    if (!polls_output_ && !polls_room_)
        master_.reset();
    if (out_.empty() && writing_.empty() && !writes_ && !std::exchange(is_drained_, true))
        client_.drained();
}

}  // namespace sigil::loop
