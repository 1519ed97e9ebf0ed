// The rings' shared words by role and index, over an `Access` that says how one word is reached: the product's is a plain atomic
// access; a test's counts, answers or delays it. Indices are already reduced to the ring's size. Nothing here checks what it reads:
// the engines do. Included by memory policies only.
//
//     struct Access {
//         template<class T> static T load(T& word, SharedWord role, std::uint16_t index) noexcept;          // relaxed
//         template<class T> static T load_acquire(T& word, SharedWord role, std::uint16_t index) noexcept;
//         template<class T> static void store(T& word, T value, SharedWord role, std::uint16_t index) noexcept;
//         template<class T> static void store_release(T& word, T value, SharedWord role, std::uint16_t index) noexcept;
//         template<class T> static void store_body(T& place, const T& value, SharedWord role, std::uint16_t index) noexcept; // not atomic
//     };
#pragma once

#include <cstddef>
#include <cstdint>

#include "libvirtio/ring/abi.hpp"

namespace virtio {

/// What a shared word is. From `used_index` on the device writes it, and nobody may believe it.
enum class SharedWord : std::uint8_t {
    descriptor,
    table_entry,
    available_entry,
    available_index,
    available_flags,
    used_event,
    packed_available_flags, // of a descriptor, as the driver writes them
    driver_event,
    used_index,
    used_flags,
    available_event,
    used_id,
    used_length,
    packed_flags, // of a descriptor, as the device may have written them
    packed_id,
    packed_length,
    device_event
};

/// A split ring's shared words (VIRTIO 1.4, 2.7).
template<class Access> class SplitMemoryOf {
public:
    constexpr SplitMemoryOf() noexcept = default;
    SplitMemoryOf(std::byte* base, std::uint16_t size) noexcept
        : descriptors_(reinterpret_cast<Descriptor*>(base)), available_(reinterpret_cast<std::uint16_t*>(base + split_layout(size).driver)),
          used_(base + split_layout(size).device), size_(size) {}

    void store_descriptor(std::uint16_t index, const Descriptor& descriptor) noexcept {
        Access::store_body(descriptors_[index], descriptor, SharedWord::descriptor, index);
    }
    /// All but `next`, which stays.
    void store_descriptor_part(std::uint16_t index, DmaAddress address, std::uint32_t length, std::uint16_t flags) noexcept {
        Access::store_body(descriptors_[index].address, Le64{address.value}, SharedWord::descriptor, index);
        Access::store_body(descriptors_[index].length, Le32{length}, SharedWord::descriptor, index);
        Access::store_body(descriptors_[index].flags, Le16{flags}, SharedWord::descriptor, index);
    }
    void store_available(std::uint16_t slot, std::uint16_t head) noexcept {
        Access::store(available_[2 + slot], head, SharedWord::available_entry, slot);
    }
    /// Release: the descriptors and ring entries before it are visible to whoever reads the index (2.7.13.3.1).
    void publish_available_index(std::uint16_t index) noexcept {
        Access::store_release(available_[1], index, SharedWord::available_index, 0);
    }
    void store_available_flags(std::uint16_t flags) noexcept { Access::store(available_[0], flags, SharedWord::available_flags, 0); }
    void store_used_event(std::uint16_t index) noexcept { Access::store(available_[2 + size_], index, SharedWord::used_event, 0); }

    /// Acquire: pairs with the device's release of the used index.
    [[nodiscard]] std::uint16_t load_used_index() const noexcept { return Access::load_acquire(word16(2), SharedWord::used_index, 0); }
    [[nodiscard]] std::uint16_t load_used_flags() const noexcept { return Access::load(word16(0), SharedWord::used_flags, 0); }
    [[nodiscard]] std::uint16_t load_available_event() const noexcept {
        return Access::load(word16(4 + std::size_t{8} * size_), SharedWord::available_event, 0);
    }
    [[nodiscard]] UsedElement load_used(std::uint16_t slot) const noexcept {
        const std::size_t at = 4 + std::size_t{8} * slot;
        return {Le32{Access::load(word32(at), SharedWord::used_id, slot)},
                Le32{Access::load(word32(at + 4), SharedWord::used_length, slot)}};
    }

private:
    [[nodiscard]] std::uint16_t& word16(std::size_t offset) const noexcept { return *reinterpret_cast<std::uint16_t*>(used_ + offset); }
    [[nodiscard]] std::uint32_t& word32(std::size_t offset) const noexcept { return *reinterpret_cast<std::uint32_t*>(used_ + offset); }

    Descriptor* descriptors_ = nullptr;
    std::uint16_t* available_ = nullptr; // flags, index, ring[size], used_event
    std::byte* used_ = nullptr;          // flags, index, elements[size], available_event
    std::uint16_t size_ = 0;
};

/// A slot of a packed ring. Kept as an offset in bytes, so that nothing is multiplied on the way to the slot's descriptor.
class PackedPlace {
public:
    constexpr PackedPlace() noexcept = default;
    [[nodiscard]] static constexpr PackedPlace of(std::uint32_t slot) noexcept {
        return PackedPlace{slot * static_cast<std::uint32_t>(sizeof(PackedDescriptor))};
    }
    [[nodiscard]] constexpr std::uint16_t slot() const noexcept { return static_cast<std::uint16_t>(offset_ / sizeof(PackedDescriptor)); }
    [[nodiscard]] constexpr std::uint32_t offset() const noexcept { return offset_; }
    /// `slots` further on, without regard to the ring's end.
    [[nodiscard]] constexpr PackedPlace operator+(std::uint32_t slots) const noexcept {
        return PackedPlace{offset_ + slots * static_cast<std::uint32_t>(sizeof(PackedDescriptor))};
    }
    [[nodiscard]] constexpr PackedPlace operator-(PackedPlace end) const noexcept { return PackedPlace{offset_ - end.offset_}; }
    friend constexpr auto operator<=>(PackedPlace, PackedPlace) noexcept = default;

private:
    constexpr explicit PackedPlace(std::uint32_t offset) noexcept : offset_(offset) {}
    std::uint32_t offset_ = 0;
};

/// A packed ring's shared words (VIRTIO 1.4, 2.8).
template<class Access> class PackedMemoryOf {
public:
    constexpr PackedMemoryOf() noexcept = default;
    PackedMemoryOf(std::byte* base, std::uint16_t size) noexcept
        : descriptors_(base), driver_(reinterpret_cast<std::uint32_t*>(base + packed_layout(size).driver)),
          device_(reinterpret_cast<std::uint32_t*>(base + packed_layout(size).device)) {}

    /// Everything of a descriptor but its flags, which alone say whose it is.
    void store_body(PackedPlace place, DmaAddress address, std::uint32_t length, std::uint16_t id) noexcept {
        PackedDescriptor& descriptor = at(place);
        Access::store_body(descriptor.address, Le64{address.value}, SharedWord::descriptor, place.slot());
        Access::store_body(descriptor.length, Le32{length}, SharedWord::descriptor, place.slot());
        Access::store_body(descriptor.id, Le16{id}, SharedWord::descriptor, place.slot());
    }
    void store_flags(PackedPlace place, std::uint16_t flags) noexcept {
        Access::store(flags_of(place), flags, SharedWord::packed_available_flags, place.slot());
    }
    /// Release: everything stored before it is visible to whoever reads these flags (2.8.21.1).
    void publish_flags(PackedPlace place, std::uint16_t flags) noexcept {
        Access::store_release(flags_of(place), flags, SharedWord::packed_available_flags, place.slot());
    }
    /// Driver event suppression, position and flags in one store: a device that reads the flags first finds the position that
    /// belongs to them.
    void store_driver_event(std::uint16_t position, std::uint16_t flags) noexcept {
        Access::store(*driver_, (std::uint32_t{flags} << 16) | position, SharedWord::driver_event, 0);
    }

    /// Acquire: pairs with the device's release of the used flags; id and length are read after it.
    [[nodiscard]] std::uint16_t load_flags(PackedPlace place) const noexcept {
        return Access::load_acquire(flags_of(place), SharedWord::packed_flags, place.slot());
    }
    [[nodiscard]] std::uint16_t load_used_id(PackedPlace place) const noexcept {
        return Access::load(reinterpret_cast<std::uint16_t&>(at(place).id), SharedWord::packed_id, place.slot());
    }
    [[nodiscard]] std::uint32_t load_used_length(PackedPlace place) const noexcept {
        return Access::load(reinterpret_cast<std::uint32_t&>(at(place).length), SharedWord::packed_length, place.slot());
    }
    /// Device event suppression, position and flags in one access.
    [[nodiscard]] PackedEvent load_device_event() const noexcept {
        const std::uint32_t both = Access::load(*device_, SharedWord::device_event, 0);
        return {Le16{static_cast<std::uint16_t>(both)}, Le16{static_cast<std::uint16_t>(both >> 16)}};
    }

private:
    [[nodiscard]] PackedDescriptor& at(PackedPlace place) const noexcept {
        return *reinterpret_cast<PackedDescriptor*>(descriptors_ + place.offset());
    }
    [[nodiscard]] std::uint16_t& flags_of(PackedPlace place) const noexcept { return reinterpret_cast<std::uint16_t&>(at(place).flags); }

    std::byte* descriptors_ = nullptr;
    std::uint32_t* driver_ = nullptr; // position, flags
    std::uint32_t* device_ = nullptr;
};

} // namespace virtio
