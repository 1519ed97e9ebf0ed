#include "boot/uefi/stub.hpp"

#include <span>

namespace boot::uefi {
namespace {

// More than any firmware's map needs; what ends the boot services may add to it.
constexpr std::size_t kMemoryMapBytes = 128 * 1024;
constexpr std::size_t kBufferBytes = kPage + kCommandLineBytes + kMemoryMapBytes;
constexpr Address kHighest = 0xffffffff;
constexpr int kAttempts = 8;

constexpr std::uintptr_t pages(std::uint64_t bytes) noexcept { return static_cast<std::uintptr_t>((bytes + kPage - 1) / kPage); }

Status refuse(const SystemTable& system, const char16_t* why) {
    if (system.output != nullptr) (void)system.output->output_string(system.output, why);
    return kLoadError;
}

constinit const BuiltIn built_in = {"ringside built-in command line", {}};
constexpr std::size_t kTreeHeaderBytes = 40, kTreeSize = 4, kLargestTree = 2 * 1024 * 1024;
constexpr std::uint32_t kTreeMagic = 0xd00dfeed;

std::uint32_t big_endian(const std::byte* at) noexcept {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<std::uint32_t>(at[i]);
    return value;
}

bool equal(const Guid& a, const Guid& b) noexcept {
    for (std::size_t i = 0; i < a.size(); ++i)
        if (a[i] != b[i]) return false;
    return true;
}

void copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
    for (std::size_t i = 0; i < bytes; ++i) to[i] = from[i];
}

/// The firmware's device tree; empty if it has none. What is in it, the kernel checks.
std::span<const std::byte> find_device_tree(const SystemTable& system) {
    for (std::uintptr_t i = 0; i < system.table_count; ++i) {
        if (!equal(system.tables[i].guid, kDeviceTree)) continue;
        const auto* const tree = static_cast<const std::byte*>(system.tables[i].table);
        if (tree == nullptr || big_endian(tree) != kTreeMagic) continue;
        const std::size_t bytes = big_endian(tree + kTreeSize);
        if (bytes >= kTreeHeaderBytes && bytes <= kLargestTree) return {tree, bytes};
    }
    return {};
}

/// Memory of the firmware's, given back by an application that is refused: loader data outlives it, and what stays taken is in the way of
/// its next start. (Also when boot services do not end: the calls about memory are those that are still allowed then.)
class Pages {
public:
    explicit Pages(const BootServices& services) : services_(services) {}
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;
    ~Pages() {
        if (count_ != 0) (void)services_.free_pages(address_, count_);
    }

    /// Once. `address` is where, or how high at most.
    [[nodiscard]] bool allocate(Place place, std::uint32_t type, std::uint64_t bytes, Address address) {
        if (services_.allocate_pages(place, type, pages(bytes), &address) != kSuccess) return false;
        address_ = address;
        count_ = pages(bytes);
        return true;
    }
    [[nodiscard]] std::byte* begin() const { return reinterpret_cast<std::byte*>(address_); }

private:
    const BootServices& services_;
    Address address_ = 0;
    std::uintptr_t count_ = 0;
};

/// The text that is in the file, of which the compiler must not think that it knows it.
void copy_built_in(char* out) {
    const char* text = built_in.text;
    asm volatile("" : "+r"(text));
    std::size_t length = 0;
    for (; length + 1 < sizeof built_in.text && text[length] != 0; ++length) out[length] = text[length];
    out[length] = 0;
}

/// The load options as plain characters. What is none stands as a question mark.
void copy_options(const LoadedImage& image, char* out) {
    const std::size_t count = image.options == nullptr ? 0 : image.options_bytes / sizeof(char16_t);
    std::size_t length = 0;
    while (length < count && length + 1 < kCommandLineBytes && image.options[length] != 0) {
        const char16_t c = image.options[length];
        out[length++] = c < 0x80 ? static_cast<char>(c) : '?';
    }
    out[length] = 0;
}

} // namespace

/// The application's entry (UEFI 2.10, 4.1). Returns only if the image cannot be started here.
extern "C" [[gnu::visibility("hidden")]] Status ringside_uefi_start(Handle handle, const SystemTable* system) {
    const BootServices& services = *system->boot_services;
    const Link& link = ringside_uefi_link;
    const std::span<const std::byte> tree = find_device_tree(*system);
    if (arch::kUefiNeedsDeviceTree && tree.empty())
        return refuse(*system, u"Ringside: this firmware has no device tree (in QEMU: -M virt,acpi=off).\r\n");
    Pages image(services), data(services), tree_copy(services);
    if (!image.allocate(Place::at, kLoaderCode, link.bytes, link.address))
        return refuse(*system, u"Ringside: the memory that this image is linked for is not free.\r\n");
    // The copy of the tree is where the kernel can read it early.
    if (!data.allocate(Place::below, kLoaderData, kBufferBytes, kHighest) ||
        (!tree.empty() && !tree_copy.allocate(Place::below, kLoaderData, tree.size(), kHighest)))
        return refuse(*system, u"Ringside: no memory below 4 GiB.\r\n");
    auto* const buffer = data.begin();
    for (std::size_t i = 0; i < kPage; ++i) buffer[i] = std::byte{0};

    Handover handover{};
    handover.system_table = system;
    handover.link_address = link.address;
    handover.file_bytes = link.file_bytes;
    handover.image = &ringside_image_first;
    handover.page = buffer;
    handover.command_line = reinterpret_cast<char*>(buffer + kPage);
    void* interface = nullptr;
    *handover.command_line = 0;
    if (services.handle_protocol(handle, &kLoadedImage, &interface) == kSuccess)
        copy_options(*static_cast<const LoadedImage*>(interface), handover.command_line);
    if (*handover.command_line == 0) copy_built_in(handover.command_line);
    if (!tree.empty()) {
        copy(tree_copy.begin(), tree.data(), tree.size());
        handover.device_tree = tree_copy.begin();
    }

    std::byte* const map = buffer + kPage + kCommandLineBytes;
    handover.memory_map = map;
    // A map is good for the end of boot services only as long as nothing changes it, not even what the firmware does at that end.
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        std::uintptr_t key = 0;
        handover.memory_map_bytes = kMemoryMapBytes;
        const Status status =
            services.get_memory_map(&handover.memory_map_bytes, map, &key, &handover.descriptor_bytes, &handover.descriptor_version);
        if (status != kSuccess) break;
        if (services.exit_boot_services(handle, key) == kSuccess) enter(handover);
    }
    return refuse(*system, u"Ringside: the firmware's boot services do not end.\r\n");
}

} // namespace boot::uefi
