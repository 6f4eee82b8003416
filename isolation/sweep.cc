#include "isolation/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>

#include <algorithm>
#include <map>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_removal.h"

namespace sigil::isolation {
namespace {

using Kind = RunRecord::Kind;

// Every cgroup that sigil puts containers into is called so.
constexpr std::string_view kOurPrefix = "sigil-";
constexpr size_t kLookedAtByAStart = 16;

// A cgroup that is there.
struct Found {
    Fd parent;
    std::string name;
    Fd directory;
    uint64_t inode;
};

enum class State : uint8_t {
    pending,
    gone,
    foreign,  // somebody else's, or in use by somebody: not ours to remove any more
    kept,     // the record stays for the next sweep
};

struct Target {
    Kind kind;
    uint64_t inode = 0;  // 0: nothing is there
    State state = State::pending;
};

Result<std::optional<Found>> find(const std::string& path, const SweepRequest& request) {
    Found found;
    const size_t slash = path.rfind('/');
    const std::string above = path.substr(0, std::max<size_t>(slash, 1));
    found.name = path.substr(slash + 1);
    if (found.name.empty() || found.name == ".")
        return failure("it names no cgroup");
    auto parent = sys::openat2(AT_FDCWD, above.c_str(), O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
    if (!parent && parent.error().is(ENOENT))
        return std::nullopt;
    found.parent = TRY(std::move(parent));
    auto directory = sys::open(found.parent.get(), found.name.c_str(),
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK);
    if (!directory && directory.error().is(ENOENT))
        return std::nullopt;
    found.directory = TRY(std::move(directory));
    for (int fd : {found.parent.get(), found.directory.get()})
        if (TRY(sys::filesystem_type(fd)) != request.filesystem)
            return failure("it is not in a cgroup v2 hierarchy");
    found.inode = TRY(sys::stat(found.directory.get(), "", AT_EMPTY_PATH)).stx_ino;
    return std::optional(std::move(found));
}

class Sweep {
  public:
    Sweep(const Runs& runs, const SweepRequest& request)
        : runs_(runs), request_(request), deadline_(sys::monotonic_now() + request.patience) {}

    Result<void> run();
    Swept take() { return std::move(swept_); }

  private:
    Result<void> look_at_each();
    void add_dead(Runs::Run run);
    Result<Target> identify(const Runs::Link& link) const;
    void remove_each(Kind kind);
    Result<State> remove(const std::string& path, const Target& target);
    Result<State> remove_found(const Found& found, const std::string& path, Kind kind);
    void remove_record(const Runs::Run& run);

    bool is_kept_for_another(std::string_view path) const;
    void fail(Error error) { swept_.failures.push_back(std::move(error)); }
    void removed(std::string what) { swept_.removed.push_back(std::move(what)); }

    const Runs& runs_;
    const SweepRequest& request_;
    const std::chrono::nanoseconds deadline_;
    std::vector<Runs::Run> dead_;
    // By path, each once. Backwards, what is below a path comes before it.
    std::map<std::string, Target> targets_;
    std::vector<std::string> claims_;
    Swept swept_;
};

Result<void> Sweep::run() {
    TRY(look_at_each());
    if (dead_.empty())
        return {};
    std::vector<std::string> names;
    for (const Runs::Run& run : dead_)
        names.push_back(run.name);  // in order, as they were looked at
    claims_ = TRY(runs_.written_down(names));
    remove_each(Kind::cgroup);
    remove_each(Kind::parent);
    for (const Runs::Run& run : dead_)
        remove_record(run);
    return {};
}

Result<void> Sweep::look_at_each() {
    auto names =
        request_.most == SIZE_MAX ? TRY(runs_.names()) : TRY(runs_.some_names(request_.most));
    std::ranges::sort(names);
    for (const std::string& name : names) {
        auto run = runs_.look(name);
        if (!run)
            fail(std::move(run).error());
        else if (*run && !(*run)->is_alive)
            add_dead(std::move(**run));
    }
    return {};
}

// One with something written down is dead for good. One without may be about to be taken: its lock
// is held until it is removed, and its owner, waiting for it, finds it gone.
void Sweep::add_dead(Runs::Run run) {
    for (const Runs::Link& link : run.links) {
        auto target = identify(link);
        if (!target) {
            fail(std::move(target).error().in(fmt::format("{}/{}/{}: {}", runs_.path(),
                                                          printable(run.name), link.name,
                                                          printable(link.target))));
            target = Target{link.kind, 0, State::kept};
        }
        auto [known, is_new] = targets_.emplace(link.target, *target);
        if (!is_new && target->kind == Kind::cgroup)
            known->second.kind = Kind::cgroup;
    }
    for (Error& error : run.garbage)
        fail(std::move(error));
    if (run.links.empty())
        return remove_record(run);
    run.lock.reset();
    dead_.push_back(std::move(run));
}

Result<Target> Sweep::identify(const Runs::Link& link) const {
    auto found = TRY(find(link.target, request_));
    if (!found)
        return Target{link.kind, 0, State::gone};
    if (link.kind == Kind::cgroup && !found->name.starts_with(kOurPrefix))
        return failure("sigil makes no cgroup of this name");
    return Target{link.kind, found->inode, State::pending};
}

void Sweep::remove_each(Kind kind) {
    for (auto at = targets_.rbegin(); at != targets_.rend(); ++at) {
        auto& [path, target] = *at;
        if (target.kind != kind || target.state != State::pending)
            continue;
        auto state = remove(path, target);
        target.state = state ? *state : State::kept;
        if (!state)
            fail(std::move(state).error().in(fmt::format("cgroup {}", printable(path))));
    }
}

Result<State> Sweep::remove(const std::string& path, const Target& target) {
    for (const std::string& claim : claims_)
        if (is_at_or_below(claim, path))
            return claim == path ? State::foreign : State::kept;
    auto found = TRY(find(path, request_));
    if (!found || found->inode != target.inode)
        return State::foreign;
    auto state = TRY(remove_found(*found, path, target.kind));
    if (state == State::gone)
        removed(fmt::format("cgroup {}", printable(path)));
    return state;
}

Result<State> Sweep::remove_found(const Found& found, const std::string& path, Kind kind) {
    if (request_.dry_run)  // who knows whether a parent would be empty
        return kind == Kind::cgroup ? State::gone : State::foreign;
    if (kind == Kind::cgroup) {
        TRY(end_cgroup(found.parent.get(), found.name.c_str(), found.directory.get(), deadline_));
        return State::gone;
    }
    auto emptied = sys::rmdirat(found.parent.get(), found.name.c_str());
    if (emptied || emptied.error().is(ENOENT))
        return State::gone;
    if (!emptied.error().is(EBUSY) && !emptied.error().is(ENOTEMPTY))
        return tl::unexpected(std::move(emptied).error());
    return is_kept_for_another(path) ? State::kept : State::foreign;
}

bool Sweep::is_kept_for_another(std::string_view path) const {
    return std::ranges::any_of(targets_, [path](const auto& entry) {
        return entry.second.state == State::kept && is_at_or_below(entry.first, path);
    });
}

void Sweep::remove_record(const Runs::Run& run) {
    bool is_complete = run.garbage.empty();
    for (const Runs::Link& link : run.links) {
        const State state = targets_.at(link.target).state;
        if (state == State::pending || state == State::kept) {
            is_complete = false;
            continue;
        }
        auto unlinked = request_.dry_run ? Result<void>() : runs_.remove_link(run.name, link.name);
        if (!unlinked) {
            is_complete = false;
            fail(std::move(unlinked).error());
        }
    }
    if (!is_complete)
        return;
    auto gone = request_.dry_run ? Result<void>() : runs_.remove(run.name);
    if (gone)
        removed(fmt::format("record {}/{}", runs_.path(), printable(run.name)));
    else
        fail(std::move(gone).error());
}

}  // namespace

Swept sweep(const SweepRequest& request) {
    Swept swept;
    auto runs = Runs::open(request.root, request.wait);
    if (!runs) {
        swept.failures.push_back(std::move(runs).error());
        return swept;
    }
    if (!*runs)
        return swept;
    Sweep sweep(**runs, request);
    auto done = sweep.run();
    swept = sweep.take();
    if (!done)
        swept.failures.push_back(std::move(done).error());
    return swept;
}

void sweep_some(const RunRecord& own) {
    if (!own.is_open())
        return;
    // Most filesystems count a directory's subdirectories: itself and its name, and our own.
    constexpr unsigned kLinksWithOurs = 3;
    auto facts = sys::stat(AT_FDCWD, runs_path(own.root()).c_str());
    if (!facts || facts->stx_nlink == kLinksWithOurs)
        return;
    (void)sweep({.root = own.root(),
                 .wait = Runs::Wait::no,
                 .most = kLookedAtByAStart,
                 .patience = std::chrono::nanoseconds(0)});
}

}  // namespace sigil::isolation
