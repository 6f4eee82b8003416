#include "many/options.h"

#include <getopt.h>

#include <algorithm>
#include <filesystem>

#include "failure.h"
#include "words.h"
#include "workspace.h"

namespace sigil::bench {

namespace {

constexpr char kUsage[] =
    "usage: sigil-bench-many [OPTIONS]\n"
    "Many containers of one process: sigil beside the floor and its peers.\n"
    "\n"
    "  --only SECTIONS       of rate,up,warm,latency,exit,idle,lines,memory,plot (all; plot with "
    "--plot)\n"
    "  --quick               small numbers, one round: to see that it works\n"
    "  --rounds N            of each section, interleaved\n"
    "  --plot FILE.svg       draw start latency and memory against the number of live containers\n"
    "  --most-live N         where the plot ends (10000)\n"
    "  --json FILE           write every figure there too\n"
    "  --sigil PATH          the binary (../sigil beside this program's directory)\n"
    "  --floor-many PATH     the floor (sigil-floor-many in this program's directory)\n"
    "  --contestants NAMES   of floor,sigil,sigil-no-init,bwrap,crun,conmon\n";

enum Code {
    kOnly = 256,
    kQuick,
    kRounds,
    kPlot,
    kMostLive,
    kJson,
    kSigil,
    kFloorMany,
    kContestants,
    kHelp
};

const option kOptions[] = {
    {"only", required_argument, nullptr, kOnly},
    {"quick", no_argument, nullptr, kQuick},
    {"rounds", required_argument, nullptr, kRounds},
    {"plot", required_argument, nullptr, kPlot},
    {"most-live", required_argument, nullptr, kMostLive},
    {"json", required_argument, nullptr, kJson},
    {"sigil", required_argument, nullptr, kSigil},
    {"floor-many", required_argument, nullptr, kFloorMany},
    {"contestants", required_argument, nullptr, kContestants},
    {"help", no_argument, nullptr, kHelp},
    {},
};

constexpr const char* kSections[] = {"rate", "up",    "warm",   "latency", "exit",
                                     "idle", "lines", "memory", "plot"};
constexpr const char* kContestantNames[] = {"floor", "sigil", "sigil-no-init",
                                            "bwrap", "crun",  "conmon"};

template <typename Names>
void check_names(const char* option, const std::vector<std::string>& words, const Names& names) {
    for (const std::string& word : words) {
        if (std::find(std::begin(names), std::end(names), word) == std::end(names))
            fail("--{}: there is no {}", option, word);
    }
}

void take(ManyOptions& options, int code, const char* value) {
    switch (code) {
        case kOnly:
            options.sections = split(value);
            break;
        case kQuick:
            options.quick = true;
            break;
        case kRounds:
            options.rounds = parse_number("rounds", value);
            break;
        case kPlot:
            options.plot = std::filesystem::absolute(value);
            break;
        case kMostLive:
            options.most_live = parse_number("most-live", value);
            break;
        case kJson:
            options.json = std::filesystem::absolute(value);
            break;
        case kSigil:
            options.sigil = std::filesystem::absolute(value);
            break;
        case kFloorMany:
            options.floor_many = std::filesystem::absolute(value);
            break;
        case kContestants:
            options.only = split(value);
            break;
        case kHelp:
            fmt::print("{}", kUsage);
            std::exit(0);
        default:
            fmt::print(stderr, "{}", kUsage);
            std::exit(1);
    }
}

}  // namespace

bool ManyOptions::wants_section(const std::string& name) const {
    if (name == "plot" && plot.empty())
        return false;
    return sections.empty() || std::find(sections.begin(), sections.end(), name) != sections.end();
}

ManyOptions parse_many_options(int argc, char** argv) {
    ManyOptions options;
    const std::filesystem::path here = own_directory();
    options.sigil = here.parent_path() / "sigil";
    options.floor = here / "sigil-floor";
    options.floor_many = here / "sigil-floor-many";
    for (int code; (code = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;)
        take(options, code, optarg);
    if (optind != argc)
        fail("{}: no arguments are wanted", argv[optind]);
    check_names("only", options.sections, kSections);
    check_names("contestants", options.only, kContestantNames);
    const bool asks_plot = std::count(options.sections.begin(), options.sections.end(), "plot") > 0;
    if (asks_plot && options.plot.empty())
        fail("--only plot: --plot FILE.svg says where it goes");
    return options;
}

}  // namespace sigil::bench
