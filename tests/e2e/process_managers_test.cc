// sigil as a service of s6, runit and supervisord, those of Debian's packages.
#include <signal.h>
#include <sys/stat.h>

#include "fixture.h"
#include "rootfs.h"

namespace sigil::e2e {
namespace {

// A service that notes each start of its container, and the pid of its sigil.
class ProcessManagers : public E2e {
  protected:
    // Ends the test, and says why, where the manager is not installed.
    static bool is_installed(const std::string& program) { return exists("/usr/bin/" + program); }

    void write_service(const Words& options) {
        Words all = {"--name", "web", "--bind", directory_ + "/notes:/notes"};
        all.insert(all.end(), options.begin(), options.end());
        make_directory(directory_ + "/notes");
        make_directory(service());
        std::string script = "#!/bin/sh\necho $$ > " + directory_ + "/pid\nexec";
        const Start start =
            sigil_run(all, {"/bin/sh", "-c", "echo start >> /notes/starts; exec sleep 100000"});
        for (const std::string& word : start.command)
            script += " '" + word + "'";
        write_file(service() + "/run", script + "\n", 0755);
    }

    [[nodiscard]] std::string service() const { return directory_ + "/web"; }
    [[nodiscard]] size_t starts() const {
        return lines_of(read_file(directory_ + "/notes/starts")).size();
    }
    [[nodiscard]] pid_t pid() const {
        const std::string text = read_file(directory_ + "/pid");
        return text.empty() ? -1 : std::stoi(text);
    }
    static bool is_there(pid_t pid) { return exists("/proc/" + std::to_string(pid)); }
    static int call(const Words& command) { return run_program({.command = command}).code(); }

    // The service runs; once its sigil is killed, again.
    void expect_restart_after_a_kill() {
        ASSERT_TRUE(eventually([&] { return starts() == 1; }));
        const pid_t killed = pid();
        ASSERT_EQ(::kill(killed, SIGKILL), 0);
        ASSERT_TRUE(eventually([&] { return starts() == 2 && pid() != killed; }));
    }

    std::string directory_ = make_directory_outside();
};

TEST_F(ProcessManagers, S6IsToldOfReadiness) {
    if (!is_installed("s6-supervise"))
        GTEST_SKIP() << "s6 is not installed (s6-supervise)";
    write_service({"--notification-fd", "3"});
    write_file(service() + "/notification-fd", "3\n");
    Running manager({.command = {"s6-supervise", service()}});
    ASSERT_TRUE(eventually([&] { return starts() == 1; }));
    EXPECT_EQ(call({"s6-svwait", "-U", "-t", "60000", service()}), 0);
    expect_restart_after_a_kill();
    EXPECT_EQ(call({"s6-svwait", "-U", "-t", "60000", service()}), 0);
    const pid_t last = pid();
    EXPECT_EQ(call({"s6-svc", "-d", "-wd", "-T", "60000", service()}), 0);
    EXPECT_FALSE(is_there(last));
    EXPECT_EQ(call({"s6-svc", "-x", service()}), 0);
    EXPECT_EQ(manager.wait().code(), 0);
}

TEST_F(ProcessManagers, RunitStartsStopsAndRestarts) {
    if (!is_installed("runsv"))
        GTEST_SKIP() << "runit is not installed (runsv)";
    write_service({});
    Running manager({.command = {"runsv", service()}});
    expect_restart_after_a_kill();
    const pid_t last = pid();
    EXPECT_EQ(call({"sv", "-w", "60", "stop", service()}), 0);
    EXPECT_FALSE(is_there(last));
    EXPECT_EQ(call({"sv", "exit", service()}), 0);
    EXPECT_EQ(manager.wait().code(), 0);
}

TEST_F(ProcessManagers, SupervisordStartsStopsAndRestarts) {
    if (!is_installed("supervisord"))
        GTEST_SKIP() << "supervisor is not installed (supervisord)";
    write_service({});
    const std::string config = directory_ + "/conf";
    write_file(config,
               "[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
               "user=root\npidfile=" +
                   directory_ +
                   "/supervisord.pid\n"
                   "[unix_http_server]\nfile=" +
                   directory_ +
                   "/socket\n"
                   "[rpcinterface:supervisor]\n"
                   "supervisor.rpcinterface_factory = "
                   "supervisor.rpcinterface:make_main_rpcinterface\n"
                   "[supervisorctl]\nserverurl=unix://" +
                   directory_ +
                   "/socket\n"
                   "[program:web]\ncommand=" +
                   service() +
                   "/run\nstartsecs=0\n"
                   "autorestart=true\nstopwaitsecs=60\n"
                   "stdout_logfile=NONE\nstderr_logfile=NONE\n");
    Running manager({.command = {"supervisord", "-c", config}});
    expect_restart_after_a_kill();
    const pid_t last = pid();
    EXPECT_EQ(call({"supervisorctl", "-c", config, "stop", "web"}), 0);
    EXPECT_FALSE(is_there(last));
    manager.send(SIGTERM);
    (void)manager.wait();
}

}  // namespace
}  // namespace sigil::e2e
