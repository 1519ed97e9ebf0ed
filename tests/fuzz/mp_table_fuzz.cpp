// A fuzzer of the MP table's reader. The first byte says whether signature, length and checksum are put right, so that the entries are reached.
#include <cstring>
#include <vector>

#include "kernel/firmware/mp_table.hpp"
#include "tests/fuzz/check.hpp"

using fuzz::check;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::Input input(data, size);
    const bool mend = input.byte() % 4 != 0;
    const auto rest = input.rest();
    std::vector<std::byte> table(rest.begin(), rest.end());
    if (mend && table.size() >= 44 && table.size() <= 0xffff) {
        std::memcpy(table.data(), "PCMP", 4);
        table[4] = static_cast<std::byte>(table.size());
        table[5] = static_cast<std::byte>(table.size() >> 8);
        unsigned sum = 0;
        table[7] = std::byte{0};
        for (const std::byte one : table) sum += static_cast<unsigned>(one);
        table[7] = static_cast<std::byte>(0x100 - (sum & 0xff));
    }
    static_cast<void>(kernel::mp::configuration_address(table));
    const std::size_t length = kernel::mp::configuration_length(table);
    const auto found = kernel::mp::parse(table);
    check(!found || length <= table.size(), "a table lies inside");
    check(!mend || table.size() < 44 || table.size() > 0xffff || found.has_value(), "a right table is taken");
    if (found) {
        check(found->io_apic_count <= found->io_apics.size() && found->interrupt_count <= found->interrupts.size(),
              "chips and interrupts fit");
        check(found->processors <= table.size() / 20, "a processor has an entry");
    }
    return 0;
}
