#include "kernel/app.hpp"
#include "kernel/app_devices.hpp"

namespace kernel {

namespace {

constinit List<ringside::Disk> all_disks;

} // namespace

void add_disk(ringside::Disk& disk, ringside::Disk* next) { all_disks.insert(disk, next); }
void remove_disk(ringside::Disk& disk) { List<ringside::Disk>::unlink(disk); }

} // namespace kernel

namespace ringside {

Disks disks() noexcept { return {}; }
Disks::Iterator Disks::begin() const noexcept { return Iterator(kernel::all_disks.front()); }

std::size_t Disks::size() const noexcept {
    std::size_t count = 0;
    for ([[maybe_unused]] Disk& each : *this) ++count;
    return count;
}

Disk* Disks::at(std::size_t index) const noexcept {
    for (Disk& each : *this) {
        if (index-- == 0) return &each;
    }
    return nullptr;
}

} // namespace ringside
