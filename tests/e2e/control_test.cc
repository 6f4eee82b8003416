// The control socket of a supervisor, and what asks it: `events --follow` and `logs`.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "control_client.h"
#include "machine.h"
#include "many.h"

namespace sigil::e2e {
namespace {

using Control = E2e;

constexpr std::string_view kStatus = "{\"do\":\"status\"}\n";
constexpr std::string_view kEvents = "{\"do\":\"events\"}\n";

// Two containers that write a line each time that a file of theirs in `door` appears.
class TwoWriters {
  public:
    explicit TwoWriters(const Words& options)
        : running_(sigil_run(all(options),
                             {"/bin/sh", "-c",
                              "echo first; echo $(hostname) >&2; : > /mnt/$(hostname); "
                              "while [ ! -e /mnt/go ]; do sleep 0.02; done; echo last"})) {}
    [[nodiscard]] bool await() const {
        return await_control("web") &&
               eventually([this] { return exists(door_ + "/web-1") && exists(door_ + "/web-2"); });
    }
    void go() const { write_file(door_ + "/go", ""); }
    Running& running() { return running_; }
    [[nodiscard]] const std::string& directory() const { return directory_; }

  private:
    Words all(const Words& options) {
        make_directory(door_);
        Words words = {"--name", "web", "--count", "2", "--quiet", "--bind", door_ + ":/mnt"};
        words.insert(words.end(), options.begin(), options.end());
        return words;
    }
    std::string directory_ = make_directory_outside();
    std::string door_ = directory_ + "/door";
    Running running_;
};

TEST_F(Control, IsForItsOwnUserAndGoesWithTheRun) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    struct stat facts = {};
    ASSERT_EQ(::stat(control_socket("web").c_str(), &facts), 0);
    EXPECT_TRUE(S_ISSOCK(facts.st_mode));
    EXPECT_EQ(facts.st_mode & 07777U, 0600U);
    writers.go();
    EXPECT_EQ(writers.running().wait().code(), 0);
    EXPECT_FALSE(exists(control_socket("web")));
}

TEST_F(Control, TellsWhatRuns) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    RawClient client(control_socket("web"));
    client.send(kStatus);
    const auto status = parse_report(client.line() + "\n");
    EXPECT_STREQ(status["run"].GetString(), "web");
    EXPECT_EQ(status["pid"].GetInt(), writers.running().pid());
    EXPECT_EQ(status["running"].GetInt(), 2);
    ASSERT_EQ(status["containers"].Size(), 2U);
    EXPECT_STREQ(status["containers"][0]["id"].GetString(), "web-1");
    EXPECT_STREQ(status["containers"][0]["state"].GetString(), "live");
    EXPECT_EQ(status["containers"][0]["restarts"].GetInt(), 0);
    EXPECT_FALSE(status["more"].GetBool());
    client.send("{\"do\":\"status\",\"after\":\"web-1\"}\n");
    EXPECT_EQ(parse_report(client.line() + "\n")["containers"].Size(), 1U);
    writers.go();
    EXPECT_EQ(writers.running().wait().code(), 0);
}

TEST_F(Control, CountsRestarts) {
    Running running(sigil_run({"--name", "web", "--quiet", "--restart", "on-failure"},
                              {"/bin/sh", "-c", "exit 1"}));
    ASSERT_TRUE(await_control("web"));
    EXPECT_TRUE(eventually([] {
        RawClient client(control_socket("web"));
        client.send(kStatus);
        const auto status = parse_report(client.line() + "\n");
        return status["restarts"].GetInt() >= 2 &&
               status["containers"][0]["restarts"].GetInt() == status["restarts"].GetInt();
    }));
    running.send(SIGTERM);
    EXPECT_NE(running.wait().code(), 0);
}

