#include "fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cgroups.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

void reap_orphans() {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
}

std::vector<std::string> record_names() {
    return names_in(std::string(records_root()) + "/runs");
}

std::string text_of(const std::string& text) {
    return text;
}

std::string text_of(pid_t pid) {
    return std::to_string(pid) + " " + read_file("/proc/" + std::to_string(pid) + "/comm");
}

template <typename T>
void add_new(std::vector<std::string>& lines, const char* kind, const std::vector<T>& before,
             const std::vector<T>& now) {
    for (const T& value : now)
        if (std::ranges::find(before, value) == before.end())
            lines.push_back(std::string(kind) + " " + text_of(value));
}

}  // namespace

Traces Traces::now() {
    return {lines_of(read_file("/proc/self/mountinfo")), container_cgroups(), record_names(),
            children_of(::getpid())};
}

std::vector<std::string> Traces::beyond(const Traces& before) const {
    std::vector<std::string> lines;
    add_new(lines, "mount", before.mounts, mounts);
    add_new(lines, "cgroup", before.cgroups, cgroups);
    add_new(lines, "record", before.records, records);
    add_new(lines, "process", before.processes, processes);
    return lines;
}

void expect_no_traces(const Traces& before) {
    std::vector<std::string> left;
    eventually([&] {
        reap_orphans();
        left = Traces::now().beyond(before);
        return left.empty();
    });
    EXPECT_EQ(left, std::vector<std::string>{}) << "something was left behind";
}

// A test that failed has killed its sigil, perhaps: what that leaves is no failure of its own.
void E2e::TearDown() {
    if (HasFailure())
        remove_abandoned_cgroups();
    expect_no_traces(before_);
}

bool await_no_processes() {
    return eventually([] {
        reap_orphans();
        return children_of(::getpid()).empty();
    });
}

void remove_abandoned_cgroups() {
    ASSERT_TRUE(await_no_processes()) << "a process is left";
    for (const std::string& path : container_cgroups()) {
        EXPECT_NE(cgroup_file(path, "cgroup.events").find("populated 0"), std::string::npos)
            << path << " has a process in it: " << cgroup_file(path, "cgroup.procs");
        remove_cgroup(path);
    }
    for (const std::string& name : record_names())
        std::filesystem::remove_all(std::string(records_root()) + "/runs/" + name);
}

void CgroupE2e::SetUp() {
    if (cgroup_mount().empty())
        GTEST_SKIP() << "no cgroup v2 is mounted";
    E2e::SetUp();
}

Start waiting(Words options) {
    return sigil_run(std::move(options), {"/bin/probe", "signals", "TERM"});
}

bool roots_can_be_mapped() {
    const Finished finished = run({"--userns", "auto"}, {"true"});
    const bool can = finished.err.find("knows no idmapped mounts") == std::string::npos;
    EXPECT_EQ(finished.code(), can ? 0 : 125) << finished.err;
    return can;
}

void expect_failure(const Finished& finished, const std::string& part, int code) {
    EXPECT_EQ(finished.code(), code) << testing::PrintToString(finished);
    EXPECT_TRUE(finished.err.starts_with("sigil: ")) << finished.err;
    EXPECT_NE(finished.err.find(part), std::string::npos)
        << "'" << part << "' is not in: " << finished.err;
    EXPECT_EQ(std::ranges::count(finished.err, '\n'), 1) << finished.err;
    EXPECT_FALSE(finished.err.ends_with(".\n")) << finished.err;
}

}  // namespace sigil::e2e
