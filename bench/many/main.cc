// sigil-bench-many: many containers of one process. How many start in a second, how soon a thousand
// are up and gone again, what a start and an exit take beside thousands that live, what each of
// those costs; sigil beside the floor and its peers in one run.

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "failure.h"
#include "leftovers.h"
#include "many/plot.h"
#include "many/sections.h"
#include "workspace.h"

namespace sigil::bench {

namespace {

// sigil and the floor may need a descriptor or two for each container.
void raise_descriptor_limit() {
    rlimit limit = {};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

FieldOptions field_options(const ManyOptions& options) {
    FieldOptions field = options;
    if (field.only.empty())
        field.only = {"floor", "sigil", "sigil-no-init", "bwrap", "crun"};
    std::erase(field.only, "conmon");
    return field;
}

void print_heading(const Setup& setup, const Machine& machine) {
    print_machine(machine);
    for (const Contestant& contestant : setup.field.contestants()) {
        if (!contestant.version.empty())
            fmt::print("  {}: {}\n", contestant.name, contestant.version);
    }
    std::fflush(stdout);
}

std::vector<std::string> present(const Setup& setup, std::vector<std::string> names) {
    Section ignored;
    std::erase_if(names, [&](const std::string& name) { return !setup.has(name, ignored); });
    return names;
}

// Contestants take turns; each climbs alone, since all that live on the machine are in the way.
std::vector<Ladder> climb_all(const Setup& setup) {
    const bool quick = setup.options.quick;
    LadderPlan plan;
    plan.live = quick ? std::vector<int>{0, 1, 100, 300} : std::vector<int>{0, 1, 1'000, 5'000};
    plan.probes = setup.options.pick(1'000, 50);
    if (setup.options.wants_section("idle")) {
        plan.idle_at = plan.live.back();
        plan.idle_s = setup.options.pick(10, 2);
    }
    const std::vector<std::string> names = present(setup, {"floor", "sigil", "sigil-no-init"});
    std::vector<std::vector<Ladder>> climbs(names.size());
    for (int round = 0; round < setup.options.rounds_or(3); ++round) {
        for (size_t i = 0; i < names.size(); ++i)
            climbs[i].push_back(climb(setup, names[i], plan));
    }
    std::vector<Ladder> ladders;
    for (const std::vector<Ladder>& one : climbs)
        ladders.push_back(merge(one));
    return ladders;
}

Section run_plot(const Setup& setup) {
    LadderPlan plan;
    for (int live : {1, 3, 10, 30, 100, 300, 1'000, 2'000, 5'000, 10'000}) {
        if (live <= setup.options.most_live && (!setup.options.quick || live <= 30))
            plan.live.push_back(live);
    }
    plan.probes = setup.options.pick(200, 20);
    Section section = {"plot", {}, {}, {}, false};
    std::vector<Ladder> ladders;
    for (const char* name : {"floor", "sigil", "sigil-no-init", "bwrap", "crun"}) {
        if (!setup.has(name, section))
            continue;
        ladders.push_back(climb(setup, name, plan));
        if (!ladders.back().gave_out.empty())
            section.notes.push_back(fmt::format("{}: {}", name, ladders.back().gave_out));
    }
    section.tables.push_back(tabulate_plot(ladders));
    draw_plot(ladders, setup.options.plot);
    section.notes.push_back("drawn: " + setup.options.plot);
    return section;
}

class Run {
  public:
    Run(const Setup& setup) : setup_(setup) {}

    template <typename Measure>
    void add(const char* name, Measure measure) {
        if (!setup_.options.wants_section(name))
            return;
        Section section = {name, {}, {}, {}, false};
        try {
            section = measure(setup_);
        } catch (const Failure& failure) {
            section.notes.push_back(fmt::format("FAILED: {}", failure.what()));
            section.failed = true;
        }
        print_section(section);
        sections_.push_back(std::move(section));
    }

    void add_all() {
        add("rate", measure_rate);
        add("up", measure_up);
        add("warm", measure_warm);
        add("lines", measure_lines);
        std::vector<Ladder> ladders;
        const auto wants = [&](const char* name) { return setup_.options.wants_section(name); };
        if (wants("latency") || wants("exit") || wants("idle") || wants("memory"))
            ladders = climb_all(setup_);
        add("latency", [&](const Setup& setup) { return judge_latency(setup, ladders); });
        add("exit", [&](const Setup& setup) { return judge_exit(setup, ladders); });
        add("idle", [&](const Setup& setup) { return judge_idle(setup, ladders); });
        add("memory", [&](const Setup& setup) { return judge_memory(setup, ladders); });
        add("plot", run_plot);
    }

    const std::vector<Section>& sections() const { return sections_; }
    bool failed() const {
        return std::any_of(sections_.begin(), sections_.end(),
                           [](const Section& section) { return section.failed; });
    }

  private:
    const Setup& setup_;
    std::vector<Section> sections_;
};

int run(const ManyOptions& options) {
    raise_descriptor_limit();
    settle_in();
    const Workspace workspace(own_directory());
    const Runner runner;
    Field field(field_options(options), workspace, runner);
    const bool has_sigil = field.find("sigil") || field.find("sigil-no-init");
    const Setup setup = {options, workspace, runner, field,
                         has_sigil ? find_missing_option(runner, options.sigil) : ""};
    const Machine machine = describe_machine();
    print_heading(setup, machine);

    const Snapshot before = take_snapshot();
    Run all(setup);
    all.add_all();
    const LeftoverRow left = compare_with_now("all", 0, before);
    fmt::print("\nleft behind: {}\n", left.left.empty() ? "nothing" : "");
    for (const std::string& one : left.left)
        fmt::print("  {}\n", one);
    if (!options.json.empty())
        write_sections(all.sections(), machine, options.json);
    return all.failed() ? 1 : 0;
}

}  // namespace

}  // namespace sigil::bench

int main(int argc, char** argv) {
    return sigil::bench::run_guarded(
        [&] { return sigil::bench::run(sigil::bench::parse_many_options(argc, argv)); });
}
