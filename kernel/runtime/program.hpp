// Around main(): static constructors before it, destructors at exit, its arguments out of the command line (what stands behind "--").
// Called once each, by the task "main".
//
//     kernel::run_static_constructors();
//     auto arguments = kernel::program_arguments();
//     std::exit(main(arguments.count, arguments.values));
#pragma once

namespace kernel {

void run_static_constructors();
void run_static_destructors();

struct ProgramArguments {
    int count = 0;
    char** values = nullptr; // ends with a null pointer, as in C; values[0] is "ringside"
};
[[nodiscard]] ProgramArguments program_arguments();

} // namespace kernel
