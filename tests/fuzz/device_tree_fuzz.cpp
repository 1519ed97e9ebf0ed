// A fuzzer of the device tree reader and of what makes a machine's description of a tree. The first byte chooses: the rest is a blob as
// it stands, or a program that writes a well-formed tree out of the names and values that the readers look for, so that the deep code is
// reached as well. Rules beside the sanitizers': every walk ends, and what comes out fits its arrays and is what a user may rely on.
#include <array>
#include <cstring>
#include <vector>

#include "kernel/firmware/tree_boot.hpp"
#include "kernel/firmware/tree_hardware.hpp"
#include "tests/fuzz/check.hpp"
#include "tests/unit/support/tree_writer.hpp"

namespace {

using namespace kernel;
using fuzz::check;
using fuzz::Input;
using Blob = TreeWriter::Blob;

constexpr std::array<const char*, 20> kNodes{"memory@40000000",
                                             "cpus",
                                             "cpu@0",
                                             "cpu@1",
                                             "interrupt-controller",
                                             "chosen",
                                             "aliases",
                                             "reserved-memory",
                                             "soc",
                                             "pcie@10000000",
                                             "virtio_mmio@a000000",
                                             "plic@c000000",
                                             "intc@8000000",
                                             "timer",
                                             "uart@9000000",
                                             "gpio-keys",
                                             "poweroff",
                                             "psci",
                                             "imsics@28000000",
                                             "x"};
constexpr std::array<const char*, 40> kProperties{"#address-cells",
                                                  "#size-cells",
                                                  "#interrupt-cells",
                                                  "phandle",
                                                  "linux,phandle",
                                                  "interrupt-parent",
                                                  "interrupt-controller",
                                                  "interrupts",
                                                  "interrupts-extended",
                                                  "interrupt-map",
                                                  "interrupt-map-mask",
                                                  "msi-map",
                                                  "msi-map-mask",
                                                  "msi-parent",
                                                  "reg",
                                                  "ranges",
                                                  "bus-range",
                                                  "linux,pci-domain",
                                                  "riscv,ndev",
                                                  "riscv,num-ids",
                                                  "riscv,num-sources",
                                                  "riscv,guest-index-bits",
                                                  "timebase-frequency",
                                                  "clock-frequency",
                                                  "linux,code",
                                                  "gpios",
                                                  "linux,initrd-start",
                                                  "linux,initrd-end",
                                                  "reg-shift",
                                                  "arm,msi-base-spi",
                                                  "arm,msi-num-spis",
                                                  "#redistributor-regions",
                                                  "device_type",
                                                  "status",
                                                  "compatible",
                                                  "method",
                                                  "stdout-path",
                                                  "bootargs",
                                                  "riscv,isa",
                                                  "riscv,isa-extensions"};
constexpr std::size_t kFirstText = 32; // the properties from here on are texts
constexpr std::array<const char*, 34> kTexts{"memory",
                                             "cpu",
                                             "okay",
                                             "disabled",
                                             "hvc",
                                             "smc",
                                             "/uart@9000000",
                                             "uart@9000000:115200",
                                             "quiet",
                                             "rv64imac_sstc",
                                             "sstc",
                                             "virtio,mmio",
                                             "pci-host-ecam-generic",
                                             "arm,gic-v3",
                                             "arm,gic-v3-its",
                                             "arm,cortex-a15-gic",
                                             "arm,gic-v2m-frame",
                                             "riscv,plic0",
                                             "riscv,imsics",
                                             "riscv,aplic",
                                             "riscv,cpu-intc",
                                             "arm,armv8-timer",
                                             "arm,pl031",
                                             "google,goldfish-rtc",
                                             "arm,psci-0.2",
                                             "sifive,test0",
                                             "gpio-keys",
                                             "arm,pl061",
                                             "arm,pl011",
                                             "ns16550a",
                                             "simple-bus",
                                             "",
                                             "x",
                                             "y"};
constexpr std::array<std::uint32_t, 16> kCells{0,     1,      2,         3,         4,          9,          11,         116,
                                               0x800, 0x1000, 0x2000000, 0x8000000, 0x40000000, 0x80000000, 0xffffffff, 0x10000};

Blob written(Input& input) {
    TreeWriter writer;
    std::size_t depth = 1;
    bool after_child = false;
    writer.begin("");
    for (int operations = 0; operations < 600 && !input.empty(); ++operations) {
        const unsigned choice = input.byte();
        if (choice < 48 && depth < 20) {
            writer.begin(kNodes[choice % kNodes.size()]);
            ++depth;
            after_child = false;
        } else if (choice < 80 && depth > 1) {
            writer.end();
            --depth;
            after_child = true;
        } else if (choice < 84) {
            writer.nop();
        } else if (choice < 86) {
            writer.reserve(input.word(), input.word());
        } else if (!after_child || choice == 255) { // 255: where a property may not stand
            const std::size_t name = (choice - 86) % kProperties.size();
            const unsigned count = input.byte() % 24;
            Blob value;
            for (unsigned i = 0; i < count; ++i) {
                const unsigned one = input.byte();
                if (name >= kFirstText)
                    TreeWriter::string(value, kTexts[one % kTexts.size()]);
                else
                    TreeWriter::word(value, one < 160 ? kCells[one % kCells.size()] : one < 250 ? one - 160 : input.word());
                if (name >= kFirstText && i == 2) break;
            }
            if (count == 23 && !value.empty()) value.pop_back();
            writer.bytes(kProperties[name], value);
        }
    }
    for (; depth > 0; --depth) writer.end();
    return writer.done();
}

/// Everything that can be asked of a node.
void ask(const TreeNode& node) {
    for (std::size_t i = 0; i < 3; ++i) {
        if (const auto range = node.reg(i))
            check(range->size == 0 || range->base + (range->size - 1) >= range->base, "a block of registers ends after its beginning");
        static_cast<void>(node.pci_range(i));
        if (const auto interrupt = node.interrupt(i)) {
            check(interrupt->cell_count <= TreeInterrupt::kMostCells, "an interrupt has at most four cells");
            static_cast<void>(line_of(*interrupt));
        }
    }
    static_cast<void>(node.msi(0x100));
    if (node.depth() != 0) check(node.parent().has_value(), "every node but the root has a parent");
}

void look(const Blob& blob) {
    const auto tree = DeviceTree::open(blob);
    if (!tree) {
        check(tree.error().what != nullptr, "a refusal says why");
        return;
    }
    check(tree->bytes().size() <= blob.size(), "what is used lies inside");
    std::size_t nodes = 0;
    for (auto node = tree->root(); node; node = node->next()) {
        check(++nodes <= blob.size() / 8, "a walk ends");
        if (nodes <= 60) ask(*node); // maps are followed from each: keep it short
    }
    check(nodes != 0, "a tree that was accepted has a root");

    static TreeMachine machine;
    machine = {};
    read_machine(*tree, machine);
    check(machine.hardware.chip_count <= machine.hardware.chips.size(), "chips fit");
    check(machine.hardware.processor_count <= machine.hardware.processors.size(), "processors fit");
    for (const arch::InterruptChip& chip : machine.hardware.all_chips())
        check(chip.registers[0].base != 0 && chip.registers[0].size != 0, "a chip has registers");
    for (std::size_t i = 0; i < machine.device_count; ++i)
        check(machine.devices[i].base % 4 == 0 && machine.devices[i].size >= 0x100, "a slot has room for its registers");
    for (std::size_t i = 0; i < machine.host_count; ++i) {
        const PciHost& host = machine.hosts[i];
        check(host.first_bus <= host.last_bus && host.interrupt_count <= host.interrupts.size() && host.window_count <= host.windows.size(),
              "a PCI host fits");
        for (std::size_t w = 0; w < host.window_count; ++w) {
            const PciWindow& window = host.windows[w];
            check(window.size != 0 && window.base + (window.size - 1) >= window.base && window.pci + (window.size - 1) >= window.pci,
                  "a window ends after its beginning");
        }
    }
    for (const TreeWarning& warning : machine.warnings.all())
        check(std::memchr(warning.node, 0, sizeof warning.node) != nullptr, "a name has an end");

    static BootInfo boot;
    boot = {};
    std::array<char, 32> strings{};
    const auto read = read_boot(*tree, 0x1000, boot, strings);
    check(boot.memory_count <= boot.memory.size() && boot.module_count <= boot.modules.size(), "what is handed over fits");
    check(read || read.error() != nullptr, "a refusal says why");
    for (std::size_t i = 0; i < boot.memory_count; ++i)
        check(boot.memory[i].base + boot.memory[i].size > boot.memory[i].base, "a region ends after its beginning");
    check(std::strlen(boot.command_line) < strings.size(), "the command line fits");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const bool raw = input.byte() % 2 == 0;
    if (raw) {
        const auto rest = input.rest();
        look(Blob(rest.begin(), rest.end()));
    } else {
        look(written(input));
    }
    return 0;
}
