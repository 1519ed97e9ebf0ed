// A disk behind fake::FakeDevice: serves block requests out of a vector, remembers every chain, and misbehaves on demand.
// It knows the wire format from the specification and shares no constant with the driver.
//
//     fake::Disk disk{{.sectors = 2048}};
//     device.start(disk.platform, disk.device);
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "tests/unit/support/fake_device.hpp"

namespace fake {

/// HostPlatform behind a domain that is direct, as a kernel with an identity map has it.
class DirectPlatform final : public virtio::Platform {
public:
    explicit DirectPlatform(HostPlatform& host) : host_(host), domain_(host) {}
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return host_.dma_allocate(bytes, alignment); }
    void dma_free(void* memory, std::size_t bytes) noexcept override { host_.dma_free(memory, bytes); }
    virtio::DmaAddress dma_address(const void* memory) noexcept override { return host_.dma_address(memory); }
    std::uint64_t now_ns() noexcept override { return host_.now_ns(); }
    void wait(const virtio::Event& event, std::uint64_t deadline_ns) noexcept override { host_.wait(event, deadline_ns); }
    void wake() noexcept override { host_.wake(); }
    void log(virtio::LogLevel level, const char* text) noexcept override { host_.log(level, text); }
    virtio::Result<virtio::DmaDomain*> dma_domain(const virtio::DeviceIdentity&, bool) noexcept override {
        host_.firewall.open();
        return &domain_;
    }

private:
    class Domain final : public virtio::DmaDomain {
    public:
        explicit Domain(HostPlatform& host) noexcept : DmaDomain(std::uint64_t{0}), host_(host) {}
        virtio::Result<virtio::DmaMemory> allocate(std::size_t bytes, std::size_t alignment) noexcept override {
            auto* memory = static_cast<std::byte*>(host_.dma_allocate(bytes, alignment));
            if (memory == nullptr) return virtio::fail(virtio::Error::out_of_memory);
            return virtio::DmaMemory{memory, bytes, host_.dma_address(memory)};
        }
        void free(const virtio::DmaMemory& memory) noexcept override { host_.dma_free(memory.data, memory.size); }

    private:
        HostPlatform& host_;
    };
    HostPlatform& host_;
    Domain domain_;
};

class Disk {
public:
    struct Options {
        std::uint64_t sectors = 2048;
        std::vector<unsigned> features{1, 2, 6, 9, 10, 11, 13, 14, 28, 29, 32};
        std::uint32_t size_max = 1 << 20;
        std::uint32_t seg_max = 126;
        std::uint32_t block_size = 512;
        std::uint16_t queue_size = 128;
        std::uint16_t messages = 8;
        bool line = true;
        bool direct = false;
    };
    struct Seen {
        std::uint32_t type = 0;
        std::uint64_t sector = 0;
        std::size_t bytes = 0;
        std::size_t segments = 0;
        std::uint32_t longest = 0;
    };

    explicit Disk(Options options) : direct(platform), device(describe(options)), image(static_cast<std::size_t>(options.sectors) * 512) {
        device.firewall = &platform.firewall;
        std::mt19937_64 random(options.sectors);
        for (std::uint8_t& byte : image) byte = static_cast<std::uint8_t>(random());
        use_direct = options.direct;
        if (std::has_single_bit(options.block_size) && options.block_size >= 512 && options.block_size <= 65536)
            block_size = options.block_size;
        device.on_notify = [this](unsigned) {
            if (automatic) serve();
        };
        platform.on_wait = [this] {
            if (automatic) serve();
        };
    }

    [[nodiscard]] virtio::Platform& port() { return use_direct ? static_cast<virtio::Platform&>(direct) : platform; }

