// What the system itself does with ports of certain names (kernel/console/console_service.hpp). Each task serves one port until it is
// removed, through any number of connections.
//
//     if (TaskEntry entry = channel_task(port.name())) spawn("echo", entry, &channel);
#pragma once

#include <string_view>

#include "kernel/task/task.hpp"

namespace kernel {

inline constexpr std::string_view kEchoChannel = "ringside.echo";
inline constexpr std::string_view kLogChannel = "ringside.log";

/// What serves a port of that name, with its Channel as argument; null: nobody of the system's.
[[nodiscard]] TaskEntry channel_task(std::string_view name) noexcept;

} // namespace kernel
