#include "kernel/firmware/problems.hpp"

#include <algorithm>
#include <array>

#include "kernel/log/log.hpp"

namespace kernel {
namespace {

struct Problem {
    char where[32] = {};
    std::uint64_t address = 0;
    const char* what = "";
};

std::array<Problem, 12> problems;
std::size_t noted = 0, logged = 0, more = 0;

} // namespace

void note_firmware_problem(std::string_view where, std::uint64_t address, const char* what) noexcept {
    Problem problem{.where = {}, .address = address, .what = what};
    const std::size_t length = std::min(where.size(), sizeof problem.where - 1);
    // A log line is no place for whatever bytes stand in a table.
    for (std::size_t i = 0; i < length; ++i) problem.where[i] = where[i] >= ' ' && where[i] <= '~' ? where[i] : '?';
    for (std::size_t i = 0; i < noted; ++i)
        if (problems[i].address == address && problems[i].what == what && std::string_view(problems[i].where) == problem.where) return;
    if (noted == problems.size())
        ++more;
    else
        problems[noted++] = problem;
}

void log_firmware_problems() {
    for (; logged < noted; ++logged) {
        const Problem& problem = problems[logged];
        if (problem.address != 0)
            log(LogLevel::warning, "firmware: %s at 0x%llx: %s", problem.where, static_cast<unsigned long long>(problem.address),
                problem.what);
        else
            log(LogLevel::warning, "firmware: %s: %s", problem.where, problem.what);
    }
    if (more != 0) log(LogLevel::warning, "firmware: %zu more problems", more);
    more = 0;
}

} // namespace kernel
