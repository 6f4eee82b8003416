// Hooks: when and where each runs, what it is told, and what its failure does (config.md,
// "POSIX-platform Hooks"; runtime.md, "Lifecycle").
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "bundle.h"
#include "fixture.h"
#include "machine.h"

namespace sigil::e2e {
namespace {

constexpr const char* kKinds[] = {"prestart",       "createRuntime", "createContainer",
                                  "startContainer", "poststart",     "poststop"};

std::string json_text(const std::string& text) {
    std::string out = "\"";
    for (const char c : text)
        out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    return out + "\"";
}

class OciHooks : public E2e {
  protected:
    void TearDown() override {
        (void)container_.remove({"--force"});
        E2e::TearDown();
    }

    std::string log_ = make_directory_outside();
    Bundle bundle_{{"/bin/probe", "signals", "TERM"}};
    OciContainer container_{"hooks"};

    // A shell script of busybox as a hook; those of the start find it in the container.
    void add(const std::string& kind, const std::string& script, const std::string& more = "") {
        const bool is_inside = kind == "startContainer";
        const std::string shell = is_inside ? "/bin/busybox" : busybox_path();
        if (member_of(bundle_.config(), ("/hooks/" + kind).c_str()) == "(none)")
            bundle_.set(("/hooks/" + kind).c_str(), "[]");
        bundle_.append(("/hooks/" + kind).c_str(), R"({"path": )" + json_text(shell) +
                                                       R"(, "args": ["sh", "-c", )" +
                                                       json_text(script) + "]" + more + "}");
    }
    // It writes its kind, then what it was told.
    void add_all() {
        bundle_.append("/mounts", R"({"destination": "/log", "type": "bind", "source": )" +
                                      json_text(log_) + R"(, "options": ["bind"]})");
        for (const char* kind : kKinds) {
            const std::string place = std::string_view(kind) == "startContainer" ? "/log" : log_;
            add(kind,
                "{ echo " + std::string(kind) +
                    "; busybox readlink /proc/self/ns/net; busybox readlink /proc/self/ns/mnt;"
                    " busybox readlink /proc/self/ns/pid; } >> " +
                    place + "/order; cat > " + place + "/" + kind + ".state",
                R"(, "env": ["PATH=/bin:)" + busybox_path().substr(0, busybox_path().rfind('/')) +
                    R"("])");
        }
    }
    [[nodiscard]] std::string state_of(const std::string& kind, const char* member) const {
        return member_of(read_file(log_ + "/" + kind + ".state"), member);
    }
    // Whose turn it was; their namespaces are between.
    [[nodiscard]] Words order() const {
        Words kinds;
        for (const std::string& line : lines_of(read_file(log_ + "/order")))
            if (line.find('[') == std::string::npos)
                kinds.push_back(line);
        return kinds;
    }
    [[nodiscard]] std::string namespace_of(const std::string& kind, size_t which) const {
        const auto lines = lines_of(read_file(log_ + "/order"));
        const auto at = std::ranges::find(lines, kind);
        const auto index = static_cast<size_t>(at - lines.begin()) + which;
        return index < lines.size() ? lines[index] : "(none)";
    }
};

TEST_F(OciHooks, EachRunsAtItsTimeWithTheState) {
    add_all();
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    const std::string pid = std::to_string(container_.pid());
    EXPECT_EQ(order(), (Words{"prestart", "createRuntime", "createContainer"}));
    for (const char* kind : {"prestart", "createRuntime", "createContainer"}) {
        EXPECT_EQ(state_of(kind, "/status"), "creating") << kind;
        EXPECT_EQ(state_of(kind, "/pid"), pid) << kind;
        EXPECT_EQ(state_of(kind, "/bundle"), bundle_.path()) << kind;
        EXPECT_EQ(state_of(kind, "/id"), container_.id()) << kind;
    }
    ASSERT_EQ(container_.start().code(), 0);
    EXPECT_EQ(order().size(), 5U);
    EXPECT_EQ(state_of("startContainer", "/status"), "created");
    EXPECT_EQ(state_of("poststart", "/status"), "running");
    ASSERT_EQ(container_.kill("KILL").code(), 0);
    ASSERT_TRUE(container_.await("stopped"));
    EXPECT_EQ(order().size(), 5U);
    ASSERT_EQ(container_.remove().code(), 0);
    EXPECT_EQ(order(), Words(std::begin(kKinds), std::end(kKinds)));
    EXPECT_EQ(state_of("poststop", "/status"), "stopped");
}

