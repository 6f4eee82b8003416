// A bundle's config.json, the process of `exec`, the resources of `update`.
#include "core/spec_reader.h"
#include "isolation/mount_options.h"
#include "isolation/seccomp.h"
#include "target.h"

void sigil::fuzz::run(std::string_view input) {
    const auto spec = read_config(input, "/bundle");
    std::vector<DeviceRule> rules;
    (void)read_resources(input, &rules);
    if (!spec)
        return;
    (void)read_process(input, *spec);
    for (const Mount& mount : spec->mounts) {
        (void)isolation::parse_mount_options(mount.options, mount.type == "bind");
        (void)isolation::clean_destination(mount);
    }
    if (spec->oci->seccomp)
        (void)isolation::compile(*spec->oci->seccomp);
}
