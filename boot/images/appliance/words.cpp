#include "boot/images/appliance/words.hpp"

namespace appliance {

namespace {

bool blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

} // namespace

/// One word from the start of rest_; its quotes and backslashes are taken away. rest_ is not empty and starts with the word.
SplitResult CommandSplitter::word(Words& words) noexcept {
    const std::size_t start = words.used_;
    char quote = 0;
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
        char c = rest_.front();
        if (quote == 0 && (blank(c) || c == ';')) break;
        if (quote == 0 && (c == '"' || c == '\'')) {
            quote = c;
            continue;
        }
        if (c == quote) {
            quote = 0;
            continue;
        }
        // Inside "..." a backslash keeps its meaning before what would end the quote only.
        if (c == '\\' && quote != '\'' && rest_.size() > 1 && (quote == 0 || rest_[1] == '"' || rest_[1] == '\\')) {
            rest_.remove_prefix(1);
            c = rest_.front();
        }
        if (words.used_ == words.text_.size()) return SplitResult::too_long;
        words.text_[words.used_++] = c;
    }
    if (quote != 0) return SplitResult::unclosed_quote;
    if (words.count_ == words.words_.size()) return SplitResult::too_long;
    words.words_[words.count_++] = {words.text_.data() + start, words.used_ - start};
    return SplitResult::command;
}

SplitResult CommandSplitter::next(Words& words) noexcept {
    words.count_ = words.used_ = 0;
    while (!rest_.empty()) {
        const char c = rest_.front();
        if (blank(c)) {
            rest_.remove_prefix(1);
        } else if (c == ';') {
            rest_.remove_prefix(1);
            if (words.count_ != 0) return SplitResult::command;
        } else if (const auto result = word(words); result != SplitResult::command) {
            rest_ = {};
            return result;
        }
    }
    return words.count_ != 0 ? SplitResult::command : SplitResult::end;
}

} // namespace appliance
