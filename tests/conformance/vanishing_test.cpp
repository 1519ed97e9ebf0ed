// A device that vanishes at any moment: from its k-th access on, every read of a register or of configuration space gives all ones and
// every write is lost. Over each transport, for each k until a whole life (start, a request, stop) goes through, the driver must end with
// an error or an answer, in bounded time and with a bounded number of accesses, and give back its memory where no device can reach it.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include <ringside/arch/io.hpp>

#include "libvirtio/device.hpp"
#include "libvirtio/transport/mmio.hpp"
#include "libvirtio/transport/pci_legacy.hpp"
#include "libvirtio/transport/pci_modern.hpp"

using namespace virtio;

namespace {

enum class Kind { mmio, mmio_legacy, pci, pci_window, pci_legacy };
constexpr std::uintptr_t kBase = 0x7'0000'0000; // nothing real stands there
constexpr std::size_t kBytes = 0x4000;
constexpr PciAddress kAddress{};

/// Registers, configuration space and the platform of one device with one queue.
class Board final : public PciPlatform {
public:
    Board(Kind kind, unsigned limit) : kind_(kind), limit_(limit) {
        arch::observed_registers() = {
            kBase, kBytes, this,
            [](void* board, std::uintptr_t at, unsigned width) noexcept { return static_cast<Board*>(board)->read(at, width); },
            [](void* board, std::uintptr_t at, unsigned width, std::uint32_t value) noexcept {
                static_cast<Board*>(board)->write(at, width, value);
            }};
        if (kind_ == Kind::mmio || kind_ == Kind::mmio_legacy) {
            put(0, 0x7472'6976, 4);
            put(4, kind_ == Kind::mmio ? 2 : 1, 4);
            put(8, 4, 4);
            put(0x34, 64, 4);
        } else if (kind_ == Kind::pci_legacy) {
            put(12, 64, 2);
        } else {
            put(18, 1, 2);
            put(24, 64, 2);
        }
        make_function();
    }
    ~Board() {
        arch::observed_registers() = {};
        for (const auto& [memory, bytes] : live) std::free(memory);
    }

    Result<Transport*> open() {
        Result<> opened;
        Transport* transport = nullptr;
        switch (kind_) {
        case Kind::mmio:
        case Kind::mmio_legacy:
            opened = mmio_.open(*this, kBase, 0x200);
            transport = &mmio_;
            break;
        case Kind::pci:
        case Kind::pci_window:
            opened = pci_.open(PciFunction{*this, kAddress}, kind_ == Kind::pci ? PciReach::mapped : PciReach::window);
            transport = &pci_;
            break;
        case Kind::pci_legacy:
            opened = legacy_.open(PciFunction{*this, kAddress});
            transport = &legacy_;
            break;
        }
        if (!opened) return fail(opened.error());
        return transport;
    }

    // --- the platform ---
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override {
        const std::size_t align = std::max<std::size_t>(alignment, alignof(std::max_align_t));
        void* memory = std::aligned_alloc(align, (bytes + align - 1) / align * align);
        std::memset(memory, 0, bytes);
        live[memory] = bytes;
        return memory;
    }
    void dma_free(void* memory, std::size_t bytes) noexcept override {
        if (live[memory] != bytes) std::abort();
        live.erase(memory);
        std::free(memory);
    }
    // Page numbers have 44 bits: what this computer's addresses are is not in question here.
    DmaAddress dma_address(const void* at) noexcept override { return {reinterpret_cast<std::uintptr_t>(at) & 0xfff'ffff'ffff}; }
    std::uint64_t now_ns() noexcept override { return clock += 1000; }
    void wait(const Event&, std::uint64_t deadline) noexcept override { clock = std::max(clock, deadline); }
    std::uint32_t pci_read(const PciAddress&, std::uint16_t at, unsigned width) noexcept override {
        if (gone()) return all_ones(width);
        if (kind_ == Kind::pci_window && at == kWindow + 16) return from(register_at(aim()), width);
        std::uint32_t value = 0;
        std::memcpy(&value, &space_[at], width);
        return value;
    }
    void pci_write(const PciAddress&, std::uint16_t at, unsigned width, std::uint32_t value) noexcept override {
        if (gone()) return;
        if (at == 0x10 && width == 4) value = (value & ~static_cast<std::uint32_t>(kBytes - 1)) | 4;
        if (at == 0x14 && value == 0xffff'ffff) value = 0xffff'ffff;
        if (kind_ == Kind::pci_window && at == kWindow + 16) return to(register_at(aim()), width, value);
        std::memcpy(&space_[at], &value, width);
    }
    std::uintptr_t map_device(std::uint64_t base, std::uint64_t bytes) noexcept override {
        const bool there = base >= kBase && base - kBase <= kBytes && bytes <= kBytes - (base - kBase);
        return there ? static_cast<std::uintptr_t>(base) : 0;
    }
    Result<> connect_line(const PciAddress&, const InterruptTarget&) noexcept override { return {}; }

    unsigned accesses = 0;
    std::uint64_t clock = 0;
    std::map<void*, std::size_t> live;
    [[nodiscard]] bool vanished() const { return accesses > limit_; }

private:
    static constexpr std::size_t kWindow = 0x70;
    static constexpr std::uint32_t all_ones(unsigned width) { return 0xffff'ffffu >> (32 - 8 * width); }
    bool gone() { return ++accesses > limit_; }
    void put(std::size_t at, std::uint32_t value, unsigned width) { std::memcpy(&registers_[at], &value, width); }

    void make_function() {
        const auto set = [&](std::size_t at, std::uint64_t value, std::size_t bytes) { std::memcpy(&space_[at], &value, bytes); };
        set(0, 0x1af4, 2);
        set(2, kind_ == Kind::pci_legacy ? 0x1005 : 0x1044, 2);
        set(0x2e, 4, 2);
        set(0x10, kBase | 4, 4); // 64 bits wide
        set(0x14, kBase >> 32, 4);
        if (kind_ == Kind::pci_legacy) return;
        set(6, 0x10, 2);
        set(0x34, 0x40, 1);
        const auto structure = [&](std::size_t at, std::size_t next, unsigned type, std::uint64_t offset, std::uint64_t length,
                                   unsigned size) {
            set(at, 9, 1);
            set(at + 1, next, 1);
            set(at + 2, size, 1);
            set(at + 3, type, 1);
            set(at + 8, offset, 4);
            set(at + 12, length, 4);
        };
        structure(0x40, 0x50, 1, 0x0000, 64, 16);
        structure(0x50, kWindow, 3, 0x1000, 4, 16);
        structure(kWindow, 0x90, 5, 0, 0, 20);
        structure(0x90, 0, 2, 0x3000, 0x100, 20);
        set(0xa0, 4, 4);
    }
    std::size_t aim() const {
        std::uint32_t at = 0;
        std::memcpy(&at, &space_[kWindow + 8], 4);
        return at;
    }
    static std::size_t register_at(std::size_t at) { return at % kBytes; }

    std::uint32_t read(std::uintptr_t at, unsigned width) { return gone() ? all_ones(width) : from(at, width); }
    void write(std::uintptr_t at, unsigned width, std::uint32_t value) {
        if (!gone()) to(at, width, value);
    }
    std::uint32_t from(std::size_t at, unsigned width) const {
        const bool mmio = kind_ == Kind::mmio;
        const bool modern = kind_ == Kind::pci || kind_ == Kind::pci_window;
        std::uint32_t select = 0;
        if ((mmio && at == 0x10) || (modern && at == 4)) { // VERSION_1
            std::memcpy(&select, &registers_[mmio ? 0x14 : 0], 4);
            return select == 1 ? 1 : 0;
        }
        std::uint32_t value = 0;
        std::memcpy(&value, &registers_[at], width);
        return value;
    }
    void to(std::size_t at, unsigned width, std::uint32_t value) {
        const std::size_t status = kind_ == Kind::pci_legacy ? 18 : kind_ == Kind::mmio || kind_ == Kind::mmio_legacy ? 0x70 : 20;
        put(at, value, width);
        if (at != status || value != 0) return;
        // A reset: queues are off.
        if (kind_ == Kind::mmio) put(0x44, 0, 4);
        if (kind_ == Kind::mmio_legacy) put(0x40, 0, 4);
        if (kind_ == Kind::pci_legacy) put(8, 0, 4);
        if (kind_ == Kind::pci || kind_ == Kind::pci_window) put(28, 0, 2);
    }

    Kind kind_;
    unsigned limit_;
    std::array<std::uint8_t, kBytes> registers_{};
    std::array<std::uint8_t, 256> space_{};
    MmioTransport mmio_;
    PciTransport pci_;
    PciLegacyTransport legacy_;
};

struct Life {
    Error error = Error::none;
    bool started = false;
    Request::State state = Request::State::idle;
};

Life live_once(Board& board) {
    static std::byte byte; // outlives a request that is abandoned
    Life life;
    const Result<Transport*> transport = board.open();
    if (!transport) {
        life.error = transport.error();
        return life;
    }
    Device device;
    static Virtqueue queue;
    const auto start = [&]() -> Result<> {
        if (const Result<> done = device.begin(board, **transport, 4); !done) return done;
        if (const Result<> done = device.negotiate({}, {}); !done) return done;
        device.connect_interrupts(1);
        if (const Result<> done = device.add_queue(0, queue, {}); !done) return done;
        return device.run();
    };
    const Result<> started = start();
    life.started = started.has_value();
    static Request request;
    request = {};
    if (!started) {
        life.error = started.error();
        device.abort();
    } else {
        REQUIRE(queue.add_writable({DmaAddress{reinterpret_cast<std::uintptr_t>(&byte)}, 1}, request));
        queue.kick();
        static_cast<void>(device.wait(board.clock + 150'000'000)); // nothing comes: the watchdog looks
        static_cast<void>(queue.poll(8));
        static_cast<void>(device.needs_reset());
        if (const Result<> stopped = device.stop(); !stopped) life.error = stopped.error();
        // Started again, if it is still there.
        if (!board.vanished() && !device.started()) {
            const Result<> again = start();
            if (again)
                static_cast<void>(device.stop());
            else
                device.abort();
        }
    }
    life.state = request.state;
    REQUIRE_FALSE(queue.created());
    return life;
}

void vanish_everywhere(Kind kind) {
    const std::set<Error> fine{Error::none,
                               Error::no_device,
                               Error::device_gone,
                               Error::bad_magic,
                               Error::bad_version,
                               Error::bad_capability,
                               Error::bad_bar,
                               Error::feature_missing,
                               Error::reset_timeout,
                               Error::queue_unavailable,
                               Error::queue_size_invalid,
                               Error::feature_refused,
                               Error::interrupt_unavailable};
    unsigned whole = 0;
    bool done = false;
    for (unsigned limit = 0; limit < 4000 && !done; ++limit) {
        CAPTURE(limit);
        Board board{kind, limit};
        const Life life = live_once(board);
        CHECK_MESSAGE(fine.contains(life.error), message(life.error));
        CHECK(life.state != Request::State::in_flight);
        CHECK(board.accesses < limit + 5000);
        CHECK(board.clock < 5'000'000'000);
        // What a device cannot reach any more is given back. On PCI that is everything, since it can be cut off; over MMIO nobody knows
        // whether one that has vanished still writes.
        if (!board.vanished() || (kind != Kind::mmio && kind != Kind::mmio_legacy)) CHECK(board.live.empty());
        done = !board.vanished();
        if (done) {
            CHECK(life.started);
            CHECK(life.error == Error::none);
            CHECK(life.state == Request::State::done);
            whole = limit;
        }
    }
    CHECK(done);
    CHECK(whole > 20); // it was really used
}

} // namespace

TEST_CASE("a device that vanishes at any access: MMIO version 2") { vanish_everywhere(Kind::mmio); }
TEST_CASE("a device that vanishes at any access: MMIO version 1") { vanish_everywhere(Kind::mmio_legacy); }
TEST_CASE("a device that vanishes at any access: PCI") { vanish_everywhere(Kind::pci); }
TEST_CASE("a device that vanishes at any access: PCI through configuration space") { vanish_everywhere(Kind::pci_window); }
TEST_CASE("a device that vanishes at any access: PCI legacy") { vanish_everywhere(Kind::pci_legacy); }
