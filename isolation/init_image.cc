#include "isolation/init_image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "core/sys.h"
#include "core/try.h"

asm(".pushsection .rodata\n"
    ".balign 16\n"
    "sigil_init_image_begin:\n"
    ".incbin \"" SIGIL_INIT_PATH
    "\"\n"
    "sigil_init_image_end:\n"
    ".popsection\n");

extern "C" const char sigil_init_image_begin[];
extern "C" const char sigil_init_image_end[];

namespace sigil::isolation {

std::span<const char> init_image() {
    return {sigil_init_image_begin, sigil_init_image_end};
}

Result<Fd> open_init_image() {
    constexpr unsigned kExecutable = 0x10;  // MFD_EXEC, Linux 6.3: needed where memfds are noexec
    auto file = sys::memfd_create("sigil-init", MFD_ALLOW_SEALING | kExecutable);
    if (!file && file.error().is(EINVAL))
        file = sys::memfd_create("sigil-init", MFD_ALLOW_SEALING);
    Fd image = TRY(std::move(file), "create the init's image");
    auto bytes = init_image();
    TRY(sys::write_all(image.get(), {bytes.data(), bytes.size()}), "write the init's image");
    TRY(sys::add_seals(image.get(), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
        "seal the init's image");
    return image;
}

}  // namespace sigil::isolation
