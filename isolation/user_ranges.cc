#include "isolation/user_ranges.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "core/parse.h"
#include "core/run_record.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::isolation {
namespace {

constexpr IdRange kUnlisted = {0x70000000, 0x7ffd0000 - 0x70000000};
constexpr mode_t kPrivateFile = 0600;

std::vector<uint32_t> pieces(const std::vector<IdRange>& ranges) {
    std::vector<uint32_t> firsts;
    for (const IdRange& range : ranges)
        for (uint32_t at = 0; range.count - at >= kIdsOfAContainer; at += kIdsOfAContainer)
            firsts.push_back(range.first + at);
    return firsts;
}

}  // namespace

struct UserRanges::State {
    struct Slot {
        FirstIds first;
        Fd lock;
        bool is_free;
    };

    Result<size_t> find();
    Result<bool> lock(const FirstIds& first);
    Result<void> remove_left() const;
    [[nodiscard]] std::string path_of(const FirstIds& first) const {
        return fmt::format("{}/users/{}", root, first.uid);
    }

    std::string root;
    std::mutex mutex;
    std::vector<Slot> slots;
    std::vector<FirstIds> all;
    bool is_released = false;
};

std::vector<FirstIds> cut(const SubordinateIds& ids) {
    const std::vector<uint32_t> uids = pieces(ids.uids);
    const std::vector<uint32_t> gids = pieces(ids.gids);
    std::vector<FirstIds> firsts;
    for (size_t index = 0; index < std::min(uids.size(), gids.size()); ++index)
        firsts.push_back({uids[index], gids[index]});
    return firsts;
}

SubordinateIds ranges_for_containers() {
    for (const char* name : {"sigil", "containers"}) {
        SubordinateIds ids = subordinate_ids_of(std::string(name));
        if (!ids.uids.empty() && !ids.gids.empty())
            return ids;
    }
    return {{kUnlisted}, {kUnlisted}};
}

UserRanges::UserRanges(std::string root) : state_(std::make_shared<State>()) {
    state_->root = std::move(root);
}

Result<UserRanges::Taken> UserRanges::take() {
    const std::lock_guard lock(state_->mutex);
    return Taken(state_, TRY(state_->find()));
}

// One that we have already, or the first free one from a place on that others hardly begin at too.
Result<size_t> UserRanges::State::find() {
    for (size_t index = 0; index < slots.size(); ++index)
        if (std::exchange(slots[index].is_free, false))
            return index;
    if (all.empty()) {
        all = cut(ranges_for_containers());
        if (all.empty())
            return failure("/etc/subuid and /etc/subgid have fewer than {} IDs for containers",
                           kIdsOfAContainer);
        TRY(check_root(root), "--root {}", printable(root));
        TRY(sys::make_private(root));
        TRY(sys::make_private(root + "/users"));
        TRY(remove_left());
    }
    const uint64_t begin = sys::random_below(all.size());
    for (size_t count = 0; count < all.size(); ++count)
        if (TRY(lock(all[(begin + count) % all.size()])))
            return slots.size() - 1;
    return failure("containers have all of the {} ranges of {} IDs", all.size(), kIdsOfAContainer);
}

// Files of sigils that were killed: nobody has their lock.
Result<void> UserRanges::State::remove_left() const {
    const std::string path = root + "/users";
    const Fd directory = TRY(sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY), "{}", path);
    for (const std::string& name : TRY(sys::all_names(directory.get()), "{}", path)) {
        auto file = sys::open(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW);
        if (file && sys::flock(file->get(), LOCK_EX | LOCK_NB))
            (void)sys::unlinkat(directory.get(), name.c_str());
    }
    return {};
}

// Whoever locks it may have opened it before its last owner removed it: then it is not there.
Result<bool> UserRanges::State::lock(const FirstIds& first) {
    if (std::ranges::find(slots, first, &Slot::first) != slots.end())
        return false;
    const std::string path = path_of(first);
    Fd file = TRY(sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_CREAT | O_NOFOLLOW, kPrivateFile),
                  "{}", path);
    auto locked = sys::flock(file.get(), LOCK_EX | LOCK_NB);
    if (!locked && locked.error().is(EWOULDBLOCK))
        return false;
    TRY(std::move(locked), "lock {}", path);
    if (TRY(sys::stat(file.get(), "", AT_EMPTY_PATH)).stx_nlink == 0)
        return false;
    slots.push_back({first, std::move(file), false});
    return true;
}

// The locks stay: the descriptors may be another thread's own.
void UserRanges::release() {
    const std::lock_guard lock(state_->mutex);
    if (std::exchange(state_->is_released, true))  // another's may be there by now
        return;
    for (const State::Slot& slot : state_->slots)
        (void)sys::unlinkat(AT_FDCWD, state_->path_of(slot.first).c_str());
}

UserRanges::Taken& UserRanges::Taken::operator=(Taken&& other) noexcept {
    give_back();
    state_ = std::move(other.state_);
    slot_ = other.slot_;
    return *this;
}

FirstIds UserRanges::Taken::first() const {
    const std::lock_guard lock(state_->mutex);
    return state_->slots[slot_].first;
}

void UserRanges::Taken::give_back() {
    if (!state_)
        return;
    const std::lock_guard lock(state_->mutex);
    state_->slots[slot_].is_free = true;
}

}  // namespace sigil::isolation
