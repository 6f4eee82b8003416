#include "manager.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include <systemd/sd-bus.h>

namespace sigil::testing {
namespace {

constexpr const char* kBusConfiguration = R"(<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=%</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
)";
constexpr const char* kJob = "/org/freedesktop/systemd1/job/1";

struct Service {
    Answer answer;
    std::string log;
    std::string directory;  // of the cgroup that scopes are made in; empty: none is made
    std::string path;
    bool has_refused = false;
    std::string last_unit;

    [[nodiscard]] std::string directory_of(const std::string& unit) const {
        return directory + "/" + unit;
    }
    [[nodiscard]] bool is_active(const std::string& unit) const {
        std::ifstream events(directory_of(unit) + "/cgroup.events");
        const std::string text{std::istreambuf_iterator<char>(events), {}};
        return text.find("populated 1") != std::string::npos;
    }
};

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    return file.good();
}

// A scope with the process in it.
bool make_scope(const Service& service, const std::string& unit, uint32_t pid) {
    const std::string directory = service.directory_of(unit);
    ::rmdir(directory.c_str());  // of one that ended: systemd would have removed it
    return ::mkdir(directory.c_str(), 0755) == 0 &&
           write_file(directory + "/cgroup.procs", std::to_string(pid));
}

void end_scope(const Service& service, const std::string& unit) {
    const std::string directory = service.directory_of(unit);
    write_file(directory + "/cgroup.kill", "1");
    while (::rmdir(directory.c_str()) != 0 && errno == EBUSY)
        ::usleep(1000);  // the manager's own affair: its caller waits for the job
}

void write_down(const Service& service, const std::string& line) {
    std::ofstream(service.log, std::ios::app) << line << "\n" << std::flush;
}

// "a(sv)", each as a line. Returns the last pid among them.
uint32_t write_properties(const Service& service, sd_bus_message* call) {
    uint32_t pid = 0;
    sd_bus_message_enter_container(call, 'a', "(sv)");
    while (sd_bus_message_enter_container(call, 'r', "sv") > 0) {
        const char* name = nullptr;
        const char* type = nullptr;
        sd_bus_message_read(call, "s", &name);
        sd_bus_message_peek_type(call, nullptr, &type);
        std::ostringstream line;
        line << "  " << name << " " << type << " ";
        sd_bus_message_enter_container(call, 'v', type);
        if (*type == 's') {
            const char* text = nullptr;
            sd_bus_message_read(call, "s", &text);
            line << text;
        } else if (*type == 't') {
            uint64_t number = 0;
            sd_bus_message_read(call, "t", &number);
            line << number;
        } else if (*type == 'b') {
            int is_true = 0;
            sd_bus_message_read(call, "b", &is_true);
            line << is_true;
        } else {
            const void* data = nullptr;
            size_t size = 0;
            sd_bus_message_read_array(call, type[1], &data, &size);
            if (type[1] == 'u')
                line << (pid = *static_cast<const uint32_t*>(data));
            else
                for (size_t at = 0; at < size; ++at)
                    line << (at ? "," : "") << int{static_cast<const uint8_t*>(data)[at]};
        }
        sd_bus_message_exit_container(call);
        sd_bus_message_exit_container(call);
        write_down(service, line.str());
    }
    sd_bus_message_exit_container(call);
    return pid;
}

int end_job(sd_bus_message* call, const Service& service, const char* unit, bool is_start) {
    sd_bus_reply_method_return(call, "o", kJob);
    if (service.answer == Answer::never || (service.answer == Answer::unstarted && is_start))
        return 1;
    return sd_bus_emit_signal(sd_bus_message_get_bus(call), "/org/freedesktop/systemd1",
                              "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", 1U, kJob,
                              unit, service.answer == Answer::failed ? "failed" : "done");
}

int refuse(sd_bus_message* call, const char* name, const char* text) {
    return sd_bus_reply_method_errorf(
        call, (std::string("org.freedesktop.systemd1.") + name).c_str(), "%s", text);
}

