// Fills a Report from the running system. Task context; does not wait.
#pragma once

#include "boot/images/appliance/report.hpp"

namespace appliance {

void collect(Report& report);

} // namespace appliance
