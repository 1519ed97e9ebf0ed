#include "drivers/bus/pci_resources.hpp"

#include "drivers/bus/pci_registers.hpp"
#include "libvirtio/memory.hpp"

namespace virtio {
namespace {

using namespace pci_registers;

constexpr unsigned kMostDepth = 8;               // bridges behind bridges
constexpr std::uint64_t kWindowGrain = 1u << 20; // what a bridge's memory windows are counted in (PCI-to-PCI bridges 1.2, 3.2.5)
constexpr std::uint64_t kPortGrain = 4096;
constexpr std::uint64_t kPage = 4096; // no two functions in one page: each is mapped by itself
constexpr std::uint64_t kLowEnd = std::uint64_t{1} << 32;

using BusSet = std::array<std::uint64_t, 4>;
bool has(const BusSet& set, unsigned bus) noexcept { return (set[bus / 64] >> (bus % 64) & 1) != 0; }
void put(BusSet& set, unsigned bus) noexcept { set[bus / 64] |= std::uint64_t{1} << (bus % 64); }

bool contains(const PciWindow& window, std::uint64_t base, std::uint64_t size) noexcept {
    return base >= window.base && size <= window.size && base - window.base <= window.size - size;
}

/// Whether something may be plugged in behind this bridge while the machine runs (PCI Express 6.0, 7.5.3.2 and 7.5.3.9).
bool is_slot(const PciFunction& bridge) noexcept {
    const std::uint8_t express = bridge.find_capability(kExpress);
    if (express == 0 || (bridge.read(static_cast<std::uint16_t>(express + kExpressFlags), 2) & kSlotImplemented) == 0) return false;
    return (bridge.read(static_cast<std::uint16_t>(express + kSlotCapabilities), 4) & kSlotHotPlug) != 0;
}

} // namespace

struct PciResources::Walk {
    PciPlatform& platform;
    const Listener& listener;
    Count count;
    BusSet taken{}; // bus numbers that somebody has
    BusSet ours{};  // buses to be gone through

