// The terminal's side of reading a line: what is typed is collected, echoed and corrected until Enter (carriage return or newline) or
// Ctrl-D ends it. Pure data, no waiting: whoever reads the console feeds it. One owner, task context.
//
//     for (char typed : received) editor.type(typed, echo);       // echo(std::string_view) prints
//     std::size_t count = editor.take(into);                      // nothing until a line is complete
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace kernel {

class LineEditor {
public:
    static constexpr std::size_t kLineMax = 1024;

    template<class Echo> void type(char typed, Echo&& echo) {
        switch (typed) {
        case '\r':
        case '\n':
            if (typed == '\n' && after_return_) break; // CR LF is one Enter
            if (length_ < kLineMax) line_[length_++] = '\n';
            complete_ = true;
            echo(std::string_view("\n"));
            break;
        case '\b':
        case 0x7f:
            if (length_ == 0) break;
            --length_;
            echo(std::string_view("\b \b"));
            break;
        case 0x15: // Ctrl-U: the whole line
            for (; length_ > 0; --length_) echo(std::string_view("\b \b"));
            break;
        case 0x04: // Ctrl-D: what there is, now; at the start of a line the end of the input
            if (length_ == 0) end_ = true;
            complete_ = true;
            break;
        default:
            // One place stays free for the newline.
            if ((static_cast<unsigned char>(typed) < 0x20 && typed != '\t') || length_ + 1 >= kLineMax) break;
            line_[length_++] = typed;
            echo(std::string_view(&typed, 1));
        }
        after_return_ = typed == '\r';
    }

    [[nodiscard]] bool complete() const noexcept { return complete_; }

    /// Moves a part of a complete line out. 0 with complete() before: the end of the input.
    std::size_t take(std::span<char> into) noexcept {
        if (!complete_) return 0;
        if (end_) {
            end_ = complete_ = false;
            return 0;
        }
        std::size_t count = 0;
        while (count < into.size() && taken_ < length_) into[count++] = line_[taken_++];
        if (taken_ == length_) {
            taken_ = length_ = 0;
            complete_ = false;
        }
        return count;
    }

private:
    std::array<char, kLineMax> line_{};
    std::size_t length_ = 0;
    std::size_t taken_ = 0;
    bool complete_ = false;
    bool end_ = false;
    bool after_return_ = false;
};

} // namespace kernel
