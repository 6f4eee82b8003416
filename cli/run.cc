// `sigil run`: containers in the foreground.
#include "cli/command.h"
#include "cli/oci/run_bundle.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "core/sys.h"
#include "core/try.h"

namespace sigil::cli {

std::vector<OptionShape> run_shapes() {
    std::vector<OptionShape> shapes = shapes_of(run_options());
    const std::vector<OptionShape> bundle = oci::run_bundle_shapes();
    shapes.insert(shapes.end(), bundle.begin(), bundle.end());
    return shapes;
}

std::string run_help() {
    return "Usage: sigil run [OPTIONS] [--] COMMAND [ARG...]\n"
           "       sigil run [OPTIONS] --from FILE|- [[--] COMMAND [ARG...]]\n"
           "       sigil run --bundle DIR [OPTIONS] ID\n"
           "\n"
           "Runs a command in a new container, passes signals on to it, and exits as it did: with\n"
           "its code, or 128+n after signal n; 125 if sigil itself failed, 126 if the command\n"
           "cannot be executed, 127 if it is not there. Of many containers (--count, --from) the\n"
           "first that failed gives the code.\n"
           "\n" +
           describe_options(run_shapes()) +
           "\n"
           "Sizes take K, M, G, T (powers of 1024); times take ms, s, m, h.\n"
           "\n"
           "Examples:\n"
           "  sigil run --rootfs ./rootfs -- /bin/sh\n"
           "  sigil run --rootfs ./rootfs --memory 256M --cpus 1.5 --pids-limit 64 -- make test\n"
           "  sigil run --rootfs ./rootfs --read-only --tmpfs /tmp:64M --bind $PWD:/src:ro -- ls "
           "/src\n"
           "  sigil run --rootfs ./rootfs --count 100 --jobs 8 -- /bin/test-shard\n";
}

Result<int> run(Arguments arguments) {
    const loop::Time requested = sys::monotonic_now();
    if (auto code = oci::run_bundle(arguments))
        return std::move(*code);
    RunRequest request = TRY(parse_run(arguments));
    if (request.wants_help) {
        print(run_help());
        return 0;
    }
    std::string name = request.job.spec.name;
    if (::geteuid() != 0)
        TRY(isolation::become_root_of_own_namespace());
    auto session = Session::open(std::move(request), requested);
    if (!session)
        return tl::unexpected(std::move(session).error().in(std::move(name)));
    auto code = (*session)->run();
    if (!code)
        return tl::unexpected(std::move(code).error().in(std::move(name)));
    return code;
}

}  // namespace sigil::cli
