#include "tests/unit/support/fake_device.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace fake {
namespace {

using virtio::Error;
using virtio::fail;
using virtio::Result;

// The device's own constants: nothing of the library's is used here, so that a shared mistake cannot hide.
constexpr std::uint16_t kDescNext = 1, kDescWrite = 2, kDescIndirect = 4;
constexpr unsigned kBitIndirect = 28, kBitEvent = 29, kBitRingReset = 40, kBitVersion1 = 32, kBitPacked = 34;
constexpr std::uint8_t kAck = 1, kDriver = 2, kDriverOk = 4, kFeaturesOk = 8, kFailed = 128;

template<class T> T get(const std::byte* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
template<class T> void put(std::byte* at, T value) { std::memcpy(at, &value, sizeof value); }
std::byte* pointer(std::uint64_t address) { return reinterpret_cast<std::byte*>(address); }

} // namespace

// --- HostPlatform ---

HostPlatform::~HostPlatform() {
    if (live.empty() && firewall.lent() != 0) {
        std::fprintf(stderr, "the driver's mistake: %zu loans were never ended\n", firewall.lent());
        std::abort();
    }
    for (const auto& [memory, size] : live) std::free(memory);
}

void* HostPlatform::dma_allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if (allocations_until_failure == 0) return nullptr;
    if (allocations_until_failure > 0 && --allocations_until_failure == 0) return nullptr;
    const std::size_t align = std::max<std::size_t>(alignment, alignof(std::max_align_t));
    void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align);
    std::memset(memory, 0, bytes);
    live[memory] = bytes;
    return memory;
}

void HostPlatform::dma_free(void* memory, std::size_t bytes) noexcept {
    const auto found = live.find(memory);
    if (found == live.end() || found->second != bytes) std::abort(); // a wrong free is the driver's mistake
    live.erase(found);
    std::free(memory);
}

std::size_t HostPlatform::dma_contiguous(const void* memory, std::size_t bytes) noexcept {
    if (contiguous_limit == SIZE_MAX) return bytes;
    return std::min(bytes, contiguous_limit - reinterpret_cast<std::uintptr_t>(memory) % contiguous_limit);
}

Result<virtio::DmaDomain*> HostPlatform::dma_domain(const virtio::DeviceIdentity& device, bool translated) noexcept {
    const Result<virtio::DmaDomain*> plain = Platform::dma_domain(device, translated);
    if (!plain) return plain;
    return domain_.over(**plain);
}

void HostPlatform::wait(const virtio::Event& event, std::uint64_t deadline_ns) noexcept {
    ++waits;
    if (on_wait) on_wait();
    if (!event.pending()) clock_ns = std::max(clock_ns, deadline_ns);
}

void HostPlatform::log(virtio::LogLevel, const char* text) noexcept { log_lines.emplace_back(text); }

// --- Chain ---

namespace {
std::size_t total(const std::vector<Part>& parts) {
    std::size_t bytes = 0;
    for (const Part& part : parts) bytes += part.length;
    return bytes;
}
template<class Copy> std::size_t each(const std::vector<Part>& parts, std::size_t offset, std::size_t bytes, Copy copy) {
    std::size_t done = 0;
    for (const Part& part : parts) {
        if (offset >= part.length) {
            offset -= part.length;
            continue;
        }
        const std::size_t now = std::min<std::size_t>(part.length - offset, bytes - done);
        copy(part.data + offset, done, now);
        done += now;
        offset = 0;
        if (done == bytes) break;
    }
    return done;
}
} // namespace

std::size_t Chain::readable_bytes() const { return total(readable); }
std::size_t Chain::writable_bytes() const { return total(writable); }
std::size_t Chain::read(std::size_t offset, void* out, std::size_t bytes) const {
    return each(readable, offset, bytes,
                [&](std::byte* at, std::size_t done, std::size_t now) { std::memcpy(static_cast<std::byte*>(out) + done, at, now); });
}
std::size_t Chain::write(std::size_t offset, const void* data, std::size_t bytes) const {
    return each(writable, offset, bytes, [&](std::byte* at, std::size_t done, std::size_t now) {
        std::memcpy(at, static_cast<const std::byte*>(data) + done, now);
    });
}

// --- FakeDevice: rings ---

