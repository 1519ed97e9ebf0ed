// Physical memory as the readers of boot information see it, and room for the strings that they copy. What a loader says is input from
// outside: every read is checked against the view's end, and what leads out of it is dropped, never followed. No state; before
// kernel_main and in host tests, which hand in hostile bytes.
//
//     boot::PhysicalView memory(nullptr, 4 GiB);
//     std::uint32_t magic = 0;
//     if (!memory.read(address, magic)) return virtio::fail(virtio::Error::out_of_range);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace boot {

/// Physical memory that can be read: addresses 0..size.
class PhysicalView {
public:
    PhysicalView(const std::byte* base, std::uint64_t size) noexcept : base_(base), size_(size) {}
    /// True if the bytes were there and are now in `out`.
    [[nodiscard]] bool read(std::uint64_t address, std::span<std::byte> out) const noexcept {
        if (address > size_ || out.size() > size_ - address) return false;
        std::memcpy(out.data(), at(address), out.size());
        return true;
    }
    template<class T> [[nodiscard]] bool read(std::uint64_t address, T& out) const noexcept {
        return read(address, std::as_writable_bytes(std::span(&out, 1)));
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    /// Only for addresses up to size(). The base may be address 0, which is no null pointer here: hence the arithmetic on integers.
    [[nodiscard]] const std::byte* at(std::uint64_t address) const noexcept {
        return reinterpret_cast<const std::byte*>(reinterpret_cast<std::uintptr_t>(base_) + address);
    }

private:
    const std::byte* base_;
    std::uint64_t size_;
};

/// Storage for the copied strings: command line and module names. What does not fit is cut off.
using StringStorage = std::array<char, 8192>;

/// Hands out pieces of the string storage.
class StringArena {
public:
    explicit StringArena(StringStorage& storage) noexcept : rest_(storage) {}

    /// Copies a string up to its zero or to `longest` characters; what does not fit or cannot be read is cut off. Address 0: no string.
    const char* copy(const PhysicalView& memory, std::uint64_t address, std::uint64_t longest = sizeof(StringStorage)) noexcept {
        if (address == 0 || rest_.empty()) return "";
        std::size_t length = 0;
        char c = 0;
        while (length + 1 < rest_.size() && length < longest && address + length >= address && memory.read(address + length, c) && c != 0)
            rest_[length++] = c;
        rest_[length] = 0;
        const char* copied = rest_.data();
        rest_ = rest_.subspan(length + 1);
        return copied;
    }

private:
    std::span<char> rest_;
};

} // namespace boot
