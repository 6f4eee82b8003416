// SIGHUP with --from FILE: the file is read again.
#include <signal.h>

#include "cgroups.h"
#include "manager_socket.h"
#include "many.h"

namespace sigil::e2e {
namespace {

class Reload : public E2e {
  protected:
    static std::string line(const std::string& id, const std::string& more = "") {
        return R"({"id":")" + id + R"(","args":["sleep","100000"])" + more + "}\n";
    }
    void write(const std::string& text) const { write_file(file_, text); }
    [[nodiscard]] Start start(const Words& options = {}) const {
        Words all = outputs_.with({"--from", file_});
        all.insert(all.end(), options.begin(), options.end());
        return sigil_run(all, {});
    }
    // Of one container, what has been told.
    [[nodiscard]] Words of(const std::string& id) const { return EventLog(outputs_.events).of(id); }

    Outputs outputs_;
    ManagerSocket manager_;
    std::string file_ = make_directory_outside() + "/jobs";
};

TEST_F(Reload, StopsWhatIsGoneStartsWhatIsNewAndLeavesTheRest) {
    write(line("a") + line("b") + line("c"));
    Running running(manager_.told_by(start()));
    ASSERT_TRUE(manager_.await("READY=1"));
    write(line("d") + line("c", R"(,"env":{"NEW":"1"})") + line("b"));
    running.send(SIGHUP);
    EXPECT_TRUE(eventually([&] { return manager_.count("READY=1") == 2; }));
    EXPECT_EQ(manager_.count("RELOADING=1"), 1U);
    EXPECT_EQ(of("a"), (Words{"created", "started", "ready", "stopping", "exited"}));
    EXPECT_EQ(of("b"), (Words{"created", "started", "ready"}));
    EXPECT_EQ(of("c"), (Words{"created", "started", "ready", "stopping", "exited", "created",
                              "started", "ready"}));
    EXPECT_EQ(of("d"), (Words{"created", "started", "ready"}));
    EXPECT_EQ(manager_.count("STOPPING=1"), 0U);
    running.send(SIGTERM);
    (void)running.wait();
}

// Whatever a container is about when the file is read again: being launched, or ended a moment ago.
TEST_F(Reload, TouchesNothingThatIsTheSameHoweverOften) {
    const unsigned count = scaled(60, 8);
    std::string text = line("stays");
    for (unsigned number = 1; number <= count; ++number) {
        text += line(numbered("long", number));
        text += R"({"id":")" + numbered("short", number) + R"(","args":["/bin/bare","0"]})" + "\n";
    }
    write(text);
    Running running(start());
    ASSERT_TRUE(outputs_.await("created", 1));
    EXPECT_TRUE(eventually([&] {
        running.send(SIGHUP);
        return count_events(outputs_.events, "exited") >= count;
    }));
    ASSERT_TRUE(outputs_.await("started", 2 * count + 1));
    for (unsigned number = 1; number <= count; ++number) {
        EXPECT_EQ(of(numbered("long", number)), (Words{"created", "started", "ready"}));
        EXPECT_EQ(of(numbered("short", number)), (Words{"created", "started", "ready", "exited"}));
    }
    running.send(SIGTERM);
    EXPECT_EQ(running.wait().err, "");
}

TEST_F(Reload, LeavesEverythingWhereTheFileIsWrong) {
    write(line("a"));
    Running running(manager_.told_by(start()));
    ASSERT_TRUE(manager_.await("READY=1"));
    size_t told = 1;
    for (const std::string& wrong :
         {line("b") + "{\"id\":\n", line("b", R"(,"after":["nobody"])"),
          line("b", R"(,"after":["c"])") + line("c", R"(,"after":["b"])"), line("b") + line("b")}) {
        write(wrong);
        running.send(SIGHUP);
        ++told;
        ASSERT_TRUE(eventually([&] { return manager_.count("READY=1") == told; })) << wrong;
    }
    EXPECT_EQ(of("a"), (Words{"created", "started", "ready"}));
    EXPECT_EQ(of("b"), Words{});
    running.send(SIGTERM);
    const std::string err = running.wait().err;
    for (const char* part :
         {"not reloaded: --from: line 2: column ", "b: after: there is no container named nobody",
          "after: a cycle", "b: given twice"})
        EXPECT_NE(err.find(part), std::string::npos) << part << " is not in " << err;
}

TEST_F(Reload, DoesNotRepeatWhatHasEnded) {
    write(line("a") + R"({"id":"once","args":["true"]})"
                      "\n");
    Running running(manager_.told_by(start()));
    ASSERT_TRUE(outputs_.await("exited", 1));
    // A reload before the one before is over, or before all is up, has no READY=1 of its own.
    ASSERT_TRUE(eventually([&] { return manager_.count("READY=1") == 1; }));
    write(R"({"id":"once","args":["true"]})"
          "\n" +
          line("a") +
          R"({"id":"twice","args":["true"],"after":["once"]})"
          "\n");
    running.send(SIGHUP);
    ASSERT_TRUE(outputs_.await("exited", 2));
    ASSERT_TRUE(eventually([&] { return manager_.count("READY=1") == 2; }));
    EXPECT_EQ(of("once"), (Words{"created", "started", "ready", "exited"}));
    running.send(SIGHUP);  // nothing has changed
    ASSERT_TRUE(eventually([&] { return manager_.count("READY=1") == 3; }));
    EXPECT_EQ(of("twice"), (Words{"created", "started", "ready", "exited"}));
    EXPECT_EQ(of("a"), (Words{"created", "started", "ready"}));
    write("");
    running.send(SIGHUP);  // the last is stopped: the run is over
    EXPECT_EQ(running.wait().code(), 0);
}

TEST_F(Reload, ReplacesWhatWaitsForItsRestart) {
    write(R"({"id":"a","args":["false"],"restart":"always"})"
          "\n");
    Running running(start());
    ASSERT_TRUE(outputs_.await("restarting", 3));
    write(line("a"));
    running.send(SIGHUP);
    ASSERT_TRUE(eventually([&] {
        const EventLog log(outputs_.events);
        return log.count("created") == 2 && log.of("a").back() == "ready";
    }));
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Reload, ChangesLimitsInPlace) {
    SIGIL_NEEDS_CONTROLLER("pids");
    write(line("a", R"(,"pids_limit":20)"));
    Running running(manager_.told_by(start()));
    ASSERT_TRUE(manager_.await("READY=1"));
    write(line("a", R"(,"pids_limit":30)"));
    running.send(SIGHUP);
    EXPECT_TRUE(eventually([&] { return manager_.count("READY=1") == 2; }));
    EXPECT_EQ(of("a"), (Words{"created", "started", "ready"}));
    std::string limit;
    for (const std::string& path : container_cgroups())
        if (path.ends_with("/sigil-a"))
            limit = cgroup_file(path, "pids.max");
    EXPECT_EQ(limit, "30");
    running.send(SIGTERM);
    (void)running.wait();
}

TEST_F(Reload, IsNotForAStream) {
    Start piped = sigil_run({"--quiet", "--from", "-"}, {});
    piped.input = R"({"id":"a","args":["/bin/probe","signals","TERM"]})"
                  "\n";
    piped.keeps_input_open = true;
    Running running(piped);
    EXPECT_EQ(running.next_line(), "a | ready");
    running.send(SIGHUP);
    EXPECT_EQ(running.next_line(), "a | signal 1 sent 0");
    running.send(SIGTERM);
    (void)running.wait();
}

}  // namespace
}  // namespace sigil::e2e
