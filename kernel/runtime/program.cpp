#include "kernel/runtime/program.hpp"

#include <array>
#include <cstring>

#include "kernel/firmware/command_line.hpp"

namespace kernel {

namespace {

// The command line is at most as long as the boot protocol's own copy of it; more arguments than this are not passed on.
constinit std::array<char*, 65> values{};
constinit std::array<char, 4096> text{};

} // namespace

ProgramArguments program_arguments() {
    std::size_t used = 0;
    std::size_t count = 0;
    auto add = [&](std::string_view argument) {
        if (count + 1 >= values.size() || argument.size() + 1 > text.size() - used) return;
        std::memcpy(text.data() + used, argument.data(), argument.size());
        text[used + argument.size()] = '\0';
        values[count++] = text.data() + used;
        used += argument.size() + 1;
    };
    add("ringside");
    std::string_view rest = command_line().program_arguments();
    while (auto argument = next_argument(rest)) {
        if (!is_appended(*argument)) add(*argument);
    }
    values[count] = nullptr;
    return {static_cast<int>(count), values.data()};
}

} // namespace kernel
