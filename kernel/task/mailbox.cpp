#include "kernel/task/mailbox.hpp"

namespace kernel {

bool Mailbox::put(void* message) noexcept {
    if (count_ == slots_.size()) return false;
    slots_[(first_ + count_) % slots_.size()] = message;
    ++count_;
    readable_.wake_one();
    return true;
}

bool Mailbox::take(void*& message) noexcept {
    if (count_ == 0) return false;
    message = slots_[first_];
    first_ = (first_ + 1) % slots_.size();
    --count_;
    writable_.wake_one();
    return true;
}

bool Mailbox::post(void* message, std::uint64_t deadline_ns) {
    const SpinGuard held(spin_);
    while (!put(message)) {
        if (!writable_.wait(spin_, deadline_ns)) return put(message);
    }
    return true;
}

bool Mailbox::try_post(void* message) noexcept {
    const SpinGuard held(spin_);
    return put(message);
}

bool Mailbox::fetch(void*& message, std::uint64_t deadline_ns) {
    const SpinGuard held(spin_);
    const std::uint32_t interruptions = interruptions_;
    while (!take(message)) {
        if (!readable_.wait(spin_, deadline_ns) || interruptions != interruptions_) return take(message);
    }
    return true;
}

bool Mailbox::try_fetch(void*& message) noexcept {
    const SpinGuard held(spin_);
    return take(message);
}

void Mailbox::interrupt() noexcept {
    const SpinGuard held(spin_);
    ++interruptions_;
    readable_.wake_all();
}

std::size_t Mailbox::size() const noexcept {
    const SpinGuard held(spin_);
    return count_;
}

} // namespace kernel
