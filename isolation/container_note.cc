#include "isolation/container_note.h"

#include <errno.h>
#include <sys/xattr.h>

#include <array>
#include <charconv>

#include "core/parse.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

// "trusted." is seen and written with CAP_SYS_ADMIN of the machine alone (xattr(7)); "user." needs
// Linux 5.7 on a cgroup.
constexpr std::array kNames = {"trusted.sigil", "user.sigil"};
constexpr std::string_view kCapabilities = "capabilities=";
constexpr std::string_view kUnfiltered = "unfiltered";
constexpr std::string_view kName = "name=";

// Errors of a kernel or a user without such attributes.
bool is_unsupported(int error) {
    return error == EPERM || error == EOPNOTSUPP || error == EACCES;
}

}  // namespace

ContainerNote note_of(const Spec& spec) {
    return {.capabilities = spec.capabilities, .is_filtered = spec.seccomp != nullptr};
}

std::string as_text(const ContainerNote& note) {
    std::string text = fmt::format("{}{:x}", kCapabilities, note.capabilities);
    if (!note.is_filtered)
        text.append(" ").append(kUnfiltered);
    if (!note.name.empty())
        text.append(" ").append(kName).append(note.name);
    return text;
}

Result<ContainerNote> parse_note(std::string_view text) {
    ContainerNote note;
    for (std::string_view word : words_of(text)) {
        if (word == kUnfiltered)
            note.is_filtered = false;
        if (word.starts_with(kName))
            note.name = word.substr(kName.size());
        if (!word.starts_with(kCapabilities))
            continue;
        word.remove_prefix(kCapabilities.size());
        const char* end = word.data() + word.size();
        const auto [at, error] = std::from_chars(word.data(), end, note.capabilities, 16);
        if (error != std::errc() || at != end)
            return failure("'{}' is no set of capabilities", printable(word));
    }
    return note;
}

Result<void> write_note(int cgroup, const ContainerNote& note) {
    if (note == ContainerNote{})
        return {};
    const std::string text = as_text(note);
    for (const char* name : kNames) {
        if (::fsetxattr(cgroup, name, text.data(), text.size(), 0) == 0)
            return {};
        if (!is_unsupported(errno))
            return tl::unexpected(Error::from_errno(errno, "fsetxattr").in("note the container"));
    }
    return {};
}

Result<ContainerNote> read_note(int cgroup) {
    for (const char* name : kNames) {
        std::array<char, 256> text;
        const ssize_t size = ::fgetxattr(cgroup, name, text.data(), text.size());
        if (size >= 0)
            return TRY(parse_note({text.data(), static_cast<size_t>(size)}), "{}", name);
        if (errno != ENODATA && !is_unsupported(errno))
            return tl::unexpected(Error::from_errno(errno, "fgetxattr").in("read the note"));
    }
    return ContainerNote{};
}

}  // namespace sigil::isolation
