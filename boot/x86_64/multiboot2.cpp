#include "boot/x86_64/multiboot2.hpp"

#include <algorithm>

#include "boot/x86_64/efi.hpp"
#include "boot/x86_64/memory_map.hpp"

// Multiboot2 Specification 2.0, section 3.6. All fields are little-endian; each tag begins on 8 bytes.
namespace boot {
namespace {

enum : std::uint32_t {
    kTagEnd = 0,
    kTagCommandLine = 1,
    kTagLoaderName = 2,
    kTagModule = 3,
    kTagBasicMemory = 4,
    kTagMemoryMap = 6,
    kTagEfi64SystemTable = 12,
    kTagOldRootPointer = 14,
    kTagNewRootPointer = 15,
    kTagEfiMemoryMap = 17,
};

// No loader has more to say; more than that is nonsense that would only cost time.
constexpr std::uint32_t kLongest = 1 << 20;
constexpr std::uint64_t kKibibyte = 1024, kMebibyte = 1024 * 1024;

struct Pair {
    std::uint32_t first;
    std::uint32_t second;
};

struct MemoryEntry {
    std::uint64_t base;
    std::uint64_t size;
    std::uint32_t type;
    std::uint32_t reserved;
};
static_assert(sizeof(MemoryEntry) == 24);

/// A tag's content: where it is and how long.
struct Content {
    std::uint64_t address = 0;
    std::uint64_t size = 0;
    [[nodiscard]] bool there() const noexcept { return address != 0; }
};

class Reader {
public:
    Reader(const PhysicalView& memory, kernel::BootInfo& info, StringStorage& strings, FirmwareTables& tables) noexcept
        : memory_(memory), info_(info), arena_(strings), tables_(tables) {}

    void take(std::uint32_t type, Content content) noexcept {
        switch (type) {
        case kTagCommandLine: info_.command_line = text(content, 0); break;
        case kTagLoaderName: info_.loader = text(content, 0); break;
        case kTagModule: module(content); break;
        case kTagBasicMemory: basic_memory_ = content; break;
        case kTagMemoryMap: memory_map_ = content; break;
        case kTagEfiMemoryMap: efi_memory_map_ = content; break;
        case kTagEfi64SystemTable:
            if (content.size >= sizeof tables_.efi_system_table) (void)memory_.read(content.address, tables_.efi_system_table);
            break;
        case kTagOldRootPointer: root_pointer(content, 20); break;
        case kTagNewRootPointer: root_pointer(content, 36); break;
        default: break;
        }
    }

    /// One of the maps, the most telling one.
    void finish() noexcept {
        if (memory_map_.there()) read_memory_map();
        if (info_.memory_count == 0 && efi_memory_map_.there()) {
            Pair sizes{}; // of a descriptor; version
            if (efi_memory_map_.size >= sizeof sizes && memory_.read(efi_memory_map_.address, sizes))
                read_efi_memory_map(memory_, efi_memory_map_.address + sizeof sizes, efi_memory_map_.size - sizeof sizes, sizes.first,
                                    info_);
        }
        if (info_.memory_count == 0 && basic_memory_.there()) {
            Pair sizes{}; // KiB from 0 on, KiB from 1 MiB on
            if (basic_memory_.size < sizeof sizes || !memory_.read(basic_memory_.address, sizes)) return;
            add_region(info_, 0, sizes.first * kKibibyte, kernel::MemoryKind::usable);
            add_region(info_, kMebibyte, sizes.second * kKibibyte, kernel::MemoryKind::usable);
        }
    }

private:
    const char* text(Content content, std::uint64_t from) noexcept {
        return content.size > from ? arena_.copy(memory_, content.address + from, content.size - from) : "";
    }

    void module(Content content) noexcept {
        Pair range{}; // first byte; behind the last
        if (content.size < sizeof range || !memory_.read(content.address, range) || range.second <= range.first) return;
        add_module(info_, range.first, range.second - range.first, text(content, sizeof range));
    }

    /// Version 2's is taken wherever it stands.
    void root_pointer(Content content, std::size_t bytes) noexcept {
        if (content.size < bytes || bytes <= tables_.root_pointer_bytes) return;
        if (memory_.read(content.address, std::span(tables_.root_pointer).first(bytes))) tables_.root_pointer_bytes = bytes;
    }

    void read_memory_map() noexcept {
        Pair sizes{}; // of an entry; version
        if (memory_map_.size < sizeof sizes || !memory_.read(memory_map_.address, sizes) || sizes.first < sizeof(MemoryEntry)) return;
        const std::uint64_t count = (memory_map_.size - sizeof sizes) / sizes.first;
        for (std::uint64_t i = 0; i < count; ++i) {
            MemoryEntry entry{};
            if (!memory_.read(memory_map_.address + sizeof sizes + i * sizes.first, entry)) return;
            add_region(info_, entry.base, entry.size, e820_kind(entry.type));
        }
    }

    const PhysicalView& memory_;
    kernel::BootInfo& info_;
    StringArena arena_;
    FirmwareTables& tables_;
    Content basic_memory_, memory_map_, efi_memory_map_;
};

} // namespace

virtio::Result<> read_multiboot2(const PhysicalView& memory, std::uint64_t address, kernel::BootInfo& info, StringStorage& strings,
                                 FirmwareTables& tables) noexcept {
    Pair head{}; // size of it all; reserved
    if (!memory.read(address, head)) return virtio::fail(virtio::Error::out_of_range);
    if (head.first > kLongest || head.first > memory.size() - address) return virtio::fail(virtio::Error::out_of_range);
    info.protocol = "multiboot2";
    Reader reader(memory, info, strings, tables);
    for (std::uint64_t at = sizeof head; at + sizeof(Pair) <= head.first;) {
        Pair tag{}; // type; size, this head included
        if (!memory.read(address + at, tag)) return virtio::fail(virtio::Error::out_of_range);
        if (tag.first == kTagEnd) break;
        if (tag.second < sizeof tag || tag.second > head.first - at) return virtio::fail(virtio::Error::bad_header);
        reader.take(tag.first, {address + at + sizeof tag, tag.second - sizeof tag});
        at += (std::uint64_t{tag.second} + 7) & ~std::uint64_t{7};
    }
    reader.finish();
    return {};
}

} // namespace boot
