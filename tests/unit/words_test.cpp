// Command lines cut into commands and words.
#include "boot/images/appliance/words.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

using namespace appliance;

namespace {

/// Commands joined by " ; ", words in [ ].
std::string split(std::string_view line) {
    CommandSplitter splitter(line);
    auto words = std::make_unique<Words>();
    std::string result;
    for (;;) {
        const auto outcome = splitter.next(*words);
        if (outcome == SplitResult::end) return result;
        if (outcome == SplitResult::unclosed_quote) return result + "unclosed";
        if (outcome == SplitResult::too_long) return result + "too long";
        if (!result.empty()) result += ";";
        for (std::string_view word : words->list()) result += "[" + std::string(word) + "]";
    }
}

} // namespace

TEST_CASE("blanks, semicolons, nothing") {
    CHECK(split("") == "");
    CHECK(split("  ; ;; ") == "");
    CHECK(split("devices; sha256 disk:0; ip; balloon") == "[devices];[sha256][disk:0];[ip];[balloon]");
    CHECK(split("a;b ;c  d\te\n;") == "[a];[b];[c][d][e]");
}

TEST_CASE("quotes and backslashes") {
    CHECK(split("write disk:1 3 'hello; world'") == "[write][disk:1][3][hello; world]");
    CHECK(split("a \"b c\"d'e f'") == "[a][b cde f]");
    CHECK(split("a '' \"\"") == "[a][][]");
    CHECK(split(R"(a\ b \; "\"" "\\" "\n" '\')") == R"([a b][;]["][\][\n][\])");
    CHECK(split("a\\") == "[a\\]");
    CHECK(split("a; b 'c") == "[a]unclosed");
    CHECK(split("a \"b; c") == "unclosed");
}

TEST_CASE("limits") {
    std::string many;
    for (std::size_t i = 0; i < Words::kMostWords; ++i) many += "w ";
    CHECK(split(many) != "too long");
    CHECK(split(many + "w") == "too long");
    CHECK(split(std::string(Words::kMostBytes, 'x')) == "[" + std::string(Words::kMostBytes, 'x') + "]");
    CHECK(split(std::string(Words::kMostBytes + 1, 'x')) == "too long");
}
