#include "many/ladder.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>

#include "failure.h"
#include "many/stamps.h"
#include "statistics.h"

namespace sigil::bench {

namespace {

// What one live container takes of the machine's limits, so that a rung that can't be reached isn't
// tried: processes, the supervisor's descriptors, and memory with what the kernel takes for it.
struct Needs {
    const char* name;
    int processes;
    int descriptors;
    double kilobytes;
};

constexpr Needs kNeeds[] = {
    {"floor", 1, 1, 170},  {"sigil", 2, 1, 220}, {"sigil-no-init", 1, 1, 170},
    {"bwrap", 3, 0, 1100}, {"crun", 2, 0, 2200},
};
constexpr int kOtherProcesses = 4'000;
constexpr int kOtherDescriptors = 100;
constexpr double kOtherKilobytes = 2e6;

double meminfo_kb(const std::string& key) {
    const std::string info = read_file("/proc/meminfo");
    const size_t start = info.find(key + ":");
    return start == std::string::npos ? 0 : std::atof(info.c_str() + start + key.size() + 1);
}

std::string what_is_short(const std::string& name, int live) {
    const auto* needs = std::find_if(std::begin(kNeeds), std::end(kNeeds),
                                     [&](const Needs& one) { return one.name == name; });
    if (needs == std::end(kNeeds))
        return "";
    rlimit files = {};
    getrlimit(RLIMIT_NOFILE, &files);
    const int pid_max = std::atoi(read_file("/proc/sys/kernel/pid_max").c_str());
    const double memory = meminfo_kb("MemAvailable") - kOtherKilobytes;
    if (needs->processes * live + kOtherProcesses > pid_max)
        return fmt::format("kernel.pid_max of {}", pid_max);
    if (static_cast<rlim_t>(needs->descriptors * live + kOtherDescriptors) > files.rlim_max)
        return fmt::format("RLIMIT_NOFILE of {}", files.rlim_max);
    if (needs->kilobytes * live > memory)
        return fmt::format("memory: {:.1f} GB to spare", memory / 1e6);
    return "";
}

void copy_series(Rung& rung, const rapidjson::Value& stage, const char* from, const char* to) {
    if (!stage.HasMember(from))
        return;
    rung.figures[fmt::format("{}_p50", to)] = stage[from]["median"].GetDouble();
    rung.figures[fmt::format("{}_p99", to)] = stage[from]["p99"].GetDouble();
}

void climb_floor(const Setup& setup, const LadderPlan& plan, Ladder& ladder) {
    std::string live;
    for (int one : plan.live)
        live += (live.empty() ? "" : ",") + std::to_string(one);
    const rapidjson::Document found = run_floor(
        setup, floor_words(setup, Network::kHost, 2,
                           {"--live", live, "--count", std::to_string(plan.probes), "--at-a-time",
                            "1", "--stamps", setup.workspace.rootfs() + Stamps::kPath,
                            setup.workspace.rootfs(), "/stamp", Stamps::kPath}));
    for (const rapidjson::Value& stage : found["stages"].GetArray()) {
        Rung rung = {stage["live"].GetInt(), {}};
        copy_series(rung, stage, "start_us", "start");
        copy_series(rung, stage, "first_us", "first");
        copy_series(rung, stage, "exit_us", "notice");
        copy_series(rung, stage, "clean_us", "event");
        rung.figures["supervisor_kb"] = stage["pss_kb"].GetDouble();
        if (rung.live > 0)
            rung.figures["each_kb"] = stage["pss_kb"].GetDouble() / rung.live;
        ladder.rungs.push_back(rung);
    }
}

}  // namespace

double Rung::figure(const std::string& key) const {
    const auto found = figures.find(key);
    return found == figures.end() ? kNotMeasured : found->second;
}

double Ladder::figure(int live, const std::string& key) const {
    for (const Rung& rung : rungs) {
        if (rung.live == live)
            return rung.figure(key);
    }
    return kNotMeasured;
}

void add_series(Rung& rung, const std::string& name, const std::vector<double>& samples) {
    if (samples.empty())
        return;
    const Summary summary = summarize(samples);
    rung.figures[name + "_p50"] = summary.median;
    rung.figures[name + "_p99"] = summary.p99;
}

Ladder climb(const Setup& setup, const std::string& name, LadderPlan plan) {
    Ladder ladder = {name, {}, ""};
    for (size_t i = 0; i < plan.live.size(); ++i) {
        const std::string reason = what_is_short(name, plan.live[i]);
        if (reason.empty())
            continue;
        ladder.gave_out = fmt::format("no {} live: {}", plan.live[i], reason);
        plan.live.resize(i);
    }
    settle();
    try {
        if (name == "floor")
            climb_floor(setup, plan, ladder);
        else if (is_sigil(name))
            climb_sigil(setup, plan, ladder);
        else
            climb_peer(setup, plan, ladder);
    } catch (const Failure& failure) {
        ladder.gave_out = failure.what();
    }
    return ladder;
}

Ladder merge(const std::vector<Ladder>& climbs) {
    Ladder result = climbs.front();
    for (const Ladder& one : climbs) {
        if (!one.gave_out.empty())
            result.gave_out = one.gave_out;
    }
    for (Rung& rung : result.rungs) {
        for (auto& [name, value] : rung.figures) {
            std::vector<double> values;
            for (const Ladder& one : climbs) {
                const double figure = one.figure(rung.live, name);
                if (!std::isnan(figure))
                    values.push_back(figure);
            }
            value = median_of(values);
        }
    }
    return result;
}

}  // namespace sigil::bench
