// `--userns auto`: 65,536 user and group IDs for each container, that no other container of any
// sigil here has meanwhile. They are cut from what /etc/subuid and /etc/subgid set aside for the
// user "sigil", else for "containers" (as podman has it); where neither has any, from 1879048192 on
// (0x70000000), which systemd's list of ranges (UIDS-GIDS.md) leaves unused.
//
//     ROOT/users/1879048192     flock(LOCK_EX) for as long as a sigil has the range; then removed,
//                               by itself or, where it was killed, by the next one that takes any
//
// A sigil keeps a range to its end, and gives it to one container after another.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/fd.h"
#include "core/oci.h"
#include "isolation/subordinate_ids.h"

namespace sigil::isolation {

inline constexpr uint32_t kIdsOfAContainer = 65'536;

// What there is to cut, in pieces of kIdsOfAContainer: the first ID of each. Users and groups go in
// pairs.
struct FirstIds {
    uint32_t uid;
    uint32_t gid;
    bool operator==(const FirstIds&) const = default;
};
std::vector<FirstIds> cut(const SubordinateIds& ids);
SubordinateIds ranges_for_containers();

class UserRanges {
    struct State;

  public:
    // A container's, until this goes. A default one is nothing.
    class Taken {
      public:
        Taken() = default;
        Taken(std::shared_ptr<State> state, size_t slot) : state_(std::move(state)), slot_(slot) {}
        Taken(Taken&& other) noexcept = default;
        Taken& operator=(Taken&& other) noexcept;
        ~Taken() { give_back(); }
        [[nodiscard]] FirstIds first() const;

      private:
        void give_back();
        std::shared_ptr<State> state_;
        size_t slot_ = 0;
    };

    // Of files in ROOT/users. Nothing is made or read before the first take().
    explicit UserRanges(std::string root);
    UserRanges(const UserRanges&) = delete;
    UserRanges& operator=(const UserRanges&) = delete;
    ~UserRanges() { release(); }

    // For any thread whose "/" is the host's; all of them must have the same descriptors.
    Result<Taken> take();
    // The run is over: its files go. From any thread.
    void release();

  private:
    std::shared_ptr<State> state_;
};

}  // namespace sigil::isolation
