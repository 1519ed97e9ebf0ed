// The lines that were typed, newest last, in a fixed buffer: the oldest ones make room. Pure data; one owner.
//
//     history.add("ip");
//     std::string_view newest = history.back(1);        // empty where there is none
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace appliance {

class History {
public:
    static constexpr std::size_t kLines = 64;
    static constexpr std::size_t kBytes = 8192;

    /// Empty lines and repetitions of the newest one are not kept.
    void add(std::string_view line) noexcept {
        if (line.empty() || line.size() > kBytes || line == back(1)) return;
        while (count_ == kLines || used_ + line.size() > kBytes) drop_oldest();
        std::memcpy(text_.data() + used_, line.data(), line.size());
        lengths_[count_++] = line.size();
        used_ += line.size();
    }

    [[nodiscard]] std::size_t size() const noexcept { return count_; }

    /// The line `age` lines ago; 1 is the newest.
    [[nodiscard]] std::string_view back(std::size_t age) const noexcept {
        if (age == 0 || age > count_) return {};
        std::size_t end = used_;
        for (std::size_t i = 1; i < age; ++i) end -= lengths_[count_ - i];
        const std::size_t length = lengths_[count_ - age];
        return {text_.data() + end - length, length};
    }

private:
    void drop_oldest() noexcept {
        std::memmove(text_.data(), text_.data() + lengths_[0], used_ - lengths_[0]);
        used_ -= lengths_[0];
        std::memmove(lengths_.data(), lengths_.data() + 1, (count_ - 1) * sizeof lengths_[0]);
        --count_;
    }

    std::array<char, kBytes> text_{};
    std::array<std::size_t, kLines> lengths_{};
    std::size_t used_ = 0;
    std::size_t count_ = 0;
};

} // namespace appliance
