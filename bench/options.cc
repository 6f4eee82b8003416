#include "options.h"

#include <getopt.h>

#include <filesystem>

#include "failure.h"
#include "words.h"
#include "workspace.h"

namespace sigil::bench {

namespace {

constexpr char kUsage[] =
    "usage: sigil-bench-start [OPTIONS]\n"
    "Times whole runs of `true` in a container: the floor, sigil and its peers, interleaved.\n"
    "\n"
    "  --runs N       hot rounds, back to back (200); 0 leaves them out\n"
    "  --cold-runs N  cold rounds, 100 ms before each start (40); 0 leaves them out\n"
    "  --json FILE    write every figure there too\n"
    "  --sigil PATH   the binary (../sigil beside this program's directory)\n"
    "  --floor PATH   the floor (sigil-floor in this program's directory)\n"
    "  --only NAMES   of floor,floor-bare,sigil,sigil-no-init,bwrap,crun,runc\n"
    "  --skip-counts  only the times: no system calls, memory or leftovers\n";

enum Code { kRuns = 256, kColdRuns, kJson, kSigil, kFloor, kOnly, kSkipCounts, kHelp };

const option kOptions[] = {
    {"runs", required_argument, nullptr, kRuns},
    {"cold-runs", required_argument, nullptr, kColdRuns},
    {"json", required_argument, nullptr, kJson},
    {"sigil", required_argument, nullptr, kSigil},
    {"floor", required_argument, nullptr, kFloor},
    {"only", required_argument, nullptr, kOnly},
    {"skip-counts", no_argument, nullptr, kSkipCounts},
    {"help", no_argument, nullptr, kHelp},
    {},
};

}  // namespace

Options parse_options(int argc, char** argv) {
    Options options;
    const std::filesystem::path here = own_directory();
    options.sigil = here.parent_path() / "sigil";
    options.floor = here / "sigil-floor";
    for (int code; (code = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
        switch (code) {
            case kRuns:
                options.hot_runs = parse_number("runs", optarg);
                break;
            case kColdRuns:
                options.cold_runs = parse_number("cold-runs", optarg);
                break;
            case kJson:
                options.json = optarg;
                break;
            case kSigil:
                options.sigil = std::filesystem::absolute(optarg);
                break;
            case kFloor:
                options.floor = std::filesystem::absolute(optarg);
                break;
            case kOnly:
                options.only = split(optarg);
                break;
            case kSkipCounts:
                options.skip_counts = true;
                break;
            case kHelp:
                fmt::print("{}", kUsage);
                std::exit(0);
            default:
                fmt::print(stderr, "{}", kUsage);
                std::exit(1);
        }
    }
    if (optind != argc)
        fail("{}: no arguments are wanted", argv[optind]);
    return options;
}

}  // namespace sigil::bench
