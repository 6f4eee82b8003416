#include "isolation/root_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/mount.h>

#include "core/parse.h"
#include "core/sys.h"
#include "core/try.h"
#include "isolation/id_map.h"
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

// The detached clone of a directory or file of the host. `propagation`: what it has with the host's
// mounts.
Result<Fd> clone_tree(const std::string& path, bool recursive, uint64_t attributes,
                      uint64_t propagation) {
    const unsigned recurse = recursive ? AT_RECURSIVE : 0;
    Fd tree = TRY(sys::open_tree(AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | recurse));
    TRY(sys::mount_setattr(tree.get(), recurse, attributes_for(attributes, 0, propagation)));
    return tree;
}

// Everything below the root's own mount; that one stays writable until its mount points are made.
Result<void> make_read_only_below(int tree) {
    TRY(sys::mount_setattr(tree, AT_RECURSIVE, attributes_for(MOUNT_ATTR_RDONLY, 0, 0)));
    return sys::mount_setattr(tree, 0, attributes_for(0, MOUNT_ATTR_RDONLY, 0));
}

// What the options say of a mount and of those below it.
Result<void> apply(const MountFlags& flags, int tree) {
    if (flags.recursive_set || flags.recursive_clear)
        TRY(sys::mount_setattr(tree, AT_RECURSIVE,
                               attributes_for(flags.recursive_set, flags.recursive_clear, 0)),
            "set the options");
    if (flags.attributes_set || flags.attributes_clear)
        TRY(sys::mount_setattr(tree, 0,
                               attributes_for(flags.attributes_set, flags.attributes_clear, 0)),
            "set the options");
    if (flags.propagation)
        TRY(sys::mount_setattr(tree, flags.recursive_propagation ? AT_RECURSIVE : 0,
                               attributes_for(0, 0, flags.propagation)),
            "set the propagation");
    return {};
}

Result<Fd> open_bind(const Mount& mount, bool& is_directory) {
    MountFlags flags = TRY(parse_mount_options(mount.options, true));
    Fd tree = TRY(clone_tree(mount.source, flags.recursive_bind, 0, MS_PRIVATE), "open {}",
                  printable(mount.source));
    if (flags.propagation == MS_PRIVATE)
        flags.propagation = 0;  // it is already
    TRY(apply(flags, tree.get()));
    struct statx facts = TRY(sys::stat(tree.get(), "", AT_EMPTY_PATH));
    is_directory = S_ISDIR(facts.stx_mode);
    return tree;
}

// How a bundle's binds go on with the host's mounts that they are made of. As runc has it: what the
// host mounts is seen by the container (slave), unless config.json asks for less, or for both ways.
// Never both ways out of a user namespace (as the kernel copies a mount namespace into one).
uint64_t bundle_propagation(const Oci& oci) {
    std::string_view asked = oci.rootfs_propagation;
    if (asked.starts_with('r'))
        asked.remove_prefix(1);
    if (asked == "private" || asked == "unbindable")
        return MS_PRIVATE;
    return asked == "shared" && !oci.find(NamespaceKind::user) ? 0 : MS_SLAVE;
}

Result<void> map_ids(const Mount& mount, const MountExtensions& extensions, const Oci& oci,
                     int tree) {
    const bool has_own = !mount.uid_mappings.empty() || !mount.gid_mappings.empty();
    const auto& uids = has_own ? mount.uid_mappings : oci.uid_mappings;
    const auto& gids = has_own ? mount.gid_mappings : oci.gid_mappings;
    if (uids.empty() || gids.empty())
        return failure("'idmap' needs uidMappings and gidMappings, the mount's or the container's");
    Fd space = TRY(make_user_namespace(uids, gids));
    mount_attr attributes = attributes_for(MOUNT_ATTR_IDMAP, 0, 0);
    attributes.userns_fd = static_cast<uint64_t>(space.get());
    TRY(sys::mount_setattr(tree, extensions.id_mapped_below ? AT_RECURSIVE : 0, attributes),
        "map the IDs of {}", printable(mount.source));
    return {};
}

