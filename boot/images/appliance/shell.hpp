// The shell: finds a command by its name, checks how many operands it has, runs it, and knows what it ended with. Where the commands
// come from and where their output goes is decided by the caller, so the same shell runs on the console, for `command=`, and in tests.
//
//     Shell shell(commands(), session);
//     int status = shell.run("ls; cat index.html");        // of the first command that failed, 0 if none did
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "boot/images/appliance/text.hpp"
#include "boot/images/appliance/words.hpp"

namespace appliance {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kInterrupted = 100;
inline constexpr int kUnknownCommand = 127;

/// Where a command runs.
class Session {
public:
    explicit Session(Output& output) noexcept : out(output) {}

    Output& out;

    /// Makes what was written visible, and tells whether somebody pressed ^C. Long commands ask now and then.
    [[nodiscard]] virtual bool interrupted() { return false; }
    /// Prints "command: text" and gives the status for it.
    [[gnu::format(printf, 2, 3)]] int fail(const char* format, ...);

    std::string_view command; // the one that runs

protected:
    ~Session() = default;
};

using Arguments = std::span<const std::string_view>; // the command's own name first

struct Command {
    const char* name;
    const char* operands; // "disk:N SECTOR TEXT"
    const char* summary;
    std::size_t least, most; // operands
    int (*run)(Session& session, Arguments arguments);
};

class Shell {
public:
    Shell(std::span<const Command> commands, Session& session) noexcept : commands_(commands), session_(session) {}

    /// Runs all commands of a line; the status of the first that failed.
    int run(std::string_view line);

private:
    int run_one(Arguments arguments);
    int help(Arguments arguments);
    int usage(const Command& command);
    [[nodiscard]] const Command* find(std::string_view name) const noexcept;

    std::span<const Command> commands_;
    Session& session_;
    Words words_;
};

/// The appliance's commands, by what they are about.
[[nodiscard]] std::span<const Command> disk_commands() noexcept;
[[nodiscard]] std::span<const Command> network_commands() noexcept;
[[nodiscard]] std::span<const Command> system_commands() noexcept;
/// All of them.
[[nodiscard]] std::span<const Command> commands() noexcept;

} // namespace appliance