TEST_F(OciHooks, TwoRunInTheContainersNamespaces) {
    add_all();
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    ASSERT_EQ(container_.start().code(), 0);
    constexpr size_t kNet = 1, kMount = 2, kPid = 3;
    for (const size_t which : {kNet, kMount, kPid}) {
        const std::string inside = namespace_of("createContainer", which);
        EXPECT_EQ(namespace_of("startContainer", which), inside);
        for (const char* kind : {"prestart", "createRuntime", "poststart"}) {
            EXPECT_NE(namespace_of(kind, which), inside) << kind;
            EXPECT_EQ(namespace_of(kind, which), namespace_of("prestart", which)) << kind;
        }
    }
}

// createContainer's path is the host's, the container's root is not its own yet.
TEST_F(OciHooks, AUserNamespaceIsEnteredToo) {
    bundle_.append("/linux/namespaces", R"({"type": "user"})");
    const std::string map = R"([{"containerID": 0, "hostID": 0, "size": 4294967295}])";
    bundle_.set("/linux/uidMappings", map).set("/linux/gidMappings", map);
    add("createContainer", "[ $(id -u) = 0 ] && readlink /proc/self/ns/user >" + log_ + "/user");
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    char target[64] = {};
    (void)!::readlink(("/proc/" + std::to_string(container_.pid()) + "/ns/user").c_str(), target,
                      sizeof target - 1);
    EXPECT_EQ(read_file(log_ + "/user"), std::string(target) + "\n");
}

TEST_F(OciHooks, EnvironmentIsWhatTheyAreGiven) {
    bundle_.set("/hooks/createRuntime", R"([{"path": )" + json_text(busybox_path()) +
                                            R"(, "args": ["sh", "-c", "busybox env > )" + log_ +
                                            R"(/env"], "env": ["PATH=)" +
                                            busybox_path().substr(0, busybox_path().rfind('/')) +
                                            R"(", "A=b"]}])");
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    auto lines = lines_of(read_file(log_ + "/env"));
    std::erase_if(lines, [](const std::string& line) {
        return line.starts_with("PATH=") || line.starts_with("PWD=") ||
               line.starts_with("SHLVL=") || line.starts_with("_=") || line.starts_with("OLDPWD=");
    });
    EXPECT_EQ(lines, Words{"A=b"});
}

TEST_F(OciHooks, OneThatFailsBeforeTheStartFailsTheCreateAndLeavesNothing) {
    for (const char* kind : {"prestart", "createRuntime", "createContainer"}) {
        SCOPED_TRACE(kind);
        Bundle fresh({"/bin/true"});
        std::swap(bundle_, fresh);
        add(kind, "echo broken >&2; exit 3");
        add(kind, "touch " + log_ + "/second");
        add("poststop", "echo >> " + log_ + "/stopped");
        expect_failure(container_.create(bundle_), "hooks." + std::string(kind) + "[0]: " +
                                                       busybox_path() + ": exit code 3: broken");
        EXPECT_EQ(container_.status(), "(none)");
        EXPECT_FALSE(exists(log_ + "/second"));
        EXPECT_EQ(read_file(log_ + "/stopped"), "\n");  // once
        ::unlink((log_ + "/stopped").c_str());
    }
}

