#include "isolation/root_tree.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/mount_options.h"

namespace sigil::isolation {
namespace {

mount_attr attributes_for(uint64_t set, uint64_t clear, uint64_t propagation) {
    mount_attr attributes = {};
    attributes.attr_set = set;
    attributes.attr_clr = clear;
    attributes.propagation = propagation;
    return attributes;
}

// The detached clone of a directory or file of the host, cut off from its propagation.
Result<Fd> clone_tree(const std::string& path, bool recursive, uint64_t attributes) {
    const unsigned recurse = recursive ? AT_RECURSIVE : 0;
    Fd tree = TRY(sys::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | recurse));
    TRY(sys::mount_setattr(tree.get(), recurse, attributes_for(attributes, 0, MS_PRIVATE)));
    return tree;
}

// Everything below the root's own mount; that one stays writable until its mount points are made.
Result<void> make_read_only_below(int tree) {
    TRY(sys::mount_setattr(tree, AT_RECURSIVE, attributes_for(MOUNT_ATTR_RDONLY, 0, 0)));
    return sys::mount_setattr(tree, 0, attributes_for(0, MOUNT_ATTR_RDONLY, 0));
}

Result<Fd> open_bind(const Mount& mount, bool& is_directory) {
    MountFlags flags = TRY(parse_mount_options(mount.options, true));
    Fd tree =
        TRY(clone_tree(mount.source, flags.recursive_bind, 0), "open {}", printable(mount.source));
    if (flags.recursive_set || flags.recursive_clear)
        TRY(sys::mount_setattr(tree.get(), AT_RECURSIVE,
                               attributes_for(flags.recursive_set, flags.recursive_clear, 0)),
            "set the options");
    if (flags.attributes_set || flags.attributes_clear)
        TRY(sys::mount_setattr(tree.get(), 0,
                               attributes_for(flags.attributes_set, flags.attributes_clear, 0)),
            "set the options");
    if (flags.propagation && flags.propagation != MS_PRIVATE)
        TRY(sys::mount_setattr(tree.get(), flags.recursive_propagation ? AT_RECURSIVE : 0,
                               attributes_for(0, 0, flags.propagation)),
            "set the propagation");
    struct statx facts = TRY(sys::stat(tree.get(), "", AT_EMPTY_PATH));
    is_directory = S_ISDIR(facts.stx_mode);
    return tree;
}

}  // namespace

Result<RootTrees> RootTrees::open(const Spec& spec, size_t mounts, OpenedSources& sources) {
    RootTrees trees;
    // The slash wants a directory (and makes none of an empty name). Devices are in /dev alone: a
    // node elsewhere in the image opens nothing.
    trees.root =
        TRY(clone_tree(spec.rootfs.empty() ? "" : spec.rootfs + "/", true, MOUNT_ATTR_NODEV),
            "--rootfs {}", printable(spec.rootfs));
    if (spec.read_only_root)
        TRY(make_read_only_below(trees.root.get()), "--read-only");
    sources.root_tree = trees.root.get();
    for (size_t index = 0; index < mounts; ++index) {
        const Mount& mount = spec.mounts[index];
        OpenedSources::Bind bind;
        if (mount.type == "bind") {
            Fd tree = TRY(open_bind(mount, bind.is_directory), "{}", mount.origin);
            bind.tree = tree.get();
            trees.binds.push_back(std::move(tree));
        }
        sources.binds.push_back(bind);
    }
    return trees;
}

}  // namespace sigil::isolation
