#include "many/stamps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failure.h"

namespace sigil::bench {

Stamps::Stamps(const Workspace& workspace, long count)
    : size_(static_cast<size_t>((count / kStampsInPage + 1) * kStampPage)) {
    const std::string path = workspace.rootfs() + kPath;
    unlink(path.c_str());
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, static_cast<off_t>(size_)) < 0)
        fail("make {}: {}", path, strerror(errno));
    void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        fail("map {}: {}", path, strerror(errno));
    stamps_ = static_cast<Stamp*>(memory);
}

Stamps::~Stamps() {
    munmap(stamps_, size_);
}

}  // namespace sigil::bench
