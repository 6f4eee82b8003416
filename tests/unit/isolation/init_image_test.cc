// The init carried inside sigil: a static program of a few KB, sealed against change.
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include <gtest/gtest.h>

#include "core/sys.h"
#include "isolation/embedded.h"

namespace sigil::isolation {
namespace {

Elf64_Ehdr header() {
    Elf64_Ehdr found;
    memcpy(&found, init_image().data(), sizeof found);
    return found;
}

TEST(InitImage, IsAnElfOfThisMachine) {
    ASSERT_GT(init_image().size(), sizeof(Elf64_Ehdr));
    const Elf64_Ehdr found = header();
    EXPECT_EQ(memcmp(found.e_ident, ELFMAG, SELFMAG), 0);
    EXPECT_EQ(found.e_ident[EI_CLASS], ELFCLASS64);
    EXPECT_EQ(found.e_machine, EM_X86_64);
    EXPECT_EQ(found.e_type, ET_EXEC);
}

TEST(InitImage, NeedsNoInterpreter) {
    const Elf64_Ehdr found = header();
    for (int index = 0; index < found.e_phnum; ++index) {
        Elf64_Phdr segment;
        memcpy(&segment,
               init_image().data() + found.e_phoff + sizeof segment * static_cast<size_t>(index),
               sizeof segment);
        EXPECT_NE(segment.p_type, uint32_t{PT_INTERP});
        EXPECT_NE(segment.p_type, uint32_t{PT_DYNAMIC});
        EXPECT_FALSE(segment.p_type == PT_LOAD && (segment.p_flags & PF_W) &&
                     (segment.p_flags & PF_X));
    }
}

TEST(InitImage, IsAFewKilobytes) {
    EXPECT_LE(init_image().size(), 16U * 1024);
}

TEST(InitImage, OpensAsTheSameBytes) {
    auto image = open_init_image();
    ASSERT_TRUE(image);
    std::string text(init_image().size() + 1, '\0');
    const ssize_t count = ::pread(image->get(), text.data(), text.size(), 0);
    ASSERT_EQ(count, static_cast<ssize_t>(init_image().size()));
    EXPECT_EQ(memcmp(text.data(), init_image().data(), init_image().size()), 0);
}

TEST(InitImage, IsSealedAgainstTheContainer) {
    auto image = open_init_image();
    ASSERT_TRUE(image);
    EXPECT_EQ(::fcntl(image->get(), F_GET_SEALS) &
                  (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
              F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    EXPECT_EQ(::pwrite(image->get(), "x", 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(image->get(), 0), -1);
}

TEST(InitImage, IsExecutableAndClosedOnExec) {
    auto image = open_init_image();
    ASSERT_TRUE(image);
    EXPECT_EQ(::fcntl(image->get(), F_GETFD), FD_CLOEXEC);
    auto facts = sys::stat(image->get(), "", AT_EMPTY_PATH);
    ASSERT_TRUE(facts);
    EXPECT_TRUE(facts->stx_mode & S_IXUSR);
}

}  // namespace
}  // namespace sigil::isolation
