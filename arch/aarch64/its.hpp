// The interrupt translation service of GICv3 (ARM IHI 0069, chapter 5): what a device writes, with the device's id, becomes an LPI, an
// interrupt whose enable bit and priority stand in memory. LPI 8192 + vector is the vector's. Devices get a table of events when they ask
// for their first message, and keep it. Each processor is a collection of LPIs, opened with its first message. One object, static; task
// context with interrupts off, one caller at a time.
//
//     if (its.start(registers, map)) its.connect(vector, {.number = 0, .registers = ..., .physical = ...}, requester, 0, message);
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "arch/interrupts.hpp"

namespace arch {

class Its {
public:
    /// A processor's side of the controller.
    struct Redistributor {
        std::uint32_t number = 0;     ///< below Hardware::kMostProcessors
        std::uintptr_t registers = 0; ///< mapped
        std::uint64_t physical = 0;
    };

    constexpr Its() noexcept = default;

    /// False: it is not one that we can use, or there is no memory for its tables.
    [[nodiscard]] bool start(std::uint64_t physical, MapRegisters map) noexcept;
    /// The message comes to the redistributor's processor, which has to be the calling one.
    [[nodiscard]] bool connect(std::uint32_t vector, const Redistributor& redistributor, std::uint32_t device, std::uint32_t event,
                               Message& message) noexcept;
    void disconnect(std::uint32_t vector) noexcept;

private:
    static constexpr std::size_t kVectors = 256, kMostDevices = 64, kMostCollections = Hardware::kMostProcessors;
    using Command = std::array<std::uint64_t, 4>;

    struct Event {
        std::uint32_t device = 0;
        std::uint32_t event = 0;
        std::uint32_t collection = 0;
        bool used = false;
    };
    struct Collection {
        std::uint64_t target = 0; ///< the redistributor as commands name it
        bool tried = false, open = false;
    };

    [[nodiscard]] bool open(const Redistributor& redistributor) noexcept;
    [[nodiscard]] bool start_redistributor(std::uintptr_t registers) noexcept;
    [[nodiscard]] bool start_tables() noexcept;
    [[nodiscard]] bool give_table(std::uint32_t number, std::uint64_t entries) noexcept;
    [[nodiscard]] bool start_queue() noexcept;
    [[nodiscard]] bool has_table(std::uint32_t device) noexcept;
    [[nodiscard]] bool know_device(std::uint32_t device) noexcept;
    [[nodiscard]] bool execute(const Command& command) noexcept;
    [[nodiscard]] bool synchronise(std::uint32_t collection) noexcept { return execute({kSync, 0, collections_[collection].target, 0}); }
    void set_enabled(std::uint32_t vector, bool on) noexcept;

    static constexpr std::uint64_t kSync = 0x05, kMapDevice = 0x08, kMapCollection = 0x09, kMapEvent = 0x0a, kInvalidate = 0x0c,
                                   kDiscard = 0x0f;

    std::uintptr_t registers_ = 0;
    std::uint64_t physical_ = 0;
    std::array<Collection, kMostCollections> collections_{};
    std::uint64_t collection_limit_ = 0;
    std::uint8_t event_bits_ = 0;
    bool by_address_ = false; ///< commands name a redistributor by its address, else by its processor's number
    bool started_ = false;
    bool coherent_ = true; ///< the ITS sees our caches
    bool redistributors_coherent_ = true;

    std::byte* properties_ = nullptr; ///< one byte for each LPI
    std::byte* queue_ = nullptr;
    std::uint32_t queue_at_ = 0;

    std::uint64_t* device_level1_ = nullptr; ///< where the device table has two levels
    std::uint64_t devices_per_page_ = 0;     ///< of the second level
    std::size_t table_page_ = 4096;
    std::uint64_t device_limit_ = 0;

    std::array<std::uint32_t, kMostDevices> devices_{};
    std::size_t device_count_ = 0;
    std::array<Event, kVectors> events_{};
};

} // namespace arch
