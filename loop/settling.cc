#include "loop/settling.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>

#include <utility>

#include "core/sys.h"

namespace sigil::loop {
namespace {

constexpr Token kTimer = {Source::settling, Operation::timed_out};
constexpr uintptr_t kPage = 4096;

// For dl_iterate_phdr(3), whose first object is the program itself. Text, constants and unwind
// tables: private mappings of a file that are never written to.
int drop_unwritten(dl_phdr_info* program, size_t, void* ring) {
    for (int index = 0; index < program->dlpi_phnum; ++index) {
        const ElfW(Phdr)& segment = program->dlpi_phdr[index];
        if (segment.p_type != PT_LOAD || segment.p_flags & PF_W)
            continue;
        const uintptr_t begin = (program->dlpi_addr + segment.p_vaddr) & ~(kPage - 1);
        const uintptr_t end =
            (program->dlpi_addr + segment.p_vaddr + segment.p_memsz + kPage - 1) & ~(kPage - 1);
        static_cast<Ring*>(ring)->drop({reinterpret_cast<const char*>(begin), end - begin});
    }
    return 1;  // no other object
}

}  // namespace

void Settling::attach(Reactor& reactor, Time quiet) {
    reactor_ = &reactor;
    quiet_ = quiet;
    reactor.attach(Source::settling, *this);
    reactor.attach(*this);
}

void Settling::attach(Reactor& reactor, Time quiet, Time first, std::function<void()> on_first) {
    attach(reactor, quiet);
    on_first_ = std::move(on_first);
    arm(first);
}

void Settling::arm(Time at) {
    is_armed_ = true;
    has_turned_ = false;
    reactor_->ring().timer(kTimer, at);
}

void Settling::turn_ended() {
    if (on_first_ || std::exchange(is_own_turn_, false))
        return;
    has_turned_ = true;
    last_turn_ = sys::monotonic_now();
    if (!is_armed_)
        arm(last_turn_ + quiet_);
}

void Settling::complete(const Completion&) {
    is_own_turn_ = true;
    is_armed_ = false;
    if (has_turned_)
        return arm(last_turn_ + quiet_);
    if (on_first_)
        std::exchange(on_first_, nullptr)();
    ::malloc_trim(0);
    ::dl_iterate_phdr(drop_unwritten, &reactor_->ring());
}

}  // namespace sigil::loop
