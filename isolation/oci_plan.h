// Parts of a bundle's recipe (see oci_mount_plan.cc), each appended to plan.setup. Errors name the
// property.
#pragma once

#include "core/error.h"
#include "core/spec.h"
#include "isolation/launch_plan.h"

namespace sigil::isolation {

// What comes before the mounts: namespaces that they show, and the container's root as a user.
void plan_oci_early_namespaces(const Oci& oci, LaunchPlan& plan);
// The default devices, config.json's and the links of /dev.
Result<void> plan_oci_devices(const Oci& oci, bool has_kcore, LaunchPlan& plan);
// Host name and domain name.
Result<void> plan_oci_names(const Spec& spec, LaunchPlan& plan);
// Only what the container's own namespaces keep to themselves.
Result<void> plan_oci_sysctl(const Oci& oci, LaunchPlan& plan);

}  // namespace sigil::isolation
