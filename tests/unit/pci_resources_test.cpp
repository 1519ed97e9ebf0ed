// Bus numbers and addresses without firmware: over trees of functions that are checked whole, good ones and hostile ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <tuple>

#include "drivers/bus/pci_resources.hpp"
#include "tests/unit/support/fake_pci_tree.hpp"

using namespace virtio;
using fake::PciNode;
using fake::PciTree;

namespace {

constexpr PciWindows kWindows{
    .memory = {0x1000'0000, 0x2000'0000}, .prefetchable = {0x80'0000'0000, 0x10'0000'0000}, .port = {0, 0x1'0000}};

struct Failure {
    PciAddress where;
    unsigned what;
    Error error;
    friend bool operator==(const Failure&, const Failure&) = default;
};

struct Assigned {
    PciResources resources;
    std::vector<Failure> failures;
    PciResources::Count count;

    explicit Assigned(PciTree& tree, const PciWindows& windows = kWindows, const PciBus::Range& range = {}) {
        const PciResources::Listener listener{[](void* self, const PciFunction& function, std::uint8_t what, Error error) noexcept {
                                                  static_cast<Assigned*>(self)->failures.push_back({function.address(), what, error});
                                              },
                                              this};
        count = resources.assign(tree, range, windows, listener);
    }
};

struct Span {
    std::uint64_t base, size;
    bool port;
};

std::optional<PciWindow> window(const PciNode& bridge, unsigned which) {
    const std::uint64_t memory = bridge.get(0x20), high = bridge.get(0x24), ports = bridge.get(0x1c, 2);
    std::uint64_t base = 0, limit = 0;
    if (which == 0) base = (memory & 0xfff0) << 16, limit = (memory & 0xfff0'0000) | 0xf'ffff;
    if (which == 1) {
        base = std::uint64_t{bridge.get(0x28)} << 32 | (high & 0xfff0) << 16;
        limit = std::uint64_t{bridge.get(0x2c)} << 32 | (high & 0xfff0'0000) | 0xf'ffff;
    }
    if (which == 2) base = (ports & 0xf0) << 8, limit = (ports & 0xf000) | 0xfff;
    if (base > limit) return std::nullopt;
    return PciWindow{base, limit - base + 1};
}

/// What the register's writable bits stand for; 0 where there is none.
std::uint64_t size_of(const PciNode& node, unsigned index) {
    std::uint64_t mask = 0;
    std::memcpy(&mask, &node.writable[0x10 + 4 * index], 4);
    const bool wide = (node.get(0x10 + 4 * index) & 7) == 4;
    std::uint32_t high = 0xffff'ffff;
    if (wide) std::memcpy(&high, &node.writable[0x14 + 4 * index], 4);
    if (mask == 0 && (!wide || high == 0)) return 0;
    return ~(mask | std::uint64_t{high} << 32) + 1;
}

/// Every register has an address of its own, aligned, that all its bridges and the host pass on. `without`: may have none.
void check_tree(const PciTree& tree, const PciWindows& windows, const std::vector<Failure>& without = {}) {
    std::vector<Span> spans;
    for (const auto& node : tree.nodes) {
        REQUIRE(tree.bus_of(*node).has_value());
        for (unsigned index = 0; index < (node->is_bridge() ? 2u : 6u); ++index) {
            const std::uint64_t size = size_of(*node, index);
            const unsigned at = index;
            const std::uint32_t low = node->get(0x10 + 4 * index);
            const bool port = (low & 1) != 0, wide = (low & 7) == 4, prefetchable = !port && (low & 8) != 0;
            if (wide) ++index;
            if (size == 0) continue;
            const bool excused = std::any_of(without.begin(), without.end(),
                                             [&](const Failure& each) { return each.where == tree.address(*node) && each.what == at; });
            if (excused) continue;
            const std::uint64_t base = node->base(at);
            CHECK(base != 0);
            CHECK(base % size == 0);
            const auto inside = [&](const std::optional<PciWindow>& each) {
                return each && base >= each->base && base + size <= each->base + each->size;
            };
            for (const PciNode* bridge = node->parent; bridge != nullptr; bridge = bridge->parent) {
                CHECK_MESSAGE(
                    (port ? inside(window(*bridge, 2)) : inside(window(*bridge, 0)) || (prefetchable && inside(window(*bridge, 1)))), base);
                CHECK((bridge->get(4, 2) & 7) == 7);
            }
            CHECK((port ? inside(windows.port) : inside(windows.memory) || (prefetchable && inside(windows.prefetchable))));
            for (const Span& other : spans)
                CHECK_MESSAGE((other.port != port || base + size <= other.base || other.base + other.size <= base), base);
            spans.push_back({base, size, port});
        }
    }
}

/// A bridge with numbers and windows as firmware leaves it.
void settle(PciNode& bridge, std::uint8_t bus, std::uint8_t secondary, std::uint8_t subordinate) {
    bridge.put(0x18, bus | secondary << 8 | subordinate << 16);
    bridge.put(4, 7, 2);
}

} // namespace

TEST_CASE("addresses without firmware: root ports, a switch, all kinds of registers") {
    PciTree tree;
    tree.add(nullptr, 0); // the host bridge
    PciNode& card = tree.add(nullptr, 1);
    card.ports(0, 32);
    card.memory(1, 0x1000);
    card.memory(4, 0x4000, 12);
    for (std::uint8_t i = 2; i < 5; ++i) {
        PciNode& port = tree.add_bridge(nullptr, i);
        port.memory(0, 0x1000);
        port.slot();
        PciNode& below = tree.add(&port, 0);
        below.memory(1, 0x1000);
        below.memory(4, 0x10'0000u << i, 12);
    }
    PciNode& up = tree.add_bridge(nullptr, 5);
    for (std::uint8_t i = 0; i < 3; ++i) {
        PciNode& down = tree.add_bridge(&up, i);
        PciNode& below = tree.add(&down, 0);
        below.ports(0, 256);
        below.memory(1, 16); // takes a whole page all the same
        below.memory(2, 0x200'0000, 4);
    }
    const Assigned done(tree);
    CHECK(done.failures.empty());
    CHECK(done.count.kept == 0);
    CHECK(done.count.buses == 7);
    check_tree(tree, kWindows);
    CHECK(up.get(0x18) == 0x0007'0400);
    CHECK(card.base(0) >= 0x1000);         // the first ports are the machine's
    CHECK(card.base(4) >= 0x80'0000'0000); // prefetchable ones leave the scarce window alone
    CHECK(card.get(4, 2) == 0);            // decoding is its driver's business

    // Again: everything is where it may be, and nothing moves.
    std::vector<std::array<std::uint8_t, 256>> before;
    for (const auto& node : tree.nodes) before.push_back(node->space);
    const Assigned again(tree);
    CHECK(again.failures.empty());
    CHECK(again.count.assigned == 0);
    CHECK(again.count.kept == done.count.assigned + 4); // and the switch's closed prefetchable windows
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(tree.nodes[i]->space == before[i]);
}

TEST_CASE("addresses without firmware: random trees") {
    for (unsigned seed = 0; seed < 60; ++seed) {
        std::minstd_rand random(seed + 1);
        const auto pick = [&](unsigned below) { return static_cast<unsigned>(random() % below); };
        PciTree tree;
        std::vector<PciNode*> bridges{nullptr};
        for (unsigned i = 0; i < 24; ++i) {
            PciNode* parent = bridges[pick(static_cast<unsigned>(bridges.size()))];
            unsigned depth = 0;
            for (const PciNode* each = parent; each != nullptr; each = each->parent) ++depth;
            const auto device = static_cast<std::uint8_t>(i);
            if (pick(3) == 0 && depth < 6) {
                bridges.push_back(&tree.add_bridge(parent, device, pick(2) == 0));
                if (pick(2) == 0) bridges.back()->slot();
                continue;
            }
            PciNode& node = tree.add(parent, device);
            for (unsigned index = 0; index < 6; ++index) {
                const std::uint64_t size = std::uint64_t{16} << pick(20);
                switch (pick(6)) {
                case 0: node.memory(index, size, pick(2) * 8); break;
                case 1: node.ports(index, 4u << pick(5)); break;
                case 2:
                    if (index < 5) node.memory(index++, size, 4 + pick(2) * 8);
                    break;
                default: break;
                }
            }
        }
        CAPTURE(seed);
        const Assigned done(tree);
        CHECK(done.failures.empty());
        check_tree(tree, kWindows);
    }
}

TEST_CASE("what firmware has assigned stays, also where it is unusual") {
    PciTree tree;
    PciNode& screen = tree.add(nullptr, 1); // decodes outside of the windows that we know
    screen.memory(0, 0x100'0000, 8);
    screen.put(0x10, 0xfd00'0008);
    screen.put(4, 7, 2);
    PciNode& idle = tree.add(nullptr, 2); // does not decode, but lies well
    idle.memory(0, 0x1000);
    idle.put(0x10, 0x1fff'f000);
    PciNode& port = tree.add_bridge(nullptr, 3);
    settle(port, 0, 5, 9);
    port.put(0x20, 0x2010'2000);
    port.put(0x24, 0x0001'fff1); // closed
    port.put(0x1c, 0x01f1, 2);
    PciNode& below = tree.add(&port, 0);
    below.memory(0, 0x1000);
    below.put(0x10, 0x2010'3000);
    PciNode& inner = tree.add_bridge(&port, 1);
    settle(inner, 5, 7, 7);
    inner.put(0x20, 0x2000'2000);
    std::vector<std::array<std::uint8_t, 256>> before;
    for (const auto& node : tree.nodes) before.push_back(node->space);

    PciNode& fresh = tree.add(&port, 4); // and one that it has forgotten
    fresh.memory(0, 0x1000);
    PciNode& odd = tree.add(nullptr, 6); // of no alignment
    odd.memory(0, 0x10'0000);
    odd.put(0x10, 0x1000'0000);
    odd.allow(0x10, 0xfff0'0000);
    PciNode& second = tree.add(nullptr, 7); // where another one is
    second.memory(0, 0x1000);
    second.put(0x10, 0x1fff'f000);
    const Assigned done(tree);
    CHECK(done.failures.empty());
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(tree.nodes[i]->space == before[i]);
    CHECK(done.count.buses == 2);
    CHECK(fresh.base(0) >= 0x2000'0000);
    CHECK(fresh.base(0) < 0x2020'0000);
    CHECK(fresh.base(0) != below.base(0));
    CHECK(second.base(0) != idle.base(0));
    CHECK(second.base(0) != 0);
    CHECK(odd.base(0) == 0x1000'0000);
}

TEST_CASE("without windows nothing is moved and nothing assigned") {
    PciTree tree;
    PciNode& kept = tree.add(nullptr, 1);
    kept.memory(0, 0x1000);
    kept.put(0x10, 0xfeb0'0000);
    kept.put(4, 2, 2);
    PciNode& fresh = tree.add(nullptr, 2);
    fresh.memory(0, 0x1000);
    fresh.ports(1, 32);
    const Assigned done(tree, {});
    CHECK(kept.base(0) == 0xfeb0'0000);
    CHECK(done.failures == std::vector<Failure>{{{0, 0, 2, 0}, 0, Error::out_of_memory}, {{0, 0, 2, 0}, 1, Error::out_of_memory}});
}

TEST_CASE("windows too small: an error for the function that does not fit, the rest goes on") {
    PciTree tree;
    PciNode& large = tree.add(nullptr, 1);
    large.memory(0, 0x800'0000);
    PciNode& port = tree.add_bridge(nullptr, 2);
    port.slot();
    PciNode& huge = tree.add(&port, 0);
    huge.memory(0, 0x4000'0000);
    PciNode& small = tree.add(nullptr, 3);
    small.memory(0, 0x1000);
    PciNode& high = tree.add(nullptr, 4);
    high.memory(0, 0x1000, 12);
    PciNode& giant = tree.add(nullptr, 5);
    giant.memory(0, std::uint64_t{1} << 62, 12);
    giant.memory(2, std::uint64_t{1} << 62, 12);
    giant.ports(4, 256);
    // All of the memory window but one page goes to the large one and the small one; the prefetchable one has room for nothing.
    const PciWindows windows{.memory = {0x1000'0000, 0x800'3000}, .prefetchable = {0x80'0000'0000, 0x800}, .port = {}};
    const Assigned done(tree, windows);
    CHECK(done.failures == std::vector<Failure>{{{0, 0, 5, 0}, 0, Error::out_of_memory},
                                                {{0, 0, 5, 0}, 2, Error::out_of_memory},
                                                {{0, 0, 2, 0}, PciResources::kMemoryWindow, Error::out_of_memory},
                                                {{0, 0, 5, 0}, 4, Error::out_of_memory},
                                                {{0, 1, 0, 0}, 0, Error::out_of_memory}});
    check_tree(tree, windows, done.failures);
    CHECK(small.base(0) != 0);
    CHECK(high.base(0) != 0); // among the others
    CHECK(!window(port, 0));
}

TEST_CASE("room for hot-plug is a wish; sums that no address space has are refused") {
    PciTree tree;
    PciNode& port = tree.add_bridge(nullptr, 1);
    port.slot();
    PciNode& card = tree.add(&port, 0);
    card.memory(0, 0x1000);
    PciNode& empty = tree.add_bridge(nullptr, 2);
    empty.slot();
    const Assigned tight(tree, {.memory = {0x1000'0000, 0x10'0000}, .prefetchable = {}, .port = {}});
    CHECK(tight.failures.empty());
    CHECK(window(port, 0)->size == 0x10'0000);
    CHECK(!window(empty, 0));
    check_tree(tree, {.memory = {0x1000'0000, 0x10'0000}, .prefetchable = {}, .port = {}});

    PciTree other;
    PciNode& bridge = other.add_bridge(nullptr, 1);
    for (std::uint8_t i = 0; i < 3; ++i)
        for (const unsigned index : {0u, 2u, 4u})
            other.add(&bridge, static_cast<std::uint8_t>(2 * i)).memory(index, std::uint64_t{1} << 62, 12);
    PciNode& next = other.add(nullptr, 2);
    next.memory(0, 0x1000);
    const Assigned done(other);
    CHECK(done.failures.size() >= 3);
    CHECK(next.base(0) != 0);
    CHECK(!window(bridge, 1));

    PciTree third; // windows beyond the end of the address space
    third.add(nullptr, 1).memory(0, 0x1000, 12);
    CHECK(Assigned(third, {.memory = {}, .prefetchable = {0xffff'ffff'ffff'0000, 0x2'0000}, .port = {}}).failures.size() == 1);
    PciTree fourth;
    PciNode& last = fourth.add_bridge(nullptr, 1);
    settle(last, 0, 1, 1);
    last.put(0x24, 0xfff1'fff1);
    last.put(0x28, 0xffff'ffff);
    last.put(0x2c, 0xffff'ffff);
    fourth.add(&last, 0).memory(0, 0x1000, 12);
    CHECK(Assigned(fourth).failures.size() == 1);
}

TEST_CASE("registers that size to nonsense, or do not keep their value") {
    PciTree tree;
    PciNode& odd = tree.add(nullptr, 1);
    odd.memory(0, 0x1000);
    odd.allow(0x10, 0xffff'5000);
    odd.memory(1, 0x1000);                       // goes on
    PciNode& headless = tree.add(nullptr, 8, 3); // there is no function 0: nobody looks
    headless.memory(0, 0x1000);
    PciNode& beyond = tree.add(nullptr, 2);
    beyond.put(0x24, 4);
    beyond.allow(0x24, 0xffff'0000);
    beyond.memory(0, 0x1000);
    PciNode& bridge = tree.add_bridge(nullptr, 3);
    bridge.put(0x14, 4); // its upper half would be the bus numbers
    bridge.allow(0x14, 0xffff'0000);
    PciNode& stubborn = tree.add(nullptr, 4);
    stubborn.memory(0, 0x1000);
    tree.on_write = [&](PciNode& node, std::uint16_t offset) {
        if (&node == &stubborn && offset == 0x10 && node.get(0x10) != 0xffff'f000) node.put(0x10, 0x1234'5000);
    };
    const Assigned done(tree);
    std::vector<Failure> failures = done.failures;
    std::sort(failures.begin(), failures.end(), [](const Failure& a, const Failure& b) { return a.where < b.where; });
    CHECK(failures == std::vector<Failure>{{{0, 0, 1, 0}, 0, Error::bad_bar},
                                           {{0, 0, 2, 0}, 5, Error::bad_bar},
                                           {{0, 0, 3, 0}, 1, Error::bad_bar},
                                           {{0, 0, 4, 0}, 0, Error::bad_bar}});
    CHECK(odd.base(1) != 0);
    CHECK(headless.base(0) == 0);
    CHECK(beyond.base(0) != 0);
    CHECK(bridge.get(0x18) == 0x0001'0100);
}

TEST_CASE("bridges that loop, lie about their numbers or do not take them") {
    SUBCASE("numbers that firmware cannot have meant are given anew") {
        PciTree tree;
        PciNode& back = tree.add_bridge(nullptr, 1); // to its own bus
        settle(back, 0, 0, 3);
        PciNode& upside = tree.add_bridge(nullptr, 2);
        settle(upside, 0, 9, 8);
        PciNode& far = tree.add_bridge(nullptr, 3);
        settle(far, 0, 20, 40);
        PciNode& good = tree.add_bridge(nullptr, 4);
        settle(good, 0, 5, 6);
        PciNode& same = tree.add_bridge(nullptr, 5);
        settle(same, 0, 6, 7);
        for (PciNode* each : {&back, &upside, &far, &good, &same}) tree.add(each, 0);
        PciNode& before = tree.add_bridge(&good, 1);
        settle(before, 5, 3, 3);
        const Assigned done(tree, kWindows, {.segment = 0, .first_bus = 0, .last_bus = 30});
        CHECK(done.failures.empty());
        CHECK(done.count.buses == 6);
        CHECK(before.get(0x18) == 0x0006'0605);
        CHECK(good.get(0x18) == 0x0006'0500);
        std::vector<std::uint8_t> buses;
        for (const auto& node : tree.nodes)
            if (node->parent != nullptr && node.get() != &before) buses.push_back(tree.bus_of(*node).value_or(0));
        std::sort(buses.begin(), buses.end());
        CHECK(buses == std::vector<std::uint8_t>{5, 7, 8, 9, 10});
    }
    SUBCASE("a bridge whose numbers do not stick is left out") {
        PciTree tree;
        PciNode& loop = tree.add_bridge(nullptr, 1);
        loop.allow(0x18, 0);
        PciNode& good = tree.add_bridge(nullptr, 2);
        PciNode& below = tree.add(&good, 0);
        below.memory(0, 0x1000);
        const Assigned done(tree);
        CHECK(done.failures == std::vector<Failure>{{{0, 0, 1, 0}, PciResources::kBusNumbers, Error::bad_bar}});
        CHECK(below.base(0) != 0);
    }
    SUBCASE("a chain of bridges without end") {
        PciTree tree;
        PciNode* parent = nullptr;
        for (unsigned i = 0; i < 12; ++i) parent = &tree.add_bridge(parent, 0);
        PciNode& other = tree.add(nullptr, 1);
        other.memory(0, 0x1000);
        const Assigned done(tree);
        CHECK(done.failures == std::vector<Failure>{{{0, 8, 0, 0}, PciResources::kBusNumbers, Error::out_of_memory}});
        CHECK(done.count.buses == 8);
        CHECK(other.base(0) != 0);

        PciTree settled; // the same, numbered
        parent = nullptr;
        for (std::uint8_t i = 0; i < 12; ++i) {
            parent = &settled.add_bridge(parent, 0);
            settle(*parent, i, static_cast<std::uint8_t>(i + 1), 12);
        }
        CHECK(Assigned(settled).count.buses == 8);
    }
    SUBCASE("more buses than numbers") {
        PciTree tree;
        for (std::uint8_t i = 1; i < 5; ++i) tree.add_bridge(nullptr, i);
        const Assigned done(tree, kWindows, {.segment = 0, .first_bus = 0, .last_bus = 2});
        CHECK(done.failures == std::vector<Failure>{{{0, 0, 3, 0}, PciResources::kBusNumbers, Error::out_of_memory},
                                                    {{0, 0, 4, 0}, PciResources::kBusNumbers, Error::out_of_memory}});
        CHECK(done.count.buses == 2);
    }
    SUBCASE("windows that do not stick") {
        PciTree tree;
        PciNode& bridge = tree.add_bridge(nullptr, 1);
        PciNode& below = tree.add(&bridge, 0);
        below.memory(0, 0x1000);
        below.memory(2, 0x1000, 12);
        below.ports(1, 32);
        tree.on_write = [&](PciNode& node, std::uint16_t offset) {
            if (&node == &bridge && offset >= 0x1c && offset < 0x34 && (node.get(0x20) & 0xfff0) != 0xfff0) node.put(0x20, 0x7000'7000);
        };
        const Assigned done(tree);
        CHECK(done.failures ==
              std::vector<Failure>{{{0, 0, 1, 0}, PciResources::kMemoryWindow, Error::bad_bar}, {{0, 1, 0, 0}, 0, Error::out_of_memory}});
    }
    SUBCASE("capabilities in a circle; a bridge without the optional windows") {
        PciTree tree;
        PciNode& bridge = tree.add_bridge(nullptr, 1);
        bridge.allow(0x1c, 0, 2);
        bridge.allow(0x24, 0);
        bridge.put(6, 0x10, 2);
        bridge.space[0x34] = 0x40;
        bridge.put(0x40, 0x0000'4001);
        PciNode& below = tree.add(&bridge, 0);
        below.memory(0, 0x1000, 12);
        below.ports(2, 32);
        const Assigned done(tree);
        CHECK(done.failures == std::vector<Failure>{{{0, 1, 0, 0}, 2, Error::out_of_memory}});
        CHECK(below.base(0) < 0x1'0000'0000);
        CHECK(window(bridge, 0)->size == 0x10'0000); // no slot: no room kept
    }
}

TEST_CASE("prefetchable windows of 32 bits do not reach above 4 GiB") {
    PciTree tree;
    PciNode& bridge = tree.add_bridge(nullptr, 1, false);
    PciNode& below = tree.add(&bridge, 0);
    below.memory(0, 0x1000, 12);
    PciNode& narrow = tree.add(nullptr, 2);
    narrow.memory(0, 0x1000, 8);
    CHECK(Assigned(tree).failures.empty());
    check_tree(tree, kWindows);
    CHECK(below.base(0) < 0x1'0000'0000);
    CHECK(narrow.base(0) < 0x1'0000'0000);
    PciTree low;
    PciNode& fits = low.add(&low.add_bridge(nullptr, 1, false), 0);
    fits.memory(0, 0x1000, 8);
    const PciWindows windows{.memory = {0x1000'0000, 0x1000'0000}, .prefetchable = {0x4000'0000, 0x1000'0000}, .port = {}};
    CHECK(Assigned(low, windows).failures.empty());
    CHECK(fits.base(0) >= 0x4000'0000);
}

TEST_CASE("more registers than are looked after") {
    PciTree tree;
    for (std::uint8_t device = 0; device < 32; ++device)
        for (std::uint8_t function = 0; function < 8; ++function) {
            PciNode& node = tree.add(nullptr, device, function);
            node.space[0x0e] = 0x80;
            for (unsigned index = 0; index < 3; ++index) node.memory(index, 0x1000);
        }
    const Assigned done(tree);
    CHECK(done.resources.range_count() == PciResources::kMostRanges);
    CHECK(done.count.assigned == PciResources::kMostRanges);
    CHECK(done.failures.size() == 32 * 8 * 3 - PciResources::kMostRanges);
    CHECK(done.failures.front().error == Error::out_of_memory);
    PciNode& bridge = *tree.nodes.back(); // no room for a bridge's windows either
    bridge.bridge();
    CHECK(Assigned(tree).failures.back().error == Error::out_of_memory);
}

TEST_CASE("plugged in and pulled out at run time") {
    PciTree tree;
    PciNode& port = tree.add_bridge(nullptr, 1);
    port.slot();
    PciNode& fixed = tree.add(nullptr, 2);
    fixed.memory(0, 0x1000);
    Assigned done(tree);
    CHECK(done.failures.empty());
    CHECK(window(port, 0)->size == PciResources::kSlotMemory);
    CHECK(window(port, 2)->size == PciResources::kSlotPorts);
    const std::size_t before = done.resources.range_count();
    PciResources& resources = done.resources;
    for (unsigned round = 0; round < 10; ++round) {
        PciNode& card = tree.add(&port, 0);
        card.memory(1, 0x1000);
        card.memory(4, 0x4000, 12);
        card.ports(0, 64);
        REQUIRE(resources.add(tree, tree.address(card)));
        check_tree(tree, kWindows);
        PciNode& beside = tree.add(nullptr, 9);
        beside.memory(0, 0x1000);
        REQUIRE(resources.add(tree, tree.address(beside)));
        check_tree(tree, kWindows);
        REQUIRE(resources.add(tree, tree.address(beside))); // once more: nothing is taken twice
        resources.release(tree.address(card));
        resources.release(tree.address(beside));
        CHECK(resources.range_count() == before);
        tree.take_out(card);
        tree.take_out(beside);
    }
    CHECK(resources.add(tree, {0, 1, 0, 0}).error() == Error::no_device);

    PciNode& large = tree.add(&port, 0);
    large.memory(0, 0x100'0000);
    large.memory(1, 0x1000);
    CHECK(resources.add(tree, tree.address(large)).error() == Error::out_of_memory);
    CHECK(resources.range_count() == before);
    tree.take_out(large);

    PciNode& odd = tree.add(&port, 0);
    odd.memory(0, 0x1000);
    odd.allow(0x10, 0xff55'5000);
    CHECK(resources.add(tree, tree.address(odd)).error() == Error::bad_bar);
    odd.memory(0, 0x1000);
    odd.ports(1, 0x8000); // more than the slot has: it may do without
    CHECK(resources.add(tree, tree.address(odd)));
    CHECK(odd.base(0) != 0);
    CHECK(odd.base(1) == 0);
    resources.release(tree.address(odd));
    tree.take_out(odd);

    PciNode& bridge = tree.add_bridge(&port, 0);
    CHECK(resources.add(tree, tree.address(bridge)).error() == Error::unsupported_device);
    CHECK(resources.range_count() == before);
}
