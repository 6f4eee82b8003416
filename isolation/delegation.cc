#include "isolation/delegation.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include <array>

#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

// By descriptor: a launcher's root is not the host's.
bool has_mark(int directory, const char* trusted, const char* user, std::string_view value) {
    for (const char* name : {trusted, user}) {
        std::array<char, 64> text;
        const ssize_t size = ::fgetxattr(directory, name, text.data(), text.size());
        if (size >= 0 &&
            (value.empty() || std::string_view(text.data(), static_cast<size_t>(size)) == value))
            return true;
    }
    return false;
}

}  // namespace

Delegation find_delegation(const CgroupHost& host, const std::string& path) {
    Delegation found;
    for (std::string at = path; at.size() > 1; at.resize(at.rfind('/'))) {
        auto directory = sys::open(host.root(), CgroupHost::relative(at), O_RDONLY | O_DIRECTORY);
        if (!directory)
            continue;
        if (has_mark(directory->get(), "trusted.delegate", "user.delegate", "1")) {
            found.root = at;
            found.is_foreign = false;
            break;
        }
        found.is_foreign = found.is_foreign || has_mark(directory->get(), "trusted.invocation_id",
                                                        "user.invocation_id", "");
    }
    return found;
}

Result<void> move_aside(const CgroupHost& host, const std::string& path) {
    const std::string aside = std::string(CgroupHost::relative(path)) + "/supervisor";
    auto made = sys::mkdirat(host.root(), aside.c_str(), 0755);
    if (!made && !made.error().is(EEXIST))
        TRY(std::move(made), "make cgroup {}/supervisor", host.absolute(path));
    // 0: the writer, with all its threads (cgroup-v2.rst).
    TRY(sys::write_file(host.root(), (aside + "/cgroup.procs").c_str(), "0"),
        "move to cgroup {}/supervisor", host.absolute(path));
    return {};
}

}  // namespace sigil::isolation
