// The UEFI application up to the door of the processor's part, over a firmware that keeps account of its pages. What refuses to start
// leaves nothing behind, so that who starts it again is told the same. With aarch64's needs: a device tree.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "boot/uefi/stub.hpp"

extern "C" boot::uefi::Status ringside_uefi_start(boot::uefi::Handle handle, const boot::uefi::SystemTable* system);
extern "C" {
extern constinit const boot::uefi::Link ringside_uefi_link = {0x4020'0000, 0x10'0000, 0x30'0000};
extern constinit const std::byte ringside_image_first{};
}

namespace {

using namespace boot::uefi;

struct Page {
    alignas(kPage) std::array<std::byte, kPage> bytes;
};

/// The firmware. Its functions have no argument to say whose they are: one at a time.
struct Firmware {
    std::map<Address, std::vector<Page>> taken;
    std::size_t most_below = 100; ///< blocks of memory below 4 GiB
    bool ends = true;
    std::u16string said;
    std::u16string options;
    LoadedImage image{};
    std::vector<std::byte> tree;
    std::vector<ConfigurationTable> tables;
    TextOutput output{};
    BootServices services{};
    SystemTable system{};
};
Firmware* firmware = nullptr;

struct Entered {
    std::size_t blocks;
    std::string command_line;
    std::vector<std::byte> tree;
    bool tree_is_copy;
};

Status output_string(TextOutput*, const char16_t* text) {
    firmware->said += text;
    return kSuccess;
}
Status allocate(Place place, std::uint32_t, std::uintptr_t count, Address* address) {
    REQUIRE(count != 0);
    if (place == Place::at) return firmware->taken.try_emplace(*address).second ? kSuccess : kLoadError;
    REQUIRE((place == Place::below && *address == 0xffffffff));
    if (firmware->most_below == 0) return kLoadError;
    --firmware->most_below;
    std::vector<Page> pages(count);
    *address = reinterpret_cast<Address>(pages.data());
    firmware->taken.emplace(*address, std::move(pages));
    return kSuccess;
}
Status release(Address address, std::uintptr_t count) {
    const auto found = firmware->taken.find(address);
    REQUIRE(found != firmware->taken.end());
    REQUIRE(count == (address == ringside_uefi_link.address ? ringside_uefi_link.bytes / kPage : found->second.size()));
    firmware->taken.erase(found);
    if (address != ringside_uefi_link.address) ++firmware->most_below;
    return kSuccess;
}
Status memory_map(std::uintptr_t* bytes, void*, std::uintptr_t* key, std::uintptr_t* descriptor, std::uint32_t* version) {
    *bytes = 48, *key = 7, *descriptor = 48, *version = 1;
    return kSuccess;
}
Status handle_protocol(Handle, const Guid*, void** interface) {
    *interface = &firmware->image;
    return kSuccess;
}
Status exit_boot_services(Handle, std::uintptr_t key) { return firmware->ends && key == 7 ? kSuccess : kLoadError; }

void begin(Firmware& made, bool has_tree) {
    firmware = &made;
    made.options = u"quiet";
    made.image.options = made.options.c_str();
    made.image.options_bytes = static_cast<std::uint32_t>((made.options.size() + 1) * sizeof(char16_t));
    made.tree.assign(5000, std::byte{0x5a});
    constexpr std::array<unsigned, 8> kBegin{0xd0, 0x0d, 0xfe, 0xed, 0, 0, 5000 >> 8, 5000 & 255};
    std::transform(kBegin.begin(), kBegin.end(), made.tree.begin(), [](unsigned byte) { return static_cast<std::byte>(byte); });
    made.tables.push_back({{1, 2, 3}, &made});
    if (has_tree) made.tables.push_back({kDeviceTree, made.tree.data()});
    made.output.output_string = output_string;
    made.services.allocate_pages = allocate;
    made.services.free_pages = release;
    made.services.get_memory_map = memory_map;
    made.services.handle_protocol = handle_protocol;
    made.services.exit_boot_services = exit_boot_services;
    made.system.output = &made.output;
    made.system.boot_services = &made.services;
    made.system.table_count = made.tables.size();
    made.system.tables = made.tables.data();
}

/// Starts it twice: refused with these words each time, and nothing stays behind.
void check_refused(Firmware& made, std::u16string_view words) {
    for (int time = 0; time < 2; ++time) {
        made.said.clear();
        CHECK(ringside_uefi_start(nullptr, &made.system) == kLoadError);
        CHECK(made.said.find(words) != std::u16string::npos);
        CHECK(made.taken.empty());
    }
}

} // namespace

void boot::uefi::enter(const Handover& handover) {
    const auto* const tree = handover.device_tree;
    throw Entered{firmware->taken.size(), handover.command_line, {tree, tree + firmware->tree.size()}, tree != firmware->tree.data()};
}

TEST_CASE("the kernel is entered with command line and a copy of the tree") {
    Firmware made;
    begin(made, true);
    try {
        static_cast<void>(ringside_uefi_start(nullptr, &made.system));
        FAIL("came back");
    } catch (const Entered& entered) {
        CHECK((entered.blocks == 3 && entered.command_line == "quiet" && entered.tree_is_copy));
        CHECK(entered.tree == made.tree);
        CHECK(made.said.empty());
    }
}

TEST_CASE("what refuses to start leaves nothing behind, and says the same again") {
    Firmware treeless;
    begin(treeless, false);
    check_refused(treeless, u"no device tree");

    Firmware broken; // what is called a tree is none
    begin(broken, true);
    broken.tree[0] = std::byte{0};
    check_refused(broken, u"no device tree");

    Firmware endless;
    begin(endless, true);
    endless.ends = false;
    check_refused(endless, u"do not end");

    for (const std::size_t most : {0U, 1U}) { // not even for the buffer; not for the tree
        Firmware full;
        begin(full, true);
        full.most_below = most;
        check_refused(full, u"no memory below 4 GiB");
    }
}

TEST_CASE("memory that is another's is not given back") {
    Firmware made;
    begin(made, true);
    made.taken.try_emplace(ringside_uefi_link.address);
    CHECK(ringside_uefi_start(nullptr, &made.system) == kLoadError);
    CHECK(made.said.find(u"is not free") != std::u16string::npos);
    CHECK((made.taken.size() == 1 && made.taken.contains(ringside_uefi_link.address)));
}
