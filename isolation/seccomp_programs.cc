#include "isolation/seccomp_programs.h"

#include <algorithm>
#include <utility>

#include "core/try.h"
#include "isolation/seccomp.h"

namespace sigil::isolation {
namespace {

constexpr size_t kMostPrograms = 16;

}  // namespace

Result<std::shared_ptr<const SeccompProgram>> SeccompPrograms::of(const Seccomp& profile) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find(compiled_, profile, &Compiled::profile);
    if (found != compiled_.end())
        return found->program;
    auto program = std::make_shared<const SeccompProgram>(TRY(compile(profile)));
    if (compiled_.size() >= kMostPrograms)
        compiled_.pop_front();
    compiled_.push_back({profile, program});
    return program;
}

}  // namespace sigil::isolation
