#include "tests/conformance/ring_bench.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "tests/referee/random.hpp"

namespace conformance {
namespace {

/// Guest memory for a queue of this size and its buffers: with tables they need room.
std::size_t memory_for(std::uint16_t size) { return std::size_t{size > 64 ? 4u : 1u} << 20; }

/// Rounds without progress until a bench gives up.
constexpr unsigned kPatience = 200;

std::uint32_t total(const std::vector<std::uint32_t>& parts) { return std::accumulate(parts.begin(), parts.end(), std::uint32_t{0}); }

/// What a buffer may look like in a queue of `size` descriptors; `which` counts through the shapes.
Shape shape(std::uint64_t which, std::uint16_t size) {
    static constexpr std::uint16_t kParts[]{1, 1, 2, 2, 2, 3, 6, 1};
    if (kParts[which % 8] > size) which %= 2;
    switch (which % 8) {
    case 0: return {{200}, {}};
    case 1: return {{}, {300}};
    case 2: return {{64}, {200}};
    case 3: return {{64, 100}, {}};
    case 4: return {{}, {128, 64}};
    case 5: return {{64, 200}, {64}};
    case 6: return {{64, 64, 64}, {64, 64, 65}};
    default: { // as long as a chain can be
        Shape longest;
        for (std::uint16_t i = 0; i < size; ++i) (i < size / 2 ? longest.readable : longest.writable).push_back(64u + i);
        return longest;
    }
    }
}

} // namespace

// --- the platform ---

void* GuestPlatform::dma_allocate(std::size_t bytes, std::size_t alignment) noexcept {
    const std::uint64_t guest = memory_.allocate(bytes, alignment);
    if (guest == 0) return nullptr;
    std::byte* host = memory_.at(guest, bytes);
    std::memset(host, 0, bytes);
    return host;
}
void GuestPlatform::dma_free(void* memory, std::size_t) noexcept {
    if (!memory_.release(memory_.guest(memory))) std::abort(); // a wrong free is the driver's mistake
}
void* GuestPlatform::allocate(std::size_t bytes, std::size_t) noexcept { return std::malloc(bytes); }
void GuestPlatform::free(void* memory, std::size_t) noexcept { std::free(memory); }

// --- libvirtio ---

OurRing::OurRing(const Combination& what, const referee::Script& script, Way way)
    : combination(what), memory({.size = memory_for(what.size)}), judge(script.text()), device(memory, judge, script), platform(memory),
      way_(way), random_(script.seed) {
    virtio::QueueOptions options{.maximum_size = what.size};
    if (what.indirect) options.indirect_entries = what.size;
    if (way == Way::presets) options.presets = static_cast<std::uint16_t>(what.size / 4);
    options.fixed = way == Way::fixed;
    const virtio::Result<virtio::DmaDomain*> domain = platform.dma_domain({}, false);
    const auto made = queue.create(platform, **domain, 0, what.size, what.feature_set(), options);
    if (!made || queue.size() != what.size) {
        mistakes.emplace_back("the queue was not created");
        return;
    }
    room_ = queue.room();
    set_up_slots();
    if (!device.enable({.size = what.size,
                        .descriptors = queue.descriptor_address().value,
                        .driver = queue.driver_address().value,
                        .device = queue.device_address().value,
                        .features = what.features()}))
        mistakes.emplace_back("the referee refused the ring");
    device.on_interrupt([this] { interrupted = true; });
    queue.connect(
        virtio::Doorbell::through([](void* ring, std::uint32_t value) noexcept { static_cast<OurRing*>(ring)->device.notify(value); }, this,
                                  0, what.notification_data),
        0);
    virtio::observer() = {.stored =
                              [](void* context, virtio::SharedWord role) noexcept {
                                  auto& ring = *static_cast<OurRing*>(context);
                                  if (ring.observed) ring.device.observe();
                                  if (ring.on_store) ring.on_store(role);
                              },
                          .loaded =
                              [](void* context, virtio::SharedWord role) noexcept {
                                  auto& ring = *static_cast<OurRing*>(context);
                                  if (ring.on_load) ring.on_load(role);
                              },
                          .context = this};
    queue.start();
}

OurRing::~OurRing() {
    virtio::observer() = {};
    device.reset();
    queue.destroy(virtio::Error::device_reset);
}

void OurRing::set_up_slots() {
    const auto part = [this](std::uint32_t bytes) { return virtio::Segment{{memory.allocate(bytes)}, bytes}; };
    slots_.resize(way_ == Way::fixed ? queue.size() : queue.preset_count());
    for (std::uint16_t i = 0; i < slots_.size(); ++i) {
        Slot& slot = slots_[i];
        slot.first = part(64);
        if (way_ == Way::presets) {
            slot.last = part(8);
            static_cast<void>(queue.preset(i, slot.first, slot.last));
        } else if (i % 3 == 2 && combination.indirect) {
            slot.last = part(32);
            const virtio::Segment both[]{slot.first, slot.last};
            if (!queue.fix_table(i, both)) mistakes.emplace_back("a fixed slot's table was refused");
        } else {
            slot.writable = i % 3 == 1;
            slot.writable ? queue.fix_writable(i, slot.first) : queue.fix_readable(i, slot.first);
        }
    }
}

std::unique_ptr<OurRing::Live> OurRing::make(std::uint32_t readable, std::uint32_t writable) {
    auto live = std::make_unique<Live>();
    live->ring = this;
    live->writable = writable;
    live->bytes = readable + writable;
    live->serial = ++serial_;
    live->memory = memory.allocate(live->bytes);
    if (live->memory == 0) std::abort();
    std::byte* data = memory.at(live->memory, live->bytes);
    for (std::uint32_t i = 0; i < readable; ++i) data[i] = static_cast<std::byte>(i * 7 + live->serial);
    live->complete = [](virtio::Request& request) noexcept {
        auto& done = static_cast<Live&>(request);
        done.ring->finished(done);
    };
    return live;
}

bool OurRing::keep(std::unique_ptr<Live> live, const virtio::Result<>& added) {
    if (added) {
        if (live->has_slot) slots_[live->slot].live = true;
        live_.push_back(std::move(live));
        return true;
    }
    if (added.error() != virtio::Error::ring_full) mistakes.emplace_back(virtio::message(added.error()));
    memory.release(live->memory);
    return false;
}

bool OurRing::add(const Shape& what) {
    std::unique_ptr<Live> live = make(total(what.readable), total(what.writable));
    std::vector<virtio::Segment> readable, writable;
    std::uint64_t at = live->memory;
    for (const std::uint32_t length : what.readable) readable.push_back({{std::exchange(at, at + length)}, length});
    for (const std::uint32_t length : what.writable) writable.push_back({{std::exchange(at, at + length)}, length});
    virtio::Request& request = *live;
    const bool single = live->serial % 2 == 0 && readable.size() + writable.size() == 1;
    return keep(std::move(live), !single            ? queue.add(readable, writable, request)
                                 : writable.empty() ? queue.add_readable(readable[0], request)
                                                    : queue.add_writable(writable[0], request));
}

bool OurRing::add_preset(bool device_writes) {
    const auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& it) { return !it.live; });
    if (slot == slots_.end()) return false;
    std::unique_ptr<Live> live = make(device_writes ? 0 : 200, device_writes ? 200 : 0);
    live->has_slot = true;
    live->slot = static_cast<std::uint16_t>(slot - slots_.begin());
    live->writable += slot->last.length;
    virtio::Request& request = *live;
    const virtio::Segment data{{live->memory}, 200};
    const std::uint16_t index = live->slot;
    return keep(std::move(live), queue.add_preset(index, data, device_writes, request));
}