FakeDevice::FakeDevice(Options options)
    : config(std::move(options.config)), offered(options.features), type_(options.type), messages_(options.messages), line_(options.line),
      layout_(options.layout) {
    for (unsigned i = 0; i < options.queue_sizes.size(); ++i) {
        queues.emplace_back();
        queues.back().maximum = options.queue_sizes[i];
        bells_.push_back({this, i});
    }
    if (packed_by_default() && offered.has(kBitVersion1)) offered.insert(kBitPacked);
}

bool packed_by_default() {
    static const bool its = [] {
        const char* kind = std::getenv("RINGSIDE_FAKE_RING");
        return kind != nullptr && std::string_view(kind) == "packed";
    }();
    return its;
}

unsigned FakeDevice::available(unsigned index) const {
    const Queue& queue = queues.at(index);
    if (!queue.enabled) return 0;
    if (queue.packed) return packed_available(queue);
    return static_cast<std::uint16_t>(get<std::uint16_t>(queue.driver + 2) - queue.next_available);
}

void FakeDevice::inspect(const std::byte* data, std::size_t bytes, Firewall::Access access, const char* what) {
    if (firewall == nullptr || firewall->admits(data, bytes, access)) return;
    violation(std::string(what) + " in memory that is not lent to the device");
}

void FakeDevice::inspect(const Chain& chain) {
    for (const Part& part : chain.readable) inspect(part.data, part.length, Firewall::Access::read, "readable part");
    for (const Part& part : chain.writable) inspect(part.data, part.length, Firewall::Access::write, "writable part");
}

void FakeDevice::walk(Queue& queue, Chain& chain, std::uint64_t table, std::uint32_t entries, std::uint32_t index, bool indirect) {
    for (std::uint32_t steps = 0;; ++steps) {
        if (index >= entries) return violation("descriptor index outside the table");
        if (steps >= entries) return violation("descriptor chain has a loop");
        const std::byte* at = pointer(table) + std::size_t{16} * index;
        const auto address = get<std::uint64_t>(at);
        const auto length = get<std::uint32_t>(at + 8);
        const auto flags = get<std::uint16_t>(at + 12);
        if ((flags & kDescIndirect) != 0) {
            if (indirect) return violation("INDIRECT inside an indirect table");
            if (!accepted.has(kBitIndirect)) return violation("INDIRECT without INDIRECT_DESC negotiated");
            if ((flags & kDescNext) != 0) return violation("INDIRECT and NEXT together");
            if (length == 0 || length % 16 != 0) return violation("indirect table of a bad length");
            if (length / 16 > queue.size) return violation("indirect chain longer than the queue");
            inspect(pointer(address), length, Firewall::Access::read, "indirect table");
            return walk(queue, chain, address, length / 16, 0, true);
        }
        if (length == 0) violation("descriptor of 0 bytes");
        if ((flags & kDescWrite) != 0) {
            chain.writable.push_back({pointer(address), length});
        } else {
            if (!chain.writable.empty()) violation("readable descriptor after a writable one");
            chain.readable.push_back({pointer(address), length});
        }
        if ((flags & kDescNext) == 0) return;
        index = get<std::uint16_t>(at + 14);
    }
}

std::optional<Chain> FakeDevice::take(unsigned index) {
    Queue& queue = queues.at(index);
    if ((status_ & kDriverOk) == 0 || available(index) == 0) return std::nullopt;
    if (available(index) > queue.size) violation("more chains available than the queue holds");
    Chain chain;
    if (queue.packed) {
        packed_take(queue, chain);
        if (queue.wrecked) return std::nullopt;
    } else {
        chain.head = get<std::uint16_t>(queue.driver + 4 + std::size_t{2} * (queue.next_available % queue.size));
        ++queue.next_available;
        walk(queue, chain, reinterpret_cast<std::uintptr_t>(queue.descriptors), queue.size, chain.head, false);
    }
    if (chain.readable.size() + chain.writable.size() > queue.size) violation("chain longer than the queue");
    if (!queue.lied) inspect(chain);
    if (queue.kicks_wanted) want_kicks(index, true);
    return chain;
}

void FakeDevice::use(unsigned index, std::uint32_t id, std::uint32_t written) { use_batch(index, {{id, written}}); }