TEST_F(Control, GarbageGetsAnErrorAndTheConnectionIsClosed) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    const Words garbage = {"hello\n",
                           "\n",
                           "[]\n",
                           "{}\n",
                           "{\"do\":7}\n",
                           "{\"do\":\"dance\"}\n",
                           "{\"do\":\"logs\"}\n",
                           "{\"do\":\"logs\",\"id\":\"../x\"}\n",
                           "{\"do\":\"status\",\"after\":[]}\n",
                           std::string(5000, '{'),
                           std::string("\0\xff\n", 3),
                           std::string(kEvents) + "{\"do\":\"events\"}\n"};
    for (const std::string& text : garbage) {
        RawClient client(control_socket("web"));
        client.send(text);
        const std::string answer = client.rest();
        EXPECT_NE(answer.find("{\"error\":\""), std::string::npos) << text << ": " << answer;
        EXPECT_TRUE(answer.ends_with("\"code\":\"bad-request\"}\n")) << answer;
    }
    RawClient whole(control_socket("web"));
    whole.send(kStatus);
    EXPECT_TRUE(whole.line().starts_with("{\"ok\":true")) << "it serves on";
    writers.go();
    EXPECT_EQ(writers.running().wait().code(), 0);
}

TEST_F(Control, ARequestMayComeInPiecesAndBeTheLast) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    RawClient client(control_socket("web"));
    client.send("{\"do\":\"sta");
    client.send("tus\"}\r\n");
    client.send_no_more();
    EXPECT_TRUE(client.line().starts_with("{\"ok\":true"));
    writers.go();
    EXPECT_EQ(writers.running().wait().code(), 0);
}

TEST_F(Control, ServesManyAtOnceAndRefusesTheRest) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int count = 0; count < 32; ++count) {
        clients.push_back(std::make_unique<RawClient>(control_socket("web")));
        clients.back()->send(kEvents);
        ASSERT_EQ(clients.back()->line(), "{\"ok\":true}") << count;
    }
    RawClient one_more(control_socket("web"));
    EXPECT_NE(one_more.rest().find("too many"), std::string::npos);
    clients.pop_back();
    EXPECT_TRUE(eventually([] {
        RawClient next(control_socket("web"));
        next.send(kStatus);
        return next.line().starts_with("{\"ok\":true");
    }));
    writers.go();
    for (const auto& client : clients)
        EXPECT_TRUE(client->rest().ends_with("{\"end\":true}\n"));
    EXPECT_EQ(writers.running().wait().code(), 0);
}

// It would have to be told megabytes: it is dropped, and the run goes on as if it had never been.
TEST_F(Control, AClientThatNeverReadsIsDroppedAndBlocksNobody) {
    const std::string events = make_directory_outside() + "/events";
    Running running(sigil_run(
        {"--name", "web", "--quiet", "--events", events, "--output", "events", "--count", "1"},
        {"/bin/sh", "-c", "sleep 0.5; seq 1 100000"}));
    ASSERT_TRUE(await_control("web"));
    RawClient client(control_socket("web"));
    client.send(kEvents);
    ASSERT_EQ(client.line(), "{\"ok\":true}");
    EXPECT_EQ(running.wait().code(), 0);
    EXPECT_EQ(count_events(events, "output"), 100'000U);
    EXPECT_FALSE(client.rest().ends_with("{\"end\":true}\n"));
}

TEST_F(Control, EventsFollowARunToItsEnd) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    Running named(sigil({"--root", records_root(), "events", "-f", "web"}));
    Running unnamed(sigil({"--root", records_root(), "events", "--follow"}));
    ASSERT_TRUE(eventually([] {
        RawClient client(control_socket("web"));
        client.send(kStatus);
        return parse_report(client.line() + "\n")["followers"].GetInt() == 2;
    }));
    writers.go();
    EXPECT_EQ(writers.running().wait().code(), 0);
    for (Running* follower : {&named, &unnamed}) {
        const Finished finished = follower->wait();
        EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
        EXPECT_NE(finished.out.find("\"event\":\"exited\",\"id\":\"web-1\""), std::string::npos)
            << finished.out;
        const Words lines = lines_of(finished.out);
        ASSERT_FALSE(lines.empty());
        EXPECT_NE(lines.back().find("\"event\":\"summary\""), std::string::npos);
    }
}

