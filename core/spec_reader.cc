#include "core/spec_reader.h"

#include <errno.h>
#include <fcntl.h>

#include <algorithm>

#include "core/spec_reader_parts.h"
#include "core/sys.h"

namespace sigil {
namespace {

using namespace spec_reader;

constexpr const char* kConfig = "config.json";
// Ten times what the largest of engines' bundles have; the kernel's own limit for a namespace is
// 100,000 (fs.mount-max), and mounts upon one another take it quadratic time to get there.
constexpr size_t kMostMounts = 10'000;

// The whole of a regular file: a FIFO by that name would keep us for ever.
Result<std::string> read_text(const std::string& path) {
    Fd file = TRY(sys::open(AT_FDCWD, path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY));
    const struct statx facts = TRY(sys::stat(file.get(), "", AT_EMPTY_PATH));
    if (!S_ISREG(facts.stx_mode))
        return failure("not a regular file");
    if (facts.stx_size > JsonDocument::kLargest)
        return failure("larger than {} bytes", JsonDocument::kLargest);
    std::string text(facts.stx_size, '\0');
    text.resize(TRY(sys::read_full(file.get(), text)));
    return text;
}

// "a" in the bundle; "/a" is what it is.
std::string in_bundle(std::string_view path, std::string_view bundle) {
    if (path.starts_with('/'))
        return std::string(path);
    return fmt::format("{}{}{}", bundle, bundle.ends_with('/') ? "" : "/", path);
}

Result<void> read_version(const Json& root, Oci& oci) {
    const Json version = TRY(root.need("ociVersion"));
    const std::string_view text = TRY(version.text());
    auto is_digit = [text](size_t at) {
        return at < text.size() && text[at] >= '0' && text[at] <= '9';
    };
    if (!text.starts_with("1.") || !is_digit(2))
        return version.fail("'{}' is not a version 1 of the runtime specification",
                            printable(text));
    oci.version = text;
    return {};
}

Result<void> read_root(const Json& config, std::string_view bundle, Spec& spec) {
    TRY(config.need("root"));
    const auto root = TRY(config.object("root"));
    const Json path = TRY(root->need("path"));
    const std::string_view text = TRY(path.text());
    if (text.empty())
        return path.fail("is empty");
    spec.rootfs = in_bundle(text, bundle);
    return root->read("readonly", spec.read_only_root);
}

bool has_option(const Mount& mount, std::string_view option) {
    return std::ranges::find(mount.options, option) != mount.options.end();
}

Result<void> read_mount(const Json& object, std::string_view bundle, Spec& spec, Oci& oci) {
    if (spec.mounts.size() == kMostMounts)
        return object.fail("more than {} mounts", kMostMounts);
    Mount mount;
    mount.origin = object.path();
    const Json destination = TRY(object.need("destination"));
    mount.target = TRY(destination.text());
    if (mount.target.empty())
        return destination.fail("is empty");
    // The specification wants an absolute path (config.md, "Mounts"), but runc and crun have always
    // taken a relative one as from "/", and engines rely on it.
    if (!mount.target.starts_with('/')) {
        oci.warnings.push_back(fmt::format("{}: '{}' is not absolute: taken as from /",
                                           destination.path(), printable(mount.target)));
        mount.target.insert(0, "/");
    }
    TRY(object.read("type", mount.type));
    TRY(object.read("source", mount.source));
    TRY(object.read("options", mount.options));
    TRY(read_id_mappings(object, "uidMappings", mount.uid_mappings));
    TRY(read_id_mappings(object, "gidMappings", mount.gid_mappings));
    if (mount.uid_mappings.empty() != mount.gid_mappings.empty())
        return object.fail("uidMappings and gidMappings must be given together");
    // With an option "bind" the type is a dummy, often "none" (config.md, "POSIX-platform Mounts").
    if (has_option(mount, "bind") || has_option(mount, "rbind"))
        mount.type = "bind";
    if (mount.type.empty())
        return object.fail("neither a type nor an option 'bind' or 'rbind'");
    if (mount.type == "bind") {
        if (mount.source.empty())
            return object.fail("a bind without a source");
        mount.source = in_bundle(mount.source, bundle);
    }
    spec.mounts.push_back(std::move(mount));
    return {};
}

// Their values are free, but their keys must be something (config.md, "Annotations").
Result<void> read_annotations(const Json& root, Oci& oci) {
    return root.each_member("annotations",
                            [&](std::string_view name, const Json& value) -> Result<void> {
                                if (name.empty())
                                    return value.fail("a key is empty");
                                oci.annotations.emplace_back(name, TRY(value.text()));
                                return {};
                            });
}

Result<void> read_hook(const Json& object, std::vector<Hook>& hooks) {
    Hook hook;
    hook.origin = object.path();
    TRY(read_absolute(object, "path", hook.path));
    TRY(object.read("args", hook.args));
    TRY(object.read("env", hook.env));
    std::optional<int32_t> timeout;
    TRY(object.read("timeout", timeout, 1));
    if (timeout)
        hook.timeout = std::chrono::seconds(*timeout);
    hooks.push_back(std::move(hook));
    return {};
}

Result<void> read_hooks(const Json& root, Hooks& hooks) {
    const auto object = TRY(root.object("hooks"));
    if (!object)
        return {};
    const std::pair<const char*, std::vector<Hook>*> kinds[] = {
        {"prestart", &hooks.prestart},
        {"createRuntime", &hooks.create_runtime},
        {"createContainer", &hooks.create_container},
        {"startContainer", &hooks.start_container},
        {"poststart", &hooks.poststart},
        {"poststop", &hooks.poststop},
    };
    for (const auto& [key, list] : kinds)
        TRY(object->each(key, [into = list](const Json& hook) { return read_hook(hook, *into); }));
    return {};
}

Result<Spec> read_root_object(const Json& root, std::string_view bundle) {
    Spec spec;
    auto oci = std::make_shared<Oci>();
    TRY(read_version(root, *oci));
    TRY(read_root(root, bundle, spec));
    TRY(root.each("mounts",
                  [&](const Json& mount) { return read_mount(mount, bundle, spec, *oci); }));
    TRY(root.need("process"));
    const auto process = TRY(root.object("process"));
    TRY(read_process_object(*process, spec, *oci));
    TRY(root.read("hostname", spec.hostname));
    TRY(root.read("domainname", oci->domainname));
    TRY(read_hooks(root, oci->hooks));
    TRY(read_annotations(root, *oci));
    TRY(read_linux(root, spec, *oci));
    TRY(check_linux(root, spec, *oci));
    spec.init = false;
    spec.oci = std::move(oci);
    return spec;
}

}  // namespace

Result<std::string> read_bundle_text(const std::string& bundle) {
    const std::string path = in_bundle(kConfig, bundle);
    return TRY(read_text(path), "open {}", path);
}

Result<Spec> read_bundle(const std::string& bundle) {
    return read_config(TRY(read_bundle_text(bundle)), bundle);
}

Result<Spec> read_config(std::string_view json, std::string_view bundle) {
    const JsonDocument document = TRY(JsonDocument::parse(json), "{}", kConfig);
    return TRY(read_root_object(document.root(), bundle), "{}", kConfig);
}

Result<Spec> read_process(std::string_view json, const Spec& container) {
    const JsonDocument document = TRY(JsonDocument::parse(json));
    Spec spec = container;
    auto oci = container.oci ? std::make_shared<Oci>(*container.oci) : std::make_shared<Oci>();
    oci->process = {};
    oci->warnings.clear();
    spec.args.clear();
    spec.env.clear();
    spec.rlimits.clear();
    TRY(read_process_object(document.root(), spec, *oci));
    spec.oci = std::move(oci);
    return spec;
}

Result<Resources> read_resources(std::string_view json, std::vector<DeviceRule>* device_rules) {
    const JsonDocument document = TRY(JsonDocument::parse(json));
    Resources resources;
    std::vector<DeviceRule> rules;
    TRY(read_resources_object(document.root(), resources, rules, ZeroPids::limit));
    if (device_rules)
        *device_rules = std::move(rules);
    return resources;
}

}  // namespace sigil
