#include "many/conmon.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "failure.h"

namespace sigil::bench {

namespace {

constexpr int kPatienceMs = 10'000;
constexpr int kStepMs = 10;

// The containers that were made; deleted at the end, upon which each conmon ends by itself.
class Conmons {
  public:
    explicit Conmons(const Setup& setup)
        : setup_(setup),
          conmon_(find_program("conmon")),
          crun_(find_program("crun")),
          state_(setup.workspace.state() + "/conmon") {
        if (conmon_.empty() || crun_.empty())
            fail("{} is not installed", conmon_.empty() ? "conmon" : "crun");
        std::filesystem::create_directories(directory());
    }

    ~Conmons() {
        for (int i = 0; i < count_; ++i)
            setup_.runner.run(crun({"delete", "--force", id(i)}));
        for (int waited = 0; !processes().empty() && waited < kPatienceMs; waited += kStepMs)
            sleep_ms(kStepMs);
        for (pid_t process : processes())
            kill(process, SIGKILL);
        sleep_ms(kStepMs);
        reap_orphans();
    }

    void add() {
        const std::string name = id(count_++);
        const std::string files = directory() + "/" + name;
        setup_.runner.time("conmon", {conmon_,
                                      "--api-version",
                                      "1",
                                      "--cid",
                                      name,
                                      "--cuuid",
                                      name,
                                      "--name",
                                      name,
                                      "--runtime",
                                      crun_,
                                      "--runtime-arg",
                                      "--root=" + state_,
                                      "--bundle",
                                      setup_.field.bundle(Network::kHost, {"/pause"}),
                                      "--log-path",
                                      "k8s-file:" + files + ".log",
                                      "--exit-dir",
                                      directory(),
                                      "--container-pidfile",
                                      files + ".pid",
                                      "--conmon-pidfile",
                                      files + ".conmon",
                                      "--persist-dir",
                                      directory(),
                                      "--socket-dir-path",
                                      directory()});
        for (int waited = 0; read_file(files + ".pid").empty(); waited += kStepMs) {
            if (waited > kPatienceMs)
                fail("conmon makes no container: {}", setup_.runner.take_errors());
            sleep_ms(kStepMs);
        }
        setup_.runner.time("crun start", crun({"start", name}));
    }

    std::vector<pid_t> processes() const {
        std::vector<pid_t> all = tree_of(getpid());
        std::erase_if(all, [](pid_t process) { return name_of(process) != "conmon"; });
        return all;
    }

  private:
    std::string directory() const { return setup_.workspace.file("conmon"); }
    static std::string id(int i) { return fmt::format("sigil-bench-conmon-{}-{}", getpid(), i); }
    Command crun(const Command& words) const {
        Command command = {crun_, "--root=" + state_};
        command.insert(command.end(), words.begin(), words.end());
        return command;
    }

    const Setup& setup_;
    std::string conmon_;
    std::string crun_;
    std::string state_;
    int count_ = 0;
};

}  // namespace

double measure_conmon_kb(const Setup& setup, int count) {
    Conmons conmons(setup);
    for (int i = 0; i < count; ++i)
        conmons.add();
    sleep_ms(300);
    double sum = 0;
    const std::vector<pid_t> processes = conmons.processes();
    if (static_cast<int>(processes.size()) < count)
        fail("only {} of {} conmons run", processes.size(), count);
    for (pid_t process : processes)
        sum += pss_kb(process);
    return sum / static_cast<double>(processes.size());
}

}  // namespace sigil::bench
