// `sigil ps`: the processes of a container.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "cli/oci/container.h"
#include "cli/oci/verb.h"
#include "core/json_writer.h"
#include "core/process.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/cgroup_control.h"

namespace sigil::cli::oci {
namespace {

struct Request {
    std::string format = "table";
};

const std::array kOptions = {
    Option<Request>{"Options", "format", 'f', "FORMAT",
                    "table (default), or json: the process ids alone",
                    [](Request& r, Text v) { return set_format(r.format, v); }},
};

std::string as_json(const std::vector<pid_t>& pids) {
    rapidjson::StringBuffer buffer;
    JsonWriter json(buffer);
    json.StartArray();
    for (const pid_t pid : pids)
        json.Int(pid);
    json.EndArray();
    return std::string(buffer.GetString(), buffer.GetSize()) + "\n";
}

// What ps(1) says, of these processes alone: its options are the user's.
Result<std::string> output_of_ps(const std::vector<std::string>& options) {
    std::vector<std::string> words = {"ps"};
    words.insert(words.end(), options.begin(), options.end());
    const std::vector<char*> argv = pointers_to(words);
    sys::Pipe pipe = TRY(sys::pipe());
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, pipe.writer.get(), STDOUT_FILENO);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, "ps", &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        return tl::unexpected(Error::from_errno(error, "posix_spawn").in("run ps"));
    pipe.writer.reset();
    std::string text = TRY(sys::read_all(pipe.reader.get()));
    int word = 0;
    ::waitpid(pid, &word, 0);
    if (const int code = ExitStatus::from_wait_word(word).exit_code(); code != 0)
        return failure("ps: exit code {}", code);
    return text;
}

// Lines whose PID column holds one of these.
Result<std::string> only_those(const std::string& text, const std::vector<pid_t>& pids) {
    std::string kept;
    size_t column = 0;
    bool is_head = true;
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
        std::vector<std::string_view> words;
        for (size_t at = 0; (at = line.find_first_not_of(' ', at)) != std::string_view::npos;) {
            const size_t end = std::min(line.find(' ', at), line.size());
            words.push_back(line.substr(at, end - at));
            at = end;
        }
        if (is_head) {
            const auto found = std::ranges::find(words, "PID");
            if (found == words.end())
                return failure("ps: its output has no column PID");
            column = static_cast<size_t>(found - words.begin());
            is_head = false;
        } else {
            auto pid = words.size() > column ? parse_number(words[column])
                                             : Result<uint64_t>(failure("short"));
            if (!pid || std::ranges::find(pids, static_cast<pid_t>(*pid)) == pids.end())
                continue;
        }
        kept.append(line).append("\n");
    }
    return kept;
}

}  // namespace

std::vector<OptionShape> ps_shapes() {
    return shapes_of(std::span<const Option<Request>>(kOptions));
}

std::string ps_help() {
    return "Usage: sigil ps [OPTIONS] ID [OPTIONS OF ps(1)]\n"
           "\n"
           "Shows the processes of a container, numbered as on the host.\n"
           "\n" +
           describe_options(ps_shapes());
}

Result<int> ps(Arguments arguments) {
    Request request;
    TRY(parse_options(std::span<const Option<Request>>(kOptions), request, arguments));
    const Arguments id = arguments.first(std::min<size_t>(arguments.size(), 1));
    const Arguments rest = arguments.subspan(id.size());
    std::vector<std::string> options(rest.begin(), rest.end());
    Container container = TRY(Container::look_up_only(id, "ps"));
    std::vector<pid_t> pids;
    if (container.cgroup)
        pids = TRY(isolation::cgroup_processes(container.cgroup->directory()));
    else if (container.process)
        pids.push_back(container.process->pid);
    if (request.format == "json") {
        print(as_json(pids));
        return 0;
    }
    if (options.empty())
        options.emplace_back("-ef");
    const std::string all = TRY(output_of_ps(options));
    print(TRY(only_those(all, pids)));
    return 0;
}

}  // namespace sigil::cli::oci
