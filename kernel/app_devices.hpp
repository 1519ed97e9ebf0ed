// How the device manager hands what it found to the program's interface (kernel/app.hpp). Task context only.
//
//     kernel::add_disk(disk);          // ringside::disks() lists it from now on
#pragma once

namespace ringside {
class Disk;
}

namespace kernel {

/// The caller keeps the disk alive until it has removed it. Listed before `next`, or as the last.
void add_disk(ringside::Disk& disk, ringside::Disk* next = nullptr);
void remove_disk(ringside::Disk& disk);

} // namespace kernel
