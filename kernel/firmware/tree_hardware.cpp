#include "kernel/firmware/tree_hardware.hpp"

#include <algorithm>

#include "kernel/firmware/wire.hpp"

namespace kernel {
namespace {

using arch::InterruptChip;
using arch::Line;
using arch::Polarity;
using arch::Registers;
using arch::Trigger;
using arch::Uart;
using Bytes = std::span<const std::byte>;

// RISC-V's interrupt numbers of a processor: the external interrupt of supervisor mode.
constexpr std::uint32_t kSupervisorExternal = 9;
constexpr std::uint32_t kKeyPower = 116; // Linux's input event code
constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kMostComplaints = 64, kMostUarts = 16;
// RISC-V: of a chip's entries for processors, two for each, and of chips that are asked for theirs.
constexpr std::size_t kPairBytes = 8, kMostPairs = 4096, kMostAsked = 256;
constexpr std::uint32_t kFirstShared = 32, kFirstPrivate = 16; // INTIDs of the GIC

Registers registers_of(const TreeNode& node, std::size_t index) noexcept {
    const auto range = node.reg(index);
    return range && range->size != 0 ? Registers{range->base, range->size} : Registers{};
}

/// Flags of an interrupt specifier, the same for GIC and APLIC: 1 rising, 2 falling, 4 high, 8 low.
Line flagged(std::uint32_t number, std::uint32_t flags) noexcept {
    return {number, (flags & 0xc) != 0 ? Trigger::level : Trigger::edge, (flags & 0xa) != 0 ? Polarity::low : Polarity::high};
}

bool is_gic(const TreeNode& node) noexcept {
    for (const std::string_view with : {"arm,gic-v3", "arm,cortex-a15-gic", "arm,gic-400", "arm,cortex-a7-gic", "arm,cortex-a9-gic"})
        if (node.compatible(with)) return true;
    return false;
}

Uart::Kind uart_kind(const TreeNode& node) noexcept {
    if (node.compatible("arm,pl011")) return Uart::Kind::pl011;
    // Registers further apart than a byte are of another make.
    const bool plain = node.cell("reg-shift").value_or(0) == 0 && node.cell("reg-io-width").value_or(1) == 1;
    if (plain && (node.compatible("ns16550a") || node.compatible("ns16550"))) return Uart::Kind::ns16550;
    return Uart::Kind::none;
}

Uart uart_at(const TreeNode& node) noexcept {
    Uart uart{.kind = uart_kind(node), .registers = registers_of(node, 0), .line = {}};
    if (uart.registers.base == 0 || !node.enabled()) return {};
    if (const auto interrupt = node.interrupt(0))
        if (const auto line = device_line_of(*interrupt)) uart.line = *line;
    return uart;
}

class Reader {
public:
    Reader(const DeviceTree& tree, TreeMachine& into) noexcept : tree_(tree), into_(into), hardware_(into.hardware) {}

    void read() noexcept {
        read_processors();
        for (auto node = tree_.root(); node && !is_hopeless(); node = node->next()) read_node(*node);
        hardware_.uart = read_uart(tree_);
        if (const auto root = tree_.root(); root && tree_.exhausted()) warn(*root, "what is looked up in this tree takes too long");
    }

private:
    struct Known {
        std::string_view compatible;
        void (Reader::*read)(const TreeNode& node) noexcept;
        bool even_disabled = false;
    };
    static const std::array<Known, 20> kKnown;

    /// So much makes no sense that looking on would only take long.
    [[nodiscard]] bool is_hopeless() const noexcept { return into_.warnings.more > kMostComplaints; }

    /// The first name in its list that we know decides.
    void read_node(const TreeNode& node) noexcept {
        auto list = node.property("compatible").value_or(std::span<const std::byte>{});
        while (!list.empty()) {
            const auto end = std::find(list.begin(), list.end(), std::byte{0});
            if (end == list.end()) return;
            const std::string_view name(reinterpret_cast<const char*>(list.data()), static_cast<std::size_t>(end - list.begin()));
            for (const Known& known : kKnown)
                if (known.compatible == name) {
                    if (known.even_disabled || node.enabled()) (this->*known.read)(node);
                    return;
                }
            list = list.subspan(name.size() + 1);
        }
    }

