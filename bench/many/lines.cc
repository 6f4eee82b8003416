#include <algorithm>
#include <cstdlib>

#include "failure.h"
#include "many/sections.h"
#include "many/session.h"

namespace sigil::bench {

namespace {

constexpr int kFirst = 1'000;
constexpr int kBatch = 20;

struct Run {
    std::vector<double> rates;
    std::vector<double> first_kb;
    std::vector<double> last_kb;
    std::vector<double> most_kb;
};

double status_kb(pid_t process, const std::string& key) {
    const std::string status = read_file(fmt::format("/proc/{}/status", process));
    const size_t start = status.find(key + ":");
    return start == std::string::npos ? kNotMeasured
                                      : std::atof(status.c_str() + start + key.size() + 1);
}

// The pipe holds a page of lines, so what was written has been read, but for some forty.
void run_lines(const Setup& setup, bool init, int count, Run& run) {
    Session session(setup,
                    sigil_words(setup, Network::kHost, init, {"--from", "-", "--jobs", "64"}), {},
                    Session::Events::kOff);
    for (int i = 0; i < count; ++i) {
        session.add_job(fmt::format("line-{}", i), {"/true"});
        if (i % kBatch == kBatch - 1)
            session.flush();
        if (i == std::min(kFirst, count / 2))
            run.first_kb.push_back(status_kb(session.pid(), "VmRSS"));
    }
    session.flush();
    run.last_kb.push_back(status_kb(session.pid(), "VmRSS"));
    run.most_kb.push_back(status_kb(session.pid(), "VmHWM"));
    session.close_input();
    const int code = session.wait();
    if (code != 0)
        fail("sigil run --from - ended with {}: {}", code, setup.runner.take_errors());
    run.rates.push_back(count / (static_cast<double>(now_ns() - session.spawned_ns()) / 1e9));
}

}  // namespace

Section measure_lines(const Setup& setup) {
    Section section = {"lines", {}, {}, {}, false};
    const int count = setup.options.pick(20'000, 2'000);
    Table table = {"lines",
                   fmt::format("{} JSON lines of `true` through --from -, network host", count),
                   {{"per_second", "per second", 0},
                    {"million_s", "1,000,000, s", 0},
                    {"rss_first_kb", "RSS then, KB", 0},
                    {"rss_last_kb", "at the end", 0},
                    {"rss_most_kb", "highest", 0}},
                   {}};
    for (const char* name : {"sigil", "sigil-no-init"}) {
        if (!setup.has(name, section))
            continue;
        Run run;
        for (int round = 0; round < setup.options.rounds_or(3); ++round) {
            settle();
            run_lines(setup, name == std::string("sigil"), count, run);
        }
        const double rate = median_of(run.rates);
        const double first = median_of(run.first_kb);
        const double last = median_of(run.last_kb);
        table.rows.push_back({name, {rate, 1e6 / rate, first, last, median_of(run.most_kb)}});
        section.add_ratio(fmt::format("{}: RSS at the end", name),
                          fmt::format("that after {} lines", std::min(kFirst, count / 2)), last,
                          first, kLinesGrowth);
    }
    if (!table.rows.empty())
        section.tables.push_back(table);
    return section;
}

}  // namespace sigil::bench
