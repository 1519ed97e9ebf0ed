// The trees of QEMU's virt machines, read into the machine's description; then the same trees damaged. Addresses are those that QEMU
// documents for its machines (docs/system and hw/*/virt.c: they are part of what guests rely on).
#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <string>

#include "kernel/firmware/tree_boot.hpp"
#include "kernel/firmware/tree_hardware.hpp"
#include "tests/unit/support/dumped_tree.hpp"
#include "tests/unit/support/tree_writer.hpp"

namespace {

using namespace kernel;
using arch::InterruptChip;
using arch::Line;
using arch::Polarity;
using arch::Trigger;
using Blob = std::vector<std::byte>;
using Kind = InterruptChip::Kind;

struct Read {
    Blob blob;
    DeviceTree tree;
    TreeMachine machine;
    BootInfo boot;
    std::array<char, 256> strings{};
    std::string problem;
};

/// Keeps the blob and what was read of it together: nodes and texts point into it.
std::unique_ptr<Read> read(const Blob& blob) {
    auto made = std::make_unique<Read>();
    made->blob = blob;
    const auto tree = DeviceTree::open(made->blob);
    REQUIRE_MESSAGE(tree.has_value(), tree.error().what);
    made->tree = *tree;
    read_machine(made->tree, made->machine);
    if (const auto ok = read_boot(made->tree, 0x4000'0000, made->boot, made->strings); !ok) made->problem = ok.error();
    for (const TreeWarning& warning : made->machine.warnings.all()) MESSAGE(std::string(warning.node) << ": " << warning.what);
    CHECK(made->machine.warnings.count == 0);
    CHECK(made->problem.empty());
    return made;
}

DeviceTree opened(const Blob& blob) {
    const auto tree = DeviceTree::open(blob);
    REQUIRE_MESSAGE(tree.has_value(), tree.error().what);
    return *tree;
}

std::string temporary_file(std::size_t size) {
    std::string name = (std::filesystem::temp_directory_path() / "ringside-file-XXXXXX").string();
    const int made = mkstemp(name.data());
    REQUIRE(made >= 0);
    close(made);
    std::ofstream(name, std::ios::binary) << std::string(size, '\0');
    return name;
}

/// The usable memory, in bytes, and that all of it is somewhere.
std::uint64_t usable(const BootInfo& info) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < info.memory_count; ++i)
        if (info.memory[i].kind == MemoryKind::usable) sum += info.memory[i].size;
    return sum;
}

constexpr std::uint64_t kMiB = 1 << 20;

void check_arm(const Read& found, std::uint64_t config, unsigned buses) {
    const arch::Hardware& hardware = found.machine.hardware;
    REQUIRE(hardware.processor_count == 2);
    CHECK((hardware.processors[0].id == 0 && hardware.processors[1].id == 1));
    CHECK(hardware.timer.line.gsi == 27); // virtual timer: private interrupt 11
    CHECK(hardware.timer.line.trigger == Trigger::level);
    CHECK((hardware.uart.kind == arch::Uart::Kind::pl011 && hardware.uart.registers.base == 0x9000000));
    CHECK(hardware.uart.line == Line{33, Trigger::level, Polarity::high});
    CHECK((hardware.rtc.kind == arch::RealTimeClock::Kind::pl031 && hardware.rtc.registers.base == 0x9010000));
    CHECK(hardware.power.psci == arch::PowerHardware::Psci::hvc);
    CHECK((hardware.power.button_gpio.base == 0x9030000 && hardware.power.button_pin == 3));
    CHECK(hardware.power.button_line == Line{39, Trigger::level, Polarity::high});

    // 32 slots of 512 bytes, each with an edge-triggered line of its own.
    REQUIRE(found.machine.device_count == 32);
    for (std::uint32_t i = 0; i < 32; ++i) {
        const MmioDevice& device = found.machine.devices[i];
        const std::uint64_t slot = (device.base - 0xa000000) / 0x200;
        CHECK((slot < 32 && device.size == 0x200 &&
               device.line == Line{static_cast<std::uint32_t>(48 + slot), Trigger::edge, Polarity::high}));
        CHECK(device.source == MmioDevice::Source::device_tree);
    }

    REQUIRE(found.machine.host_count == 1);
    const PciHost& host = found.machine.hosts[0];
    CHECK((host.config == config && host.first_bus == 0 && host.last_bus == buses - 1 && host.assign && host.segment == 0));
    REQUIRE(host.window_count >= 2);
    CHECK((host.windows[0].kind == PciWindow::Kind::port && host.windows[0].pci == 0 && host.windows[0].base == 0x3eff0000 &&
           host.windows[0].size == 0x10000));
    CHECK((host.windows[1].kind == PciWindow::Kind::memory32 && host.windows[1].base == 0x10000000 && host.windows[1].size == 0x2eff0000));
    CHECK(host.device_mask == 3);
    REQUIRE(host.interrupt_count == 16);
    for (std::size_t i = 0; i < 16; ++i) { // the usual swizzle over four lines
        const PciInterrupt& row = host.interrupts[i];
        CHECK(row.line == Line{35U + (row.device + row.pin - 1U) % 4, Trigger::level, Polarity::high});
    }
}

void check_riscv(const Read& found, Kind kind) {
    const arch::Hardware& hardware = found.machine.hardware;
    REQUIRE(hardware.processor_count == 3);
    CHECK((hardware.processors[0].id == 0 && hardware.processors[1].id == 1 && hardware.processors[2].id == 2));
    CHECK(hardware.timer.counter_hz == 10'000'000);
    CHECK(hardware.timer.sstc);
    const InterruptChip* chip = hardware.find(kind);
    REQUIRE(chip != nullptr);
    CHECK(chip->count == 96);
    CHECK((hardware.uart.kind == arch::Uart::Kind::ns16550 && hardware.uart.registers.base == 0x10000000));
    CHECK(hardware.uart.line == Line{10, Trigger::level, Polarity::high});
    CHECK((hardware.rtc.kind == arch::RealTimeClock::Kind::goldfish && hardware.rtc.registers.base == 0x101000));
    CHECK(hardware.power.test_finisher.base == 0x100000);
    CHECK(hardware.power.psci == arch::PowerHardware::Psci::none);

    REQUIRE(found.machine.device_count == 8);
    for (std::size_t i = 0; i < 8; ++i) {
        const MmioDevice& device = found.machine.devices[i];
        const std::uint64_t slot = (device.base - 0x10001000) / 0x1000;
        CHECK((slot < 8 && device.size == 0x1000 &&
               device.line == Line{static_cast<std::uint32_t>(1 + slot), Trigger::level, Polarity::high}));
    }
    REQUIRE(found.machine.host_count == 1);
    const PciHost& host = found.machine.hosts[0];
    CHECK((host.config == 0x30000000 && host.last_bus == 255 && host.assign));
    REQUIRE(host.window_count == 3);
    CHECK((host.windows[0].kind == PciWindow::Kind::port && host.windows[0].base == 0x3000000));
    CHECK((host.windows[1].base == 0x40000000 && host.windows[1].pci == 0x40000000 && host.windows[1].size == 0x40000000));
    CHECK((host.windows[2].kind == PciWindow::Kind::memory64 && host.windows[2].base >= 0x1'0000'0000));
    REQUIRE(host.interrupt_count == 16);
    for (std::size_t i = 0; i < 16; ++i) {
        const PciInterrupt& row = host.interrupts[i];
        CHECK(row.line == Line{32U + (row.device + row.pin - 1U) % 4, Trigger::level, Polarity::high});
    }
}

} // namespace

