// The files of a cgroup: the input is their contents, one after another, with a NUL byte between.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>

#include "core/sys.h"
#include "isolation/cgroup_stats.h"
#include "target.h"

namespace {

constexpr std::array kFiles = {
    "cpu.stat",        "memory.stat",
    "memory.current",  "memory.max",
    "memory.peak",     "memory.swap.current",
    "memory.swap.max", "memory.events",
    "pids.current",    "pids.max",
    "io.stat",         "rdma.current",
    "rdma.max",        "cgroup.controllers",
    "cpu.pressure",    "memory.pressure",
    "io.pressure",     "hugetlb.2MB.current",
    "hugetlb.2MB.max", "hugetlb.2MB.events",
};

// On a tmpfs where there is one; removed with its files when the program ends.
class Directory {
  public:
    Directory() {
        if (::mkdtemp(path_))
            fd_ = sigil::sys::open(AT_FDCWD, path_, O_RDONLY | O_DIRECTORY);
    }
    ~Directory() {
        for (const char* file : kFiles)
            (void)::unlinkat(get(), file, 0);
        (void)::rmdir(path_);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    [[nodiscard]] int get() const { return fd_ ? fd_->get() : -1; }

  private:
    char path_[32] = "/dev/shm/sigil-fuzz-XXXXXX";
    sigil::Result<sigil::Fd> fd_ = sigil::Fd();
};

}  // namespace

void sigil::fuzz::run(std::string_view input) {
    static const Directory directory;
    if (directory.get() < 0)
        abort();
    for (const char* name : kFiles) {
        const size_t end = input.find('\0');
        const auto file =
            sys::open(directory.get(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (!file || !sys::write_all(file->get(), input.substr(0, end)))
            abort();
        input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
    }
    (void)isolation::read_cgroup_stats(directory.get());
}
