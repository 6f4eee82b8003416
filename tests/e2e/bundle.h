// An OCI bundle for a test: config.json as a document to be changed, the shared root filesystem.
#pragma once

#include <string>

#include <rapidjson/document.h>

#include "sigil_runner.h"

namespace sigil::e2e {

class Bundle {
  public:
    // Runs `args`; namespaces, mounts and masks as `runc spec` has them, no terminal.
    explicit Bundle(Words args);
    // The same of another config.json, with the shared root filesystem.
    Bundle(const std::string& config, Words args);

    // Sets what the JSON pointer (RFC 6901) names: set("/process/cwd", "\"/tmp\"").
    Bundle& set(const char* pointer, const std::string& json);
    // The same with "-" at the end: appends to an array that is there.
    Bundle& append(const char* pointer, const std::string& json);
    Bundle& remove(const char* pointer);

    // Its directory, config.json written as it is now.
    [[nodiscard]] const std::string& path();
    [[nodiscard]] std::string config() const;

  private:
    rapidjson::Document config_;
    std::string directory_;
};

// A container of a bundle under an id of its own: its cgroup stands beside those of other tests
// that run meanwhile. What is left of it goes with the object.
class OciContainer {
  public:
    explicit OciContainer(const std::string& name);
    ~OciContainer();
    OciContainer(const OciContainer&) = delete;
    OciContainer& operator=(const OciContainer&) = delete;

    [[nodiscard]] const std::string& id() const { return id_; }
    // `sigil create`, its streams ours; the container's output goes to `out`, if given.
    Finished create(Bundle& bundle, Words options = {});
    Finished start() { return verb({"start"}); }
    Finished kill(const std::string& signal) { return run_program(sigil({"kill", id_, signal})); }
    Finished remove(Words options = {});
    // `sigil WORDS... ID`
    Finished verb(Words words);
    [[nodiscard]] std::string status();
    [[nodiscard]] pid_t pid();
    // What its command has written: it writes into a file of ours.
    [[nodiscard]] std::string output() const;
    // Waits until `state` says so.
    bool await(const std::string& status);

  private:
    std::string id_;
    std::string output_file_;
};

// A member of JSON text: "(none)" where it is missing.
std::string member_of(const std::string& json, const char* pointer);

}  // namespace sigil::e2e