    /// A place for a chip with all its registers; null if there is none, or none of the chip's.
    InterruptChip* add_chip(const TreeNode& node, InterruptChip::Kind kind, std::size_t least_registers) noexcept {
        if (hardware_.chip_count == hardware_.chips.size()) {
            warn(node, "more interrupt chips than can be kept");
            return nullptr;
        }
        InterruptChip chip{.kind = kind, .first = 0, .count = 0, .registers = {}};
        for (std::size_t i = 0; i < chip.registers.size(); ++i) chip.registers[i] = registers_of(node, i);
        for (std::size_t i = 0; i < least_registers; ++i)
            if (chip.registers[i].base == 0) {
                warn(node, "an interrupt chip without its registers");
                return nullptr;
            }
        InterruptChip& place = hardware_.chips[hardware_.chip_count++];
        place = chip;
        return &place;
    }

    void gic_v2(const TreeNode& node) noexcept {
        InterruptChip* chip = add_chip(node, InterruptChip::Kind::gic_v2, 2);
        if (chip != nullptr) chip->registers[2] = chip->registers[3] = {}; // those of virtual machines
    }
    void gic_v3(const TreeNode& node) noexcept {
        InterruptChip* chip = add_chip(node, InterruptChip::Kind::gic_v3, 2);
        if (chip == nullptr) return;
        // Behind the redistributors stand the registers of the compatible interface.
        const std::size_t regions = node.cell("#redistributor-regions").value_or(1);
        if (regions > chip->registers.size() - 1) warn(node, "more regions of redistributors than can be kept");
        for (std::size_t i = 1 + regions; i < chip->registers.size(); ++i) chip->registers[i] = {};
    }
    void gic_v2m(const TreeNode& node) noexcept {
        InterruptChip* chip = add_chip(node, InterruptChip::Kind::gic_v2m, 1);
        if (chip == nullptr) return;
        const auto first = node.cell("arm,msi-base-spi"), count = node.cell("arm,msi-num-spis");
        if (first && count && *first >= kFirstShared && *first < 1020 && *count <= 1020 - *first) {
            chip->first = *first;
            chip->count = *count;
        }
    }
    void gic_its(const TreeNode& node) noexcept { static_cast<void>(add_chip(node, InterruptChip::Kind::gic_its, 1)); }

    void plic(const TreeNode& node) noexcept {
        InterruptChip* chip = add_chip(node, InterruptChip::Kind::plic, 1);
        if (chip == nullptr) return;
        chip->count = std::min<std::uint32_t>(node.cell("riscv,ndev").value_or(0), 1023);
        if (hardware_.find(InterruptChip::Kind::plic) != chip) return; // the contexts are the first one's
        for_each_supervisor(node, [this](std::size_t context, std::size_t processor) {
            hardware_.processors[processor].plic_context = static_cast<std::uint32_t>(context);
            hardware_.processors[processor].has_plic_context = true;
        });
    }
    void imsic(const TreeNode& node) noexcept {
        if (!reaches_supervisor(node)) return; // machine mode has one of its own
        InterruptChip* chip = add_chip(node, InterruptChip::Kind::imsic, 1);
        if (chip == nullptr) return;
        chip->count = std::min<std::uint32_t>(node.cell("riscv,num-ids").value_or(0), 2047);
        if (hardware_.find(InterruptChip::Kind::imsic) != chip) return;
        const std::uint32_t guest_bits = node.cell("riscv,guest-index-bits").value_or(0);
        const std::uint64_t pages = chip->registers[0].size / kPage;
        for_each_supervisor(node, [&](std::size_t index, std::size_t processor) {
            if (guest_bits > 7 || (std::uint64_t{index} << guest_bits) >= pages) return warn(node, "too few pages for the processors");
            hardware_.processors[processor].imsic_page = static_cast<std::uint32_t>(index << guest_bits);
            hardware_.processors[processor].has_imsic_page = true;
        });
    }
    void aplic(const TreeNode& node) noexcept {
        if (!reaches_supervisor(node)) return;
        InterruptChip* chip = add_chip(node, InterruptChip::Kind::aplic, 1);
        if (chip == nullptr) return;
        chip->count = std::min<std::uint32_t>(node.cell("riscv,num-sources").value_or(0), 1023);
        if (hardware_.find(InterruptChip::Kind::aplic) != chip) return;
        for_each_supervisor(node, [this](std::size_t index, std::size_t processor) {
            hardware_.processors[processor].aplic_index = static_cast<std::uint32_t>(index);
            hardware_.processors[processor].has_aplic_index = true;
        });
    }

