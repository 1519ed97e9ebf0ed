#include "kernel/task/mailbox.hpp"

namespace kernel {

bool Mailbox::post(void* message, std::uint64_t deadline_ns) {
    while (!try_post(message)) {
        if (!writable_.wait(deadline_ns)) return try_post(message);
    }
    return true;
}

bool Mailbox::try_post(void* message) noexcept {
    if (count_ == slots_.size()) return false;
    slots_[(first_ + count_) % slots_.size()] = message;
    ++count_;
    readable_.wake_one();
    return true;
}

bool Mailbox::fetch(void*& message, std::uint64_t deadline_ns) {
    const std::uint32_t interruptions = interruptions_;
    while (!try_fetch(message)) {
        if (!readable_.wait(deadline_ns) || interruptions != interruptions_) return try_fetch(message);
    }
    return true;
}

void Mailbox::interrupt() noexcept {
    ++interruptions_;
    readable_.wake_all();
}

bool Mailbox::try_fetch(void*& message) noexcept {
    if (count_ == 0) return false;
    message = slots_[first_];
    first_ = (first_ + 1) % slots_.size();
    --count_;
    writable_.wake_one();
    return true;
}

} // namespace kernel
