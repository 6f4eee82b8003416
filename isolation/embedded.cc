#include "isolation/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "core/sys.h"
#include "core/try.h"

#define SIGIL_EMBED(symbol, path)       \
    asm(".pushsection .rodata\n"        \
        ".balign 16\n" symbol           \
        "_begin:\n"                     \
        ".incbin \"" path "\"\n" symbol \
        "_end:\n"                       \
        ".popsection\n")

SIGIL_EMBED("sigil_init_image", SIGIL_INIT_PATH);
SIGIL_EMBED("sigil_stage_image", SIGIL_STAGE_PATH);

extern "C" const char sigil_init_image_begin[];
extern "C" const char sigil_init_image_end[];
extern "C" const char sigil_stage_image_begin[];
extern "C" const char sigil_stage_image_end[];

namespace sigil::isolation {

std::span<const char> init_image() {
    return {sigil_init_image_begin, sigil_init_image_end};
}

Result<Fd> open_init_image() {
    return sealed_file("sigil-init", init_image(), true);
}

Result<Fd> open_stage_image() {
    return sealed_file("sigil-stage", {sigil_stage_image_begin, sigil_stage_image_end}, true);
}

Result<Fd> sealed_file(const char* name, std::span<const char> bytes, bool is_executable) {
    // MFD_EXEC and MFD_NOEXEC_SEAL, Linux 6.3: the first is needed where memfds are noexec.
    constexpr unsigned kExecutable = 0x10;
    constexpr unsigned kNotExecutable = 0x8;
    auto made =
        sys::memfd_create(name, MFD_ALLOW_SEALING | (is_executable ? kExecutable : kNotExecutable));
    if (!made && made.error().is(EINVAL))
        made = sys::memfd_create(name, MFD_ALLOW_SEALING);
    Fd file = TRY(std::move(made), "create {}", name);
    TRY(sys::write_all(file.get(), {bytes.data(), bytes.size()}), "write {}", name);
    TRY(sys::add_seals(file.get(), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
        "seal {}", name);
    return file;
}

}  // namespace sigil::isolation
