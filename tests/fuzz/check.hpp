// What every fuzzer of tests/fuzz has: a rule that must hold, and the fuzzer's bytes taken one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace fuzz {

inline void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "VIOLATED: %s\n", what);
    std::abort();
}

/// Nothing but zeros when they are used up.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    [[nodiscard]] bool empty() const { return size_ == 0; }
    std::uint8_t byte() {
        if (size_ == 0) return 0;
        --size_;
        return *data_++;
    }
    /// Two bytes, the low one first.
    std::uint16_t half() {
        const unsigned low = byte();
        return static_cast<std::uint16_t>(low | unsigned{byte()} << 8);
    }
    std::uint32_t word() {
        const std::uint32_t low = half();
        return low | std::uint32_t{half()} << 16;
    }
    [[nodiscard]] std::span<const std::byte> rest() const { return std::as_bytes(std::span(data_, size_)); }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

} // namespace fuzz
