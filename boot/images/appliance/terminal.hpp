// The shell at the console, for a person, and for `command=`, without one. Task context.
#pragma once

#include <string_view>

namespace appliance {

/// Runs the commands of a line and prints what they print; the status of the first one that failed.
int run_batch(std::string_view line);

/// Reads lines with editing and history and runs them, for ever.
[[noreturn]] void run_terminal();

} // namespace appliance
