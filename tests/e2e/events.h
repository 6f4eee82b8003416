// The event stream of `sigil run --events`, as a test reads it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "files.h"
#include "report.h"
#include "sigil_runner.h"

namespace sigil::e2e {

// What `--events` has written, each line parsed strictly.
class EventLog {
  public:
    explicit EventLog(const std::string& path) {
        for (const std::string& line : lines_of(read_file(path)))
            events_.push_back(parse_report(line + "\n"));
    }
    [[nodiscard]] const std::vector<rapidjson::Document>& all() const { return events_; }

    // The names of what happened to a container, in order; of a text field of each event.
    [[nodiscard]] Words of(const std::string& id) const {
        Words names;
        for (const auto& event : events_)
            if (text(event, "id") == id)
                names.push_back(text(event, "event"));
        return names;
    }
    // The containers to which it happened, in order.
    [[nodiscard]] Words ids_of(const std::string& name) const {
        Words ids;
        for (const rapidjson::Document* event : named(name))
            ids.push_back(text(*event, "id"));
        return ids;
    }
    [[nodiscard]] std::set<std::string> ids() const {
        std::set<std::string> found;
        for (const auto& event : events_)
            if (event.HasMember("id"))
                found.insert(text(event, "id"));
        return found;
    }
    [[nodiscard]] std::vector<const rapidjson::Document*> named(const std::string& name) const {
        std::vector<const rapidjson::Document*> found;
        for (const auto& event : events_)
            if (text(event, "event") == name)
                found.push_back(&event);
        return found;
    }
    [[nodiscard]] size_t count(const std::string& name) const { return named(name).size(); }
    // A number of the last event, which is the summary.
    [[nodiscard]] int64_t summary(const char* key) const {
        if (events_.empty() || text(events_.back(), "event") != "summary")
            return -1;
        return number(events_.back(), key);
    }

    static std::string text(const rapidjson::Document& event, const char* key) {
        const auto found = event.FindMember(key);
        return found != event.MemberEnd() && found->value.IsString() ? found->value.GetString()
                                                                     : "(none)";
    }
    static int64_t number(const rapidjson::Document& event, const char* key) {
        const auto found = event.FindMember(key);
        return found != event.MemberEnd() && found->value.IsInt64() ? found->value.GetInt64() : -1;
    }

  private:
    std::vector<rapidjson::Document> events_;
};

}  // namespace sigil::e2e