    /// Takes everything that is available into `pending`.
    void collect() {
        while (auto chain = device.take(0)) pending.push_back(*chain);
    }
    /// Answers what is pending, in order.
    void serve() {
        collect();
        while (!pending.empty()) {
            answer(pending.front());
            pending.pop_front();
            collect();
        }
    }
    void answer(const Chain& chain) {
        const std::uint32_t written = execute(chain);
        device.use(0, chain, lie_length ? *lie_length : written);
    }
    /// Does what the request says; returns how many bytes were written into the chain.
    std::uint32_t execute(const Chain& chain) {
        struct Header {
            std::uint32_t type, reserved;
            std::uint64_t sector;
        } header{};
        Seen what;
        if (chain.read(0, &header, sizeof header) != sizeof header) device.violations.emplace_back("request header is short");
        if (chain.writable_bytes() == 0) {
            device.violations.emplace_back("no room for the status");
            return 0;
        }
        const std::size_t status_at = chain.writable_bytes() - 1;
        what.type = header.type;
        what.sector = header.sector;
        for (const auto* parts : {&chain.readable, &chain.writable})
            for (const Part& part : *parts) what.longest = std::max(what.longest, part.length);
        std::uint8_t status = 0;
        const std::size_t in = chain.readable_bytes() - sizeof header;
        std::uint32_t written = 1;
        if (header.type == 0) { // IN
            what.bytes = status_at;
            what.segments = chain.writable.size() - 1;
            if (what.bytes % 512 != 0) device.violations.emplace_back("read of no whole sectors");
            if (beyond(header.sector, what.bytes)) {
                device.violations.emplace_back("read beyond the end");
                status = 1;
            } else if (!skip_data) {
                chain.write(0, image.data() + header.sector * 512, what.bytes);
                written += static_cast<std::uint32_t>(what.bytes);
            }
        } else if (header.type == 1) { // OUT
            what.bytes = in;
            what.segments = chain.readable.size() - 1;
            if (what.bytes % 512 != 0) device.violations.emplace_back("write of no whole sectors");
            if (beyond(header.sector, what.bytes)) {
                device.violations.emplace_back("write beyond the end");
                status = 1;
            } else {
                chain.read(sizeof header, image.data() + header.sector * 512, what.bytes);
            }
        } else if (header.type == 4) { // FLUSH
            if (header.sector != 0) device.violations.emplace_back("flush with a sector");
            if (in != 0 || status_at != 0) device.violations.emplace_back("flush with data");
            ++flushes;
        } else if (header.type == 8) { // GET_ID
            if (status_at != 20) device.violations.emplace_back("GET_ID without 20 bytes");
            chain.write(0, id, 20);
            written += 20;
        } else if (header.type == 11 || header.type == 13) { // DISCARD, WRITE_ZEROES
            struct Range {
                std::uint64_t sector;
                std::uint32_t sectors, flags;
            } range{};
            if (in != sizeof range) device.violations.emplace_back("not exactly one range");
            chain.read(sizeof header, &range, sizeof range);
            what.sector = range.sector;
            what.bytes = std::size_t{range.sectors} * 512;
            if (header.type == 11 && range.flags != 0) device.violations.emplace_back("discard with flags");
            if (beyond(range.sector, what.bytes))
                device.violations.emplace_back("range beyond the end");
            else
                std::fill_n(image.begin() + static_cast<std::ptrdiff_t>(range.sector * 512), what.bytes,
                            std::uint8_t(header.type == 11 ? 0xdd : 0));
            last_flags = range.flags;
        } else {
            status = 2;
        }
        seen.push_back(what);
        // As QEMU does it: parts of a block are an error.
        if (header.type <= 1 && (header.sector * 512 % block_size != 0 || what.bytes % block_size != 0)) status = 1;
        if (fail_sector && *fail_sector == header.sector) status = fail_status;
        if (!skip_status) chain.write(status_at, &status, 1);
        return written;
    }

    HostPlatform platform;
    DirectPlatform direct;
    FakeDevice device;
    std::vector<std::uint8_t> image;
    std::deque<Chain> pending;
    std::vector<Seen> seen;
    bool automatic = true; // answers kicks at once
    bool skip_status = false, skip_data = false;
    bool use_direct = false;
    std::optional<std::uint32_t> lie_length;
    std::optional<std::uint64_t> fail_sector;
    std::uint8_t fail_status = 1;
    unsigned flushes = 0;
    std::uint32_t block_size = 512;
    std::uint32_t last_flags = 0;
    char id[20] = {'r', 'i', 'n', 'g', '-', '7', '\x01'};

    void set_capacity(std::uint64_t sectors) { put(device.config, 0, sectors, 8); }

private:
    [[nodiscard]] bool beyond(std::uint64_t sector, std::size_t bytes) const {
        return sector > image.size() / 512 || bytes > image.size() - sector * 512;
    }
    static void put(std::vector<std::uint8_t>& config, std::size_t at, std::uint64_t value, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; ++i) config[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
    static FakeDevice::Options describe(const Options& options) {
        FakeDevice::Options device{.type = 2, .features = {}, .config = std::vector<std::uint8_t>(96)};
        for (unsigned bit : options.features) device.features.insert(bit);
        put(device.config, 0, options.sectors, 8);
        put(device.config, 8, options.size_max, 4);
        put(device.config, 12, options.seg_max, 4);
        put(device.config, 20, options.block_size, 4);
        put(device.config, 24, 0x0000'0008'0010'0003, 8); // topology: 2^3, 0, 16, 8
        put(device.config, 32, 1, 1);                     // writeback
        put(device.config, 36, 100, 4);                   // discard: sectors, segments, alignment
        put(device.config, 40, 1, 4);
        put(device.config, 48, 64, 4); // write zeroes: sectors, segments
        put(device.config, 52, 1, 4);
        device.queue_sizes = {options.queue_size};
        device.messages = options.messages;
        device.line = options.line;
        return device;
    }
};

} // namespace fake