    void fail(const PciFunction& function, std::uint8_t what, Error error) noexcept {
        ++count.failed;
        if (listener.failed != nullptr) listener.failed(listener.context, function, what, error);
    }
    /// The highest number in use up to `last`.
    [[nodiscard]] unsigned highest(unsigned last) const noexcept {
        while (last != 0 && !has(taken, last)) --last;
        return last;
    }
};

PciResources::Count PciResources::assign(PciPlatform& platform, const PciBus::Range& range, const PciWindows& windows,
                                         const Listener& listener) noexcept {
    Walk walk{platform, listener, {}, {}, {}};
    range_ = range;
    windows_ = windows;
    for (PciWindow* each : {&windows_.memory, &windows_.prefetchable, &windows_.port})
        if (each->base + each->size < each->base && !mutant(860)) *each = {};
    count_ = 0;
    put(walk.taken, range.first_bus);
    put(walk.ours, range.first_bus);
    number(walk, range.first_bus, range.last_bus, 0);

    // A bus behind a bridge has a higher number than the bridge's own, so that one pass up and one down see parents and children in order.
    for (unsigned bus = range.first_bus; bus <= range.last_bus; ++bus)
        if (has(walk.ours, bus)) measure_bus(walk, static_cast<std::uint8_t>(bus));
    for (unsigned bus = range.last_bus; bus > range.first_bus; --bus)
        if (has(walk.ours, bus)) size_windows(static_cast<std::uint8_t>(bus));
    for (unsigned bus = range.first_bus; bus <= range.last_bus; ++bus)
        if (has(walk.ours, bus)) place_bus(walk, static_cast<std::uint8_t>(bus));
    // What stands behind a bridge is reached only if the bridge itself decodes, and its DMA and messages only if it may master the bus.
    for (const Taken& each : ranges()) {
        if (each.what != kMemoryWindow) continue;
        const PciFunction bridge{platform, each.where};
        constexpr std::uint32_t kAll = kCommandPort | kCommandMemory | kCommandBusMaster;
        const std::uint32_t command = bridge.read(kCommand, 2);
        if ((command & kAll) != kAll) bridge.write(kCommand, 2, command | kAll);
    }
    return walk.count;
}

/// Gives numbers to the buses behind the bridges of this one, as far as `last`.
void PciResources::number(Walk& walk, std::uint8_t bus, unsigned last, unsigned depth) noexcept {
    BusSet settled{}; // functions of this bus, by device and function number: bridges whose numbers stay
    const auto place_of = [](const PciFunction& bridge) { return unsigned{bridge.address().device} * 8 + bridge.address().function; };

    each_function(walk.platform, range_.segment, bus, [&](const PciFunction& bridge, std::uint8_t header) {
        if (header != kBridge) return;
        const std::uint32_t numbers = bridge.read(kBusNumbersRegister, 4);
        const unsigned primary = numbers & 0xff, secondary = numbers >> 8 & 0xff, subordinate = numbers >> 16 & 0xff;
        bool good = primary == bus && (secondary > bus || mutant(850)) && (subordinate >= secondary || mutant(851)) &&
                    (subordinate <= last || mutant(852)) && (depth < kMostDepth || mutant(853));
        for (unsigned each = secondary; good && each <= subordinate; ++each) good = !has(walk.taken, each) || mutant(854);
        if (!good) return;
        put(settled, place_of(bridge));
        put(walk.taken, secondary);
        put(walk.ours, secondary);
        ++walk.count.buses;
        number(walk, static_cast<std::uint8_t>(secondary), subordinate, depth + 1);
        for (unsigned each = secondary; each <= subordinate; ++each) put(walk.taken, each);
    });

    each_function(walk.platform, range_.segment, bus, [&](const PciFunction& bridge, std::uint8_t header) {
        if (header != kBridge || has(settled, place_of(bridge))) return;
        const unsigned secondary = walk.highest(last) + 1;
        const std::uint32_t latency = bridge.read(kBusNumbersRegister, 4) & 0xff00'0000;
        if (secondary > last || (depth >= kMostDepth && !mutant(855))) {
            bridge.write(kBusNumbersRegister, 4, latency); // it leads nowhere
            return walk.fail(bridge, kBusNumbers, Error::out_of_memory);
        }
        // Everything up to the end is behind it while we look what there is.
        const std::uint32_t numbers = bus | secondary << 8 | last << 16;
        bridge.write(kBusNumbersRegister, 4, latency | numbers);
        if ((bridge.read(kBusNumbersRegister, 4) & 0xff'ffff) != numbers && !mutant(856)) {
            bridge.write(kBusNumbersRegister, 4, latency);
            return walk.fail(bridge, kBusNumbers, Error::bad_bar);
        }
        put(walk.taken, secondary);
        put(walk.ours, secondary);
        ++walk.count.buses;
        number(walk, static_cast<std::uint8_t>(secondary), last, depth + 1);
        bridge.write(kBusNumbersRegister, 4, latency | bus | secondary << 8 | walk.highest(last) << 16);
    });
}

void PciResources::measure_bus(Walk& walk, std::uint8_t bus) noexcept {
    each_function(walk.platform, range_.segment, bus, [&](const PciFunction& function, std::uint8_t header) {
        static_cast<void>(measure(function, header, &walk));
        if (header != kBridge) return;
        const unsigned behind = function.read(kBusNumbersRegister + 1, 1);
        // One that has no numbers leads to no bus of ours, or to its own or one before it.
        if (behind > bus && behind <= range_.last_bus && has(walk.ours, behind)) add_windows(walk, function);
    });
}

/// Lists the function's base address registers. Without a walk the first failure ends it.
Result<> PciResources::measure(const PciFunction& function, std::uint8_t header, Walk* walk) noexcept {
    const unsigned registers = header == 0 ? 6 : header == kBridge ? 2 : 0;
    const std::uint32_t command = function.read(kCommand, 2);
    const std::uint8_t bus = function.address().bus;
    for (unsigned index = 0; index < registers; ++index) {
        const auto at = static_cast<std::uint16_t>(kBar0 + 4 * index);
        const std::uint32_t low = function.read(at, 4);
        const bool wide = (low & 7) == 4;
        const Result<PciBar> bar = function.measure(index);
        const bool beyond = wide && index + 1 == registers; // its upper half is something else
        const auto what = static_cast<std::uint8_t>(index);
        if (wide) ++index;
        if (bar && bar->size == 0) continue;
        Taken* taken = bar && (!beyond || mutant(857)) ? append() : nullptr;
        if (taken == nullptr) {
            const Error error = bar && !beyond ? Error::out_of_memory : Error::bad_bar;
            if (walk == nullptr) return fail(error);
            walk->fail(function, what, error);
            continue;
        }
        taken->where = function.address();
        taken->what = what;
        taken->wide = wide;
        taken->kind = bar->port ? Kind::port : Kind::memory;
        const PciWindow high = prefetchable_reach(bus);
        if (bar->prefetchable && high.size != 0 && (wide || high.base + high.size <= kLowEnd)) taken->kind = Kind::prefetchable;
        taken->size = bar->port || bar->size > kPage ? bar->size : kPage;
        taken->alignment = taken->size;
        if (bar->base == 0 || bar->base % bar->size != 0) continue;
        // What decodes on the first bus was put there by firmware. Elsewhere it must also be what the bridge passes on.
        const bool decodes = (command & (bar->port ? kCommandPort : kCommandMemory)) != 0 && bus == range_.first_bus;
        const bool reached = contains(container(bus, taken->kind), bar->base, bar->size) ||
                             (!bar->port && contains(container(bus, Kind::memory), bar->base, bar->size));
        if (!decodes && !reached) continue;
        taken->base = bar->base;
        if (!decodes && overlaps(*taken)) continue;
        taken->placed = true;
        if (walk != nullptr) ++walk->count.kept;
    }
    return {};
}

/// Lists a bridge's windows: as firmware set them where the bridge decodes, else closed and to be sized.
void PciResources::add_windows(Walk& walk, const PciFunction& bridge) noexcept {
    const auto behind = static_cast<std::uint8_t>(bridge.read(kBusNumbersRegister + 1, 1));
    const bool kept = (bridge.read(kCommand, 2) & kCommandMemory) != 0;
    const bool slot = is_slot(bridge);
    const auto add = [&](std::uint8_t what, Kind kind, bool wide, const PciWindow& now) {
        Taken* taken = append();
        if (taken == nullptr) return walk.fail(bridge, what, Error::out_of_memory);
        taken->where = bridge.address();
        taken->what = what;
        taken->behind = behind;
        taken->kind = kind;
        taken->wide = wide;
        taken->alignment = kind == Kind::port ? kPortGrain : kWindowGrain;
        taken->slot = slot;
        taken->placed = kept;
        taken->base = now.base;
        taken->size = now.size;
        if (kept) ++walk.count.kept;
    };

    if (!kept) { // base above limit: nothing passes
        bridge.write(kMemoryWindowRegister, 4, 0x0000'fff0);
        bridge.write(kPortWindowRegister, 2, 0x00f0);
        bridge.write(kPrefetchableWindowRegister, 4, 0x0000'fff0);
    }
    add(kMemoryWindow, Kind::memory, false, memory_window(bridge));

    const std::uint32_t prefetchable = bridge.read(kPrefetchableWindowRegister, 4);
    const bool wide = (prefetchable & 0xf) == 1;
    // The parent must have such a window, and one that this bridge can express.
    const PciWindow above = prefetchable_reach(bridge.address().bus);
    const bool possible = above.size != 0 && (wide || above.base + above.size <= kLowEnd);
    if (kept || ((prefetchable & 0xfff0) == 0xfff0 && possible))
        add(kPrefetchableWindow, Kind::prefetchable, wide, prefetchable_window(bridge));

    const std::uint32_t ports = bridge.read(kPortWindowRegister, 2);
    if (kept || ((ports & 0xf0) == 0xf0 && windows_.port.size != 0)) add(kPortWindow, Kind::port, false, port_window(bridge));
}

/// The windows of the bridge to this bus get the sum of what needs them there. All sizes are multiples of their alignment, so that
/// nothing is lost when the most aligned is placed first.
void PciResources::size_windows(std::uint8_t bus) noexcept {
    for (Taken& window : ranges()) {
        if (window.behind != bus || window.placed) continue;
        std::uint64_t sum = 0;
        for (const Taken& each : ranges()) {
            if (each.where.bus != bus || each.placed || each.kind != window.kind) continue;
            sum += each.size;
            if (each.alignment > window.alignment) window.alignment = each.alignment;
        }
        // (A sum beyond 64 bits comes out too small: what does not fit then has an error of its own.)
        window.needed = align_up(sum, window.alignment);
        const std::uint64_t slot = window.kind == Kind::port ? kSlotPorts : kSlotMemory;
        window.size = window.slot && window.needed < slot ? align_up(slot, window.alignment) : window.needed;
    }
}

void PciResources::place_bus(Walk& walk, std::uint8_t bus) noexcept {
    for (;;) {
        Taken* next = nullptr;
        for (Taken& each : ranges())
            if (each.where.bus == bus && !each.placed && each.size != 0 && (next == nullptr || each.alignment > next->alignment))
                next = &each;
        if (next == nullptr) return;
        const Result<> done = place(*next) ? write(walk.platform, *next) : Result<>(fail(Error::out_of_memory));
        if (done) {
            ++walk.count.assigned;
            continue;
        }
        const bool wanted = next->behind == 0 || next->needed != 0; // room for hot-plug is a wish
        next->size = 0;                                             // not tried again; a window passes nothing on
        next->placed = false;
        if (wanted) walk.fail({walk.platform, next->where}, next->what, done.error());
    }
}

bool PciResources::place(Taken& range) noexcept {
    const PciWindow within = container(range.where.bus, range.kind);
    if (find_room(range, within)) return true;
    if (range.behind != 0 && range.needed != 0 && range.needed < range.size) { // then without the room for hot-plug
        range.size = range.needed;
        if (find_room(range, within)) return true;
    }
    // A prefetchable register may stand among the others; not the other way round.
    if (range.behind != 0 || range.kind != Kind::prefetchable) return false;
    range.kind = Kind::memory;
    return find_room(range, container(range.where.bus, range.kind));
}

/// The first free place in a window.
bool PciResources::find_room(Taken& range, const PciWindow& within) noexcept {
    if (within.size == 0) return false;
    // Address 0 means "none", and the first ports are the machine's own.
    const std::uint64_t lowest = range.kind == Kind::port ? kPortGrain : kWindowGrain;
    const std::uint64_t from = within.base > lowest ? within.base : lowest;
    range.base = align_up(from, range.alignment);
    range.placed = false;
    for (bool moved = true; moved;) {
        if (range.base < from || !contains(within, range.base, range.size)) return false;
        if (!range.wide && range.base + range.size > kLowEnd) return false;
        moved = false;
        for (const Taken& each : ranges()) {
            if (!each.placed || each.size == 0 || each.where.bus != range.where.bus ||
                (each.kind == Kind::port) != (range.kind == Kind::port))
                continue;
            if (each.base >= range.base + range.size || range.base >= each.base + each.size) continue;
            range.base = align_up(each.base + each.size, range.alignment);
            moved = true;
            break;
        }
    }
    range.placed = true;
    return true;
}

bool PciResources::overlaps(const Taken& range) const noexcept {
    for (const Taken& each : ranges())
        if (&each != &range && each.placed && each.where.bus == range.where.bus &&
            (each.kind == Kind::port) == (range.kind == Kind::port) && each.base < range.base + range.size &&
            range.base < each.base + each.size)
            return true;
    return false;
}

PciWindow PciResources::container(std::uint8_t bus, Kind kind) const noexcept {
    if (bus == range_.first_bus) return kind == Kind::memory ? windows_.memory : kind == Kind::port ? windows_.port : windows_.prefetchable;
    for (const Taken& each : ranges())
        if (each.behind == bus && each.kind == kind && each.placed) return {each.base, each.size};
    return {};
}

/// Where prefetchable registers on this bus will be: a window that is not placed yet will lie somewhere in the host bridge's.
PciWindow PciResources::prefetchable_reach(std::uint8_t bus) const noexcept {
    if (bus == range_.first_bus) return windows_.prefetchable;
    for (const Taken& each : ranges())
        if (each.behind == bus && each.kind == Kind::prefetchable)
            return each.placed ? PciWindow{each.base, each.size} : windows_.prefetchable;
    return {};
}

PciResources::Taken* PciResources::append() noexcept {
    if (count_ == kMostRanges && !mutant(862)) return nullptr;
    ranges_[count_] = {};
    return &ranges_[count_++];
}

Result<> PciResources::write(PciPlatform& platform, const Taken& range) noexcept {
    const PciFunction function{platform, range.where};
    switch (range.what) {
    case kMemoryWindow: return set_memory_window(function, {range.base, range.size});
    case kPrefetchableWindow: return set_prefetchable_window(function, {range.base, range.size}, range.wide);
    case kPortWindow: return set_port_window(function, {range.base, range.size});
    default: return function.place(range.what, range.base);
    }
}

Result<> PciResources::add(PciPlatform& platform, const PciAddress& address) noexcept {
    const PciFunction function{platform, address};
    release(address);
    if (function.vendor() == 0xffff) return fail(Error::no_device);
    const auto header = static_cast<std::uint8_t>(function.header_type() & 0x7f);
    if (header != 0 && !mutant(863)) return fail(Error::unsupported_device);
    Result<> done = measure(function, header, nullptr);
    for (; done;) {
        Taken* next = nullptr;
        for (Taken& each : ranges())
            if (each.where == address && !each.placed && each.size != 0 && (next == nullptr || each.alignment > next->alignment))
                next = &each;
        if (next == nullptr) return {};
        done = place(*next) ? write(platform, *next) : Result<>(fail(Error::out_of_memory));
        if (done || next->kind != Kind::port) continue;
        // Modern devices need no ports, and a slot behind a bridge often has none.
        next->size = 0;
        next->placed = false;
        done = {};
    }
    release(address);
    return done;
}

void PciResources::release(const PciAddress& address) noexcept {
    for (std::size_t i = 0; i < count_;) {
        if (ranges_[i].where == address)
            ranges_[i] = ranges_[--count_];
        else
            ++i;
    }
}

} // namespace virtio
