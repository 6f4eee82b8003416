// One process of a bundle in the foreground: launched, signals passed on to it, its end waited for.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/error.h"
#include "core/spec.h"
#include "isolation/launch.h"

namespace sigil::cli::oci {

struct ForegroundRequest {
    std::string name;
    std::shared_ptr<const Spec> spec;
    const isolation::BundleOptions& options;
    // Once the command runs; a failure kills it.
    std::function<Result<void>(pid_t pid)> started;
};

// Returns the exit code: the command's, or 128+n for a signal.
Result<int> run_in_foreground(isolation::LaunchContext& context, const ForegroundRequest& request);

}  // namespace sigil::cli::oci
