# shellcheck shell=bash
# Where kernels come from: sourced by `run`, whose fail() it uses.
#
# A kernel in the cache is a directory of `kernel` and lib/modules/VERSION. It is built beside its
# final place and renamed at the end: what has the final name is whole.

# Prints the directory of the kernel `6.1`, `newest` or FILE.deb, after fetching it if need be.
fetch_kernel() {  # KERNEL CACHE
    local name=$1 dir
    [[ $1 != *.deb ]] || name=$(basename -- "$1" .deb)
    dir=$2/$name
    if [[ ! -d $dir ]]; then
        mkdir -p -- "$2" || fail "cannot make the directory $2"
        # Whoever comes second waits here, and then finds the work done.
        exec {lock}>"$2/lock"
        flock "$lock"
        [[ -d $dir ]] || make_kernel "$1" "$2" "$dir"
        exec {lock}>&-
    fi
    printf '%s\n' "$dir"
}

make_kernel() {  # KERNEL CACHE DIR
    local new=$2/unfinished   # we hold the lock: what has this name is an interrupted run's
    rm -rf -- "$new"
    mkdir -- "$new" "$new/debs" "$new/tree"
    case $1 in
        6.1) download_stable "$new/debs" ;;
        newest) download_newest "$new" ;;
        *.deb) [[ -r $1 ]] || fail "--kernel $1: cannot read it"; cp -- "$1" "$new/debs/" ;;
        *) fail "--kernel $1: neither 6.1 nor newest nor a .deb file" ;;
    esac
    unpack_kernel "$new"
    mv -T -- "$new" "$3"
}

# The machine's own apt, as it is configured.
download_stable() {  # DIR
    local package
    package=$(apt-cache search --names-only '^linux-image-6\.1\.[0-9]+-[0-9]+-amd64$' |
        cut -d' ' -f1 | sort -V | tail -n 1)
    [[ -n $package ]] || fail "apt knows no linux-image-6.1*-amd64 (is apt-get update due?)"
    download "$1" "$package"
}

# Sid, by options alone: its list of packages and all that apt writes lie in our directory, and the
# machine's own sources stay as they are. Nothing is installed.
download_newest() {  # DIR
    local dir=$1 wanted known
    mkdir -p -- "$dir"/apt/{lists,cache/archives}/partial
    sid_source >"$dir/apt/sid.list"
    local options=(
        -o "Dir::Etc::SourceList=$dir/apt/sid.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$dir/apt/lists" -o "Dir::Cache=$dir/apt/cache"
        -o Acquire::Languages=none
    )
    run_apt "${options[@]}" update
    wanted=$(apt-cache "${options[@]}" depends linux-image-amd64 |
        sed -n 's/^ *Depends: linux-image-\([0-9].*\)$/\1/p' | sort -V | tail -n 1)
    [[ -n $wanted ]] || fail "sid's linux-image-amd64 names no kernel"
    # The image is split into these since 7.0, and was whole before.
    mapfile -t known < <(apt-cache "${options[@]}" pkgnames linux- |
        grep -Fx -elinux-{image,binary,base,modules}-"$wanted")
    download "$dir/debs" "${options[@]}" "${known[@]}"
}

# The line that adds sid, made from the mirror that this machine takes Debian from.
sid_source() {
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
    [[ -n $mirror ]] || fail "apt has no source of Debian's own packages"
    [[ -r $keys ]] && keys="[signed-by=$keys]" || keys=
    printf 'deb %s %s sid main\n' "$keys" "$mirror"
}

download() {  # DIR [OPTION...] PACKAGE...
    local dir=$1
    shift
    (cd -- "$dir" && run_apt download "$@")
}

# Quiet unless it fails; without the sandbox, whose user may not write to our directory.
run_apt() {
    local output
    output=$(apt-get -q -o APT::Sandbox::User=root "$@" 2>&1 </dev/null) ||
        fail "apt-get failed:"$'\n'"$output"
}

# From debs/ to `kernel` and lib/modules, whichever of Debian's two layouts it is.
unpack_kernel() {  # DIR
    local dir=$1 deb modules vmlinuz version
    for deb in "$dir"/debs/*.deb; do
        dpkg -x "$deb" "$dir/tree" || fail "cannot unpack $deb"
    done
    modules=$(find "$dir/tree" -path '*/lib/modules/*' -prune -type d)
    version=${modules##*/}
    vmlinuz=$(find "$dir/tree" -type f -name 'vmlinuz*')
    [[ -d $modules && -f $vmlinuz ]] || fail "not exactly one kernel in $(cd "$dir/debs" && echo *)"

    mkdir -p -- "$dir/lib/modules"
    unpack_image "$vmlinuz" "$dir/kernel"
    mv -- "$modules" "$dir/lib/modules/"
    # No such device is in our machine, and they are more than half of the size.
    rm -rf -- "$dir/lib/modules/$version"/kernel/{sound,drivers/{gpu,media,infiniband,staging}}
    depmod -b "$dir" "$version"
    rm -rf -- "$dir"/{debs,tree,apt}
}

# Takes the kernel proper out of a bzImage: qemu starts it as it is (by PVH), where the emulated
# machine would take five seconds to unpack it. The offsets are those of the boot protocol's header
# (Documentation/x86/boot.rst): setup_sects, payload_offset, payload_length.
unpack_image() {  # BZIMAGE KERNEL
    local start length
    start=$((($(number_at "$1" 0x1f1 1) + 1) * 512 + $(number_at "$1" 0x248 4)))
    length=$(($(number_at "$1" 0x24c 4) - 4))   # without the size that the build appends
    dd if="$1" of="$2.packed" iflag=skip_bytes,count_bytes skip="$start" count="$length" status=none
    case $(od -An -N 4 -t x1 -- "$2.packed") in
        ' fd 37 7a 58') xz -dc ;;
        ' 28 b5 2f fd') zstd -dc ;;
        ' 1f 8b '*) gzip -dc ;;
        *) false ;;
    esac <"$2.packed" >"$2" || fail "the kernel in $1 is packed in an unknown way"
    rm -- "$2.packed"
}

number_at() {  # FILE OFFSET BYTES
    od -An -j "$(($2))" -N "$3" -t "u$3" -- "$1" | tr -d ' '
}

# Copies the modules that lead to the root file system, numbered in the order of loading.
copy_boot_modules() {  # KERNEL_DIR TARGET
    local files file number=100 name
    files=$(boot_modules "$1") || fail "$1 lacks a module that the virtual machine needs"
    while read -r file; do
        name=$2/$((number++))-$(basename -- "$file")
        case $file in
            *.xz) xz -dc -- "$file" >"${name%.xz}" ;;
            *) cp -- "$file" "$name" ;;
        esac
    done < <(awk '!seen[$0]++' <<<"$files")
}

# Their files, each after those that it depends on; what is built into the kernel has none.
boot_modules() {  # KERNEL_DIR
    local version name
    version=$(ls -- "$1/lib/modules")
    for name in virtio_pci virtio_console 9pnet_virtio 9p overlay; do
        modprobe -d "$1" -S "$version" --show-depends "$name" || return
    done | sed -n 's/^insmod \(.*[^ ]\) *$/\1/p'
}
