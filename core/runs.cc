#include "core/runs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil {
namespace {

// A directory of ours that nobody else may write to.
Result<void> check_is_ours(int directory) {
    struct statx facts = TRY(sys::stat(directory, "", AT_EMPTY_PATH));
    if (facts.stx_uid != ::geteuid())
        return failure("it belongs to user {}", facts.stx_uid);
    if (facts.stx_mode & (S_IWGRP | S_IWOTH))
        return failure("others may write to it");
    return {};
}

std::optional<RunRecord::Kind> kind_of(std::string_view name) {
    for (RunRecord::Kind kind : {RunRecord::Kind::cgroup, RunRecord::Kind::parent}) {
        const std::string_view prefix = prefix_of(kind);
        if (name.starts_with(prefix) && parse_number(name.substr(prefix.size())))
            return kind;
    }
    return std::nullopt;
}

bool is_plain_absolute(std::string_view path) {
    return path.starts_with('/') && fmt::format("{}/", path).find("/../") == std::string::npos;
}

Result<Runs::Link> read_link(int directory, const std::string& name) {
    const auto kind = kind_of(name);
    if (!kind)
        return failure("no supervisor makes a file of this name");
    auto target = sys::readlinkat(directory, name.c_str());
    if (!target && target.error().is(EINVAL))
        return failure("it is not a symbolic link");
    std::string path = TRY(std::move(target));
    if (!is_plain_absolute(path))
        return failure("it leads to {}", printable(path));
    return Runs::Link{name, *kind, std::move(path)};
}

}  // namespace

Result<std::optional<Runs>> Runs::open(const std::string& root, Wait wait) {
    std::string path = runs_path(root);
    auto directory = sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return lock(std::move(path), std::move(directory), wait);
}

Result<std::optional<Runs>> Runs::open(const RunRecord& record, Wait wait) {
    if (record.runs() < 0)
        return open(record.root(), wait);
    return lock(runs_path(record.root()), sys::open(record.runs(), ".", O_RDONLY | O_DIRECTORY),
                wait);
}

Result<std::optional<Runs>> Runs::lock(std::string path, Result<Fd> directory, Wait wait) {
    Runs runs;
    runs.path_ = std::move(path);
    if (!directory && directory.error().is(ENOENT))
        return std::nullopt;
    runs.directory_ = TRY(std::move(directory), "open {}", runs.path_);
    TRY(check_is_ours(runs.directory_.get()), "{}", runs.path_);
    auto locked =
        sys::flock(runs.directory_.get(), wait == Wait::yes ? LOCK_EX : LOCK_EX | LOCK_NB);
    if (!locked && locked.error().is(EWOULDBLOCK))
        return std::nullopt;
    TRY(std::move(locked), "lock {}", runs.path_);
    return std::optional(std::move(runs));
}

Result<std::vector<std::string>> Runs::names() const {
    return TRY(sys::all_names(directory_.get()), "read {}", path_);
}

// An offset is a position on some filesystems and a hash on others: where nothing is behind it, the
// listing is read from its start.
Result<std::vector<std::string>> Runs::some_names(size_t most) const {
    struct statx facts = TRY(sys::stat(directory_.get(), "", AT_EMPTY_PATH));
    std::vector<std::string> names;
    if (facts.stx_nlink > most && sys::seek(directory_.get(), sys::random_below(facts.stx_nlink)))
        names = TRY(sys::next_names(directory_.get()), "read {}", path_);
    if (names.size() < most) {
        TRY(sys::seek(directory_.get(), 0));
        names = TRY(sys::next_names(directory_.get()), "read {}", path_);
    }
    if (names.size() <= most)
        return names;
    const auto first = static_cast<ptrdiff_t>(sys::random_below(names.size() - most + 1));
    return std::vector(
        std::make_move_iterator(names.begin() + first),
        std::make_move_iterator(names.begin() + first + static_cast<ptrdiff_t>(most)));
}

Result<std::optional<Runs::Run>> Runs::look(const std::string& name) const {
    Run run;
    run.name = name;
    auto opened =
        sys::open(directory_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
    if (!opened && opened.error().is(ENOENT))
        return std::nullopt;
    if (!opened && (opened.error().is(ENOTDIR) || opened.error().is(ELOOP)))
        return failure("{}/{}: it is not a directory", path_, printable(name));
    Fd directory = TRY(std::move(opened), "open {}/{}", path_, printable(name));
    TRY(check_is_ours(directory.get()), "{}/{}", path_, printable(name));
    auto locked = sys::flock(directory.get(), LOCK_EX | LOCK_NB);
    run.is_alive = !locked;
    if (!locked && !locked.error().is(EWOULDBLOCK))
        TRY(std::move(locked), "lock {}/{}", path_, printable(name));
    auto entries = sys::all_names(directory.get());
    if (!entries && entries.error().is(ENOENT))
        return std::nullopt;  // its owner has ended
    for (const std::string& entry : TRY(std::move(entries), "read {}/{}", path_, name)) {
        if (entry == kControlSocket)
            continue;
        auto link = read_link(directory.get(), entry);
        if (link)
            run.links.push_back(std::move(*link));
        else if (!link.error().is(ENOENT))
            run.garbage.push_back(std::move(link).error().in(
                fmt::format("{}/{}/{}", path_, printable(name), printable(entry))));
    }
    if (!run.is_alive)
        run.lock = std::move(directory);
    return std::optional(std::move(run));
}

Result<std::vector<std::string>> Runs::targets(const std::vector<std::string>& except,
                                               bool of_the_dead) const {
    std::vector<std::string> targets;
    for (const std::string& name : TRY(names())) {
        if (std::ranges::binary_search(except, name))
            continue;
        auto run = look(name);
        if (!run && run.error().code() == 0)
            continue;  // no supervisor's
        auto seen = TRY(std::move(run));
        if (!seen || (!seen->is_alive && !of_the_dead))
            continue;
        for (Error& error : seen->garbage)
            if (error.code() != 0)  // it could not be read: nobody knows what it claims
                return tl::unexpected(std::move(error));
        for (Link& link : seen->links)
            targets.push_back(std::move(link.target));
    }
    return targets;
}

Result<std::vector<std::string>> Runs::written_down(const std::vector<std::string>& except) const {
    return targets(except, true);
}

Result<bool> Runs::is_claimed(std::string_view path, const std::string& except) const {
    const std::vector<std::string> claims = TRY(targets({except}, false));
    return std::ranges::any_of(claims,
                               [path](const auto& claim) { return is_at_or_below(claim, path); });
}

Result<void> Runs::remove_link(const std::string& name, const std::string& link) const {
    const std::string path = fmt::format("{}/{}", name, link);
    auto removed = sys::unlinkat(directory_.get(), path.c_str());
    if (!removed && !removed.error().is(ENOENT))
        TRY(std::move(removed), "remove {}/{}", path_, path);
    return {};
}

Result<void> Runs::remove(const std::string& name) const {
    (void)sys::unlinkat(directory_.get(), fmt::format("{}/{}", name, kControlSocket).c_str());
    auto removed = sys::rmdirat(directory_.get(), name.c_str());
    if (!removed && !removed.error().is(ENOENT))
        TRY(std::move(removed), "remove {}/{}", path_, printable(name));
    return {};
}

bool is_at_or_below(std::string_view path, std::string_view top) {
    return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

}  // namespace sigil