    /// Whether a RISC-V chip interrupts supervisor mode, itself or through the one that its messages go to.
    [[nodiscard]] bool reaches_supervisor(const TreeNode& node) noexcept {
        // Many that say no may all ask one chip with a long list.
        if (++asked_ > kMostAsked) {
            warn(node, "more interrupt chips than can be looked at");
            return false;
        }
        if (const auto own = node.property("interrupts-extended")) return has_supervisor(*own);
        const auto messages = node.msi(0);
        const auto theirs = messages ? messages->controller.property("interrupts-extended") : std::nullopt;
        return theirs && has_supervisor(*theirs);
    }
    [[nodiscard]] bool has_supervisor(Bytes list) const noexcept {
        for (std::size_t index = 0; index < entries_of(list); ++index)
            if (supervisor_at(list, index)) return true;
        return false;
    }

    /// visit(index, processor) for each entry of "interrupts-extended" that is a known processor's supervisor external interrupt.
    template<class Visit> void for_each_supervisor(const TreeNode& node, Visit visit) const noexcept {
        const Bytes list = node.property("interrupts-extended").value_or(Bytes{});
        for (std::size_t index = 0; index < entries_of(list); ++index)
            if (const auto processor = supervisor_at(list, index)) visit(index, *processor);
    }

    /// Entries of "interrupts-extended" are pairs here: a processor's own controller takes one cell.
    static std::size_t entries_of(Bytes list) noexcept { return std::min(list.size() / kPairBytes, kMostPairs); }
    [[nodiscard]] std::optional<std::size_t> supervisor_at(Bytes list, std::size_t index) const noexcept {
        const auto handle = wire_read_big<std::uint32_t>(list, index * kPairBytes);
        if (handle == 0 || wire_read_big<std::uint32_t>(list, index * kPairBytes + 4) != kSupervisorExternal) return std::nullopt;
        const auto known = std::span(handles_).first(hardware_.processor_count);
        const auto found = std::find(known.begin(), known.end(), handle);
        if (found == known.end()) return std::nullopt;
        return static_cast<std::size_t>(found - known.begin());
    }

    void arm_timer(const TreeNode& node) noexcept {
        // Secure, non-secure, virtual, hypervisor: always in this order.
        constexpr std::size_t kVirtual = 2;
        if (hardware_.timer.line.gsi != 0) return;
        const auto interrupt = node.interrupt(kVirtual);
        const auto line = interrupt ? line_of(*interrupt) : std::nullopt;
        if (!line || line->gsi < kFirstPrivate || line->gsi >= kFirstShared) return warn(node, "no interrupt of the virtual timer");
        hardware_.timer.line = *line;
        hardware_.timer.counter_hz = node.cell("clock-frequency").value_or(0);
    }

    void pl031(const TreeNode& node) noexcept { clock(node, arch::RealTimeClock::Kind::pl031); }
    void goldfish(const TreeNode& node) noexcept { clock(node, arch::RealTimeClock::Kind::goldfish); }
    void clock(const TreeNode& node, arch::RealTimeClock::Kind kind) noexcept {
        if (hardware_.rtc.kind != arch::RealTimeClock::Kind::none) return;
        const Registers registers = registers_of(node, 0);
        if (registers.base == 0) return warn(node, "a clock without registers");
        hardware_.rtc = {kind, registers, 0};
    }

