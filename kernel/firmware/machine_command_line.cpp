#include "kernel/boot_info.hpp"
#include "kernel/firmware/command_line.hpp"

namespace kernel {

CommandLine command_line() noexcept { return CommandLine(boot_info().command_line); }
std::optional<std::string_view> command_line_value(std::string_view key) noexcept { return command_line().value(key); }

} // namespace kernel
