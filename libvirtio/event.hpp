// What an interrupt handler marks and an owner waits for: one word of bits. The handler sets bits and never touches a ring; the
// owner takes them all, polls its queues, arms, looks again, and sleeps while the word is zero.
#pragma once

#include <atomic>
#include <cstdint>

namespace virtio {

class Event {
public:
    constexpr Event() noexcept = default;
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    /// Any context, general registers only.
    void mark(std::uint32_t bits) noexcept { word_.fetch_or(bits, std::memory_order_release); }
    /// The bits set since the last take. Owner only.
    [[nodiscard]] std::uint32_t take() noexcept {
        return word_.load(std::memory_order_relaxed) == 0 ? 0 : word_.exchange(0, std::memory_order_acquire);
    }
    [[nodiscard]] bool pending() const noexcept { return word_.load(std::memory_order_acquire) != 0; }
    /// The word itself, for a platform's sleep.
    [[nodiscard]] const std::atomic<std::uint32_t>& word() const noexcept { return word_; }

private:
    std::atomic<std::uint32_t> word_{0};
};

} // namespace virtio