bool OurRing::add_fixed() {
    const auto slot = std::find_if(slots_.begin(), slots_.end(), [](const Slot& it) { return !it.live; });
    if (slot == slots_.end()) return false;
    std::unique_ptr<Live> live = make(1, 0);
    live->has_slot = true;
    live->slot = static_cast<std::uint16_t>(slot - slots_.begin());
    live->writable = slot->writable ? slot->first.length : 0;
    virtio::Request& request = *live;
    const std::uint16_t index = live->slot;
    return keep(std::move(live), queue.add_fixed(index, request));
}

void OurRing::check_echo(const Live& live) {
    if (live.has_slot) return;
    // The device's echo: what was read, as far as it goes.
    const std::uint32_t read = live.bytes - live.writable;
    const std::byte* data = memory.at(live.memory, live.bytes);
    for (std::uint32_t i = 0; i < std::min(read, live.writable); ++i)
        if (data[read + i] != data[i]) {
            mistakes.push_back("buffer " + std::to_string(live.serial) + ": its data is not what the device wrote");
            return;
        }
}

void OurRing::finished(Live& live) {
    const auto wrong = [&](const char* what) { mistakes.push_back("buffer " + std::to_string(live.serial) + ": " + what); };
    if (live.error != virtio::Error::none) {
        if (live.error != virtio::Error::device_reset) wrong(virtio::message(live.error));
    } else if (live.length > live.writable) {
        wrong("a length beyond what was lent");
    } else if (device.script().length == referee::Length::exact) {
        if (live.length != live.writable) wrong("not completed in full");
        check_echo(live);
    }
    ++completed;
    const auto found = std::find_if(live_.begin(), live_.end(), [&](const auto& it) { return it.get() == &live; });
    if (found == live_.end()) std::abort(); // completed twice
    if (live.has_slot) slots_[live.slot].live = false;
    memory.release(live.memory);
    live_.erase(found);
}