int handle(sd_bus_message* call, void* data, sd_bus_error*) {
    auto& service = *static_cast<Service*>(data);
    const std::string member =
        sd_bus_message_get_member(call) ? sd_bus_message_get_member(call) : "";
    if (sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Properties", "Get")) {
        const std::string path = service.directory.empty() ? "/test.slice/web.scope"
                                                           : service.path + "/" + service.last_unit;
        return sd_bus_reply_method_return(call, "v", "s", path.c_str());
    }
    if (!sd_bus_message_is_method_call(call, "org.freedesktop.systemd1.Manager", nullptr))
        return 0;
    if (service.answer == Answer::silence)
        return 1;
    const char* unit = "";
    const char* mode = "";
    if (member == "StartTransientUnit") {
        sd_bus_message_read(call, "ss", &unit, &mode);
        write_down(service, member + " " + unit + " " + mode);
        const uint32_t pid = write_properties(service, call);
        if (!service.directory.empty()) {
            if (service.is_active(unit))
                return refuse(call, "UnitExists", "Unit was already loaded.");
            if (!make_scope(service, unit, pid))
                return refuse(call, "BadUnitSetting", "Cannot make the cgroup");
            service.last_unit = unit;
        }
        if (service.answer == Answer::refused)
            return refuse(call, "BadUnitSetting", "Cannot set property");
        if (service.answer == Answer::taken ||
            (service.answer == Answer::existing && !std::exchange(service.has_refused, true)))
            return refuse(call, "UnitExists", "Unit web.scope was already loaded.");
        return end_job(call, service, unit, true);
    }
    if (member == "StopUnit") {
        sd_bus_message_read(call, "ss", &unit, &mode);
        write_down(service, member + " " + unit + " " + mode);
        const bool makes_scopes = !service.directory.empty();
        if (service.answer == Answer::missing ||
            (makes_scopes && ::access(service.directory_of(unit).c_str(), F_OK) != 0))
            return refuse(call, "NoSuchUnit", "Unit web.scope not loaded.");
        if (makes_scopes)
            end_scope(service, unit);
        return end_job(call, service, unit, false);
    }
    write_down(service, member);
    if (member == "SetUnitProperties") {
        int is_runtime = 0;
        sd_bus_message_read(call, "sb", &unit, &is_runtime);
        write_properties(service, call);
    }
    return sd_bus_reply_method_return(call, nullptr);
}

[[noreturn]] void serve(Service service, int ready) {
    sd_bus* bus = nullptr;
    if (sd_bus_open_system(&bus) < 0 || sd_bus_add_filter(bus, nullptr, handle, &service) < 0 ||
        sd_bus_request_name(bus, "org.freedesktop.systemd1", 0) < 0 || ::write(ready, "r", 1) != 1)
        ::_exit(1);
    for (;;)
        if (sd_bus_process(bus, nullptr) == 0)
            sd_bus_wait(bus, UINT64_MAX);
}

void end(pid_t pid) {
    if (pid <= 0)
        return;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
}

// Runs `act` in a process that ends with us, and waits until it has written a byte to the
// descriptor it gets.
template <typename Act>
pid_t start(Act act) {
    sys::Pipe ready = *sys::pipe();
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        act(ready.writer.get());
        ::_exit(127);
    }
    ready.writer.reset();
    char byte = 0;
    EXPECT_EQ(::read(ready.reader.get(), &byte, 1), 1);
    return pid;
}

}  // namespace

FakeManager::FakeManager(Answer answer, std::string cgroup_directory, std::string cgroup_path) {
    const std::string address = "unix:path=" + files_.at("bus");
    std::string configuration = kBusConfiguration;
    configuration.replace(configuration.find('%'), 1, files_.at("bus"));
    files_.write("configuration", configuration);
    bus_ = start([this](int ready) {
        const std::string file = "--config-file=" + files_.at("configuration");
        // The address is printed once the bus listens.
        const std::string print = "--print-address=" + std::to_string(ready);
        ::fcntl(ready, F_SETFD, 0);
        ::execlp("dbus-daemon", "dbus-daemon", file.c_str(), "--nofork", print.c_str(), nullptr);
    });
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", address.c_str(), 1);
    manager_ = start([&](int ready) {
        serve({answer, files_.at("asked"), std::move(cgroup_directory), std::move(cgroup_path)},
              ready);
    });
}

FakeManager::~FakeManager() {
    end(manager_);
    end(bus_);
    ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

std::vector<std::string> FakeManager::asked() const {
    std::istringstream text(files_.read("asked"));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);)
        lines.push_back(line);
    return lines;
}

pid_t FakeManager::pid() const {
    constexpr std::string_view kPids = "  PIDs au ";
    pid_t pid = -1;
    for (const std::string& line : asked())
        if (line.starts_with(kPids))
            pid = std::stoi(line.substr(kPids.size()));
    return pid;
}

}  // namespace sigil::testing
