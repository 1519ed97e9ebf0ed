// The measuring image: reads, frames and output, and what they cost in notifications and interrupts (measurement.hpp has the line that
// each of them prints). tests/bench starts it on a counting emulator.
//     measure=A,B,...   only these: qd1_sleep qd1_poll qd32 qd32_tasks read1m tx60 rx60 1mib 1k 64b
//     operations=N      how many of each (default 1000)
#include "boot/images/bench/measurement.hpp"

int main() {
    bench::measure_block();
    bench::measure_network();
    bench::measure_console();
    return bench::failed() ? 1 : 0;
}
