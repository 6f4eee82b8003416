#include "loop/settling.h"

#include <link.h>
#include <stdint.h>
#include <sys/mman.h>

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

void Settling::complete(const Completion&) {
    ::dl_iterate_phdr(give_back, nullptr);
}

}  // namespace sigil::loop