    void psci(const TreeNode& node) noexcept {
        const auto method = node.text("method");
        if (method == "hvc")
            hardware_.power.psci = arch::PowerHardware::Psci::hvc;
        else if (method == "smc")
            hardware_.power.psci = arch::PowerHardware::Psci::smc;
        else
            warn(node, "neither hvc nor smc");
    }
    void test_finisher(const TreeNode& node) noexcept {
        if (hardware_.power.test_finisher.base != 0) return;
        hardware_.power.test_finisher = registers_of(node, 0);
        if (hardware_.power.test_finisher.base == 0) warn(node, "no registers to end by");
    }
    void keys(const TreeNode& node) noexcept {
        for (auto key = node.first_child(); key && hardware_.power.button_gpio.base == 0; key = key->next_sibling()) {
            if (key->cell("linux,code") != kKeyPower) continue;
            const auto handle = key->cell("gpios", 0), pin = key->cell("gpios", 1);
            const auto gpio = handle ? tree_.find_handle(*handle) : std::nullopt;
            const auto interrupt = gpio && gpio->compatible("arm,pl061") ? gpio->interrupt(0) : std::nullopt;
            const auto line = interrupt ? device_line_of(*interrupt) : std::nullopt;
            const Registers registers = line ? registers_of(*gpio, 0) : Registers{};
            if (registers.base == 0 || !pin || *pin > 7) return warn(*key, "a power button on no GPIO chip that we know");
            hardware_.power.button_gpio = registers;
            hardware_.power.button_pin = *pin;
            hardware_.power.button_line = *line;
            return;
        }
    }
    void pci(const TreeNode& node) noexcept { read_pci_host(node, into_); }
    void mmio(const TreeNode& node) noexcept { read_mmio_device(node, into_); }

    void read_processors() noexcept {
        const auto cpus = tree_.find("/cpus");
        if (!cpus) return;
        bool sstc = true;
        hardware_.timer.counter_hz = cpus->number("timebase-frequency").value_or(0);
        for (auto cpu = cpus->first_child(); cpu && !is_hopeless(); cpu = cpu->next_sibling()) {
            if (cpu->text("device_type") != "cpu" || !cpu->enabled()) continue;
            const auto id = cpu->reg_untranslated(0);
            if (!id) {
                warn(*cpu, "a processor without a number");
                continue;
            }
            if (hardware_.timer.counter_hz == 0) hardware_.timer.counter_hz = cpu->number("timebase-frequency").value_or(0);
            sstc = sstc && has_extension(*cpu, "sstc");
            if (hardware_.processor_count == hardware_.processors.size()) {
                warn(*cpu, "more processors than can be kept");
                break;
            }
            for (auto child = cpu->first_child(); child; child = child->next_sibling())
                if (child->compatible("riscv,cpu-intc")) handles_[hardware_.processor_count] = child->cell("phandle").value_or(0);
            hardware_.processors[hardware_.processor_count++].id = id->base;
        }
        hardware_.timer.sstc = sstc && hardware_.processor_count != 0;
    }

    /// In the string "rv64imac_zicsr_sstc", or in the newer list of names.
    static bool has_extension(const TreeNode& cpu, std::string_view wanted) noexcept {
        std::string_view rest = cpu.text("riscv,isa").value_or("");
        for (std::size_t at = rest.find('_'); at != std::string_view::npos; at = rest.find('_')) {
            rest.remove_prefix(at + 1);
            if (rest.substr(0, rest.find('_')) == wanted) return true;
        }
        const auto list = cpu.property("riscv,isa-extensions");
        for (std::size_t at = 0; list && at < list->size(); ++at)
            if ((at == 0 || (*list)[at - 1] == std::byte{0}) && wire_starts_with(*list, at, wanted) &&
                wire_read<std::uint8_t>(*list, at + wanted.size()) == 0)
                return true;
        return false;
    }

    void warn(const TreeNode& node, const char* what) const noexcept { into_.warnings.add(node, what); }