void FakeDevice::use_batch(unsigned index, const std::vector<std::pair<std::uint32_t, std::uint32_t>>& elements) {
    Queue& queue = queues.at(index);
    const std::uint16_t old_index = queue.used;
    if (queue.packed) {
        const unsigned before = queue.used_slots;
        for (const auto& [id, written] : elements) packed_use(queue, id, written);
        return packed_interrupt_if_wanted(queue, queue.used_slots - before);
    }
    for (const auto& [id, written] : elements) {
        std::byte* element = queue.device + 4 + std::size_t{8} * (queue.used % queue.size);
        put<std::uint32_t>(element, id);
        put<std::uint32_t>(element + 4, written);
        ++queue.used;
    }
    put<std::uint16_t>(queue.device + 2, queue.used);
    interrupt_if_wanted(queue, old_index);
}

void FakeDevice::want_kicks(unsigned index, bool wanted) {
    Queue& queue = queues.at(index);
    queue.kicks_wanted = wanted;
    if (!queue.enabled) return;
    if (queue.packed) return packed_want_kicks(queue, wanted);
    if (accepted.has(kBitEvent)) {
        // "Not wanted" is an event as far behind as the index allows.
        const auto event = static_cast<std::uint16_t>(wanted ? queue.next_available : queue.next_available - 0x8000);
        put<std::uint16_t>(queue.device + 4 + std::size_t{8} * queue.size, event);
    } else {
        put<std::uint16_t>(queue.device, wanted ? 0 : 1);
    }
}

void FakeDevice::interrupt_if_wanted(Queue& queue, std::uint16_t old_index) {
    bool wanted = true;
    if (accepted.has(kBitEvent)) {
        const auto event = get<std::uint16_t>(queue.driver + 4 + std::size_t{2} * queue.size);
        wanted = static_cast<std::uint16_t>(queue.used - event - 1) < static_cast<std::uint16_t>(queue.used - old_index);
    } else {
        const auto flags = get<std::uint16_t>(queue.driver);
        if ((flags & ~1u) != 0) violation("undefined available flags");
        wanted = (flags & 1) == 0 || ignore_no_interrupt;
    }
    if (wanted || ignore_suppression) raise(queue);
}

void FakeDevice::raise(Queue& queue) {
    if (drop_interrupts || target_.handler == nullptr) return;
    ++queue.interrupts;
    isr_ |= 1;
    if (granted_ != 0) {
        if (queue.vector != virtio::kNoVector) target_.handler(target_.context, queue.vector);
    } else if (line_connected_) {
        target_.handler(target_.context, 0);
    }
}

void FakeDevice::interrupt_queue(unsigned index) { raise(queues.at(index)); }

void FakeDevice::config_changed() {
    ++generation;
    if (drop_interrupts || target_.handler == nullptr) return;
    isr_ |= 2;
    if (granted_ != 0) {
        if (config_vector_ != virtio::kNoVector) target_.handler(target_.context, config_vector_);
    } else if (line_connected_) {
        target_.handler(target_.context, 0);
    }
}

void FakeDevice::needs_reset() {
    status_ |= 64;
    config_changed();
}

void FakeDevice::poke_used_index(unsigned index, std::uint16_t value) {
    if (queues.at(index).packed) return packed_use(queues.at(index), 0xffff, 0);
    queues.at(index).used = value;
    put<std::uint16_t>(queues.at(index).device + 2, value);
}
std::uint16_t FakeDevice::used_index(unsigned index) const { return queues.at(index).used; }

void FakeDevice::scribble_descriptors(unsigned index, std::uint8_t pattern) {
    Queue& queue = queues.at(index);
    if (queue.packed) return packed_scribble(queue, pattern);
    std::memset(queue.descriptors, pattern, std::size_t{16} * queue.size);
}

void FakeDevice::notified(unsigned index, std::uint32_t value) {
    Queue& queue = queues.at(index);
    if ((status_ & kDriverOk) == 0) violation("notification before DRIVER_OK");
    ++queue.kicks;
    queue.last_notification = value;
    if (on_notify) on_notify(index);
}

// --- FakeDevice: registers ---

Result<virtio::DeviceIdentity> FakeDevice::identity() noexcept {
    if (gone) return fail(Error::device_gone);
    return virtio::DeviceIdentity{type_, 0x554d4551};
}

