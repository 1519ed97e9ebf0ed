// A fuzzer of the kernel's command line: words, quotes, numbers, percent signs, Linux's virtio_mmio.device=. The input is the text.
#include <array>
#include <cstring>
#include <string>

#include "drivers/bus/mmio_slot.hpp"
#include "kernel/firmware/command_line.hpp"
#include "tests/fuzz/check.hpp"

namespace {

using fuzz::check;

bool inside(std::string_view whole, std::string_view part) {
    return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // A copy of exactly this size, without a zero behind it.
    std::string copy(reinterpret_cast<const char*>(data), size);
    const std::string_view text(copy.data(), copy.size());
    const kernel::CommandLine line(text);
    std::size_t words = 0;
    for (const kernel::CommandLineWord& word : line) {
        check(++words <= size, "every word has a character");
        check(inside(text, word.key) && inside(text, word.value), "a word lies inside the text");
        check(word.has_value || word.value.empty(), "no value without a sign of equality");
        if (!word.key.empty()) check(line.value(word.key).has_value(), "a key that is there is found");
        static_cast<void>(kernel::parse_number(word.value));
        if (const auto slot = virtio::parse_mmio_slot(word.value))
            check(slot->size != 0 && slot->base % 4 == 0 && slot->base + slot->size >= slot->base, "a slot is one");
        std::array<char, 40> decoded{};
        if (const auto out = kernel::percent_decode(word.value, decoded)) check(out->size() <= decoded.size(), "what is decoded fits");
        static_cast<void>(kernel::is_appended(word.key));
        if (words > 400) break; // value() looks at the whole line: keep it short
    }
    std::string_view rest = line.program_arguments();
    check(inside(text, rest), "the program's arguments lie inside");
    for (std::size_t i = 0; const auto argument = kernel::next_argument(rest); ++i) {
        check(i <= size, "arguments end");
        check(inside(text, *argument), "an argument lies inside");
    }
    return 0;
}
