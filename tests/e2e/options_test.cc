// Options that are wrong: code 125, a message that names the option, and nothing happens.
#include <sys/stat.h>

#include <array>

#include "fixture.h"

namespace sigil::e2e {
namespace {

using Options = E2e;

struct Wrong {
    Words options;
    const char* part;  // of the message
};

void expect_wrong(const std::vector<Wrong>& rows) {
    for (const Wrong& row : rows) {
        SCOPED_TRACE(testing::PrintToString(row.options));
        const Finished finished = run(row.options, {"echo", "ran"});
        expect_failure(finished, row.part);
        EXPECT_EQ(finished.out, "");
    }
}

TEST_F(Options, OfTheContainer) {
    expect_wrong({
        {{"--rootfs", "/nonexistent"}, "--rootfs"},
        {{"--rootfs", "/etc/passwd"}, "--rootfs"},
        {{"--rootfs", ""}, "--rootfs"},
        {{"--name", ""}, "--name"},
        {{"--name", "a/b"}, "--name"},
        {{"--name", ".."}, "--name"},
        {{"--name", "-x"}, "--name"},
        {{"--name", "a b"}, "--name"},
        {{"--name", std::string(65, 'x')}, "--name"},
        {{"--hostname", ""}, "--hostname"},
        {{"--hostname", "a/b"}, "--hostname"},
        {{"--hostname", std::string(65, 'x')}, "--hostname"},
        {{"--network", "bridge"}, "--network"},
        {{"--network", ""}, "--network"},
    });
}

TEST_F(Options, OfTheProcess) {
    expect_wrong({
        {{"--env", ""}, "--env"},
        {{"--env", "=x"}, "--env"},
        {{"--env-file", "/nonexistent"}, "--env-file"},
        {{"--env-file", "/etc"}, "--env-file"},
        {{"--workdir", "relative"}, "--workdir"},
        {{"--workdir", ""}, "--workdir"},
        {{"--user", ":"}, "--user"},
        {{"--user", "root:"}, "--user"},
        {{"--user", ":root"}, "--user"},
        {{"--user", "-1"}, "--user"},
        {{"--cap-add", "NOPE"}, "--cap-add"},
        {{"--cap-drop", ""}, "--cap-drop"},
        {{"--ulimit", "nofile"}, "--ulimit"},
        {{"--ulimit", "nofile="}, "--ulimit"},
        {{"--ulimit", "nofile=x"}, "--ulimit"},
        {{"--ulimit", "nofile=5:3"}, "--ulimit"},
        {{"--ulimit", "nofile=5:"}, "--ulimit"},
        {{"--ulimit", "foo=1"}, "--ulimit"},
        {{"--pass-fd", "2"}, "--pass-fd"},
        {{"--pass-fd", "77"}, "--pass-fd"},
        {{"--pass-fd", "x"}, "--pass-fd"},
        {{"--pass-fd", "-1"}, "--pass-fd"},
        {{"--pass-fd", "99999999999"}, "--pass-fd"},
        {{"--timeout", "5x"}, "--timeout"},
        {{"--timeout", "abc"}, "--timeout"},
        {{"--timeout", "-1"}, "--timeout"},
        {{"--timeout", ""}, "--timeout"},
        {{"--timeout", "1e9h"}, "--timeout"},
        {{"--stop-timeout", "soon"}, "--stop-timeout"},
    });
}

TEST_F(Options, OfBindAndTmpfs) {
    const std::string here = make_directory_outside();
    expect_wrong({
        {{"--bind", ""}, "--bind"},
        {{"--bind", "/etc"}, "--bind"},
        {{"--bind", "/etc:"}, "--bind"},
        {{"--bind", ":/tmp"}, "--bind"},
        {{"--bind", "/etc:/tmp:ro:x"}, "--bind"},
        {{"--bind", "/etc:/tmp:zz"}, "--bind"},
        {{"--bind", "/etc:/tmp:"}, "--bind"},
        {{"--bind", "/nonexistent:/tmp"}, "--bind"},
        {{"--bind", here + ":relative"}, "--bind"},
        {{"--bind", here + ":/"}, "--bind"},
        {{"--bind", here + ":/tmp/.."}, "--bind"},
        {{"--bind", here + ":/proc"}, "--bind"},
        {{"--bind", here + ":/proc/x"}, "--bind"},
        {{"--bind", here + ":/tmp/../proc"}, "--bind"},
        {{"--bind", here + ":/sys"}, "--bind"},
        {{"--bind", here + ":/dev/"}, "--bind"},
        {{"--bind", here + ":/etc/passwd"}, "--bind"},
        {{"--bind", "/etc/hostname:/tmp"}, "--bind"},
        {{"--bind", here + ":/etc/passwd/x"}, "--bind"},
        {{"--bind", here + ":/" + std::string(5000, 'x')}, "--bind"},
        {{"--bind", here + ":/" + std::string(300, 'x')}, "--bind"},
        {{"--tmpfs", ""}, "--tmpfs"},
        {{"--tmpfs", "relative"}, "--tmpfs"},
        {{"--tmpfs", "/tmp:abc"}, "--tmpfs"},
        {{"--tmpfs", "/tmp:1Z"}, "--tmpfs"},
        {{"--tmpfs", "/tmp:"}, "--tmpfs"},
        {{"--tmpfs", "/etc/passwd"}, "--tmpfs"},
    });
}

TEST_F(Options, OfMount) {
    expect_wrong({
        {{"--mount", ""}, "--mount"},
        {{"--mount", "type=bind,target=/tmp"}, "--mount"},
        {{"--mount", "type=tmpfs"}, "--mount"},
        {{"--mount", "type=,target=/tmp"}, "--mount"},
        {{"--mount", "type=nosuchfs,target=/tmp"}, "--mount"},
        {{"--mount", "type=bind,source=/nonexistent,target=/tmp"}, "--mount"},
        {{"--mount", "type=bind,source=/etc,target=/tmp,size=1"}, "--mount"},
        {{"--mount", "type=tmpfs,target=/tmp,rro"}, "--mount"},
        {{"--mount", "type=tmpfs,target=/tmp,tmpfs-size=zz"}, "--mount"},
        {{"--mount", "type=tmpfs,target=/tmp,nosuchoption=1"}, "--mount"},
        {{"--mount", "type=tmpfs,target=relative"}, "--mount"},
        {{"--mount", "type=tmpfs,target=/proc"}, "--mount"},
        {{"--mount", "type=bind,source=/etc,target=/tmp,bind-propagation=sideways"}, "--mount"},
    });
}

TEST_F(Options, OfLimits) {
    expect_wrong({
        {{"--memory", "abc"}, "--memory"},
        {{"--memory", "1Z"}, "--memory"},
        {{"--memory", ""}, "--memory"},
        {{"--memory", "-5"}, "--memory"},
        {{"--memory", "99999999999G"}, "--memory"},
        {{"--memory-high", "x"}, "--memory-high"},
        {{"--memory-swap", "1G"}, "--memory-swap"},
        {{"--memory", "1G", "--memory-swap", "512M"}, "--memory-swap"},
        {{"--cpus", "0"}, "--cpus"},
        {{"--cpus", "-1"}, "--cpus"},
        {{"--cpus", "abc"}, "--cpus"},
        {{"--cpus", ""}, "--cpus"},
        {{"--cpus", "0.001"}, "--cpus"},
        {{"--cpus", "inf"}, "--cpus"},
        {{"--cpus", "nan"}, "--cpus"},
        {{"--pids-limit", "x"}, "--pids-limit"},
        {{"--pids-limit", ""}, "--pids-limit"},
        {{"--pids-limit", "99999999999"}, "--pids-limit"},
        {{"--io-max", "foo"}, "--io-max"},
        {{"--io-max", "/dev/null:rbps=1"}, "--io-max"},
        {{"--io-max", "8:0:zz=1"}, "--io-max"},
        {{"--io-max", "/nonexistent:rbps=1"}, "--io-max"},
        {{"--cgroup-set", "cgroup.max.depth"}, "--cgroup-set"},
        {{"--cgroup-set", "=1"}, "--cgroup-set"},
        {{"--cgroup-set", "../cgroup.procs=1"}, "--cgroup-set"},
        {{"--cgroup-set", "a/cgroup.procs=1"}, "--cgroup-set"},
        {{"--cgroup-parent", ""}, "--cgroup-parent"},
        {{"--cgroup-parent", "a/../../b"}, "--cgroup-parent"},
        {{"--cgroup-parent", ".."}, "--cgroup-parent"},
    });
}

TEST_F(Options, ThatAreUnknownOrMisspelt) {
    expect_wrong({
        {{"--nonsense"}, "unknown option '--nonsense'"},
        {{"--red-only"}, "did you mean '--read-only'"},
        {{"--memroy", "1G"}, "did you mean '--memory'"},
        {{"-Z"}, "unknown option '-Z'"},
        {{"--read-only=yes"}, "--read-only"},
        {{"--no-init=1"}, "--no-init"},
        {{"---"}, "'---'"},
    });
}

TEST_F(Options, ThatLackTheirValueOrTheCommand) {
    const std::string& root = shared_rootfs();
    const std::array<Wrong, 7> rows = {{
        {{"run"}, "--rootfs"},
        {{"run", "true"}, "--rootfs"},
        {{"run", "--rootfs"}, "--rootfs"},
        {{"run", "--rootfs", root}, "command"},
        {{"run", "--rootfs", root, "--"}, "command"},
        {{"run", "--rootfs", root, ""}, "command"},
        {{"run", "--rootfs", root, "--memory"}, "--memory"},
    }};
    for (const Wrong& row : rows) {
        SCOPED_TRACE(testing::PrintToString(row.options));
        expect_failure(run_program(sigil(row.options)), row.part);
    }
}

TEST_F(Options, MakeNothingInTheRootWhenTheyAreWrong) {
    const std::string root = make_rootfs();
    const auto before = names_in(root);
    const std::string here = make_directory_outside();
    for (const Words& options : {Words{"--user", "nobody-here", "--bind", here + ":/new"},
                                 Words{"--bind", here + ":/new", "--bind", "/nonexistent:/newer"},
                                 Words{"--tmpfs", "/new", "--mount", "type=tmpfs,target=/proc"}}) {
        Words all = {"--rootfs", root};
        all.insert(all.end(), options.begin(), options.end());
        EXPECT_EQ(run(all, {"true"}).code(), 125);
        EXPECT_EQ(names_in(root), before);
    }
}

TEST_F(Options, ShowNoControlCharactersOfTheirValues) {
    for (const char* option : {"--name", "--network", "--user", "--memory", "--rootfs", "--bind"}) {
        const Finished finished = run({option, "x\x1b[31m\n"}, {"true"});
        EXPECT_EQ(finished.code(), 125) << option;
        EXPECT_EQ(finished.err.find('\x1b'), std::string::npos) << finished.err;
    }
}

// ---- help -------------------------------------------------------------------------------------

using Help = E2e;

Finished sigil_says(Words words) {
    return run_program(sigil(std::move(words)));
}

TEST_F(Help, ListsTheCommands) {
    for (const Words& words :
         {Words{"--help"}, Words{"-h"}, Words{"help"}, Words{"help", "help"}}) {
        const Finished finished = sigil_says(words);
        EXPECT_EQ(finished.code(), 0);
        EXPECT_EQ(finished.err, "");
        for (const char* part :
             {"Usage: sigil", "\n  run ", "\n  spec ", "\n  sweep ", "\n  help ", "\n  version "})
            EXPECT_NE(finished.out.find(part), std::string::npos) << part;
    }
}

TEST_F(Help, ExplainsEveryOptionOfRun) {
    const std::string text = sigil_says({"run", "--help"}).out;
    for (const char* option :
         {"rootfs",     "name",         "hostname",    "network",       "no-init",   "signal-group",
          "env",        "env-file",     "workdir",     "user",          "ulimit",    "pass-fd",
          "timeout",    "stop-timeout", "read-only",   "bind",          "tmpfs",     "mount",
          "memory",     "memory-high",  "memory-swap", "oom-group",     "cpus",      "cpuset-cpus",
          "pids-limit", "io-max",       "cgroup-set",  "cgroup-parent", "report",    "help",
          "count",      "from",         "jobs",        "restart",       "after",     "stop-signal",
          "stdin",      "stdout",       "stderr",      "log-dir",       "output",    "log-policy",
          "events",     "fail-fast",    "quiet",       "warm",          "launchers", "root"})
        EXPECT_NE(text.find(std::string("--") + option), std::string::npos) << option;
    for (const char* part : {"125", "126", "127", "128+n"})
        EXPECT_NE(text.find(part), std::string::npos) << part;
    EXPECT_EQ(sigil_says({"help", "run"}).out, text);
    EXPECT_EQ(sigil_says({"run", "-h"}).out, text);
    EXPECT_EQ(sigil_says({"run", "--rootfs", "/", "--help"}).out, text);
}

TEST_F(Help, FitsIntoAHundredColumns) {
    for (const Words& words : {Words{"--help"}, Words{"run", "--help"}, Words{"spec", "--help"},
                               Words{"sweep", "--help"}, Words{"version", "--help"}})
        for (const std::string& line : lines_of(sigil_says(words).out)) {
            EXPECT_LE(line.size(), 100U) << line;
            EXPECT_FALSE(line.ends_with(' ')) << "'" << line << "'";
        }
}

TEST_F(Help, OfTheCommandsOwnIsTheCommands) {
    EXPECT_EQ(run({}, {"echo", "--help"}).out, "--help\n");
}

TEST_F(Help, VersionIsOneLine) {
    const Finished finished = sigil_says({"--version"});
    EXPECT_EQ(finished.code(), 0);
    EXPECT_TRUE(finished.out.starts_with("sigil ")) << finished.out;
    EXPECT_EQ(lines_of(finished.out).size(), 1U);
    EXPECT_EQ(sigil_says({"version"}).out, finished.out);
    EXPECT_EQ(sigil_says({"-V"}).out, finished.out);
}

TEST_F(Help, WithoutACommandIsShownAndFails) {
    const Finished finished = sigil_says({});
    EXPECT_EQ(finished.code(), 125);
    EXPECT_NE((finished.out + finished.err).find("Usage: sigil"), std::string::npos);
}

TEST_F(Help, SuggestsTheCommandThatWasMeant) {
    expect_failure(sigil_says({"rnu"}), "did you mean 'run'");
    expect_failure(sigil_says({"quite-something-else"}), "is not a command");
    expect_failure(sigil_says({"help", "nope"}), "nope");
}

}  // namespace
}  // namespace sigil::e2e
