#include "boot/images/appliance/ending.hpp"

#include <cstdio>

#include "kernel/device_manager/device_manager.hpp"
#include "kernel/power/power.hpp"

namespace appliance {

namespace {

void end_devices() {
    std::fflush(nullptr);
    kernel::stop_devices();
}

} // namespace

void power_off(int status) {
    end_devices();
    kernel::power_off(status);
}

void restart() {
    end_devices();
    kernel::reboot();
}

} // namespace appliance
