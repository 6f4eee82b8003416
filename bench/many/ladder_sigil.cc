#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>

#include "failure.h"
#include "many/ladder.h"
#include "many/session.h"
#include "many/stamps.h"

namespace sigil::bench {

namespace {

constexpr int kWarmUps = 5;
constexpr size_t kInitSample = 50;
constexpr int kRestMs = 300;  // PID 1 becomes what it stays only once its guest runs

struct Activity {
    double cpu_us = 0;
    double switches = 0;
};

// Of all threads of the process.
Activity activity_of(pid_t process) {
    Activity sum;
    std::error_code error;
    const std::string tasks = fmt::format("/proc/{}/task", process);
    for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
        const std::string status = read_file(task.path() / "status");
        sum.switches += static_cast<double>(field_of(status, "voluntary_ctxt_switches:") +
                                            field_of(status, "nonvoluntary_ctxt_switches:"));
        sum.cpu_us += std::atof(read_file(task.path() / "schedstat").c_str()) / 1e3;
    }
    return sum;
}

Activity activity_of(const std::vector<pid_t>& processes) {
    Activity sum;
    for (pid_t process : processes) {
        const Activity one = activity_of(process);
        sum.cpu_us += one.cpu_us;
        sum.switches += one.switches;
    }
    return sum;
}

// Some of the containers' PID 1s: all children of sigil have that name or are guests themselves.
std::vector<pid_t> sample_inits(pid_t sigil) {
    std::vector<pid_t> inits;
    for (pid_t child : children_of(sigil)) {
        if (inits.size() < kInitSample && name_of(child) != "pause")
            inits.push_back(child);
    }
    return inits;
}

double phase(const rapidjson::Value& event, const char* name) {
    const rapidjson::Value& holder = event.HasMember("report") ? event["report"] : event;
    if (!holder.HasMember("phases_us") || !holder["phases_us"].HasMember(name) ||
        !holder["phases_us"][name].IsNumber())
        return kNotMeasured;
    return holder["phases_us"][name].GetDouble();
}

class Climber {
  public:
    Climber(const Setup& setup, const LadderPlan& plan, bool init)
        : plan_(plan),
          init_(init),
          stamps_(setup.workspace,
                  static_cast<long>(plan.live.size()) * (plan.probes + kWarmUps) + 1),
          session_(setup,
                   sigil_words(setup, plan.network, init,
                               {"--from", "-", "--warm", std::to_string(plan.warm)}),
                   {}, Session::Events::kOn) {}

    Rung rung(int live) {
        Rung rung = {live, {}};
        bring_up(live);
        sleep_ms(kRestMs);
        look_at_memory(rung);
        if (live == plan_.idle_at)
            stay_idle(rung);
        probe(rung);
        return rung;
    }

    void finish() { session_.stop(); }

  private:
    void bring_up(int live) {
        for (; live_ < live; ++live_, ++started_)
            session_.add_job(fmt::format("live-{}", live_), {"/pause"});
        session_.flush();
        session_.await("started", started_);
    }

    void look_at_memory(Rung& rung) const {
        const double supervisor = pss_kb(session_.pid());
        rung.figures["supervisor_kb"] = supervisor;
        double each = rung.live > 0 ? supervisor / rung.live : kNotMeasured;
        if (init_ && rung.live > 0) {
            const std::vector<pid_t> inits = sample_inits(session_.pid());
            double sum = 0;
            for (pid_t process : inits)
                sum += pss_kb(process);
            rung.figures["init_kb"] = sum / static_cast<double>(inits.size());
            each += rung.figures["init_kb"];
        }
        if (rung.live > 0)
            rung.figures["each_kb"] = each;
    }

    void stay_idle(Rung& rung) const {
        const std::vector<pid_t> inits =
            init_ ? sample_inits(session_.pid()) : std::vector<pid_t>{};
        const Activity before = activity_of(session_.pid());
        const Activity inits_before = activity_of(inits);
        sleep_ms(plan_.idle_s * 1000);
        const Activity after = activity_of(session_.pid());
        rung.figures["idle_cpu_us"] = after.cpu_us - before.cpu_us;
        rung.figures["idle_switches"] = after.switches - before.switches;
        if (init_)
            rung.figures["idle_init_switches"] =
                activity_of(inits).switches - inits_before.switches;
    }

    void probe(Rung& rung) {
        std::vector<double> start, first, notice, event;
        for (int i = -kWarmUps; i < plan_.probes; ++i, ++probes_, ++started_) {
            const std::string id = fmt::format("probe-{}", probes_);
            if (plan_.pause_ms > 0)
                sleep_ms(plan_.pause_ms);
            session_.add_job(id, {"/stamp", Stamps::kPath, std::to_string(probes_)});
            const double asked_us = static_cast<double>(now_ns()) / 1e3;
            session_.flush();
            const rapidjson::Document& exited = session_.await_exit(id);
            if (i < 0)
                continue;
            const double began_us = static_cast<double>(stamps_.at(probes_).began_ns) / 1e3;
            const double ended_us = static_cast<double>(stamps_.at(probes_).ended_ns) / 1e3;
            if (ended_us == 0)
                fail("the guest of {} didn't run", id);
            const double told_us = exited["mono_us"].GetDouble();
            start.push_back(phase(exited, "executed"));
            first.push_back(began_us - asked_us);
            event.push_back(told_us - ended_us);
            notice.push_back(event.back() -
                             (phase(exited, "cleaned") - phase(exited, "exit_seen")));
        }
        add_series(rung, "start", start);
        add_series(rung, "first", first);
        add_series(rung, "notice", notice);
        add_series(rung, "event", event);
    }

    const LadderPlan& plan_;
    bool init_;
    Stamps stamps_;
    Session session_;
    int live_ = 0;
    int started_ = 0;
    int probes_ = 0;
};

}  // namespace

void climb_sigil(const Setup& setup, const LadderPlan& plan, Ladder& ladder) {
    Climber climber(setup, plan, ladder.name == "sigil");
    for (int live : plan.live)
        ladder.rungs.push_back(climber.rung(live));
    climber.finish();
}

}  // namespace sigil::bench