Result<std::uint8_t> FakeDevice::status() noexcept {
    if (gone) return std::uint8_t{0xff};
    if (reset_reads_left_ != 0) {
        --reset_reads_left_;
        return old_status_;
    }
    return status_;
}

Result<> FakeDevice::set_status(std::uint8_t value) noexcept {
    status_writes.push_back(value);
    if (gone) return {};
    if (value == 0) {
        ++resets;
        old_status_ = status_ != 0 ? status_ : kAck;
        reset_reads_left_ = reset_reads;
        status_ = 0;
        accepted = {};
        for (Queue& queue : queues) {
            const std::uint16_t maximum = queue.maximum;
            queue = Queue{};
            queue.maximum = maximum;
        }
        if (on_status) on_status(0);
        return {};
    }
    if ((status_ & ~value) != 0) violation("a status bit was cleared without a reset");
    const std::uint8_t added = value & static_cast<std::uint8_t>(~status_);
    if ((added & kDriver) != 0 && (status_ & kAck) == 0) violation("DRIVER before ACKNOWLEDGE");
    if ((added & kFeaturesOk) != 0 && (status_ & kDriver) == 0) violation("FEATURES_OK before DRIVER");
    if (legacy()) {
        if ((added & kFeaturesOk) != 0) violation("FEATURES_OK on a legacy device");
        if ((added & kDriverOk) != 0 && (status_ & kDriver) == 0) violation("DRIVER_OK before DRIVER");
        if ((added & kDriverOk) != 0 && !(accepted - offered).empty()) violation("a feature was accepted but not offered");
    } else if ((added & kDriverOk) != 0 && (status_ & kFeaturesOk) == 0) {
        violation("DRIVER_OK before FEATURES_OK");
    }
    if ((added & kDriverOk) != 0 && (value & kFailed) != 0) violation("DRIVER_OK and FAILED");
    if ((added & kFeaturesOk) != 0) {
        for (unsigned bit = 0; bit < 128; ++bit)
            if (accepted.has(bit) && !offered.has(bit)) violation("feature " + std::to_string(bit) + " accepted but not offered");
        if (refuse_features || (agrees && !agrees(accepted))) value = static_cast<std::uint8_t>(value & ~kFeaturesOk);
    }
    status_ = value;
    if (on_status) on_status(value);
    return {};
}

Result<std::uint32_t> FakeDevice::device_features(unsigned word) noexcept {
    if (gone) return 0xffff'ffffu;
    return offered.word(word);
}

Result<> FakeDevice::set_driver_features(unsigned word, std::uint32_t value) noexcept {
    if ((status_ & kFeaturesOk) != 0) violation("features written after FEATURES_OK");
    if (legacy() && word != 0) violation("a feature word that a legacy device does not have");
    accepted.set_word(word, value);
    return {};
}

Result<std::uint32_t> FakeDevice::read_config(std::size_t offset, unsigned width) noexcept {
    ++config_reads;
    if (offset + width > config.size()) return fail(Error::out_of_range);
    if (offset % width != 0) violation("unaligned configuration access");
    if (gone) return 0xffff'ffffu >> (32 - 8 * width);
    if (on_config_read) on_config_read();
    std::uint32_t value = 0;
    std::memcpy(&value, config.data() + offset, width);
    return value;
}

Result<> FakeDevice::write_config(std::size_t offset, unsigned width, std::uint32_t value) noexcept {
    if (offset + width > config.size()) return fail(Error::out_of_range);
    std::memcpy(config.data() + offset, &value, width);
    if (on_config_write) on_config_write(offset, width, value);
    return {};
}

Result<std::uint32_t> FakeDevice::config_generation() noexcept {
    if (generation_always_changes) ++generation;
    return generation & 0xff;
}

Result<std::uint32_t> FakeDevice::queue_maximum(std::uint16_t index) noexcept {
    if (gone) return 0xffffu;
    if (index >= queues.size()) return 0u;
    return queues[index].maximum;
}

