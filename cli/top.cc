// `sigil top`: the containers and what they use, as a live table.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/command.h"
#include "cli/control_client.h"
#include "cli/globals.h"
#include "cli/terminal.h"
#include "cli/usage.h"
#include "core/parse.h"
#include "core/run_record.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

using Text = std::string_view;
using std::chrono::nanoseconds;

struct Request {
    SortKey sort = SortKey::cpu;
    nanoseconds interval = std::chrono::seconds(1);
    bool once = false;
};

constexpr std::array kOptions = {
    Option<Request>{"Options", "sort", 's', "cpu|memory|pids|io|pressure|restarts|uptime|name",
                    "Which come first; default: cpu",
                    [](Request& r, Text v) -> Result<void> {
                        r.sort = TRY(parse_sort_key(v));
                        return {};
                    }},
    Option<Request>{nullptr, "interval", 'd', "TIME", "Between two readings; default: 1s",
                    [](Request& r, Text v) -> Result<void> {
                        r.interval = TRY(parse_duration(v));
                        if (r.interval < std::chrono::milliseconds(100))
                            return failure("'{}' is less than 100ms", printable(v));
                        return {};
                    }},
    Option<Request>{nullptr, "once", 0, nullptr,
                    "Print one table of all of them; so it is too where stdout\n"
                    "is no terminal",
                    [](Request& r, Text v) -> Result<void> {
                        r.once = v != "false";
                        return {};
                    }},
};

// Whether the list of containers may have changed: directories of runs and containers come and go,
// and each supervisor tells its own events. So nothing is listed while nothing happens.
class Changes {
  public:
    Changes() : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

    // From now on.
    void watch() {
        const std::string& root = globals().root;
        for (const std::string& path : {root, runs_path(root), root + "/containers"})
            (void)::inotify_add_watch(inotify_.get(), path.c_str(),
                                      IN_CREATE | IN_DELETE | IN_MOVED_TO);
        followed_.clear();
        auto clients = ControlClient::connect_all();
        if (!clients)
            return;
        for (ControlClient& client : *clients)
            if (client.ask(R"({"do":"events"})"))
                followed_.push_back(std::move(client));
    }
    void add_to(std::vector<pollfd>& watched) const {
        watched.push_back({inotify_.get(), POLLIN, 0});
        for (const ControlClient& client : followed_)
            watched.push_back({client.fd(), POLLIN, 0});
    }
    // Takes what there is; true: something has changed.
    bool take() {
        bool changed = false;
        std::array<char, 4096> events;
        while (sys::read(inotify_.get(), events))
            changed = true;
        for (ControlClient& client : followed_)
            for (;;) {
                auto line = client.next_now();
                changed = changed || !line || *line || client.is_at_end();
                if (!line || !*line)
                    break;
            }
        return changed;
    }

  private:
    Fd inotify_;
    std::vector<ControlClient> followed_;
};

// The terminal while the table has it: raw, on its other screen, as it was before whenever this
// goes.
class Screen {
  public:
    Screen() = default;
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;
    ~Screen() { give_back(); }

    Result<void> take() {
        TRY(raw_.set());
        print("\x1b[?1049h\x1b[?25l");
        return {};
    }
    void give_back() {
        if (!raw_.is_set())
            return;
        print("\x1b[?25h\x1b[?1049l");
        raw_.restore();
    }
    static winsize size() {
        auto size = sys::window_size(STDOUT_FILENO);
        if (!size || size->ws_row < 2 || size->ws_col < 10)
            return {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
        return *size;
    }
    static void draw(const std::vector<std::string>& lines) {
        std::string text = "\x1b[H";
        for (size_t index = 0; index < lines.size(); ++index)
            text += fmt::format("{}{}{}\x1b[K", index > 0 ? "\r\n" : "", lines[index],
                                index == 0 ? "\x1b[0m" : "");
        print(text + "\x1b[J");
    }

  private:
    RawMode raw_{STDIN_FILENO};
};

constexpr char kCtrlC = '\x03';
constexpr char kCtrlZ = '\x1a';

class Top {
  public:
    Top(Request request, std::vector<std::string> ids) : request_(request), ids_(std::move(ids)) {}

    Result<int> run();

  private:
    Result<void> relist();
    void show();
    Result<void> take_keys();
    Result<void> take_signals();
    void stop_for_a_while();

