#include "isolation/cgroup_parents.h"

#include <errno.h>

#include <algorithm>

#include "core/try.h"
#include "isolation/delegation.h"

namespace sigil::isolation {
namespace {

// "//a///b/" as "/a/b": a path that stays beneath the mount's root.
std::string single_slashes(std::string_view path) {
    std::string clean;
    for (char c : path)
        if (c != '/' || !clean.ends_with('/'))
            clean += c;
    if (clean.size() > 1 && clean.ends_with('/'))
        clean.pop_back();
    return clean;
}

std::string below(const std::string& parent, const std::string& name) {
    return (parent == "/" ? "/" : parent + "/") + name;
}

}  // namespace

Result<std::string> CgroupParents::parent_for(const Spec& spec,
                                              const std::vector<std::string>& controllers) {
    std::string key = spec.cgroup_parent;
    for (const std::string& controller : controllers)
        key += "\n" + controller;
    const std::lock_guard lock(mutex_);
    if (auto known = known_.find(key); known != known_.end())
        return known->second;
    auto parent = choose(spec, controllers);
    if (parent)
        known_.emplace(std::move(key), *parent);
    return parent;
}

Result<std::string> CgroupParents::prepare(std::string parent,
                                           const std::vector<std::string>& controllers) {
    if (!group_.empty()) {
        parent = below(parent, group_);
        if (record_ && !groups_.contains(parent))  // with all that will be in it
            groups_.emplace(parent,
                            TRY(record_->add(RunRecord::Kind::cgroup, host_->absolute(parent))));
    } else if (controllers.empty() && parent == host_->own()) {
        return parent;  // it is there, and needs nothing
    }
    TRY(host_->prepare_parent(parent, controllers, made_));
    return parent;
}

Result<std::string> CgroupParents::choose(const Spec& spec,
                                          const std::vector<std::string>& controllers) {
    if (!spec.cgroup_parent.empty()) {
        const bool is_absolute = spec.cgroup_parent[0] == '/';
        std::string path = single_slashes(is_absolute ? spec.cgroup_parent
                                                      : below(host_->own(), spec.cgroup_parent));
        return TRY(prepare(std::move(path), controllers), "--cgroup-parent {}", spec.cgroup_parent);
    }
    const std::string& own = host_->own();
    const Delegation delegation = find_delegation(*host_, own);
    if (delegation.is_foreign)
        return prepare(kFallbackParent, controllers);
    auto prepared = prepare(own, controllers);
    if (prepared || !prepared.error().is(EBUSY))
        return prepared;
    if (delegation.root) {
        if (*delegation.root == own)
            TRY(move_aside(*host_, own));
        prepared = prepare(*delegation.root, controllers);
        if (prepared || !prepared.error().is(EBUSY))
            return prepared;
    }
    return prepare(kFallbackParent, controllers);
}

void CgroupParents::forget_known() {
    const std::lock_guard lock(mutex_);
    known_.clear();
}

void CgroupParents::remove_made() {
    const std::lock_guard lock(mutex_);
    known_.clear();
    if (!host_)
        return;
    const std::vector<std::string> left = host_->remove_made(made_);
    for (const auto& [path, written] : groups_)
        if (std::ranges::find(left, path) == left.end())
            record_->forget(written);
    groups_.clear();
    if (record_)
        record_->release();  // one that was held, and nothing was written down in
}

}  // namespace sigil::isolation