TEST_F(OciHooks, OneThatFailsAtTheStartKillsTheContainer) {
    for (const char* kind : {"startContainer", "poststart"}) {
        SCOPED_TRACE(kind);
        Bundle fresh({"/bin/probe", "signals", "TERM"});
        std::swap(bundle_, fresh);
        add(kind, "exit 3");
        ASSERT_EQ(container_.create(bundle_).code(), 0);
        expect_failure(container_.start(), "hooks." + std::string(kind) + "[0]");
        EXPECT_TRUE(container_.await("stopped"));
        EXPECT_EQ(container_.remove().code(), 0);
    }
}

TEST_F(OciHooks, OneThatFailsAfterTheEndIsLogged) {
    add("poststop", "exit 3");
    add("poststop", "touch " + log_ + "/second");
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    const std::string log = log_ + "/log";
    const Finished removed = run_program(sigil({"--log", log, "delete", container_.id()}));
    EXPECT_EQ(removed.code(), 0) << removed.err;
    EXPECT_NE(read_file(log).find("hooks.poststop[0]"), std::string::npos) << read_file(log);
    EXPECT_TRUE(exists(log_ + "/second"));
    EXPECT_EQ(container_.status(), "(none)");
}

TEST_F(OciHooks, OneThatTakesTooLongIsKilled) {
    for (const char* kind : {"createRuntime", "createContainer"}) {
        SCOPED_TRACE(kind);
        Bundle fresh({"/bin/true"});
        std::swap(bundle_, fresh);
        add(kind, "exec sleep 1000", R"(, "timeout": 1)");
        expect_failure(container_.create(bundle_), "timed out after 1 s");
        EXPECT_EQ(container_.status(), "(none)");
    }
}

// A timeout that is more milliseconds than an int holds.
TEST_F(OciHooks, AVeryLongTimeoutIsNone) {
    add("createRuntime", "exit 0", R"(, "timeout": 2147483647)");
    EXPECT_EQ(container_.create(bundle_).code(), 0);
}

TEST_F(OciHooks, OneThatIsNotThereIsAnError) {
    bundle_.set("/hooks/createRuntime", R"([{"path": "/nonexistent"}])");
    expect_failure(container_.create(bundle_), "hooks.createRuntime[0]: /nonexistent");
    EXPECT_EQ(container_.status(), "(none)");
}

// Others ask for the state meanwhile: an engine, or the hook itself.
TEST_F(OciHooks, TheStateCanBeAskedForMeanwhile) {
    add("createRuntime", sigil_path() + " --root " + records_root() + " state " + container_.id() +
                             " > " + log_ + "/during");
    add("poststart",
        sigil_path() + " --root " + records_root() + " list --format json > " + log_ + "/list");
    ASSERT_EQ(container_.create(bundle_).code(), 0);
    EXPECT_EQ(member_of(read_file(log_ + "/during"), "/status"), "creating");
    ASSERT_EQ(container_.start().code(), 0);
    EXPECT_NE(read_file(log_ + "/list").find("\"running\""), std::string::npos);
}

TEST_F(OciHooks, RunHasThemToo) {
    add_all();
    bundle_.set("/process/args", R"(["/bin/probe", "exit", "7"])");
    const Finished ran = run_program(sigil({"run", "--bundle", bundle_.path(), container_.id()}));
    EXPECT_EQ(ran.code(), 7) << ran.err;
    EXPECT_EQ(order(), Words(std::begin(kKinds), std::end(kKinds)));
}

TEST_F(OciHooks, RunThatKeepsTheContainerLeavesTheLastToDelete) {
    add("poststop", "echo >> " + log_ + "/stopped");
    bundle_.set("/process/args", R"(["/bin/true"])");
    const Finished ran =
        run_program(sigil({"run", "--keep", "--bundle", bundle_.path(), container_.id()}));
    EXPECT_EQ(ran.code(), 0) << ran.err;
    EXPECT_EQ(read_file(log_ + "/stopped"), "");
    EXPECT_EQ(container_.status(), "stopped");
    EXPECT_EQ(container_.remove().code(), 0);
    EXPECT_EQ(read_file(log_ + "/stopped"), "\n");
}

}  // namespace
}  // namespace sigil::e2e
