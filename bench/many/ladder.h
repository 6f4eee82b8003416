// A ladder of live containers: at each rung so many sleep, and beside them single containers are
// started one after the other and looked at, as is the memory of whoever supervises them.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "many/setup.h"

namespace sigil::bench {

struct LadderPlan {
    std::vector<int> live;  // ascending
    int probes = 0;         // single starts at each rung
    int idle_at = -1;       // the rung at which nothing is done for idle_s
    int idle_s = 0;
    // Of sigil alone.
    Network network = Network::kHost;
    int warm = 0;      // containers made ahead
    int pause_ms = 0;  // before each probe
};

// Figures by name; what a contestant can't tell is absent.
//   start_p50, _p99      request (sigil: the job is read) until the guest's execve has succeeded,
//   us first_p50, _p99      asked from outside until the guest's first instruction, us notice_p50,
//   _p99     the guest's last instruction until the supervisor sees its end, us event_p50, _p99 the
//   same until it is reaped and cleaned up after, and told, us supervisor_kb        PSS of the
//   supervisor, or of all of them init_kb              PSS of a PID 1, mean each_kb PSS of
//   everything but the guests, for each live container idle_cpu_us, idle_switches,
//   idle_init_switches    of the supervisor, and of the PID 1s
struct Rung {
    int live = 0;
    std::map<std::string, double> figures;

    double figure(const std::string& key) const;
};

struct Ladder {
    std::string name;
    std::vector<Rung> rungs;
    std::string gave_out;  // why it is shorter than planned

    // A figure at that rung, or kNotMeasured.
    double figure(int live, const std::string& key) const;
};

// One climb. Rungs for which the machine has no room are left out.
Ladder climb(const Setup& setup, const std::string& name, LadderPlan plan);

// Of each figure the median over several climbs of the same contestant.
Ladder merge(const std::vector<Ladder>& climbs);

// Adds NAME_p50 and NAME_p99.
void add_series(Rung& rung, const std::string& name, const std::vector<double>& samples);

// The two halves of climb(): ladder_sigil.cc, ladder_peer.cc.
void climb_sigil(const Setup& setup, const LadderPlan& plan, Ladder& ladder);
void climb_peer(const Setup& setup, const LadderPlan& plan, Ladder& ladder);

}  // namespace sigil::bench