    const DeviceTree& tree_;
    TreeMachine& into_;
    arch::Hardware& hardware_;
    // The interrupt controller that belongs to each processor (RISC-V).
    std::array<std::uint32_t, arch::Hardware::kMostProcessors> handles_{};
    std::size_t asked_ = 0; // chips, whether they reach supervisor mode
};

const std::array<Reader::Known, 20> Reader::kKnown{{
    {"virtio,mmio", &Reader::mmio},
    {"pci-host-ecam-generic", &Reader::pci},
    {"arm,gic-v3", &Reader::gic_v3},
    {"arm,gic-v3-its", &Reader::gic_its},
    {"arm,cortex-a15-gic", &Reader::gic_v2},
    {"arm,cortex-a7-gic", &Reader::gic_v2},
    {"arm,cortex-a9-gic", &Reader::gic_v2},
    {"arm,gic-400", &Reader::gic_v2},
    {"arm,gic-v2m-frame", &Reader::gic_v2m},
    {"sifive,plic-1.0.0", &Reader::plic},
    {"riscv,plic0", &Reader::plic},
    {"riscv,imsics", &Reader::imsic},
    {"riscv,aplic", &Reader::aplic},
    {"arm,armv8-timer", &Reader::arm_timer},
    {"arm,armv7-timer", &Reader::arm_timer},
    {"arm,pl031", &Reader::pl031, true}, // UEFI marks it as its own; once its boot services have ended, we only read it
    {"google,goldfish-rtc", &Reader::goldfish},
    {"arm,psci-0.2", &Reader::psci}, // 1.0 names it as well
    {"sifive,test0", &Reader::test_finisher},
    {"gpio-keys", &Reader::keys},
}};

} // namespace

void TreeWarnings::add(const TreeNode& node, const char* what) noexcept {
    if (count == items.size()) {
        ++more;
        return;
    }
    TreeWarning& warning = items[count++];
    warning.what = what;
    const std::string_view name = node.name().empty() ? "/" : node.name();
    // A log line is no place for whatever bytes stand in a name.
    for (std::size_t i = 0; i < std::min(name.size(), sizeof warning.node - 1); ++i)
        warning.node[i] = name[i] > ' ' && name[i] <= '~' ? name[i] : '?';
}

void read_machine(const DeviceTree& tree, TreeMachine& into) noexcept { Reader(tree, into).read(); }

arch::Uart read_uart(const DeviceTree& tree) noexcept {
    if (const auto chosen = tree.find("/chosen")) {
        // A path or an alias, perhaps with ":115200n8" behind it.
        std::string_view path = chosen->text("stdout-path").value_or("");
        path = path.substr(0, path.find(':'));
        if (!path.empty() && path.front() != '/') {
            const auto aliases = tree.find("/aliases");
            path = aliases ? aliases->text(path).value_or("") : "";
        }
        if (const auto node = path.empty() ? std::nullopt : tree.find(path))
            if (const Uart uart = uart_at(*node); uart.kind != Uart::Kind::none) return uart;
    }
    std::size_t tries = 0;
    for (auto node = tree.root(); node && tries < kMostUarts; node = node->next())
        if (uart_kind(*node) != Uart::Kind::none && ++tries != 0)
            if (const Uart uart = uart_at(*node); uart.kind != Uart::Kind::none) return uart;
    return {};
}

std::optional<arch::Line> line_of(const TreeInterrupt& interrupt) noexcept {
    const TreeNode& chip = interrupt.controller;
    const auto& cells = interrupt.cells;
    if (is_gic(chip)) {
        // Kind (0: shared, 1: private), number, flags.
        if (interrupt.cell_count < 3 || cells[0] > 1) return std::nullopt;
        const bool is_private = cells[0] == 1;
        if (cells[1] >= (is_private ? 16U : 988U)) return std::nullopt;
        return flagged((is_private ? kFirstPrivate : kFirstShared) + cells[1], cells[2]);
    }
    const bool aplic = chip.compatible("riscv,aplic");
    if (!aplic && !chip.compatible("riscv,plic0") && !chip.compatible("sifive,plic-1.0.0")) return std::nullopt;
    if (cells[0] == 0 || cells[0] > 1023 || interrupt.cell_count < (aplic ? 2U : 1U)) return std::nullopt;
    // A PLIC sees levels; what its gateways make of them is their own business.
    return aplic ? flagged(cells[0], cells[1]) : Line{cells[0], Trigger::level, Polarity::high};
}

std::optional<arch::Line> device_line_of(const TreeInterrupt& interrupt) noexcept {
    const auto line = line_of(interrupt);
    return line && is_gic(interrupt.controller) && line->gsi < kFirstShared ? std::nullopt : line;
}

} // namespace kernel
