// The referee's table of clauses and this folder's say the same.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tests/referee/clause.hpp"

namespace {

struct Row {
    std::string level, requirement;
};

std::map<std::string, Row> rows() {
    std::map<std::string, Row> all;
    for (const char* name : {"clauses.tsv", "extra.tsv"}) {
        std::ifstream file(std::string(CONFORMANCE_TABLES) + "/" + name);
        REQUIRE(file.is_open());
        std::string line;
        std::getline(file, line); // the heading
        while (std::getline(file, line)) {
            std::vector<std::string> cells;
            for (std::size_t at = 0; at <= line.size();) {
                const std::size_t end = std::min(line.find('\t', at), line.size());
                cells.push_back(line.substr(at, end - at));
                at = end + 1;
            }
            REQUIRE(cells.size() == 5); // id, level, section, requirement, observable
            all[cells[0]] = {cells[1], cells[3]};
        }
    }
    return all;
}

} // namespace

TEST_CASE("The referee's table of clauses says what clauses.tsv and extra.tsv say") {
    const std::map<std::string, Row> table = rows();
    unsigned rings = 0;
    for (unsigned i = 0; i < referee::kClauses; ++i) {
        const referee::ClauseInfo& info = referee::info(static_cast<referee::Clause>(i));
        const std::string id{info.id};
        INFO(id);
        const auto found = table.find(id);
        REQUIRE(found != table.end());
        CHECK(found->second.level == std::string(referee::name(info.level)));
        // The referee's own rules name their sections at the end.
        const std::string& wanted = found->second.requirement;
        CHECK(std::string(info.text).substr(0, wanted.size() - 1) == wanted.substr(0, wanted.size() - 1));
        rings += referee::selects("VQ SPLIT PACKED NOTIF RESET", id) ? 1 : 0;
    }
    CHECK(rings == 59); // all of them
}