bool OurRing::add_any(std::uint64_t which) {
    if (way_ == Way::fixed) return add_fixed();
    if (way_ == Way::presets && which % 3 != 0) return add_preset(which % 3 == 1);
    // Beside presets few descriptors are left to chains.
    return add(way_ == Way::presets ? shape(which % 6, room_) : shape(which, combination.size));
}

void OurRing::service() {
    interrupted = false;
    queue.suppress_interrupts();
    unsigned looks = 0;
    do {
        while (queue.poll(8) == 8) {
        }
    } while (queue.arm_interrupts() && ++looks < kPatience);
    if (looks == kPatience) mistakes.emplace_back("arming finds something used again and again, and polling nothing");
}

void OurRing::traffic(unsigned count) {
    referee::Random random{random_};
    unsigned rounds = 0; // without a completion
    for (unsigned added = 0; added < count && mistakes.empty();) {
        const std::uint64_t before = completed;
        for (std::uint64_t batch = 1 + random.below(5); batch != 0 && added < count; --batch) {
            if (!add_any(random.below(random.below(4) == 0 ? 8 : 7))) break;
            ++added;
        }
        kick();
        step();
        if (interrupted) service();
        if (random.below(4) == 0) queue.poll(2);
        rounds = completed == before ? rounds + 1 : 0;
        if (rounds == kPatience || queue.broken())
            mistakes.emplace_back(queue.broken() ? "the queue is broken" : "nothing comes back any more");
    }
    random_ = random.next();
    drain();
}

void OurRing::drain() {
    for (unsigned rounds = 0; rounds < kPatience && !live_.empty() && !queue.broken(); ++rounds) {
        step();
        if (interrupted) service();
    }
    if (!live_.empty())
        mistakes.push_back(std::to_string(live_.size()) + " buffers never came back" + (queue.broken() ? ": the queue is broken" : ""));
}

// --- the script ---

ScriptedRing::ScriptedRing(const Combination& what, scripted::Fault broken, const referee::Script& script)
    : combination(what), memory({.size = memory_for(what.size)}), judge(script.text()), device(memory, judge, script), fault(broken) {
    const std::size_t bytes = scripted::Driver::footprint(what.size);
    const std::uint64_t ring = memory.allocate(bytes, 4096);
    buffers_ = memory.allocate(1 << 16, 4096);
    std::byte* data = memory.at(ring, bytes);
    std::memset(data, 0, bytes);
    driver = scripted::make(
        {.packed = what.packed,
         .indirect = what.indirect,
         .event_index = what.event_index,
         .in_order = what.in_order,
         .notification_data = what.notification_data,
         .size = what.size,
         .longest = static_cast<std::uint16_t>(script.longest_chain),
         .fault = fault},
        {data, ring}, [this](std::uint32_t value) { device.notify(value); }, [this] { device.observe(); });
    device.on_interrupt([this] { interrupted = true; });
    enabled =
        device.enable({.size = what.size,
                       .descriptors = driver->descriptor_area(),
                       .driver = driver->driver_area(),
                       .device = driver->device_area(),
                       // Addresses that are none of memory's need a translation.
                       .features = what.features() | (fault == scripted::Fault::huge_lengths ? referee::feature::kAccessPlatform : 0)});
}

bool ScriptedRing::add(const Shape& what, scripted::Shape how) {
    std::vector<scripted::Part> readable, writable;
    std::uint64_t at = buffers_;
    for (const std::uint32_t length : what.readable) readable.push_back({std::exchange(at, at + length), length});
    for (const std::uint32_t length : what.writable) writable.push_back({std::exchange(at, at + length), length});
    return driver->add(readable, writable, how, 0);
}

void ScriptedRing::service() {
    interrupted = false;
    driver->suppress();
    do {
        completed += driver->reap().size();
    } while (driver->arm());
}

void ScriptedRing::drain() {
    for (unsigned i = 0; i < 100 && driver->in_flight() != 0; ++i) {
        step();
        service();
    }
}

void ScriptedRing::one(const Shape& what, scripted::Shape how) {
    add(what, how);
    driver->publish();
    driver->kick();
    step();
}

void ScriptedRing::traffic(unsigned rounds) {
    for (unsigned round = 0; round < rounds; ++round) {
        for (unsigned i = 0; i < 3; ++i) {
            const auto how = combination.indirect && (round + i) % 2 == 0 ? scripted::Shape::indirect : scripted::Shape::direct;
            add(shape(3 * round + i, combination.size), how);
        }
        driver->publish();
        driver->kick();
        step();
        if (interrupted) service();
        completed += driver->reap().size();
    }
}

} // namespace conformance
