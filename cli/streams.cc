#include "cli/streams.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {
namespace {

// Without waiting for the other end of a FIFO; reads and writes wait again afterwards.
Result<Fd> open_without_waiting(int directory, const std::string& path, int flags) {
    Fd file = TRY(sys::open(directory, path.c_str(), flags | O_NONBLOCK | O_NOCTTY, 0644),
                  "open {}", printable(path));
    if (::fcntl(file.get(), F_SETFL, flags & O_APPEND) < 0)
        return tl::unexpected(Error::from_errno(errno, "fcntl"));
    return file;
}

}  // namespace

Result<std::unique_ptr<JobStreams>> JobStreams::open(const RunRequest& request) {
    std::unique_ptr<JobStreams> streams(new JobStreams);
    streams->is_many_ = request.is_many();
    streams->is_discarded_ = request.output == Output::discard;
    streams->null_ = TRY(sys::open(AT_FDCWD, "/dev/null", O_RDWR), "open /dev/null");
    if (request.log_dir) {
        auto made = sys::mkdirat(AT_FDCWD, request.log_dir->c_str(), 0755);
        if (!made && !made.error().is(EEXIST))
            TRY(std::move(made), "--log-dir {}", printable(*request.log_dir));
        streams->log_directory_ =
            TRY(sys::open(AT_FDCWD, request.log_dir->c_str(), O_PATH | O_DIRECTORY), "--log-dir {}",
                printable(*request.log_dir));
    }
    return streams;
}

Result<int> JobStreams::open_input(const Job& job, std::vector<Fd>& held) const {
    if (job.stdin_path.empty())
        return is_many_ ? null_.get() : -1;
    held.push_back(TRY(open_without_waiting(AT_FDCWD, job.stdin_path, O_RDONLY), "stdin"));
    return held.back().get();
}

// A restart goes on where the start before it ended.
Result<int> JobStreams::open_output(const std::string& path, bool is_restart,
                                    std::vector<Fd>& held) const {
    if (path.empty())
        return is_discarded_ ? null_.get() : -1;
    const int flags = O_WRONLY | O_CREAT | O_APPEND | (is_restart ? 0 : O_TRUNC);
    held.push_back(TRY(open_without_waiting(AT_FDCWD, path, flags)));
    return held.back().get();
}

Result<isolation::Streams> JobStreams::open(const Job& job, const std::string& name, uint64_t tag,
                                            bool is_restart) {
    std::vector<Fd> held;
    isolation::Streams streams;
    streams[0] = TRY(open_input(job, held));
    streams[1] = TRY(open_output(job.stdout_path, is_restart, held), "stdout");
    streams[2] = job.stderr_path == job.stdout_path && !job.stderr_path.empty()
                     ? streams[1]
                     : TRY(open_output(job.stderr_path, is_restart, held), "stderr");
    if (log_directory_ && (streams[1] < 0 || streams[2] < 0)) {
        held.push_back(TRY(open_without_waiting(log_directory_.get(), name + ".log",
                                                O_WRONLY | O_CREAT | O_APPEND),
                           "--log-dir"));
        for (int stream : {1, 2})
            if (streams[static_cast<size_t>(stream)] < 0)
                streams[static_cast<size_t>(stream)] = held.back().get();
    }
    if (!held.empty())
        held_.emplace(tag, std::move(held));
    return streams;
}

}  // namespace sigil::cli
