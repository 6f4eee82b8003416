#include "loop/settling.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>

#include <utility>

#include "core/sys.h"

namespace sigil::loop {
namespace {

constexpr Token kTimer = {Source::settling, Operation::timed_out};
constexpr uintptr_t kPage = 4096;

// For dl_iterate_phdr(3), whose first object is the program itself. Text, constants and unwind
// tables: private mappings of a file that are never written to, so nothing is lost (madvise(2)).
int give_back(dl_phdr_info* program, size_t, void*) {
    for (int index = 0; index < program->dlpi_phnum; ++index) {
        const ElfW(Phdr)& segment = program->dlpi_phdr[index];
        if (segment.p_type != PT_LOAD || segment.p_flags & PF_W)
            continue;
        const uintptr_t begin = (program->dlpi_addr + segment.p_vaddr) & ~(kPage - 1);
        const uintptr_t end =
            (program->dlpi_addr + segment.p_vaddr + segment.p_memsz + kPage - 1) & ~(kPage - 1);
        (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
    return 1;  // no other object
}

}  // namespace

void Settling::attach(Reactor& reactor, Time at) {
    reactor.attach(Source::settling, *this);
    reactor.ring().timer(kTimer, at);
}

void Settling::attach_to_quiet(Reactor& reactor, Time quiet) {
    reactor_ = &reactor;
    quiet_ = quiet;
    reactor.attach(Source::settling, *this);
    reactor.attach(*this);
}

void Settling::arm() {
    is_armed_ = true;
    has_turned_ = false;
    reactor_->ring().timer(kTimer, last_turn_ + quiet_);
}

void Settling::turn_ended() {
    if (std::exchange(is_own_turn_, false))
        return;
    has_turned_ = true;
    last_turn_ = sys::monotonic_now();
    if (!is_armed_)
        arm();
}

void Settling::complete(const Completion&) {
    is_own_turn_ = true;
    is_armed_ = false;
    if (has_turned_)
        return arm();
    if (on_settled)
        on_settled();
    ::dl_iterate_phdr(give_back, nullptr);
    if (quiet_ != Time{})
        ::malloc_trim(0);
}

}  // namespace sigil::loop
