#include "libvirtio/queue_state.hpp"

namespace virtio {
namespace {

class Line {
public:
    explicit Line(std::span<char> out) noexcept : out_(out) {}
    Line& operator<<(const char* text) noexcept {
        while (*text != '\0') put(*text++);
        return *this;
    }
    Line& operator<<(std::uint64_t number) noexcept {
        char digits[20];
        unsigned count = 0;
        do {
            digits[count++] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        while (count != 0) put(digits[--count]);
        return *this;
    }
    std::string_view end() noexcept {
        if (!out_.empty()) out_[at_] = '\0';
        return {out_.data(), at_};
    }

private:
    void put(char letter) noexcept {
        if (at_ + 1 < out_.size()) out_[at_++] = letter;
    }
    std::span<char> out_;
    std::size_t at_ = 0;
};

} // namespace

const char* name(RingKind kind) noexcept { return kind == RingKind::packed ? "packed" : "split"; }

std::string_view to_text(const QueueState& state, std::span<char> out) noexcept {
    Line line{out};
    line << "queue " << state.index << ": ";
    if (!state.created) return (line << "not created").end();
    line << name(state.kind) << " " << state.size;
    const auto position = [&](const char* what, std::uint16_t value) {
        line << ", " << what << " ";
        if (state.kind == RingKind::packed)
            line << std::uint64_t{value & 0x7fffu} << (value >= 0x8000 ? "+" : "-");
        else
            line << value;
    };
    position("published", state.published);
    position("used", state.used);
    line << ", " << state.in_flight << " in flight, room " << state.room << ", generation " << state.generation;
    if (!state.started) line << ", stopped";
    line << (state.suppressed ? ", interrupts off" : ", interrupts on");
    if (state.pending) line << ", completions pending";
    if (state.lengths_clamped != 0) line << ", " << state.lengths_clamped << " lengths clamped";
    if (state.fault != RingFault::none) line << ", broken: " << message(state.fault);
    return line.end();
}

} // namespace virtio
