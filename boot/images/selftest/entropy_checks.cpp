// Random numbers: present, different every time, balanced.
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <unistd.h>

#include "boot/images/selftest/check.hpp"
#include "kernel/entropy/entropy.hpp"

namespace selftest {

namespace {

void differs(Check& check) {
    std::array<std::array<std::uint64_t, 4>, 32> drawn{};
    for (auto& one : drawn) kernel::random_bytes(std::as_writable_bytes(std::span(one)));
    for (std::size_t i = 0; i < drawn.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            for (std::size_t word = 0; word < 4; ++word)
                if (!check.need(drawn[i][word] != drawn[j][word], "draws %zu and %zu share a word", j, i)) return;
}

void balanced(Check& check) {
    static std::array<std::byte, 32768> data;
    kernel::random_bytes(data);
    std::array<unsigned, 8> ones{};
    for (std::byte byte : data)
        for (unsigned bit = 0; bit < 8; ++bit) ones[bit] += static_cast<unsigned>(byte >> bit & std::byte{1});
    // 32768 tosses: 16384 expected, standard deviation 90. Twenty deviations do not happen by chance.
    for (unsigned bit = 0; bit < 8; ++bit)
        if (!check.need(ones[bit] > 14500 && ones[bit] < 18268, "bit %u is set in %u of 32768 bytes", bit, ones[bit])) return;
}

void posix(Check& check) {
    std::array<unsigned char, 256> first{}, second{};
    (void)(check.need(getentropy(first.data(), first.size()) == 0 && getentropy(second.data(), second.size()) == 0, "getentropy failed") &&
           check.need(first != second, "getentropy repeats itself"));
    std::array<unsigned char, 257> more{};
    errno = 0;
    (void)check.need(getentropy(more.data(), more.size()) == -1 && errno == EIO, "getentropy gave more than POSIX allows");
}

void source(Check& check) {
    const std::string_view name = kernel::entropy_source_name();
    (void)check.need(!name.empty() && name != "none yet", "numbers were drawn, but from nowhere");
}

} // namespace

void check_entropy() {
    run("entropy.differs", differs);
    run("entropy.balanced", balanced);
    run("entropy.posix", posix);
    run("entropy.source", source);
}

} // namespace selftest
