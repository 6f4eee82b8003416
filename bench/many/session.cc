#include "many/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "failure.h"

namespace sigil::bench {

namespace {

constexpr int kPatienceMs = 120'000;
constexpr int kEventPipe = 1 << 20;
constexpr int kJobPipe = 1 << 12;  // a page: what sigil has not read yet is little

}  // namespace

Session::Session(const Setup& setup, Command words, const Command& guest, Events events)
    : runner_(setup.runner) {
    int jobs[2];
    if (pipe2(jobs, O_CLOEXEC) < 0)
        fail("pipe: {}", strerror(errno));
    input_ = jobs[1];
    fcntl(input_, F_SETPIPE_SZ, kJobPipe);
    fcntl(input_, F_SETFL, O_NONBLOCK);
    if (events == Events::kOn) {
        fifo_ = setup.workspace.file("events");
        unlink(fifo_.c_str());
        if (mkfifo(fifo_.c_str(), 0600) < 0)
            fail("make {}: {}", fifo_, strerror(errno));
        // Read and write, so that it is open before sigil opens it and never at its end.
        events_ = open(fifo_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        fcntl(events_, F_SETPIPE_SZ, kEventPipe);
        words.insert(words.end(), {"--events", fifo_});
    }
    if (!guest.empty()) {
        words.push_back("--");
        words.insert(words.end(), guest.begin(), guest.end());
    }
    spawned_ns_ = now_ns();
    process_ = runner_.spawn(words, jobs[0]);
    close(jobs[0]);
    pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, process_, 0));
}

Session::~Session() {
    if (process_ > 0) {
        kill(process_, SIGKILL);
        waitid(P_PID, static_cast<id_t>(process_), nullptr, WEXITED);
    }
    close_all();
}

void Session::close_all() {
    for (int* file : {&pidfd_, &input_, &events_}) {
        if (*file >= 0)
            close(*file);
        *file = -1;
    }
    if (!fifo_.empty())
        unlink(fifo_.c_str());
}

void Session::fail_with(const std::string& what) {
    fail("sigil run: {}; it said: {}", what, runner_.take_errors());
}

void Session::add_job(const std::string& id, const Command& guest) {
    rapidjson::StringBuffer buffer;
    rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
    json.StartObject();
    json.Key("id");
    json.String(id.c_str());
    json.Key("args");
    json.StartArray();
    for (const std::string& word : guest)
        json.String(word.c_str());
    json.EndArray();
    json.EndObject();
    outbox_.append(buffer.GetString(), buffer.GetSize());
    outbox_.push_back('\n');
}

void Session::flush() {
    while (!outbox_.empty()) {
        const ssize_t size = write(input_, outbox_.data(), outbox_.size());
        if (size > 0)
            outbox_.erase(0, static_cast<size_t>(size));
        else if (errno == EAGAIN)
            pump(true);
        else
            fail_with(fmt::format("write a job: {}", strerror(errno)));
    }
}

void Session::close_input() {
    flush();
    close(input_);
    input_ = -1;
}

// Waits until there are events, or there is room for jobs.
void Session::pump(bool wants_to_write) {
    pollfd files[] = {
        {pidfd_, POLLIN, 0}, {events_, POLLIN, 0}, {wants_to_write ? input_ : -1, POLLOUT, 0}};
    const int ready = poll(files, 3, kPatienceMs);
    if (ready == 0)
        fail_with(fmt::format("nothing happens for {} s", kPatienceMs / 1000));
    if (files[1].revents != 0)
        read_events();
    else if (files[0].revents != 0)
        fail_with("it ended early");
}

void Session::read_events() {
    char buffer[65536];
    ssize_t size;
    while ((size = read(events_, buffer, sizeof buffer)) > 0)
        inbox_.append(buffer, static_cast<size_t>(size));
    size_t start = 0;
    for (size_t end; (end = inbox_.find('\n', start)) != std::string::npos; start = end + 1)
        take_event(inbox_.data() + start, end - start);
    inbox_.erase(0, start);
}

void Session::take_event(const char* line, size_t size) {
    rapidjson::Document event;
    event.Parse(line, size);
    if (event.HasParseError() || !event.IsObject() || !event.HasMember("event"))
        fail_with(fmt::format("not an event: {}", std::string(line, size)));
    const std::string kind = event["event"].GetString();
    ++counts_[kind];
    if (event.HasMember("mono_us"))
        latest_us_[kind] = event["mono_us"].GetDouble();
    if (kind == "error")
        fail_with(std::string(line, size));
    if (kind == "exited") {
        exited_id_ = event.HasMember("id") ? event["id"].GetString() : "";
        exited_ = std::move(event);
    }
}

void Session::await(const std::string& kind, int total) {
    while (count(kind) < total)
        pump(false);
}

const rapidjson::Document& Session::await_exit(const std::string& id) {
    while (exited_id_ != id)
        pump(false);
    return exited_;
}

int Session::count(const std::string& kind) const {
    const auto found = counts_.find(kind);
    return found == counts_.end() ? 0 : found->second;
}

double Session::latest_us(const std::string& kind) const {
    const auto found = latest_us_.find(kind);
    return found == latest_us_.end() ? kNotMeasured : found->second;
}

// Its events have to be taken meanwhile, or it could not end.
int Session::wait() {
    for (;;) {
        pollfd files[] = {{pidfd_, POLLIN, 0}, {events_, POLLIN, 0}};
        if (poll(files, 2, kPatienceMs) == 0)
            fail_with(fmt::format("it doesn't end for {} s", kPatienceMs / 1000));
        if (files[0].revents != 0)
            break;
        if (files[1].revents != 0)
            read_events();
    }
    const int code = runner_.wait(process_).code;
    process_ = -1;
    return code;
}

double Session::stop() {
    const int64_t start = now_ns();
    kill(process_, SIGTERM);
    wait();
    return static_cast<double>(now_ns() - start) / 1e6;
}

}  // namespace sigil::bench