Result<virtio::QueueGrant> FakeDevice::queue_enable(std::uint16_t index, const virtio::QueueSetup& setup) noexcept {
    if (index >= queues.size()) return fail(Error::queue_unavailable);
    Queue& queue = queues[index];
    if ((status_ & (legacy() ? kDriver : kFeaturesOk)) == 0) violation("queue set up before the features");
    if (legacy()) {
        // One piece: descriptors, available ring, padding, used ring (VQ-003, VQ-004, VQ-005).
        const std::uint64_t driver = setup.descriptor.value + std::uint64_t{16} * setup.size;
        const std::uint64_t device = (driver + 2 * (3u + setup.size) + 4095) & ~std::uint64_t{4095};
        if (setup.descriptor.value % 4096 != 0 || setup.driver.value != driver || setup.device.value != device)
            violation("a legacy ring in the wrong places");
        if (layout_ == virtio::QueueLayout::contiguous_whole && setup.size != queue.maximum) violation("another size than the device's");
    }
    if ((status_ & kDriverOk) != 0 && !queue.was_reset) violation("queue set up after DRIVER_OK");
    if (queue.enabled) violation("queue enabled twice");
    const bool packed = accepted.has(kBitPacked);
    if (setup.size == 0 || setup.size > queue.maximum) violation("bad queue size");
    if (!packed && (setup.size & (setup.size - 1)) != 0) violation("a split ring's size is a power of two");
    if (setup.descriptor.value % 16 != 0 || setup.driver.value % (packed ? 4 : 2) != 0 || setup.device.value % 4 != 0)
        violation("misaligned ring");
    virtio::QueueGrant grant;
    grant.vector = setup.vector;
    if (setup.vector != virtio::kNoVector && setup.vector == refuse_vector) {
        grant.vector = virtio::kNoVector;
        return grant;
    }
    inspect(pointer(setup.descriptor.value), std::size_t{16} * setup.size, Firewall::Access::write, "descriptors");
    inspect(pointer(setup.driver.value), 4, Firewall::Access::read, "the driver's area");
    inspect(pointer(setup.device.value), 4, Firewall::Access::write, "the device's area");
    queue.size = setup.size;
    queue.vector = setup.vector;
    queue.descriptors = pointer(setup.descriptor.value);
    queue.driver = pointer(setup.driver.value);
    queue.device = pointer(setup.device.value);
    queue.enabled = true;
    queue.packed = packed;
    queue.slots_of.assign(0x10000, 0);
    grant.doorbell = virtio::Doorbell::through(
        [](void* context, std::uint32_t value) noexcept {
            const Bell& bell = *static_cast<Bell*>(context);
            bell.device->notified(bell.queue, value);
        },
        &bells_[index], index, setup.notification_data);
    return grant;
}

Result<> FakeDevice::queue_reset(std::uint16_t index, std::uint64_t) noexcept {
    if (index >= queues.size()) return fail(Error::queue_unavailable);
    if (!accepted.has(kBitRingReset)) violation("queue reset without RING_RESET negotiated");
    if (queue_reset_hangs) return fail(Error::reset_timeout);
    const std::uint16_t maximum = queues[index].maximum;
    queues[index] = Queue{};
    queues[index].maximum = maximum;
    queues[index].was_reset = true;
    return {};
}

Result<std::uint16_t> FakeDevice::connect_messages(std::uint16_t wanted, const virtio::InterruptTarget& target) noexcept {
    if (messages_ == 0) return fail(Error::interrupt_unavailable);
    target_ = target;
    granted_ = std::min(wanted, messages_);
    return granted_;
}

Result<std::uint16_t> FakeDevice::set_config_vector(std::uint16_t vector) noexcept {
    config_vector_ = vector == refuse_vector ? virtio::kNoVector : vector;
    return config_vector_;
}

Result<> FakeDevice::connect_line(const virtio::InterruptTarget& target) noexcept {
    if (!line_) return fail(Error::interrupt_unavailable);
    target_ = target;
    line_connected_ = true;
    return {};
}

void FakeDevice::disconnect_interrupts() noexcept {
    target_ = {};
    granted_ = 0;
    line_connected_ = false;
    config_vector_ = virtio::kNoVector;
}

virtio::InterruptStatus FakeDevice::interrupt_status() const noexcept {
    return virtio::InterruptStatus::through(
        [](void* context) noexcept {
            auto& isr = static_cast<FakeDevice*>(context)->isr_;
            const std::uint32_t value = isr;
            isr = 0;
            return value;
        },
        const_cast<FakeDevice*>(this));
}

} // namespace fake