// The root's files belong to the container's users, whose numbers they have on the disk.
Result<void> map_root(int tree, int user_namespace) {
    mount_attr attributes = attributes_for(MOUNT_ATTR_IDMAP, 0, 0);
    attributes.userns_fd = static_cast<uint64_t>(user_namespace);
    auto mapped = sys::mount_setattr(tree, AT_RECURSIVE, attributes);
    if (!mapped && mapped.error().is(EINVAL))
        return failure(
            "--userns: its filesystem, or one that is mounted in it, knows no idmapped mounts "
            "(mount_setattr(2)), so its files would be nobody's in the container");
    return TRY(std::move(mapped), "--userns: map the users"), Result<void>();
}

Result<Fd> open_bundle_bind(const Mount& as_written, const Oci& oci, OpenedSources::Bind& bind) {
    constexpr uint64_t kProcRootInode = 1;
    Mount mount = as_written;
    const MountExtensions extensions = take_extensions(mount);
    MountFlags flags = TRY(parse_mount_options(mount.options, true));
    Fd tree = TRY(clone_tree(mount.source, flags.recursive_bind, 0, bundle_propagation(oci)),
                  "open {}", printable(mount.source));
    if (extensions.id_mapped)
        TRY(map_ids(mount, extensions, oci, tree.get()));
    TRY(apply(flags, tree.get()));
    struct statx facts = TRY(sys::stat(tree.get(), "", AT_EMPTY_PATH));
    bind.is_directory = S_ISDIR(facts.stx_mode);
    bind.is_proc = facts.stx_ino == kProcRootInode &&
                   TRY(sys::filesystem_type(tree.get())) == PROC_SUPER_MAGIC;
    return tree;
}

Result<Fd> open_cgroup(const Mount& mount, int cgroup) {
    MountFlags flags = TRY(parse_mount_options(mount.options, false));
    Fd tree = TRY(sys::open_tree(cgroup, "", OPEN_TREE_CLONE | AT_EMPTY_PATH),
                  "open the container's cgroup");
    TRY(sys::mount_setattr(tree.get(), 0, attributes_for(0, 0, MS_PRIVATE)));
    TRY(apply(flags, tree.get()));
    return tree;
}

}  // namespace

Result<RootTrees> RootTrees::open(const Spec& spec, size_t mounts, int user_namespace,
                                  OpenedSources& sources) {
    RootTrees trees;
    // The slash wants a directory (and makes none of an empty name). Devices are in /dev alone: a
    // node elsewhere in the image opens nothing.
    trees.root = TRY(clone_tree(spec.rootfs.empty() ? "" : spec.rootfs + "/", true,
                                spec.privileged ? 0 : MOUNT_ATTR_NODEV, MS_PRIVATE),
                     "--rootfs {}", printable(spec.rootfs));
    if (user_namespace >= 0)
        TRY(map_root(trees.root.get(), user_namespace), "--rootfs {}", printable(spec.rootfs));
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

Result<RootTrees> RootTrees::open_bundle(const Spec& spec, int cgroup, OpenedSources& sources) {
    const Oci& oci = *spec.oci;
    RootTrees trees;
    // Slave at most: what is mounted in the root while it is made is nobody else's. What the root
    // shares at the end is a step of the plan.
    const uint64_t propagation = bundle_propagation(oci);
    trees.root = TRY(clone_tree(spec.rootfs.empty() ? "" : spec.rootfs + "/", true, 0,
                                propagation ? propagation : uint64_t{MS_SLAVE}),
                     "root.path {}", printable(spec.rootfs));
    sources.root_tree = trees.root.get();
    for (const Mount& mount : spec.mounts) {
        OpenedSources::Bind bind;
        if (is_bind(mount)) {
            trees.binds.push_back(TRY(open_bundle_bind(mount, oci, bind), "{}", mount.origin));
            bind.tree = trees.binds.back().get();
        } else if (mount.type.starts_with("cgroup") && cgroup >= 0 &&
                   !oci.find(NamespaceKind::cgroup)) {
            trees.binds.push_back(TRY(open_cgroup(mount, cgroup), "{}", mount.origin));
            bind.tree = trees.binds.back().get();
        }
        sources.binds.push_back(bind);
    }
    return trees;
}

}  // namespace sigil::isolation
