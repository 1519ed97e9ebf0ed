// Who has a line: the kernel's own, and devices whose firmware says that theirs is the same.
#include <doctest/doctest.h>

#include <cstdlib>
#include <vector>

#include "arch/interrupts.hpp"
#include "arch/kernel_hooks.hpp"
#include "kernel/firmware/hardware.hpp"
#include "kernel/interrupt/interrupts.hpp"
#include "kernel/interrupt/vector_table.hpp"
#include "kernel/memory/address_space.hpp"
#include "kernel/memory/pages.hpp"
#include "kernel/panic/panic.hpp"
#include "kernel/processor/processor.hpp"

namespace {

std::vector<std::uint32_t> routed; // vectors, in order
constexpr std::uint32_t kLines = 24;

} // namespace

namespace arch {
const char* start_interrupts(const Hardware&, MapRegisters) noexcept { return nullptr; }
bool route_line(const Line& line, std::uint32_t vector) noexcept {
    if (line.gsi >= kLines) return false;
    routed.push_back(vector);
    return true;
}
void mask_line(std::uint32_t) noexcept {}
bool connect_message(std::uint32_t, std::uint32_t, std::uint32_t, Message&) noexcept { return false; }
void disconnect_message(std::uint32_t) noexcept {}
} // namespace arch

namespace kernel {
namespace interrupt {
std::array<Slot, 256> slots;
std::uint64_t spurious_count = 0;
} // namespace interrupt
virtio::Result<volatile void*> map_device(std::uint64_t, std::uint64_t) { return virtio::fail(virtio::Error::out_of_memory); }
virtio::Result<void*> allocate_pages(std::size_t, std::size_t) { return virtio::fail(virtio::Error::out_of_memory); }
const arch::Hardware& hardware() noexcept {
    static const arch::Hardware nothing;
    return nothing;
}
void panic(const char*, ...) { std::abort(); }
} // namespace kernel

extern "C" void* ringside_test_processor() { return nullptr; }

using namespace kernel;

TEST_CASE("a line that has an owner keeps it, until it is masked or its vector is free") {
    const auto handler = [](void*) {};
    const Vector button = allocate_vector(handler, nullptr, "power button").value();
    const Vector disk = allocate_vector(handler, nullptr, "disk").value();
    CHECK(route_line({.gsi = 9}, button));
    CHECK(route_line({.gsi = 9}, button)); // again
    routed.clear();
    CHECK(route_line({.gsi = 9}, disk).error() == virtio::Error::interrupt_unavailable);
    CHECK(routed.empty());
    CHECK(route_line({.gsi = 10}, disk));
    CHECK(route_line({.gsi = 24}, disk).error() == virtio::Error::out_of_range);
    CHECK(route_line({.gsi = 5000}, disk).error() == virtio::Error::out_of_range);
    mask_line(9);
    CHECK(route_line({.gsi = 9}, disk));
    mask_line(5000);
    free_vector(disk); // and nobody masked its lines
    CHECK(route_line({.gsi = 10}, button));
    CHECK(routed.back() == button.number);
}
