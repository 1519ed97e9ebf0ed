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

/// A place in a split ring: of a descriptor, an available or a used entry. Kept as an offset in the used ring, so that little is
/// shifted on the way to either. Free-running positions are scaled alike: SplitPlace::kStep is one entry.
class SplitPlace {
public:
    static constexpr std::uint32_t kStep = 8;

    constexpr explicit SplitPlace(std::size_t offset) noexcept : offset_(offset) {}
    [[nodiscard]] static constexpr SplitPlace of(std::size_t number) noexcept { return SplitPlace{number * kStep}; }
    [[nodiscard]] constexpr std::uint16_t number() const noexcept { return static_cast<std::uint16_t>(offset_ / kStep); }
    [[nodiscard]] constexpr std::size_t offset() const noexcept { return offset_; }

private:
    std::size_t offset_;
};

/// A split ring's shared words (VIRTIO 1.4, 2.7).
template<class Access> class SplitMemoryOf {
public:
    constexpr SplitMemoryOf() noexcept = default;
    SplitMemoryOf(std::byte* base, std::uint16_t size) noexcept : SplitMemoryOf(base, size, split_layout(size)) {}
    SplitMemoryOf(std::byte* base, std::uint16_t size, const SplitLayout& layout) noexcept
        : descriptors_(base), available_(base + layout.driver), used_(base + layout.device), size_(size) {}

    void store_descriptor(SplitPlace place, const Descriptor& descriptor) noexcept {
        Access::store_body(at(place), descriptor, SharedWord::descriptor, place.number());
    }
    /// All but `next`, which stays.
    void store_descriptor_part(SplitPlace place, DmaAddress address, std::uint32_t length, std::uint16_t flags) noexcept {
        Access::store_body(at(place).address, Le64{address.value}, SharedWord::descriptor, place.number());
        Access::store_body(at(place).length, Le32{length}, SharedWord::descriptor, place.number());
        Access::store_body(at(place).flags, Le16{flags}, SharedWord::descriptor, place.number());
    }
    /// Makes a descriptor that has been stored the last of its chain.
    void end_chain(SplitPlace place, std::uint16_t flags) noexcept {
        Access::store_body(at(place).flags, Le16{flags}, SharedWord::descriptor, place.number());
        Access::store_body(at(place).next, Le16{0}, SharedWord::descriptor, place.number());
    }
    void store_available(SplitPlace place, std::uint16_t head) noexcept {
        Access::store(*reinterpret_cast<std::uint16_t*>(available_ + 4 + place.offset() / 4), head, SharedWord::available_entry,
                      place.number());
    }
    /// Release: the descriptors and ring entries before it are visible to whoever reads the index (2.7.13.3.1).
    void publish_available_index(std::uint16_t index) noexcept {
        Access::store_release(driver16(2), index, SharedWord::available_index, 0);
    }
    void store_available_flags(std::uint16_t flags) noexcept { Access::store(driver16(0), flags, SharedWord::available_flags, 0); }
    void store_used_event(std::uint16_t index) noexcept {
        Access::store(driver16(4 + std::size_t{2} * size_), index, SharedWord::used_event, 0);
    }

    /// Acquire: pairs with the device's release of the used index.
    [[nodiscard]] std::uint16_t load_used_index() const noexcept { return Access::load_acquire(device16(2), SharedWord::used_index, 0); }
    [[nodiscard]] std::uint16_t load_used_flags() const noexcept { return Access::load(device16(0), SharedWord::used_flags, 0); }
    [[nodiscard]] std::uint16_t load_available_event() const noexcept {
        return Access::load(device16(4 + std::size_t{8} * size_), SharedWord::available_event, 0);
    }
    [[nodiscard]] UsedElement load_used(SplitPlace place) const noexcept {
        std::byte* const element = used_ + 4 + place.offset();
        return {Le32{Access::load(*reinterpret_cast<std::uint32_t*>(element), SharedWord::used_id, place.number())},
                Le32{Access::load(*reinterpret_cast<std::uint32_t*>(element + 4), SharedWord::used_length, place.number())}};
    }

private:
    [[nodiscard]] Descriptor& at(SplitPlace place) const noexcept {
        return *reinterpret_cast<Descriptor*>(descriptors_ + std::size_t{2} * place.offset());
    }
    [[nodiscard]] std::uint16_t& driver16(std::size_t offset) const noexcept {
        return *reinterpret_cast<std::uint16_t*>(available_ + offset);
    }
    [[nodiscard]] std::uint16_t& device16(std::size_t offset) const noexcept { return *reinterpret_cast<std::uint16_t*>(used_ + offset); }

    std::byte* descriptors_ = nullptr;
    std::byte* available_ = nullptr; // flags, index, ring[size], used_event
    std::byte* used_ = nullptr;      // flags, index, elements[size], available_event
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