TEST_F(Control, AFollowerIsToldWhenTheSupervisorIsKilled) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    RawClient client(control_socket("web"));
    client.send(kEvents);
    ASSERT_EQ(client.line(), "{\"ok\":true}");
    writers.running().send(SIGKILL);
    EXPECT_EQ(writers.running().wait().signal(), SIGKILL);
    EXPECT_EQ(client.rest(), "");
    // The kernel lets go of what the ring waited for a moment after the process.
    EXPECT_TRUE(eventually([] { return !RawClient(control_socket("web")).is_connected(); }));
    expect_failure(run_program(sigil({"--root", records_root(), "events", "-f", "web"})),
                   "no 'sigil run' of the name web lives");
    EXPECT_EQ(run_program(sigil({"--root", records_root(), "sweep"})).code(), 0);
    EXPECT_FALSE(exists(control_socket("web")));
}

Start logs(Words words) {
    Words all = {"--root", records_root(), "logs"};
    all.insert(all.end(), words.begin(), words.end());
    return sigil(all);
}

TEST_F(Control, LogsShowsTheFileAndFollowsItToTheEnd) {
    const std::string directory = make_directory_outside() + "/logs";
    TwoWriters writers({"--log-dir", directory});
    ASSERT_TRUE(writers.await());
    EXPECT_EQ(run_program(logs({"web-1"})).out, "first\nweb-1\n");
    Running follower(logs({"-f", "web-2"}));
    EXPECT_EQ(follower.next_line(), "first");
    EXPECT_EQ(follower.next_line(), "web-2");
    writers.go();
    EXPECT_EQ(writers.running().wait().code(), 0);
    const Finished finished = follower.wait();
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished);
    EXPECT_TRUE(finished.out.ends_with("last\n")) << finished.out;
}

TEST_F(Control, LogsFollowsThroughRotations) {
    const std::string directory = make_directory_outside();
    const std::string door = directory + "/door";
    make_directory(door);
    Running running(
        sigil_run({"--name", "web", "--quiet", "--log-dir", directory + "/logs", "--log-max-size",
                   "4K", "--log-max-files", "500", "--bind", door + ":/mnt"},
                  {"/bin/sh", "-c",
                   "seq 1 5000; while [ ! -e /mnt/go ]; do sleep 0.02; done; "
                   "seq 5001 40000"}));
    ASSERT_TRUE(await_control("web"));
    Running follower(logs({"-f", "web"}));
    ASSERT_EQ(follower.next_line(), "1");
    ASSERT_TRUE(follower.await_line("5000"));
    write_file(door + "/go", "");
    EXPECT_EQ(running.wait().code(), 0);
    const Finished finished = follower.wait();
    EXPECT_EQ(finished.code(), 0) << testing::PrintToString(finished.err);
    std::string whole;
    for (int number = 1; number <= 40'000; ++number)
        whole += std::to_string(number) + "\n";
    EXPECT_EQ(finished.out.size(), whole.size());
    EXPECT_TRUE(finished.out == whole);
}

TEST_F(Control, LogsFollowsLiveOutputWhereNoLogIsKept) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    RawClient client(control_socket("web"));
    client.send("{\"do\":\"logs\",\"id\":\"web-1\",\"follow\":true}\n");
    ASSERT_EQ(client.line(), "{\"ok\":true}");
    writers.go();
    EXPECT_EQ(client.rest(), "{\"stream\":\"stdout\",\"text\":\"last\"}\n{\"end\":true}\n");
    EXPECT_EQ(writers.running().wait().code(), 0);
}

TEST_F(Control, LogsSaysHowToGetThem) {
    TwoWriters writers({});
    ASSERT_TRUE(writers.await());
    for (const auto& [id, code] : {std::pair("web-1", "no-log"), {"web-9", "no-container"}}) {
        RawClient client(control_socket("web"));
        client.send(R"({"do":"logs","id":")" + std::string(id) + "\"}\n");
        const std::string answer = client.rest();
        EXPECT_NE(answer.find(R"("code":")" + std::string(code) + "\""), std::string::npos)
            << answer;
    }
    expect_failure(run_program(logs({"web-1"})), "give it --log-dir, or follow what comes by -f");
    expect_failure(run_program(logs({"web-9"})), "there is no container web-9 in run web");
    expect_failure(run_program(logs({"--run", "nope", "web-1"})),
                   "no 'sigil run' of the name nope lives");
    writers.go();
    EXPECT_EQ(writers.running().wait().code(), 0);
    expect_failure(run_program(logs({"web-1"})), "no 'sigil run' that lives has a container web-1");
}

}  // namespace
}  // namespace sigil::e2e