TEST_CASE("aarch64 virt with GICv2 and GICv2m; command line and initial RAM disk") {
    const std::string kernel = temporary_file(4096), disk = temporary_file(100'000);
    const auto found = read(dumped_tree("qemu-system-aarch64", "-M virt,gic-version=2 -cpu cortex-a57 -smp 2 -m 768 -kernel " + kernel +
                                                                   " -initrd " + disk + " -append 'quiet ip=10.0.2.15 -- run'"));
    std::filesystem::remove(kernel);
    std::filesystem::remove(disk);
    check_arm(*found, 0x40'1000'0000, 256);
    const arch::Hardware& hardware = found->machine.hardware;
    REQUIRE(hardware.chip_count == 2);
    const InterruptChip *gic = hardware.find(Kind::gic_v2), *messages = hardware.find(Kind::gic_v2m);
    REQUIRE((gic != nullptr && messages != nullptr));
    CHECK((gic->registers[0].base == 0x8000000 && gic->registers[1].base == 0x8010000 && gic->registers[2].base == 0));
    CHECK(messages->registers[0].base == 0x8020000);
    CHECK(found->machine.hosts[0].window_count == 3);
    CHECK(found->machine.hosts[0].windows[2].base == 0x80'0000'0000);
    REQUIRE(found->machine.hosts[0].msi_count == 1);
    CHECK((found->machine.hosts[0].msi[0].begin == 0 && found->machine.hosts[0].msi[0].target == 0 &&
           found->machine.hosts[0].msi[0].count == 0x10000));

    CHECK(usable(found->boot) == 768 * kMiB);
    CHECK(std::string(found->boot.command_line) == "quiet ip=10.0.2.15 -- run");
    REQUIRE(found->boot.module_count == 1);
    CHECK((found->boot.modules[0].size == 100'000 && found->boot.modules[0].base >= 0x40000000));
    CHECK(found->boot.device_tree == 0x4000'0000);
    CHECK((found->boot.memory[0].kind == MemoryKind::reserved && found->boot.memory[0].size == found->tree.bytes().size()));
    CHECK(found->tree.bytes().size() < 64 * 1024); // QEMU pads to 1 MiB: that is not lost
}

TEST_CASE("aarch64 virt with GICv3 and ITS, many processors") {
    const auto found = read(dumped_tree("qemu-system-aarch64", "-M virt,gic-version=3 -cpu cortex-a57 -smp 2 -m 256"));
    check_arm(*found, 0x40'1000'0000, 256);
    const arch::Hardware& hardware = found->machine.hardware;
    REQUIRE(hardware.chip_count == 2);
    const InterruptChip *gic = hardware.find(Kind::gic_v3), *its = hardware.find(Kind::gic_its);
    REQUIRE((gic != nullptr && its != nullptr));
    CHECK((gic->registers[0].base == 0x8000000 && gic->registers[1].base == 0x80a0000 && gic->registers[1].size == 0xf60000 &&
           gic->registers[2].base == 0));
    CHECK(its->registers[0].base == 0x8080000);
    CHECK(found->boot.module_count == 0);

    auto many = std::make_unique<Read>();
    many->blob = dumped_tree("qemu-system-aarch64", "-M virt,gic-version=3 -cpu cortex-a57 -smp 70 -m 256");
    many->tree = DeviceTree::open(many->blob).value();
    read_machine(many->tree, many->machine);
    CHECK(many->machine.hardware.processor_count == arch::Hardware::kMostProcessors);
    CHECK(many->machine.hardware.processors[17].id == 0x101); // affinity, not a count: sixteen to a cluster
    REQUIRE(many->machine.warnings.count == 1);
    CHECK(std::string(many->machine.warnings.items[0].what) == "more processors than can be kept");
}

TEST_CASE("aarch64 virt under EL2 firmware calls by smc") {
    const auto found = read(dumped_tree("qemu-system-aarch64", "-M virt,virtualization=on,gic-version=2 -cpu cortex-a57 -smp 2 -m 256"));
    CHECK(found->machine.hardware.power.psci == arch::PowerHardware::Psci::smc);
    CHECK(found->machine.hardware.find(Kind::gic_v2)->registers[2].base == 0); // the virtual interface's are not the chip's
}

TEST_CASE("armv7 virt, with its configuration space above and below 4 GiB") {
    const auto high = read(dumped_tree("qemu-system-arm", "-M virt -cpu cortex-a15 -smp 2 -m 512"));
    check_arm(*high, 0x40'1000'0000, 256);
    CHECK(high->machine.hosts[0].window_count == 3);
    const auto low = read(dumped_tree("qemu-system-arm", "-M virt,highmem=off -cpu cortex-a15 -smp 2 -m 512"));
    check_arm(*low, 0x3f000000, 16);
    CHECK(low->machine.hosts[0].window_count == 2);
    CHECK(low->machine.hardware.find(Kind::gic_v2) != nullptr);
    CHECK(usable(low->boot) == 512 * kMiB);
}

TEST_CASE("riscv64 virt with a PLIC") {
    const auto found = read(dumped_tree("qemu-system-riscv64", "-M virt -smp 3 -m 320 -bios none"));
    check_riscv(*found, Kind::plic);
    const arch::Hardware& hardware = found->machine.hardware;
    CHECK(hardware.chip_count == 1);
    CHECK(hardware.find(Kind::plic)->registers[0].base == 0xc000000);
    for (std::uint32_t i = 0; i < 3; ++i) {
        // Machine mode, supervisor mode, in turn.
        CHECK((hardware.processors[i].has_plic_context && hardware.processors[i].plic_context == 2 * i + 1));
        CHECK_FALSE((hardware.processors[i].has_imsic_page || hardware.processors[i].has_aplic_index));
    }
    CHECK(found->machine.hosts[0].msi_count == 0);
    CHECK(usable(found->boot) == 320 * kMiB);
}

TEST_CASE("riscv64 virt with an APLIC, without and with IMSICs") {
    const auto direct = read(dumped_tree("qemu-system-riscv64", "-M virt,aia=aplic -smp 3 -m 256 -bios none"));
    check_riscv(*direct, Kind::aplic);
    CHECK(direct->machine.hardware.chip_count == 1); // machine mode's own is not ours
    CHECK(direct->machine.hardware.find(Kind::aplic)->registers[0].base == 0xd000000);
    for (std::uint32_t i = 0; i < 3; ++i) {
        const arch::Processor& processor = direct->machine.hardware.processors[i];
        CHECK((processor.has_aplic_index && processor.aplic_index == i && !processor.has_imsic_page && !processor.has_plic_context));
    }

    for (const unsigned guests : {0U, 3U}) {
        const auto found = read(dumped_tree("qemu-system-riscv64",
                                            "-M virt,aia=aplic-imsic,aia-guests=" + std::to_string(guests) + " -smp 3 -m 256 -bios none"));
        check_riscv(*found, Kind::aplic);
        const InterruptChip* imsic = found->machine.hardware.find(Kind::imsic);
        REQUIRE(imsic != nullptr);
        CHECK(found->machine.hardware.chip_count == 2);
        CHECK((imsic->registers[0].base == 0x28000000 && imsic->count == 255));
        CHECK(found->machine.hardware.find(Kind::aplic)->registers[0].base == 0xd000000);
        for (std::uint32_t i = 0; i < 3; ++i) {
            const arch::Processor& processor = found->machine.hardware.processors[i];
            CHECK((processor.has_imsic_page && processor.imsic_page == i << (guests == 0 ? 0 : 2) && !processor.has_aplic_index));
        }
    }
}

TEST_CASE("a clock that UEFI has marked as its own is the clock all the same; other nodes that are off are not there") {
    TreeWriter writer;
    writer.begin("").cells("#address-cells", {2}).cells("#size-cells", {2});
    writer.begin("goldfish@1000")
        .text("compatible", {"google,goldfish-rtc"})
        .text("status", {"disabled"})
        .cells("reg", {0, 0x1000, 0, 0x1000})
        .end();
    writer.begin("pl031@9010000")
        .text("compatible", {"arm,pl031"})
        .text("status", {"disabled"})
        .cells("reg", {0, 0x9010000, 0, 0x1000})
        .end()
        .end();
    const Blob blob = writer.done();
    TreeMachine machine;
    read_machine(opened(blob), machine);
    CHECK(machine.hardware.rtc.kind == arch::RealTimeClock::Kind::pl031);
    CHECK(machine.hardware.rtc.registers.base == 0x9010000);
}

TEST_CASE("memory in several places") {
    const auto found = read(dumped_tree("qemu-system-aarch64",
                                        "-M virt,gic-version=3 -cpu cortex-a57 -smp 2 -m 256 -object memory-backend-ram,id=a,size=128M "
                                        "-object memory-backend-ram,id=b,size=128M -numa node,memdev=a,cpus=0 -numa node,memdev=b,cpus=1"));
    CHECK(usable(found->boot) == 256 * kMiB);
    std::size_t regions = 0;
    for (std::size_t i = 0; i < found->boot.memory_count; ++i) regions += found->boot.memory[i].kind == MemoryKind::usable;
    CHECK(regions == 2);
}

TEST_CASE("reserved memory comes first and is never dropped; what is no memory is not used") {
    // As OpenSBI and loaders leave a tree: reservations in both places, more than one range in a node, nodes that are switched off.
    const auto tree_with = [](std::size_t reserved_nodes, const char* memory_status) {
        TreeWriter writer;
        writer.reserve(0x8800'0000, 0x1000).reserve(~std::uint64_t{0}, 0x1000).reserve(0x9000'0000, ~std::uint64_t{0});
        writer.begin("").cells("#address-cells", {2}).cells("#size-cells", {2});
        writer.begin("memory@80000000").text("device_type", {"memory"}).text("status", {memory_status});
        writer.cells("reg", {0, 0x80000000, 0, 0x10000000, 1, 0, 0, 0x1000, 2, 0, 0, 0}).end();
        writer.begin("memory@off").text("device_type", {"memory"}).text("status", {"disabled"}).cells("reg", {4, 0, 1, 0}).end();
        writer.begin("reserved-memory").cells("#address-cells", {2}).cells("#size-cells", {2}).flag("ranges");
        for (std::size_t i = 0; i < reserved_nodes; ++i) writer.begin("r").cells("reg", {0, 0x80000000, 0, 0x80000}).flag("no-map").end();
        writer.begin("dynamic").cells("size", {0, 0x1000}).end();
        writer.begin("off").cells("reg", {0, 0x80200000, 0, 0x80000}).text("status", {"disabled"}).end().end();
        writer.begin("chosen")
            .text("bootargs", {"0123456789"})
            .cells("linux,initrd-start", {0x88000000})
            .cells("linux,initrd-end", {0x88000000})
            .end()
            .end();
        return writer.done();
    };
    BootInfo info;
    std::array<char, 8> strings{};
    const Blob blob = tree_with(2, "okay");
    REQUIRE(read_boot(opened(blob), 0x8700'0000, info, strings));
    const auto region = [&](std::size_t i, std::uint64_t base, std::uint64_t size, MemoryKind kind) {
        return info.memory[i].base == base && info.memory[i].size == size && info.memory[i].kind == kind;
    };
    REQUIRE(info.memory_count == 7);
    CHECK(region(0, 0x8700'0000, blob.size(), MemoryKind::reserved));
    CHECK(region(1, 0x8800'0000, 0x1000, MemoryKind::reserved));
    CHECK(region(2, 0x9000'0000, (std::uint64_t{1} << 56) - 0x9000'0000, MemoryKind::reserved)); // cut to what a processor can address
    CHECK(region(3, 0x8000'0000, 0x80000, MemoryKind::reserved));
    CHECK(region(5, 0x8000'0000, 0x1000'0000, MemoryKind::usable));
    CHECK(region(6, 0x1'0000'0000, 0x1000, MemoryKind::usable));
    CHECK(std::string(info.command_line) == "0123456"); // cut off
    CHECK(info.module_count == 0);                      // an empty one is none

    const auto problem = [&](const Blob& bad) {
        const auto ok = read_boot(opened(bad), 0x8700'0000, info, strings);
        return std::string(ok ? "" : ok.error());
    };
    CHECK(problem(tree_with(1000, "okay")) == "more reserved ranges of memory than can be kept");
    CHECK(problem(tree_with(1, "disabled")) == "it names no memory");
    CHECK(problem(tree_with(info.memory.size() - 3, "okay")) == "it names no memory"); // no room left for it
}

TEST_CASE("what makes no sense is named, and the rest used") {
    TreeWriter writer;
    writer.begin("").cells("#address-cells", {1}).cells("#size-cells", {1}).cells("interrupt-parent", {1});
    writer.begin("plic@1000")
        .text("compatible", {"riscv,plic0"})
        .cells("phandle", {1})
        .cells("#interrupt-cells", {1})
        .flag("interrupt-controller");
    writer.cells("reg", {0x1000, 0x1000}).cells("riscv,ndev", {9000}).end();
    writer.begin("plic@0").text("compatible", {"riscv,plic0"}).end();
    writer.begin("strange").cells("phandle", {2}).cells("#interrupt-cells", {1}).flag("interrupt-controller").end();
    const auto device = [&](const char* name, std::initializer_list<std::uint32_t> reg, std::uint32_t parent, std::uint32_t number) {
        writer.begin(name)
            .text("compatible", {"virtio,mmio"})
            .cells("reg", reg)
            .cells("interrupt-parent", {parent})
            .cells("interrupts", {number})
            .end();
    };
    device("good", {0x2000, 0x200}, 1, 5);
    device("odd", {0x2202, 0x200}, 1, 5);
    device("short", {0x2400, 0x80}, 1, 5);
    device("zero", {0, 0x200}, 1, 5);
    device("source-0", {0x2600, 0x200}, 1, 0);
    device("source-1024", {0x2600, 0x200}, 1, 1024);
    device("unknown\x1b[2Jchip", {0x2600, 0x200}, 2, 5);
    device("and", {0x2600, 0x200}, 3, 5);
    device("more", {0x2600, 0x200}, 3, 5);
    writer.begin("psci").text("compatible", {"arm,psci-1.0", "arm,psci-0.2"}).text("method", {"bell"}).end();
    writer.begin("serial").text("compatible", {"ns16550a"}).cells("reg", {0x3000, 0x100}).cells("reg-shift", {2}).end().end();
    const Blob blob = writer.done();
    static TreeMachine machine;
    const DeviceTree tree = opened(blob);
    read_machine(tree, machine);
    REQUIRE(machine.device_count == 1);
    CHECK((machine.devices[0].base == 0x2000 && machine.devices[0].line.gsi == 5));
    CHECK((machine.hardware.chip_count == 1 && machine.hardware.chips[0].count == 1023));
    CHECK(machine.hardware.uart.kind == arch::Uart::Kind::none);
    REQUIRE(machine.warnings.count == machine.warnings.items.size());
    CHECK(machine.warnings.more == 2);
    CHECK(std::string(machine.warnings.items[0].node) == "plic@0");
    CHECK(std::string(machine.warnings.items[0].what) == "an interrupt chip without its registers");
    CHECK(std::string(machine.warnings.items[1].what) == "a virtio-mmio device without usable registers");
    CHECK(std::string(machine.warnings.items[6].node) == "unknown?[2Jchip"); // a log line is no place for escapes
    CHECK(std::string(machine.warnings.items[6].what) == "a virtio-mmio device without an interrupt that we know");
}

TEST_CASE("a device on an interrupt that is each processor's own, as the timer's is") {
    TreeWriter writer;
    writer.begin("").cells("#address-cells", {1}).cells("#size-cells", {1}).cells("interrupt-parent", {1});
    writer.begin("gic").text("compatible", {"arm,cortex-a15-gic"}).cells("phandle", {1}).cells("#interrupt-cells", {3});
    writer.flag("interrupt-controller").cells("reg", {0x8000, 0x1000, 0x9000, 0x1000}).end();
    writer.begin("timer").text("compatible", {"arm,armv8-timer"});
    writer.cells("interrupts", {1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4}).end();
    const auto device = [&](const char* name, const char* kind, std::uint32_t base, std::uint32_t type, std::uint32_t number) {
        writer.begin(name).text("compatible", {kind}).cells("reg", {base, 0x200}).cells("interrupts", {type, number, 4}).end();
    };
    device("shared", "virtio,mmio", 0x2000, 0, 11);
    device("timers", "virtio,mmio", 0x2200, 1, 11);
    device("serial", "arm,pl011", 0x2400, 1, 11);
    writer.end();
    const Blob blob = writer.done();
    static TreeMachine machine;
    const DeviceTree tree = opened(blob);
    read_machine(tree, machine);
    CHECK(machine.hardware.timer.line.gsi == 27);
    REQUIRE(machine.device_count == 1);
    CHECK((machine.devices[0].base == 0x2000 && machine.devices[0].line.gsi == 43));
    CHECK((machine.hardware.uart.kind == arch::Uart::Kind::pl011 && machine.hardware.uart.line == Line{}));
    REQUIRE(machine.warnings.count == 1);
    CHECK(std::string(machine.warnings.items[0].node) == "timers");
    CHECK(std::string(machine.warnings.items[0].what) == "a virtio-mmio device without an interrupt that we know");
}

TEST_CASE("trees that were made to take long do not") {
    // As long as a tree may be: devices whose controller is nowhere, maps whose targets differ from row to row, empty memory, parents with
    // properties without end. Without limits this test would not come to its own end.
    static TreeMachine machine;
    static BootInfo boot;
    std::array<char, 64> strings{};
    const auto look = [&](TreeWriter& writer) {
        const Blob blob = writer.end().done();
        REQUIRE(blob.size() <= DeviceTree::kLongest);
        const DeviceTree tree = opened(blob);
        machine = {};
        boot = {};
        read_machine(tree, machine);
        static_cast<void>(read_boot(tree, 0x1000, boot, strings));
    };
    const auto root = [](TreeWriter& writer) -> TreeWriter& {
        return writer.begin("").cells("#address-cells", {1}).cells("#size-cells", {1});
    };

    TreeWriter lost;
    root(lost);
    for (std::uint32_t i = 0; i < 12'000; ++i)
        lost.begin("d")
            .text("compatible", {"virtio,mmio"})
            .cells("reg", {0x1000, 0x200})
            .cells("interrupt-parent", {i + 9})
            .cells("interrupts", {1})
            .end();
    look(lost);
    CHECK((machine.device_count == 0 && machine.warnings.more != 0));

    TreeWriter maps;
    root(maps)
        .begin("pci")
        .text("compatible", {"pci-host-ecam-generic"})
        .cells("reg", {0x10000000, 0x10000000})
        .cells("#address-cells", {3});
    Blob rows;
    for (std::uint32_t i = 0; i < 50'000; ++i)
        for (const std::uint32_t cell : {1U, 0U, 0U, 9U, 1 + i % 7, 3U}) TreeWriter::word(rows, cell);
    maps.cells("#size-cells", {2}).cells("#interrupt-cells", {1}).bytes("interrupt-map", rows).end();
    for (std::uint32_t i = 0; i < 7; ++i)
        maps.begin("c").cells("phandle", {1 + i}).cells("#interrupt-cells", {1}).flag("interrupt-controller").end();
    for (int i = 0; i < 10'000; ++i) maps.begin("n").end();
    look(maps);
    CHECK(machine.host_count == 1);

    TreeWriter nothing;
    nothing.begin("");
    for (int i = 0; i < 10'000; ++i) nothing.flag("x");
    nothing.cells("#address-cells", {1}).cells("#size-cells", {1});
    for (int i = 0; i < 10'000; ++i) nothing.begin("m").text("device_type", {"memory"}).cells("reg", {0, 0}).end();
    for (int i = 0; i < 4000; ++i)
        nothing.begin("u").text("compatible", {"ns16550a"}).end().begin("t").text("compatible", {"arm,armv8-timer"}).end();
    look(nothing);
    CHECK((boot.memory_count == 1 && machine.hardware.uart.kind == arch::Uart::Kind::none));

    TreeWriter names; // of properties, all of them the whole block of strings
    names.begin("");
    names.strings = Blob((1 << 20) - 1, std::byte{'A'});
    names.strings.push_back(std::byte{0});
    for (int i = 0; i < 87'000; ++i)
        for (const std::uint32_t cell : {3U, 0U, 0U}) TreeWriter::word(names.structure, cell);
    look(names);
    CHECK(machine.hardware.processor_count == 0);

    TreeWriter chips; // that all ask one long list whether it reaches a processor
    root(chips)
        .begin("cpus")
        .cells("#address-cells", {1})
        .cells("#size-cells", {0})
        .begin("cpu@0")
        .text("device_type", {"cpu"})
        .cells("reg", {0})
        .begin("intc")
        .text("compatible", {"riscv,cpu-intc"})
        .cells("phandle", {7})
        .end()
        .end()
        .end();
    Blob pairs;
    for (int i = 0; i < 60'000; ++i)
        for (const std::uint32_t cell : {8U, 9U}) TreeWriter::word(pairs, cell);
    chips.begin("imsic").cells("phandle", {5}).bytes("interrupts-extended", pairs).end();
    for (int i = 0; i < 12'000; ++i) chips.begin("a").text("compatible", {"riscv,aplic"}).cells("msi-parent", {5}).end();
    look(chips);
    CHECK((machine.hardware.processor_count == 1 && machine.hardware.chip_count == 0));

    TreeWriter targets; // of which a map names two in turn: what each has before its lengths goes on for ever
    root(targets)
        .begin("pci")
        .text("compatible", {"pci-host-ecam-generic"})
        .cells("reg", {0x10000000, 0x10000000})
        .cells("#address-cells", {3});
    Blob turns;
    for (std::uint32_t i = 0; i < 4000; ++i)
        for (const std::uint32_t cell : {1U, 0U, 0U, 9U, 1 + i % 2, 3U}) TreeWriter::word(turns, cell);
    targets.cells("#size-cells", {2}).cells("#interrupt-cells", {1}).bytes("interrupt-map", turns).end();
    for (const std::uint32_t handle : {1U, 2U}) {
        targets.begin("c").cells("phandle", {handle});
        for (int i = 0; i < 40'000; ++i) targets.flag("x");
        targets.cells("#interrupt-cells", {1}).flag("interrupt-controller").end();
    }
    look(targets);
    CHECK((machine.host_count == 1 && machine.hosts[0].interrupt_count == 0));
    REQUIRE(machine.warnings.count == 1);
    CHECK(std::string(machine.warnings.items[0].what) == "what is looked up in this tree takes too long");
}

TEST_CASE("a large machine's tree does not count as made to take long") {
    TreeWriter writer;
    writer.begin("").cells("#address-cells", {1}).cells("#size-cells", {1});
    writer.begin("memory@80000000").text("device_type", {"memory"}).cells("reg", {0x80000000, 0x10000000}).end();
    writer.begin("cpus").cells("#address-cells", {1}).cells("#size-cells", {0}).cells("timebase-frequency", {10'000'000});
    Blob pairs;
    for (std::uint32_t i = 0; i < 64; ++i) {
        writer.begin("cpu@" + std::to_string(i)).text("device_type", {"cpu"}).cells("reg", {i}).text("riscv,isa", {"rv64imac_sstc"});
        writer.begin("intc").text("compatible", {"riscv,cpu-intc"}).cells("phandle", {100 + i}).end().end();
        for (const std::uint32_t cell : {100 + i, 9U}) TreeWriter::word(pairs, cell);
    }
    writer.end();
    writer.begin("imsics@1000").text("compatible", {"riscv,imsics"}).cells("reg", {0x1000, 0x40000}).cells("phandle", {1});
    writer.bytes("interrupts-extended", pairs).end();
    for (std::uint32_t i = 0; i < 4; ++i)
        writer.begin("aplic")
            .text("compatible", {"riscv,aplic"})
            .cells("reg", {0x100000 * (1 + i), 0x8000})
            .cells("phandle", {2 + i})
            .cells("msi-parent", {1})
            .cells("#interrupt-cells", {2})
            .flag("interrupt-controller")
            .end();
    for (std::uint32_t i = 0; i < 32; ++i)
        writer.begin("d")
            .text("compatible", {"virtio,mmio"})
            .cells("reg", {0x10000000 + 0x1000 * i, 0x1000})
            .cells("interrupt-parent", {2 + i % 4})
            .cells("interrupts", {1 + i, 4})
            .end();
    for (std::uint32_t i = 0; i < 10'000; ++i)
        writer.begin("other@" + std::to_string(i)).text("compatible", {"some,chip", "other,chip"}).cells("reg", {i, 1}).flag("quiet").end();
    const auto found = read(writer.end().done());
    CHECK(!found->tree.exhausted());
    CHECK((found->machine.device_count == 32 && found->machine.hardware.chip_count == 5));
    REQUIRE(found->machine.hardware.processor_count == 64);
    CHECK((found->machine.hardware.processors[63].has_imsic_page && found->machine.hardware.processors[63].imsic_page == 63));
}

TEST_CASE("a damaged tree of a real machine is refused or read, never more") {
    const std::pair<const char*, const char*> machines[] = {{"qemu-system-aarch64", "-M virt,gic-version=3 -cpu cortex-a57 -smp 2"},
                                                            {"qemu-system-riscv64", "-M virt,aia=aplic-imsic -smp 3 -bios none"},
                                                            {"qemu-system-riscv64", "-M virt -smp 3 -bios none"}};
    std::size_t readable = 0, warned = 0;
    std::mt19937 random(17);
    const auto look = [&](const Blob& bad) {
        const auto tree = DeviceTree::open(bad);
        if (!tree) return;
        ++readable;
        static TreeMachine machine;
        static BootInfo boot;
        machine = {};
        boot = {};
        std::array<char, 64> strings{};
        read_machine(*tree, machine);
        static_cast<void>(read_boot(*tree, 0x1000, boot, strings));
        warned += machine.warnings.count != 0;
        CHECK(machine.hardware.chip_count <= machine.hardware.chips.size());
        CHECK(boot.memory_count <= boot.memory.size());
        for (std::size_t i = 0; i < boot.memory_count; ++i) CHECK(boot.memory[i].base + boot.memory[i].size > boot.memory[i].base);
        for (std::size_t i = 0; i < machine.host_count; ++i) CHECK(machine.hosts[i].first_bus <= machine.hosts[i].last_bus);
        for (std::size_t i = 0; i < machine.device_count; ++i)
            CHECK((machine.devices[i].base % 4 == 0 && machine.devices[i].size >= 0x100));
    };
    for (const auto& [program, options] : machines) {
        Blob good = dumped_tree(program, options);
        // QEMU pads the blob: what is behind is nobody's.
        const auto tree = DeviceTree::open(good);
        REQUIRE(tree.has_value());
        good.resize(tree->bytes().size());
        for (int shift = 0; shift < 4; ++shift)
            good[4 + static_cast<std::size_t>(shift)] = static_cast<std::byte>(good.size() >> (24 - 8 * shift));
        REQUIRE(DeviceTree::open(good).has_value());
        for (int round = 0; round < 1500; ++round) {
            Blob bad = good;
            const int changes = 1 + round % 8;
            for (int i = 0; i < changes; ++i) {
                const std::size_t at = 40 + random() % (bad.size() - 40);
                if (round % 3 == 0)
                    bad[at] = static_cast<std::byte>(random());
                else // a whole cell of one value, so that counts, handles and addresses are hit
                    for (std::size_t byte = 0; byte < 4 && (at & ~std::size_t{3}) + byte < bad.size(); ++byte)
                        bad[(at & ~std::size_t{3}) + byte] =
                            static_cast<std::byte>((round % 3 == 1 ? 0xffffffffU : random() % 16) >> (24 - 8 * byte));
            }
            look(bad);
        }
    }
    CHECK(readable > 400);
    CHECK(warned > 20);
}
