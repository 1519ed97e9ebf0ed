#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "kernel/firmware/command_line.hpp"

using kernel::CommandLine;

TEST_CASE("keys and values") {
    const CommandLine line("  log=debug quiet\tip=10.0.2.15/24,10.0.2.2  empty= ");
    CHECK(line.value("log") == "debug");
    CHECK(line.value("quiet") == "");
    CHECK(line.value("ip") == "10.0.2.15/24,10.0.2.2");
    CHECK(line.value("empty") == "");
    CHECK_FALSE(line.value("lo"));
    CHECK_FALSE(line.value("logx"));
    CHECK_FALSE(CommandLine("").value("log"));
    std::size_t with_value = 0;
    for (const auto& word : line) with_value += word.has_value ? 1 : 0;
    CHECK(with_value == 3);
}

TEST_CASE("repeated keys keep their order, and value() takes the last") {
    const CommandLine line("virtio_mmio.device=512@0xfeb00e00:12 a=1 virtio_mmio.device=512@0xfeb00c00:11 a=2");
    std::vector<std::string> devices;
    for (const auto& word : line)
        if (word.key == "virtio_mmio.device") devices.emplace_back(word.value);
    REQUIRE(devices.size() == 2);
    CHECK(devices[0] == "512@0xfeb00e00:12");
    CHECK(devices[1] == "512@0xfeb00c00:11");
    CHECK(line.value("a") == "2");
}

TEST_CASE("quotes hold blanks together and are taken off") {
    const CommandLine line(R"(a="one two" 'b=three four' c='it is "so"' d="=x")");
    CHECK(line.value("a") == "one two");
    CHECK(line.value("b") == "three four");
    CHECK(line.value("c") == "it is \"so\"");
    CHECK(line.value("d") == "=x");
    // A quote that is never closed reaches to the end, and no further.
    CHECK(CommandLine("x=\"open end").value("x") == "open end");
    CHECK(CommandLine("x=\"").value("x") == "");
    CHECK(CommandLine("\"").value("x") == std::nullopt);
}

TEST_CASE("what follows -- is the program's") {
    const CommandLine line("a=1 -- a=2 'x y' -- z");
    CHECK(line.value("a") == "1");
    std::string_view rest = line.program_arguments();
    CHECK(kernel::next_argument(rest) == "a=2");
    CHECK(kernel::next_argument(rest) == "x y");
    CHECK(kernel::next_argument(rest) == "--");
    CHECK(kernel::next_argument(rest) == "z");
    CHECK_FALSE(kernel::next_argument(rest));
    CHECK(CommandLine("a=1").program_arguments().empty());
    CHECK(CommandLine("-- ''").program_arguments() == " ''");
    std::string_view quoted = " '' b";
    CHECK(kernel::next_argument(quoted) == "");
    CHECK(kernel::next_argument(quoted) == "b");
}

TEST_CASE("devices that a monitor appends are the kernel's, even behind --") {
    const CommandLine line("virtio_mmio.device=1 -- one virtio_mmio.devices=x -- virtio_mmio.device=2");
    std::vector<std::string> words;
    for (const auto& word : line) words.push_back(std::string(word.key) + "=" + std::string(word.value));
    CHECK(words == std::vector<std::string>{"virtio_mmio.device=1", "virtio_mmio.device=2"});
    CHECK(kernel::is_appended("virtio_mmio.device=2"));
    CHECK_FALSE(kernel::is_appended("virtio_mmio.devices=x"));
}

TEST_CASE("percent decoding") {
    std::array<char, 16> room{};
    CHECK(kernel::percent_decode("ls%20/%3bip", room) == "ls /;ip");
    CHECK(kernel::percent_decode("%41%7A", room) == "Az");
    CHECK(kernel::percent_decode("", room) == "");
    CHECK_FALSE(kernel::percent_decode("%4", room));
    CHECK_FALSE(kernel::percent_decode("%", room));
    CHECK_FALSE(kernel::percent_decode("%g0", room));
    CHECK_FALSE(kernel::percent_decode("12345678901234567", room)); // one too long
    CHECK(kernel::percent_decode("1234567890123456", room) == "1234567890123456");
}

TEST_CASE("numbers") {
    CHECK(kernel::parse_number("0") == 0);
    CHECK(kernel::parse_number("512") == 512);
    CHECK(kernel::parse_number("0xfeb00E00") == 0xfeb00e00);
    CHECK(kernel::parse_number("18446744073709551615") == ~std::uint64_t{0});
    CHECK_FALSE(kernel::parse_number("18446744073709551616"));
    CHECK_FALSE(kernel::parse_number("0x10000000000000000"));
    for (const char* bad : {"", "0x", "-1", "1 ", " 1", "12a", "0xg", "x"}) {
        CAPTURE(bad);
        CHECK_FALSE(kernel::parse_number(bad));
    }
}
