#include "arch/aarch64/its.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <ringside/arch/io.hpp>

#include "arch/aarch64/mmio64.hpp"
#include "arch/aarch64/shared_memory.hpp"
#include "arch/arm/gic.hpp"

namespace arch {
namespace {

// Registers of the ITS (12.19) and of a redistributor (12.11).
constexpr std::uint32_t kControl = 0x00, kType = 0x08, kQueueBase = 0x80, kQueueWrite = 0x88, kQueueRead = 0x90, kTableBase = 0x100,
                        kTranslate = 0x10040;
constexpr std::uint32_t kRedistributorControl = 0x00, kRedistributorType = 0x08, kPropertyBase = 0x70, kPendingBase = 0x78;
constexpr std::uint64_t kRegisterBytes = 0x20000, kValid = std::uint64_t{1} << 63, kIndirect = std::uint64_t{1} << 62;
constexpr std::uint32_t kTables = 8;
constexpr std::uint64_t kDeviceTable = 1, kCollectionTable = 4;

// INTIDs have 14 bits here: 8192 for lines, 8192 for messages, of which there are as many as vectors.
constexpr unsigned kIdBits = 14;
constexpr std::size_t kPropertyBytes = 8192, kPendingBytes = (std::size_t{1} << kIdBits) / 8, kPendingAlignment = 65536;
constexpr std::byte kOff{0x82}, kOn{0x83}; // a priority in the middle
constexpr std::size_t kQueueBytes = 4096, kCommandBytes = 32, kEventTableBytes = 4096, kSmallPage = 4096;
constexpr int kPatience = 1'000'000;

// Inner cache attributes stand elsewhere in each register: 7 is write-back with allocation on both.
constexpr std::uint64_t kQueueCached = std::uint64_t{7} << 59, kTableCached = std::uint64_t{7} << 59, kLpiCached = std::uint64_t{7} << 7;

std::uint64_t address_of(const void* memory) noexcept { return reinterpret_cast<std::uint64_t>(memory); }

} // namespace

bool Its::start(std::uint64_t physical, MapRegisters map) noexcept {
    registers_ = map(physical, kRegisterBytes);
    if (registers_ == 0) return false;
    physical_ = physical;
    const std::uint64_t type = mmio_read64(registers_ + kType);
    by_address_ = (type >> 19 & 1) != 0;
    collection_limit_ = type >> 24 & 0xff; // those that need no table
    const std::uint64_t entry_bytes = (type >> 4 & 15) + 1;
    event_bits_ = static_cast<std::uint8_t>(std::min<std::uint64_t>(
        {static_cast<std::uint64_t>(std::bit_width(kEventTableBytes / entry_bytes)) - 1, (type >> 8 & 31) + 1, 11}));

    mmio_write32(registers_ + kControl, mmio_read32(registers_ + kControl) & ~std::uint32_t{1});
    constexpr std::uint32_t kQuiescent = std::uint32_t{1} << 31;
    for (int i = 0; (mmio_read32(registers_ + kControl) & kQuiescent) == 0; ++i) { // somebody may have used it before us
        if (i == kPatience) return false;
        relax();
    }
    properties_ = gic_memory(kPropertyBytes, kSmallPage);
    if (properties_ == nullptr || !start_tables() || !start_queue()) return false;
    std::fill_n(properties_, kPropertyBytes, kOff);
    publish(properties_, kPropertyBytes, false); // who reads it may not see caches: that shows later
    mmio_write32(registers_ + kControl, 1);
    started_ = true;
    return true;
}

/// The redistributor takes messages, and the ITS knows it as the collection of its number.
bool Its::open(const Redistributor& redistributor) noexcept {
    if (redistributor.number >= std::min<std::uint64_t>(collection_limit_, kMostCollections)) return false;
    Collection& collection = collections_[redistributor.number];
    if (collection.tried) return collection.open;
    collection.tried = true; // what fails does so for good
    const std::uint64_t processor = mmio_read64(redistributor.registers + kRedistributorType) >> 8 & 0xffff;
    collection.target = by_address_ ? redistributor.physical : processor << 16;
    collection.open = start_redistributor(redistributor.registers) &&
                      execute({kMapCollection, 0, kValid | collection.target | redistributor.number, 0}) &&
                      synchronise(redistributor.number);
    return collection.open;
}

/// Where the LPIs' enable bits, which all share, and its pending bits stand.
bool Its::start_redistributor(std::uintptr_t registers) noexcept {
    if ((mmio_read64(registers + kRedistributorType) & 1) == 0) return false;    // it has no LPIs
    if ((mmio_read32(registers + kRedistributorControl) & 1) != 0) return false; // somebody has started them, and they cannot be stopped
    std::byte* const pending = gic_memory(kPendingBytes, kPendingAlignment);
    if (pending == nullptr) return false;
    mmio_write64(registers + kPropertyBase, address_of(properties_) | kLpiCached | kGicInnerShareable | (kIdBits - 1));
    constexpr std::uint64_t kAllZero = std::uint64_t{1} << 62;
    mmio_write64(registers + kPendingBase, address_of(pending) | kLpiCached | kGicInnerShareable | kAllZero);
    const bool coherent = (mmio_read64(registers + kPropertyBase) & kGicShareability) != 0;
    redistributors_coherent_ = redistributors_coherent_ && coherent;
    publish(pending, kPendingBytes, coherent);
    mmio_write32(registers + kRedistributorControl, 1);
    return true;
}

bool Its::start_tables() noexcept {
    const std::uint64_t device_bits = (mmio_read64(registers_ + kType) >> 13 & 31) + 1;
    for (std::uint32_t number = 0; number < kTables; ++number) {
        const std::uint64_t kind = mmio_read64(registers_ + kTableBase + 8 * number) >> 56 & 7;
        if (kind == kDeviceTable && !give_table(number, std::uint64_t{1} << std::min<std::uint64_t>(device_bits, 24))) return false;
        if (kind == kCollectionTable && !give_table(number, kMostCollections)) return false;
    }
    return device_limit_ != 0;
}

/// Memory for one of its tables: of two levels if it can be that and would not fit into a page, else as long as it may be.
bool Its::give_table(std::uint32_t number, std::uint64_t entries) noexcept {
    const std::uintptr_t reg = registers_ + kTableBase + 8 * number;
    // Which size of page it takes, and whether two levels, shows when it is asked for them.
    const std::uint64_t kept = mmio_read64(reg) & 0x071f000000000000; // type, bytes of an entry
    const bool devices = (kept >> 56 & 7) == kDeviceTable;
    mmio_write64(reg, kept | kTableCached | kGicInnerShareable | kIndirect);
    const std::uint64_t taken = mmio_read64(reg);
    const std::size_t page = kSmallPage << std::min<std::uint64_t>(2 * (taken >> 8 & 3), 4);
    const std::uint64_t entry_bytes = (kept >> 48 & 31) + 1, per_page = page / entry_bytes;
    const bool two_levels = devices && (taken & kIndirect) != 0 && entries > per_page;
    const std::uint64_t first_level = two_levels ? (entries + per_page - 1) / per_page * sizeof(std::uint64_t) : entries * entry_bytes;
    const std::uint64_t pages = std::clamp<std::uint64_t>((first_level + page - 1) / page, 1, 256);
    std::byte* const table = gic_memory(pages * page, page);
    if (table == nullptr) return false;
    mmio_write64(reg, kept | kTableCached | (taken & kGicShareability) | (taken & 0x300) | (two_levels ? kIndirect : 0) | kValid |
                          address_of(table) | (pages - 1));
    const bool coherent = (taken & kGicShareability) != 0;
    coherent_ = coherent_ && coherent;
    publish(table, pages * page, coherent);
    if (!devices) {
        collection_limit_ += pages * per_page;
        return true;
    }
    table_page_ = page;
    devices_per_page_ = per_page;
    device_level1_ = two_levels ? reinterpret_cast<std::uint64_t*>(table) : nullptr;
    device_limit_ = std::min<std::uint64_t>(entries, two_levels ? pages * page / sizeof(std::uint64_t) * per_page : pages * per_page);
    return true;
}

bool Its::start_queue() noexcept {
    queue_ = gic_memory(kQueueBytes, kPendingAlignment);
    if (queue_ == nullptr) return false;
    mmio_write64(registers_ + kQueueBase, kValid | kQueueCached | kGicInnerShareable | address_of(queue_));
    coherent_ = coherent_ && (mmio_read64(registers_ + kQueueBase) & kGicShareability) != 0;
    mmio_write64(registers_ + kQueueWrite, 0);
    return true;
}

/// False: it did not do it, now or with an error.
bool Its::execute(const Command& command) noexcept {
    std::memcpy(queue_ + queue_at_, command.data(), kCommandBytes);
    publish(queue_ + queue_at_, kCommandBytes, coherent_);
    queue_at_ = static_cast<std::uint32_t>((queue_at_ + kCommandBytes) % kQueueBytes);
    mmio_write64(registers_ + kQueueWrite, queue_at_);
    for (int i = 0; i < kPatience; ++i) {
        const std::uint64_t read = mmio_read64(registers_ + kQueueRead);
        if ((read & 1) != 0) return false; // stalled: it did not like the command
        if ((read & 0xfffe0) == queue_at_) return true;
        relax();
    }
    return false;
}

/// Whether the device table reaches this device: its second level is made when somebody needs it.
bool Its::has_table(std::uint32_t device) noexcept {
    if (device >= device_limit_) return false;
    if (device_level1_ == nullptr) return true;
    std::uint64_t& entry = device_level1_[device / devices_per_page_];
    if ((entry & kValid) != 0) return true;
    std::byte* const page = gic_memory(table_page_, table_page_);
    if (page == nullptr) return false;
    publish(page, table_page_, coherent_);
    entry = kValid | address_of(page);
    publish(&entry, sizeof entry, coherent_);
    return true;
}

/// The device has a table of events.
bool Its::know_device(std::uint32_t device) noexcept {
    const auto known = std::span(devices_).first(device_count_);
    if (std::ranges::find(known, device) != known.end()) return true;
    if (device_count_ == devices_.size() || !has_table(device)) return false;
    std::byte* const events = gic_memory(kEventTableBytes, kSmallPage);
    if (events == nullptr) return false;
    publish(events, kEventTableBytes, coherent_);
    if (!execute({kMapDevice | std::uint64_t{device} << 32, event_bits_ - std::uint64_t{1}, kValid | address_of(events), 0})) return false;
    devices_[device_count_++] = device;
    return true;
}

void Its::set_enabled(std::uint32_t vector, bool on) noexcept {
    properties_[vector] = on ? kOn : kOff;
    publish(&properties_[vector], 1, redistributors_coherent_);
}

bool Its::connect(std::uint32_t vector, const Redistributor& redistributor, std::uint32_t device, std::uint32_t event,
                  Message& message) noexcept {
    if (!started_ || vector >= kVectors || event >= std::uint32_t{1} << event_bits_ || !open(redistributor) || !know_device(device))
        return false;
    set_enabled(vector, true);
    const std::uint64_t sender = std::uint64_t{device} << 32;
    if (!execute({kMapEvent | sender, event | std::uint64_t{kFirstMessage + vector} << 32, redistributor.number, 0}) ||
        !execute({kInvalidate | sender, event, 0, 0}) || !synchronise(redistributor.number)) {
        set_enabled(vector, false);
        return false;
    }
    events_[vector] = {device, event, redistributor.number, true};
    message = {physical_ + kTranslate, event};
    return true;
}

void Its::disconnect(std::uint32_t vector) noexcept {
    if (vector >= kVectors || !events_[vector].used) return;
    const Event event = events_[vector];
    events_[vector] = {};
    set_enabled(vector, false);
    const std::uint64_t sender = std::uint64_t{event.device} << 32;
    static_cast<void>(execute({kInvalidate | sender, event.event, 0, 0}) && execute({kDiscard | sender, event.event, 0, 0}) &&
                      synchronise(event.collection));
}

} // namespace arch
