// A bundle's config.json, by the OCI runtime specification 1.3.0, as a Spec with its Oci. These are
// the only files that read a container from JSON.
//
// Unknown properties are ignored (config.md, "Extensibility"), and so are those of other platforms.
// What is wrong is told with its path: "config.json: process.rlimits[1].type: 'RLIMIT_FOO' is not a
// resource limit". Nothing is looked up on the machine: whether a path is there, or a namespace of
// the kind, is found out by who uses it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/spec.h"

namespace sigil {

// BUNDLE/config.json. The root and the sources of binds are relative to the bundle, whose path is
// used as it is given.
Result<Spec> read_bundle(const std::string& bundle);
// The text of it: to be read, and kept as it was then.
Result<std::string> read_bundle_text(const std::string& bundle);
// A Spec of such a text.
Result<Spec> read_config(std::string_view json, std::string_view bundle);

// Of `exec --process`: the text of one process object, for a process beside those of `container`,
// whose Spec is returned with this process in it.
Result<Spec> read_process(std::string_view json, const Spec& container);

// Of `update --resources`: the text of one linux.resources object. Its rules for devices go to
// `device_rules`, if there is one.
Result<Resources> read_resources(std::string_view json,
                                 std::vector<DeviceRule>* device_rules = nullptr);

}  // namespace sigil
