// sigil-bench-start: what it costs to start a container and see it end, for the floor, sigil and
// its peers side by side in one run. Times, system calls, memory, and what is left behind.

#include <unistd.h>

#include "failure.h"
#include "json.h"
#include "options.h"
#include "results.h"
#include "tables.h"
#include "workspace.h"

namespace sigil::bench {

namespace {

// Hot before cold, so that the first rounds warm the page cache for both.
void measure_times(const Options& options, Field& field, const Runner& runner, Results& results) {
    for (bool cold : {false, true}) {
        const int rounds = cold ? options.cold_runs : options.hot_runs;
        if (rounds == 0)
            continue;
        for (Network network : {Network::kNone, Network::kHost}) {
            results.latency.push_back(measure_latency(field, runner, network, cold, rounds));
            print_latency(results.latency.back());
        }
    }
}

int timed_runs(const Results& results) {
    int runs = 0;
    for (const LatencySection& section : results.latency) {
        for (const LatencyRow& row : section.rows)
            runs += row.milliseconds.runs;
    }
    return runs;
}

void measure_the_rest(Field& field, const Runner& runner, const Workspace& workspace,
                      const Snapshot& before, Results& results) {
    results.counts = count_system_calls(field, runner, workspace);
    print_counts(*results.counts);
    results.memory = measure_memory(field, runner);
    print_memory(*results.memory);
    results.leftovers = look_for_leftovers(field, runner);
    LeftoverRow all = compare_with_now("all of it", timed_runs(results), before);
    all.orphans = -1;  // those of the timed runs were reaped and not counted
    for (const LeftoverRow& row : results.leftovers)
        all.runs += row.runs;
    results.leftovers.push_back(all);
    print_leftovers(results.leftovers);
}

int run(const Options& options) {
    settle_in();
    const Workspace workspace(own_directory());
    const Runner runner;
    Field field(options, workspace, runner);

    Results results;
    results.machine = describe_machine();
    results.contestants = field.contestants();
    results.skipped = field.skipped();
    print_machine(results);

    const Snapshot before = take_snapshot();
    measure_times(options, field, runner, results);
    if (!options.skip_counts)
        measure_the_rest(field, runner, workspace, before, results);
    if (!options.json.empty())
        write_json(results, options.json);
    return 0;
}

}  // namespace

}  // namespace sigil::bench

int main(int argc, char** argv) {
    return sigil::bench::run_guarded(
        [&] { return sigil::bench::run(sigil::bench::parse_options(argc, argv)); });
}
