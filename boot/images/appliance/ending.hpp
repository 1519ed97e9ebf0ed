// How the appliance ends: whatever was the reason, the disks are flushed and what was printed is out before the power goes. (The host's power button
// does the same by itself.) Task context.
#pragma once

namespace appliance {

[[noreturn]] void power_off(int status);
[[noreturn]] void restart();

} // namespace appliance
