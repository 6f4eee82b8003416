// A container's own terminal, carried between its master and the user's side: sigil's stdin and
// stdout, terminals or not.
//
//     user's input  ─ poll, read ─▶ keys of sigil's own ─▶ in_  ─ write ─▶ master ─▶ the command
//     user's output ◀─ write (ring) ─ writing_ ◀─ out_ ◀─ read until EAGAIN, poll ─ master
//
// Neither direction is read while what was read before waits to be written, so whoever is slow
// slows the other side down, as a terminal does. The master is ours alone and O_NONBLOCK; flags of
// the user's side belong to others too (open(2)) and stay as they are, so that is read only after a
// poll, and written by the ring.
//
// One end of the other side is kept open: a command that closes all of its own and opens /dev/tty
// anew finds its terminal, and the master says EIO only when the container has ended. By then
// everything written is readable: a read flushes what is on its way first (n_tty_read).
#pragma once

#include <sys/ioctl.h>
#include <sys/types.h>

#include <string>

#include "core/error.h"
#include "core/fd.h"
#include "loop/key_sequence.h"
#include "loop/reactor.h"

namespace sigil::loop {

struct TerminalOptions {
    int input = 0;  // both outlive the pump
    int output = 1;
    bool is_input_terminal = false;
    std::string detach_keys;  // empty: none
};

class TerminalPump final : public Handler {
  public:
    class Client {
      public:
        virtual ~Client() = default;
        // The detach keys. What was typed after them is dropped.
        virtual void detach_typed() = 0;
        // The terminal's suspend key, while the session's leader itself is in the foreground: the
        // kernel would drop the signal, as the leader's group is orphaned. True: sigil was
        // suspended, and goes on; false: the key is the container's.
        virtual bool suspend_typed(pid_t leader) = 0;
        // The user's terminal cannot be read: it is gone, or others have it. To be followed by
        // hang_up() or detach().
        virtual void input_lost() = 0;
        // The container's terminal is closed, and all of its output written.
        virtual void drained() = 0;
    };

    TerminalPump(Reactor& reactor, Client& client, TerminalOptions options);

    Result<void> begin(Fd master);
    // Reads the user's input no longer, and drops the output; and does both again.
    void detach();
    void attach();
    // The kernel tells the foreground group inside, if the size is another (SIGWINCH).
    void set_window(const winsize& size);
    // No process of the container is left.
    void ended();
    // Closes the master: the container's session is hung up.
    void hang_up();
    // Waits for the user's side no longer. How many bytes were not written.
    size_t give_up();

    [[nodiscard]] bool is_drained() const { return is_drained_; }
    void complete(const Completion& completion) override;

  private:
    void arm_input();
    void arm_output();
    void on_input();
    void take(std::string_view typed);
    bool suspends(char key);
    void push();
    void end_input();
    void on_output();
    void close_output();
    void flush();
    void write_rest();
    void on_written(const Completion& completion);
    void settle();

    Reactor& reactor_;
    Client& client_;
    TerminalOptions options_;
    KeySequence detach_keys_;
    Fd master_;
    Fd peer_;          // the kept end
    std::string in_;   // for the master
    std::string out_;  // for the user
    std::string writing_;
    size_t written_ = 0;  // of those
    Time end_delay_;

    bool is_attached_ = true;
    bool has_ended_ = false;      // the container
    bool is_input_over_ = false;  // the user's input, where it is no terminal
    bool is_output_over_ = false;
    bool is_drained_ = false;
    // In flight.
    bool polls_input_ = false;
    bool polls_output_ = false;
    bool polls_room_ = false;
    bool waits_to_end_ = false;
    bool writes_ = false;
};

}  // namespace sigil::loop