    Request request_;
    std::vector<std::string> ids_;
    Usage usage_;
    Changes changes_;
    Screen screen_;
    Fd signals_;
    bool is_stale_ = false;
    bool is_over_ = false;
};

Result<void> Top::relist() {
    changes_.watch();  // before: what comes meanwhile is told
    is_stale_ = false;
    return usage_.list(ids_);
}

void Top::show() {
    const winsize size = Screen::size();
    const size_t rows = size.ws_row - 2U;
    is_stale_ = usage_.sample(request_.sort, rows) || is_stale_;
    std::vector<std::string> lines = {
        fmt::format("{} containers; sorted by {}; keys: c m p i s r u n, q quits", usage_.size(),
                    name_of(request_.sort))};
    lines[0].resize(std::min<size_t>(lines[0].size(), size.ws_col));
    for (std::string& line : usage_.table(rows, size.ws_col))
        lines.push_back(std::move(line));
    Screen::draw(lines);
}

Result<int> Top::run() {
    constexpr std::array kSignals = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
    sys::SignalSet set = 0;
    for (const int signal : kSignals)
        set |= sys::signal_bit(signal);
    TRY(sys::set_signal_mask(set));
    signals_ = TRY(sys::signalfd(set));
    TRY(relist());
    TRY(screen_.take());
    auto next = sys::monotonic_now();
    while (!is_over_) {
        const auto now = sys::monotonic_now();
        if (now >= next) {
            if (is_stale_)
                TRY(relist());
            show();
            next = now + request_.interval;
        }
        std::vector<pollfd> watched = {{STDIN_FILENO, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
        if (!is_stale_)
            changes_.add_to(watched);
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
        if (::poll(watched.data(), watched.size(), static_cast<int>(left)) < 0 && errno != EINTR)
            return tl::unexpected(Error::from_errno(errno, "poll"));
        if (watched[0].revents != 0)
            TRY(take_keys());
        if (watched[1].revents != 0)
            TRY(take_signals());
        if (!is_stale_)
            is_stale_ = changes_.take();
    }
    return 0;
}

Result<void> Top::take_keys() {
    std::array<char, 64> keys;
    const size_t count = TRY(sys::read(STDIN_FILENO, keys));
    is_over_ = count == 0;
    for (const char key : std::span(keys).first(count)) {
        constexpr std::string_view kSorts = "cmpisrun";  // in the order of SortKey
        const size_t sort = kSorts.find(key);
        if (key == 'q' || key == kCtrlC)
            is_over_ = true;
        else if (key == kCtrlZ)
            stop_for_a_while();
        else if (sort != std::string_view::npos)
            request_.sort = static_cast<SortKey>(sort);
    }
    if (!is_over_)
        show();
    return {};
}

Result<void> Top::take_signals() {
    signalfd_siginfo info = {};
    TRY(sys::read(signals_.get(), {reinterpret_cast<char*>(&info), sizeof info}));
    if (info.ssi_signo == SIGTSTP)
        stop_for_a_while();
    else if (info.ssi_signo != SIGWINCH)
        is_over_ = true;
    if (!is_over_)
        show();
    return {};
}

void Top::stop_for_a_while() {
    screen_.give_back();
    (void)::raise(SIGSTOP);
    if (!screen_.take())
        is_over_ = true;
}

}  // namespace

Result<int> show_usage_once(const std::vector<std::string>& ids, SortKey sort,
                            nanoseconds between) {
    Usage usage;
    TRY(usage.list(ids));
    (void)usage.sample(sort, 0);
    const auto until = sys::monotonic_now() + between;
    for (auto left = between; left > nanoseconds(0); left = until - sys::monotonic_now())
        (void)::poll(nullptr, 0,
                     static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    (void)usage.sample(sort, SIZE_MAX);
    for (const std::string& line : usage.table(SIZE_MAX, SIZE_MAX))
        print(line + "\n");
    return 0;
}

std::vector<OptionShape> top_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string top_help() {
    return "Usage: sigil top [OPTIONS] [ID...]\n"
           "\n"
           "Shows what the containers use, the greatest users first, again and again: processor\n"
           "time in per cent of one processor, memory and its limit, processes, what was read "
           "from\n"
           "and written to disks, the highest pressure (some avg10 of PSI), restarts. The letters\n"
           "c m p i s r u n choose what is sorted by, q quits.\n"
           "\n" +
           describe_options(top_shapes());
}

Result<int> top(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    const std::vector<std::string> ids(arguments.begin(), arguments.end());
    if (request.once || ::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
        return show_usage_once(
            ids, request.sort,
            std::min<nanoseconds>(request.interval, std::chrono::milliseconds(250)));
    return Top(request, ids).run();
}

}  // namespace sigil::cli
