// Which containers may have a network after another, and how many lie about. Files stand for them.
#include "isolation/network_shelf.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "core/capabilities.h"

namespace sigil::isolation {
namespace {

Fd some() {
    return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

std::unique_ptr<NetworkShelf> open_shelf() {
    auto shelf = NetworkShelf::open();
    EXPECT_TRUE(shelf.has_value());
    return shelf ? std::move(*shelf) : nullptr;
}

TEST(NetworkShelf, GivesWhatHasComeBack) {
    const auto shelf = open_shelf();
    EXPECT_FALSE(shelf->next());
    Fd one = some();
    const int number = one.get();
    shelf->lend(7, std::move(one));
    EXPECT_FALSE(shelf->next()) << "it is out";
    shelf->come_back(8);  // which was lent nothing
    EXPECT_FALSE(shelf->next());
    shelf->come_back(7);
    EXPECT_EQ(shelf->next().get(), number);
    EXPECT_FALSE(shelf->next());
    shelf->come_back(7);  // again
    EXPECT_FALSE(shelf->next());
}

TEST(NetworkShelf, HasRoomForSoManyOut) {
    const auto shelf = open_shelf();
    uint64_t lent = 0;
    while (shelf->has_room() && lent < 1000)
        shelf->lend(lent++, some());
    EXPECT_GE(lent, 8U);
    EXPECT_LE(lent, 64U) << "each launch copies the table that they are in";
    shelf->lend(lent, some());  // of those made ahead
    shelf->come_back(lent);
    EXPECT_FALSE(shelf->next()) << "it was one too many";
    shelf->come_back(0);
    EXPECT_TRUE(shelf->has_room());
}

TEST(NetworkShelf, EndsWhatItHasNoRoomFor) {
    const auto shelf = open_shelf();
    constexpr uint64_t kMany = 100;
    for (uint64_t container = 0; container < kMany; ++container) {
        shelf->lend(container, some());
        shelf->come_back(container);
    }
    EXPECT_TRUE(shelf->is_untidy());
    shelf->tidy();
    EXPECT_FALSE(shelf->is_untidy());
    size_t left = 0;
    while (shelf->next())
        ++left;
    EXPECT_GE(left, 8U);
    EXPECT_LE(left, 32U);
}

TEST(NetworkShelf, IsForContainersThatCannotConfigureTheirNetwork) {
    Spec spec;
    spec.network = Network::none;
    spec.capabilities = default_capabilities();
    EXPECT_TRUE(leaves_network_alone(spec));
    for (int capability : {CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_BPF, CAP_SYS_MODULE}) {
        Spec other = spec;
        other.capabilities |= uint64_t{1} << capability;
        EXPECT_FALSE(leaves_network_alone(other)) << capability;
    }
    Spec host = spec;
    host.network = Network::host;
    EXPECT_FALSE(leaves_network_alone(host));
    Spec users = spec;
    users.user_namespace = UserNamespace::automatic;
    EXPECT_FALSE(leaves_network_alone(users));
    Spec privileged = spec;
    privileged.privileged = true;
    EXPECT_FALSE(leaves_network_alone(privileged));
}

}  // namespace
}  // namespace sigil::isolation
