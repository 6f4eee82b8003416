// A bundle's launch without the programs around it: the Spec that config.json would give, launched
// as `sigil run` launches, its command's output read and its end awaited.
#pragma once

#include <string>
#include <vector>

#include "core/spec.h"
#include "files.h"
#include "fixture.h"
#include "machine.h"
#include "probe_facts.h"
#include "rootfs.h"

namespace sigil::bundle {

// A Spec under construction. It has what `runc spec` writes: the usual mounts, namespaces, masks
// and capabilities, root as user.
struct Bundle {
    Spec spec;
    Oci oci;
    bool no_pivot = false;  // with in_user_namespace() alone

    Bundle();
    explicit Bundle(std::string rootfs);
    Bundle& runs(std::vector<std::string> args);
    Bundle& script(const std::string& text);
    // mounts[N] is their number in the order of the calls, after those of mounts() before.
    Bundle& mount(std::string type, std::string source, std::string target,
                  std::vector<std::string> options = {});
    Bundle& clear_mounts();
    Bundle& without(NamespaceKind kind);
    // Root of the container is user 100000 of the host.
    Bundle& in_user_namespace();
};

struct Ran {
    std::string error;  // of the launch; empty: the command ran
    int code = -1;
    std::string out;
};

Ran run(const Bundle& bundle);
// The facts that the probe prints; the test fails where it doesn't run.
e2e::Facts facts_of(const Bundle& bundle);
// What a shell script prints; the test fails unless it ends well.
std::string output_of(Bundle bundle, const std::string& script);

// For EXPECT_TRUE: a text holds a part.
inline testing::AssertionResult holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos
               ? testing::AssertionSuccess()
               : testing::AssertionFailure() << "'" << text << "' does not hold '" << part << "'";
}

using BundleTest = e2e::E2e;

}  // namespace sigil::bundle
