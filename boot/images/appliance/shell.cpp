#include "boot/images/appliance/shell.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>

namespace appliance {

int Session::fail(const char* format, ...) {
    std::array<char, 256> text;
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text.data(), text.size(), format, arguments);
    va_end(arguments);
    out.write(command);
    out.print(": %s\n", text.data());
    return kFailed;
}

int Shell::run(std::string_view line) {
    CommandSplitter splitter(line);
    int status = kDone;
    for (;;) {
        int result = kDone;
        switch (splitter.next(words_)) {
        case SplitResult::end: return status;
        case SplitResult::unclosed_quote: session_.out.write("a quote is not closed\n"); return status == kDone ? kWrongUsage : status;
        case SplitResult::too_long: session_.out.write("a command is too long\n"); return status == kDone ? kWrongUsage : status;
        case SplitResult::command: result = run_one(words_.list()); break;
        }
        if (status == kDone) status = result;
        if (result == kInterrupted) return status;
    }
}

int Shell::run_one(Arguments arguments) {
    session_.command = arguments[0];
    if (arguments[0] == "help") return help(arguments);
    const Command* command = find(arguments[0]);
    if (command == nullptr) {
        write_printable(session_.out, arguments[0]);
        session_.out.write(": there is no such command; 'help' lists all\n");
        return kUnknownCommand;
    }
    const std::size_t operands = arguments.size() - 1;
    if (operands < command->least || operands > command->most) return usage(*command);
    const int status = command->run(session_, arguments);
    return status == kWrongUsage ? usage(*command) : status;
}

int Shell::usage(const Command& command) {
    session_.out.print("usage: %s%s%s\n", command.name, *command.operands != 0 ? " " : "", command.operands);
    return kWrongUsage;
}

int Shell::help(Arguments arguments) {
    const auto line = [&](const Command& command) {
        Text left(64);
        left.print("%s %s", command.name, command.operands);
        session_.out.print("  %-38.*s %s\n", static_cast<int>(left.view().size()), left.view().data(), command.summary);
    };
    if (arguments.size() > 1) {
        const Command* command = find(arguments[1]);
        if (command == nullptr) return session_.fail("there is no command '%s'", Shown(arguments[1]).c_str());
        line(*command);
        return kDone;
    }
    for (const Command& command : commands_) line(command);
    line({"help", "[COMMAND]", "this list", 0, 1, nullptr});
    session_.out.write("Commands are separated by ';'. Quotes '...' and \"...\" keep blanks together. Ctrl-C stops what takes long.\n");
    return kDone;
}

const Command* Shell::find(std::string_view name) const noexcept {
    const auto found = std::ranges::find(commands_, name, [](const Command& each) { return std::string_view(each.name); });
    return found == commands_.end() ? nullptr : &*found;
}

} // namespace appliance
