#include <cstdio>

#include "kernel/processor/processor.hpp"

extern "C" const char long_text[]; // text.S

int main() {
    std::printf("%u processors, text at %p\n", kernel::processor_count(), static_cast<const void*>(long_text));
    return 0;
}
