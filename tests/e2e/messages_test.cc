// How sigil's own messages look: for people, programs, and the journal.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "report.h"

namespace sigil::e2e {
namespace {

using Messages = E2e;

TEST_F(Messages, AreJsonIfAskedFor) {
    for (const Words& words : {Words{"--log-format", "json", "run", "--rootfs", "/nope", "true"},
                               Words{"run", "--log-format", "json", "--rootfs", "/nope", "true"}}) {
        const Finished finished = run_program(sigil(words));
        EXPECT_EQ(finished.code(), 125);
        const auto message = parse_report(finished.err);
        EXPECT_STREQ(message["level"].GetString(), "error");
        EXPECT_NE(std::string(message["msg"].GetString()).find("/nope"), std::string::npos);
    }
}

TEST_F(Messages, HaveAPriorityInTheJournalAlone) {
    Start start = sigil_run({"--name", "web"}, {"/bin/nope"});
    start.before_exec = [] {
        struct stat file;
        ::fstat(STDERR_FILENO, &file);
        const auto stream = std::to_string(file.st_dev) + ":" + std::to_string(file.st_ino);
        ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
    };
    EXPECT_TRUE(run_program(start).err.starts_with("<3>sigil: web: "));
    start.before_exec = [] { ::setenv("JOURNAL_STREAM", "1:1", 1); };
    EXPECT_TRUE(run_program(start).err.starts_with("sigil: web: "));
}

}  // namespace
}  // namespace sigil::e2e
