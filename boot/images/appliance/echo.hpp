// Echo services (RFC 862) on port 7 of TCP and UDP: something to measure and test a network with.
#pragma once

namespace appliance {

/// Starts both. What cannot be started is logged.
void start_echo();

} // namespace appliance
