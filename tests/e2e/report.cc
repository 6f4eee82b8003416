#include "report.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "files.h"
#include "rootfs.h"

namespace sigil::e2e {

rapidjson::Document parse_report(std::string_view text) {
    rapidjson::Document document;
    EXPECT_TRUE(text.ends_with("}\n")) << text;
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    document.Parse<rapidjson::kParseValidateEncodingFlag | rapidjson::kParseFullPrecisionFlag>(
        text.data(), text.size());
    EXPECT_FALSE(document.HasParseError()) << text;
    if (document.HasParseError() || !document.IsObject())
        document.SetObject();
    return document;
}

std::string Reported::text(const char* key) const {
    const auto found = report.FindMember(key);
    return found != report.MemberEnd() && found->value.IsString() ? found->value.GetString()
                                                                  : "(none)";
}

int64_t Reported::number(const char* key) const {
    const auto found = report.FindMember(key);
    return found != report.MemberEnd() && found->value.IsInt64() ? found->value.GetInt64() : -1;
}

bool Reported::is_null(const char* key) const {
    const auto found = report.FindMember(key);
    return found != report.MemberEnd() && found->value.IsNull();
}

std::string new_report_path() {
    return make_directory_outside() + "/report.json";
}

Reported read_report(Finished finished, const std::string& path) {
    return {std::move(finished), parse_report(read_file(path))};
}

Reported run_reported(Words options, Words command) {
    const std::string path = new_report_path();
    options.insert(options.end(), {"--report", path});
    Finished finished = run(std::move(options), std::move(command));
    return read_report(std::move(finished), path);
}

}  // namespace sigil::e2e
