// Jobs of lines that differ in nothing but the name are held once.
#include "cli/job_source.h"

#include <functional>

#include <gtest/gtest.h>

namespace sigil::cli {
namespace {

Job job_named(const std::string& name, const std::string& hostname) {
    Job job;
    job.spec.name = name;
    job.spec.hostname = hostname;
    job.spec.args = {"/bin/true"};
    return job;
}

TEST(LatestJob, IsSharedByThoseThatDifferInTheNameAlone) {
    LatestJob latest;
    const auto first = latest.share(job_named("a", "a"));
    EXPECT_EQ(latest.share(job_named("b", "b")), first);
    EXPECT_EQ(first->spec.name, "");
    EXPECT_EQ(first->spec.hostname, "");
    EXPECT_EQ(first->spec.args, std::vector<std::string>{"/bin/true"});
}

TEST(LatestJob, IsNotSharedByThoseThatDifferInAnythingElse) {
    LatestJob latest;
    auto latest_job = latest.share(job_named("a", "a"));
    const auto differs = [&](const std::function<void(Job&)>& change) {
        Job job = job_named("a", "a");
        change(job);
        const auto next = latest.share(std::move(job));
        const bool is_other = next != latest_job;
        latest_job = next;
        return is_other;
    };
    EXPECT_TRUE(differs([](Job& job) { job.spec.hostname = "box"; }));
    EXPECT_EQ(latest_job->spec.hostname, "box");
    EXPECT_TRUE(differs([](Job& job) { job.spec.args.emplace_back("x"); }));
    EXPECT_TRUE(differs([](Job& job) { job.spec.resources.memory = 1; }));
    EXPECT_TRUE(differs([](Job& job) { job.spec.mounts = {{.target = "/tmp"}}; }));
    EXPECT_TRUE(differs([](Job& job) { job.restart.when = RestartPolicy::always; }));
    EXPECT_TRUE(differs([](Job& job) { job.after = {"b"}; }));
    EXPECT_TRUE(differs([](Job& job) { job.stop_signal = 1; }));
}

}  // namespace
}  // namespace sigil::cli
