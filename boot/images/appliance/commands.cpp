#include <algorithm>
#include <array>

#include "boot/images/appliance/shell.hpp"

namespace appliance {

namespace {

constinit std::array<Command, 32> all{};
constinit std::size_t count = 0;

} // namespace

std::span<const Command> commands() noexcept {
    if (count == 0) {
        for (const auto group : {system_commands(), disk_commands(), network_commands()})
            for (const Command& command : group) {
                if (count < all.size()) all[count++] = command;
            }
    }
    return std::span(all).first(count);
}

} // namespace appliance
