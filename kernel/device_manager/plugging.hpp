// Inside kernel/device_manager only: what hot-plug asks of the device manager. Called in the hot-plug task.
#pragma once

#include "kernel/device_manager/front_ends.hpp"
#include "libvirtio/pci.hpp"

namespace kernel {

/// Ends the drivers of all functions of a device (`slot` is its function 0) and forgets them.
void let_go_of(const virtio::PciAddress& slot, Leaving how);
/// Looks at all buses: what is new gets its addresses and its driver, what does not answer any more is let go.
void look_for_devices();

} // namespace kernel
