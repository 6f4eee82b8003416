#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "failure.h"
#include "many/ladder.h"
#include "many/stamps.h"

namespace sigil::bench {

namespace {

constexpr char kGuestName[] = "stamp";
constexpr int kAtATime = 8;
constexpr int kRestMs = 300;
constexpr int kPatienceMs = 20'000;
constexpr double kBudgetMs = 60'000;  // for bringing one rung up
const Command kProbe = {"/stamp", "/stamps", "0"};
const Command kSleeper = {"/stamp", "/stamps", "1", "stay"};

class Peer {
  public:
    Peer(const Setup& setup, const Contestant& contestant)
        : setup_(setup), contestant_(contestant), stamps_(setup.workspace, 2) {}

    ~Peer() {
        for (pid_t process : everything()) {
            if (name_of(process) == kGuestName)
                kill(process, SIGKILL);
        }
        for (pid_t process : running_)
            setup_.runner.wait(process);
        reap_orphans();
    }

    Rung rung(int live, int probes) {
        Rung rung = {live, {}};
        bring_up(live);
        sleep_ms(kRestMs);
        if (live > 0)
            look_at_memory(rung);
        std::vector<double> first;
        for (int i = -2; i < probes; ++i) {
            const double asked = static_cast<double>(now_ns());
            setup_.runner.time(contestant_.name, command(kProbe));
            if (i >= 0)
                first.push_back((static_cast<double>(stamps_.at(0).began_ns) - asked) / 1e3);
        }
        add_series(rung, "first", first);
        return rung;
    }

    // Why the next rung isn't tried, or "".
    const std::string& gave_out() const { return gave_out_; }

  private:
    Command command(const Command& guest) const {
        return setup_.field.command(contestant_, Network::kHost, guest);
    }

    int up() { return static_cast<int>(stamps_.at(1).began_ns); }

    void await_up(int count) {
        for (int waited = 0; up() < count; ++waited) {
            if (waited > kPatienceMs)
                fail("only {} of {} come up: {}", up(), count, setup_.runner.take_errors());
            sleep_ms(1);
        }
    }

    void bring_up(int live) {
        const int64_t start = now_ns();
        while (static_cast<int>(running_.size()) < live) {
            running_.push_back(setup_.runner.spawn(command(kSleeper)));
            await_up(static_cast<int>(running_.size()) - kAtATime);
        }
        await_up(live);
        const double milliseconds = static_cast<double>(now_ns() - start) / 1e6;
        if (milliseconds > kBudgetMs)
            gave_out_ = fmt::format("no more than {} live: it took {:.0f} s to bring them up", live,
                                    milliseconds / 1e3);
    }

    std::vector<pid_t> everything() const {
        std::vector<pid_t> all = tree_of(getpid());
        all.erase(all.begin());
        return all;
    }

    void look_at_memory(Rung& rung) const {
        double sum = 0;
        for (pid_t process : everything()) {
            if (name_of(process) != kGuestName)
                sum += pss_kb(process);
        }
        rung.figures["supervisor_kb"] = sum;
        rung.figures["each_kb"] = sum / rung.live;
    }

    const Setup& setup_;
    const Contestant& contestant_;
    Stamps stamps_;
    std::vector<pid_t> running_;
    std::string gave_out_;
};

}  // namespace

void climb_peer(const Setup& setup, const LadderPlan& plan, Ladder& ladder) {
    Peer peer(setup, *setup.field.find(ladder.name));
    for (int live : plan.live) {
        ladder.rungs.push_back(peer.rung(live, std::min(plan.probes, 50)));
        if (!peer.gave_out().empty()) {
            ladder.gave_out = peer.gave_out();
            return;
        }
    }
}

}  // namespace sigil::bench
