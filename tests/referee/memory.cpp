#include "tests/referee/memory.hpp"

#include <cstring>

namespace referee {

Memory::Memory(const Options& options)
    : data_(options.existing.data()), size_(options.existing.empty() ? options.size : options.existing.size()), junk_(options.junk) {
    if (options.existing.empty()) {
        // Rings want up to 4096 bytes of alignment: guest and host addresses agree modulo a page.
        own_ = std::make_unique<std::byte[]>(size_ + kPage);
        data_ = own_.get();
        data_ += (kPage - reinterpret_cast<std::uintptr_t>(data_) % kPage) % kPage;
    }
    address_ = options.address == kHostAddress ? reinterpret_cast<std::uintptr_t>(data_) : options.address;
}

Memory::~Memory() = default;

std::uint64_t Memory::allocate(std::size_t bytes, std::size_t alignment) {
    if (bytes == 0 || bytes > size_ || alignment == 0 || (alignment & (alignment - 1)) != 0) return 0;
    // Guest address 0 means "none": memory that starts there keeps its first bytes.
    std::uint64_t from = address_ == 0 ? alignment : address_;
    const auto fits_before = [&](std::uint64_t end) {
        from = (from + alignment - 1) & ~(static_cast<std::uint64_t>(alignment) - 1);
        return from <= end && bytes <= end - from;
    };
    bool found = false;
    for (const auto& [start, length] : live_) {
        if (fits_before(start)) {
            found = true;
            break;
        }
        from = start + length;
    }
    if (!found && !fits_before(address_ + size_)) return 0;
    live_.emplace(from, bytes);
    std::memset(at(from, bytes), junk_ ? std::to_integer<int>(kJunk) : 0, bytes);
    return from;
}

bool Memory::release(std::uint64_t guest) {
    const auto found = live_.find(guest);
    if (found == live_.end()) return false;
    if (on_release) on_release(guest, found->second);
    live_.erase(found);
    return true;
}

} // namespace referee
