// Device trees, right and wrong. The wrong ones: by hand what each message is about, and by damaging a right one in every place.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "kernel/firmware/device_tree.hpp"
#include "tests/unit/support/tree_writer.hpp"

namespace {

using kernel::DeviceTree;
using kernel::TreeInterrupt;
using kernel::TreeNode;
using kernel::TreePciRange;
using kernel::TreeRange;
using Blob = TreeWriter::Blob;

/// A machine with everything that is read: two chips, a bus with a window, a PCI host with maps, a device behind a map.
Blob machine() {
    TreeWriter tree;
    tree.reserve(0x1000, 0x2000).reserve(0x8'0000'0000, 0x10);
    tree.nop().begin("").cells("#address-cells", {2}).cells("#size-cells", {2}).cells("interrupt-parent", {1});
    tree.begin("chip@8000000")
        .cells("phandle", {1})
        .cells("#interrupt-cells", {3})
        .cells("#address-cells", {2})
        .flag("interrupt-controller");
    tree.cells("reg", {0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x2000}).end();
    tree.begin("messages").cells("phandle", {2}).text("compatible", {"arm,gic-v2m-frame"}).end();
    tree.begin("plain").cells("linux,phandle", {3}).cells("#interrupt-cells", {1}).flag("interrupt-controller").end();
    tree.begin("soc").text("compatible", {"simple-bus"}).cells("#address-cells", {1}).cells("#size-cells", {1});
    tree.cells("ranges", {0x1000, 0, 0x40000000, 0x1000, 0x8000, 4, 0x80000000, 0x8000});
    tree.begin("serial@9000").text("compatible", {"acme,serial", "ns16550a"}).cells("reg", {0x9000, 0x100, 0x1080, 0x80});
    tree.cells("interrupts", {0, 1, 4, 0, 2, 1}).text("status", {"okay"}).nop().cells("clock-frequency", {0x384000}).end();
    tree.begin("serial@20000").text("compatible", {"ns16550a"}).cells("reg", {0x20000, 0x100}).text("status", {"disabled"}).end();
    tree.begin("both").cells("interrupts-extended", {3, 7, 1, 1, 14, 8, 3, 9}).end();
    tree.end();
    tree.begin("pcie@10000000").text("compatible", {"pci-host-ecam-generic"}).cells("#address-cells", {3}).cells("#size-cells", {2});
    tree.cells("#interrupt-cells", {1}).cells("reg", {0x40, 0x10000000, 0, 0x10000000}).cells("bus-range", {0, 0xff});
    tree.cells("ranges", {0x1000000,  0, 0,          0,          0x3eff0000, 0, 0x10000, 0x2000000, 0,    0x10000000, 0,
                          0x10000000, 0, 0x2eff0000, 0x43000000, 0x80,       0, 0x80,    0,         0x80, 0});
    tree.cells("interrupt-map-mask", {0x1800, 0, 0, 7});
    tree.cells("interrupt-map", {0, 0, 0, 1, 1, 0, 0, 0, 3, 4, 0, 0, 0, 2, 3, 44, 0x800, 0, 0, 1, 1, 0, 0, 0, 5, 4});
    tree.cells("msi-map", {0, 2, 0x10, 0x100, 0x100, 1, 0, 0x10}).end();
    tree.begin("choosy").cells("msi-parent", {2}).cells("#interrupt-cells", {1}).cells("#address-cells", {0}).cells("phandle", {9});
    tree.cells("interrupt-map", {5, 3, 21}).begin("behind").cells("interrupts", {5}).end();
    tree.begin("elsewhere").cells("interrupt-parent", {9}).cells("interrupts", {6}).end().end();
    tree.begin("chosen").text("bootargs", {"quiet ip=10.0.2.15"}).cells("linux,initrd-start", {0, 0x48000000}).end();
    tree.end();
    return tree.done();
}

DeviceTree opened(const Blob& blob) {
    const auto tree = DeviceTree::open(blob);
    REQUIRE_MESSAGE(tree.has_value(), tree.error().what);
    return *tree;
}

std::string problem(const Blob& blob) {
    const auto tree = DeviceTree::open(blob);
    return tree ? "" : tree.error().what;
}

TreeNode at(const DeviceTree& tree, std::string_view path) {
    const auto node = tree.find(path);
    REQUIRE_MESSAGE(node.has_value(), std::string(path));
    return *node;
}

/// Everything that can be asked of every node: may say what it likes, but must come back and stay inside (the sanitizers watch).
std::size_t ask_all(const DeviceTree& tree) {
    std::size_t nodes = 0;
    for (auto node = tree.root(); node; node = node->next()) {
        ++nodes;
        static_cast<void>(node->name());
        for (std::size_t i = 0; i < 5; ++i) {
            static_cast<void>(node->reg(i));
            static_cast<void>(node->pci_range(i));
            if (const auto found = node->interrupt(i)) CHECK(found->cell_count <= TreeInterrupt::kMostCells);
        }
        for (const std::uint32_t device : {0U, 1U << 11, 0xffffffffU}) {
            const std::array<std::uint32_t, 3> unit{device, 0, 0};
            const std::array<std::uint32_t, 1> pin{1};
            static_cast<void>(node->map_interrupt(unit, pin));
            static_cast<void>(node->msi(device));
        }
        static_cast<void>(node->text("bootargs"));
        static_cast<void>(node->number("clock-frequency"));
        static_cast<void>(node->next_sibling());
        static_cast<void>(node->compatible("ns16550a"));
        static_cast<void>(node->enabled());
    }
    static_cast<void>(tree.find("/soc/serial@9000"));
    return nodes;
}

} // namespace

TEST_CASE("a tree is walked in order, with parents, children and siblings") {
    const Blob blob = machine();
    const DeviceTree tree = opened(blob);
    std::string names;
    for (auto node = tree.root(); node; node = node->next()) {
        names += std::string(node->depth(), '.') + std::string(node->name()) + " ";
        if (node->depth() != 0) CHECK(node->parent()->depth() + 1 == node->depth());
    }
    CHECK(names ==
          " .chip@8000000 .messages .plain .soc ..serial@9000 ..serial@20000 ..both .pcie@10000000 .choosy ..behind ..elsewhere .chosen ");
    CHECK_FALSE(tree.root()->parent());
    CHECK_FALSE(tree.root()->next_sibling());
    CHECK(at(tree, "/soc").first_child()->name() == "serial@9000");
    CHECK(at(tree, "/soc").next_sibling()->name() == "pcie@10000000");
    CHECK_FALSE(at(tree, "/soc/both").next_sibling());
    CHECK_FALSE(at(tree, "/soc/both").first_child());
    CHECK(*at(tree, "/soc/serial@20000").parent() == at(tree, "/soc"));

    CHECK(at(tree, "/soc/serial").name() == "serial@9000"); // the first of that name
    CHECK(at(tree, "soc//serial@20000/").name() == "serial@20000");
    CHECK_FALSE(tree.find("/soc/serial@1"));
    CHECK_FALSE(tree.find("/soc/ser"));
    CHECK(tree.find("/")->depth() == 0);
    CHECK(tree.find_handle(3)->name() == "plain");
    CHECK(tree.find_handle(3)->name() == "plain");
    CHECK_FALSE(tree.find_handle(77));
    CHECK_FALSE(tree.find_handle(0));
    CHECK(tree.find_compatible("ns16550a")->name() == "serial@9000");
    CHECK_FALSE(tree.find_compatible("ns16550"));

    CHECK(tree.reservation(0) == TreeRange{0x1000, 0x2000});
    CHECK(tree.reservation(1) == TreeRange{0x8'0000'0000, 0x10});
    CHECK_FALSE(tree.reservation(2));
    CHECK(tree.bytes().size() == blob.size());
    CHECK(ask_all(tree) == 13);
    CHECK_FALSE(DeviceTree().root());
    CHECK_FALSE(DeviceTree().find("/"));
}

TEST_CASE("properties: cells, numbers, texts") {
    const Blob blob = machine();
    const DeviceTree tree = opened(blob);
    const TreeNode serial = at(tree, "/soc/serial@9000"), chosen = at(tree, "/chosen");
    CHECK(serial.cell("reg", 2) == 0x1080);
    CHECK_FALSE(serial.cell("reg", 4));
    CHECK_FALSE(serial.cell("nothing"));
    CHECK(serial.number("clock-frequency") == 0x384000);
    CHECK(chosen.number("linux,initrd-start") == 0x48000000);
    CHECK_FALSE(serial.number("interrupts")); // six cells are no number
    CHECK(chosen.text("bootargs") == "quiet ip=10.0.2.15");
    CHECK(serial.compatible("acme,serial"));
    CHECK_FALSE(serial.compatible("acme"));
    CHECK(serial.enabled());
    CHECK_FALSE(at(tree, "/soc/serial@20000").enabled());
    CHECK(at(tree, "/pcie").enabled());

    TreeWriter writer;
    writer.begin("").bytes("compatible", {std::byte{'a'}, std::byte{0}, std::byte{'b'}}).bytes("bootargs", {std::byte{'x'}}).end();
    const Blob other = writer.done();
    const DeviceTree unended = opened(other);
    CHECK(unended.root()->compatible("a"));
    CHECK_FALSE(unended.root()->compatible("b")); // no zero behind it
    CHECK_FALSE(unended.root()->text("bootargs"));
}

TEST_CASE("addresses pass the windows of every bus above") {
    const Blob blob = machine();
    const DeviceTree tree = opened(blob);
    CHECK(at(tree, "/chip").reg(1) == TreeRange{0x8010000, 0x2000});
    CHECK_FALSE(at(tree, "/chip").reg(2));
    const TreeNode serial = at(tree, "/soc/serial@9000");
    CHECK(serial.reg_untranslated(0) == TreeRange{0x9000, 0x100});
    CHECK(serial.reg(0) == TreeRange{0x4'8000'1000, 0x100}); // the second window
    CHECK(serial.reg(1) == TreeRange{0x4000'0080, 0x80});    // the first one
    CHECK_FALSE(at(tree, "/soc/serial@20000").reg(0));       // in none
    CHECK(at(tree, "/soc/serial@20000").reg_untranslated(0));
    CHECK_FALSE(tree.root()->reg(0));

    TreeWriter writer;
    writer.begin("").cells("#address-cells", {2}).cells("#size-cells", {2});
    writer.begin("closed").cells("#address-cells", {1}).cells("#size-cells", {1}).begin("in").cells("reg", {16, 16}).end().end();
    writer.begin("same").cells("#address-cells", {2}).cells("#size-cells", {2}).flag("ranges");
    writer.begin("in").cells("reg", {1, 16, 0, 16, 0xffffffff, 0xffffffff, 0, 2}).end().end();
    writer.begin("high").cells("#address-cells", {1}).cells("#size-cells", {1}).cells("ranges", {0, 0xffffffff, 0xfffff000, 0x10000});
    writer.begin("in").cells("reg", {0xff0, 0x10, 0xff0, 0x11}).end().end();
    writer.begin("odd").cells("#address-cells", {200}).cells("#size-cells", {1}).begin("in").cells("reg", {16, 16}).end().end();
    writer.begin("none").cells("#address-cells", {0}).cells("#size-cells", {0}).begin("in").cells("reg", {16, 16}).end().end().end();
    const Blob other = writer.done();
    const DeviceTree buses = opened(other);
    CHECK_FALSE(at(buses, "/closed/in").reg(0)); // no "ranges": nothing gets through
    CHECK(at(buses, "/same/in").reg(0) == TreeRange{0x1'0000'0010, 16});
    CHECK_FALSE(at(buses, "/same/in").reg(1)); // ends beyond the address space
    CHECK(at(buses, "/high/in").reg(0) == TreeRange{0xffffffff'fffffff0, 16});
    CHECK_FALSE(at(buses, "/high/in").reg(1)); // would behind the window
    CHECK_FALSE(at(buses, "/odd/in").reg(0));
    CHECK_FALSE(at(buses, "/none/in").reg(0));
}

TEST_CASE("a PCI host's windows") {
    const Blob blob = machine();
    const DeviceTree tree = opened(blob);
    const TreeNode host = at(tree, "/pcie");
    const auto port = host.pci_range(0), low = host.pci_range(1), high = host.pci_range(2);
    REQUIRE((port && low && high));
    CHECK((port->space == TreePciRange::Space::port && port->pci == 0 && port->cpu == 0x3eff0000 && port->size == 0x10000));
    CHECK((low->space == TreePciRange::Space::memory32 && low->pci == 0x10000000 && low->cpu == 0x10000000 && low->size == 0x2eff0000));
    CHECK((high->space == TreePciRange::Space::memory64 && high->prefetchable && high->cpu == 0x80'0000'0000 &&
           high->size == 0x80'0000'0000));
    CHECK_FALSE(low->prefetchable);
    CHECK_FALSE(host.pci_range(3));
    CHECK_FALSE(at(tree, "/soc").pci_range(0)); // no PCI host
    CHECK(host.reg(0) == TreeRange{0x40'1000'0000, 0x10000000});
}

TEST_CASE("interrupts: inherited parents, extended ones, maps") {
    const Blob blob = machine();
    const DeviceTree tree = opened(blob);
    const auto second = at(tree, "/soc/serial@9000").interrupt(1);
    REQUIRE(second);
    CHECK(second->controller.name() == "chip@8000000");
    CHECK(second->cell_count == 3);
    CHECK((second->cells[0] == 0 && second->cells[1] == 2 && second->cells[2] == 1));
    CHECK_FALSE(at(tree, "/soc/serial@9000").interrupt(2));
    CHECK_FALSE(at(tree, "/chosen").interrupt(0));

    const TreeNode both = at(tree, "/soc/both");
    CHECK((both.interrupt(0)->controller.name() == "plain" && both.interrupt(0)->cells[0] == 7));
    CHECK((both.interrupt(1)->controller.name() == "chip@8000000" && both.interrupt(1)->cells[1] == 14));
    CHECK((both.interrupt(2)->controller.name() == "plain" && both.interrupt(2)->cells[0] == 9));
    CHECK_FALSE(both.interrupt(3));

    // A map above, found by position and by handle; 6 is not in it.
    CHECK(
        (at(tree, "/choosy/behind").interrupt(0)->controller.name() == "plain" && at(tree, "/choosy/behind").interrupt(0)->cells[0] == 21));
    CHECK_FALSE(at(tree, "/choosy/elsewhere").interrupt(0));
}

TEST_CASE("a PCI host's interrupt map, with its mask") {
    const Blob blob = machine();
    const DeviceTree tree = opened(blob);
    const TreeNode host = at(tree, "/pcie");
    const auto pin_of = [&](std::uint32_t device, std::uint32_t pin) {
        const std::array<std::uint32_t, 3> unit{device << 11, 0, 0};
        const std::array<std::uint32_t, 1> specifier{pin};
        return host.map_interrupt(unit, specifier);
    };
    REQUIRE(pin_of(0, 1));
    CHECK((pin_of(0, 1)->controller.name() == "chip@8000000" && pin_of(0, 1)->cells[1] == 3 && pin_of(0, 1)->cells[2] == 4));
    CHECK((pin_of(0, 2)->controller.name() == "plain" && pin_of(0, 2)->cells[0] == 44)); // a shorter entry between two longer ones
    CHECK(pin_of(1, 1)->cells[1] == 5);
    CHECK(pin_of(5, 1)->cells[1] == 5); // the mask leaves two bits of the device number
    CHECK_FALSE(pin_of(2, 1));
    CHECK_FALSE(pin_of(0, 3));
    CHECK_FALSE(host.map_interrupt({}, {}));
    CHECK_FALSE(at(tree, "/soc").map_interrupt({}, {}));

    CHECK((host.msi(0x42)->controller.name() == "messages" && host.msi(0x42)->id == 0x52));
    CHECK((host.msi(0x10f)->controller.name() == "chip@8000000" && host.msi(0x10f)->id == 0xf));
    CHECK_FALSE(host.msi(0x110));
    CHECK((at(tree, "/choosy").msi(7)->controller.name() == "messages" && at(tree, "/choosy").msi(7)->id == 7));
    CHECK_FALSE(at(tree, "/soc").msi(7));
}

TEST_CASE("maps that point at each other, at nothing, or at too much end") {
    TreeWriter writer;
    writer.begin("").cells("#address-cells", {1}).cells("#size-cells", {1});
    writer.begin("a").cells("phandle", {1}).cells("#interrupt-cells", {1}).cells("interrupt-map", {1, 2, 1}).end();
    writer.begin("b").cells("phandle", {2}).cells("#interrupt-cells", {1}).cells("interrupt-map", {1, 1, 1}).end();
    writer.begin("self").cells("phandle", {3}).cells("#interrupt-cells", {1}).cells("interrupt-map", {1, 3, 1}).end();
    writer.begin("wide").cells("phandle", {4}).cells("#interrupt-cells", {0x40000000}).flag("interrupt-controller").end();
    writer.begin("x").cells("interrupt-parent", {1}).cells("interrupts", {1}).end();
    writer.begin("y").cells("interrupt-parent", {3}).cells("interrupts", {1}).end();
    writer.begin("z").cells("interrupt-parent", {4}).cells("interrupts", {1, 2, 3, 4, 5, 6}).end();
    writer.begin("e").cells("interrupts-extended", {4, 1, 4, 1}).end();
    writer.begin("n").cells("interrupt-parent", {99}).cells("interrupts", {1}).end().end();
    const Blob blob = writer.done();
    const DeviceTree tree = opened(blob);
    for (const char* name : {"/x", "/y", "/z", "/e", "/n"})
        for (std::size_t i = 0; i < 6; ++i) CHECK_FALSE(at(tree, name).interrupt(i));
}

TEST_CASE("each nonsense has its own message") {
    const Blob good = machine();
    CHECK(problem(good).empty());
    const auto changed = [&](std::size_t at, std::uint32_t value) {
        Blob bad = good;
        put_word(bad, at, value);
        return problem(bad);
    };
    CHECK(problem({}) == "shorter than a header");
    CHECK(problem(Blob(good.begin(), good.begin() + 39)) == "shorter than a header");
    CHECK(problem(Blob(good.begin(), good.end() - 1)) == "longer than the memory it is in");
    CHECK(changed(0, 0xedfe0dd0) == "the magic number is not d00dfeed");
    CHECK(changed(4, 39) == "the length is nonsense");
    CHECK(changed(4, DeviceTree::kLongest + 1) == "the length is nonsense");
    CHECK(changed(20, 15) == "a version that nobody can read: 16 and 17 are known");
    CHECK(changed(24, 18) == "a version that nobody can read: 16 and 17 are known");
    CHECK(changed(8, 0xfffffffc) == "the structure block is outside");
    CHECK(changed(8, 42) == "the structure block is outside");
    CHECK(changed(12, 0x7fffffff) == "the strings are outside");
    CHECK(changed(16, 0xfffffff8) == "the memory reservation block is outside");
    CHECK(changed(32, 0xffffffff) == "the strings end outside");
    CHECK(changed(36, 0xffffffff) == "the structure block ends outside");
    CHECK(changed(36, 400) == "a property reaches beyond the structure block");
    CHECK(changed(32, 4) == "a property's name is outside the strings");

    const auto written = [](auto write) {
        TreeWriter writer;
        write(writer);
        return problem(writer.done());
    };
    CHECK(written([](TreeWriter&) {}) == "no root");
    CHECK(written([](TreeWriter& tree) { tree.begin("").end().begin("").end(); }) == "a second root");
    CHECK(written([](TreeWriter& tree) { tree.begin("").begin("a").end(); }) == "a node is not closed");
    CHECK(written([](TreeWriter& tree) { tree.begin("").end().end(); }) == "a node is closed that was never opened");
    CHECK(written([](TreeWriter& tree) { tree.flag("x").begin("").end(); }) == "a property outside of any node");
    CHECK(written([](TreeWriter& tree) { tree.begin("").begin("a").end().flag("x").end(); }) == "a property behind a child node");
    CHECK(written([](TreeWriter& tree) {
              tree.begin("");
              TreeWriter::word(tree.structure, 7);
          }) == "an unknown token");
    for (const std::size_t depth : {std::size_t{16}, std::size_t{17}, std::size_t{1000}}) {
        const std::string said = written([&](TreeWriter& tree) {
            for (std::size_t i = 0; i < depth; ++i) tree.begin("deep");
            for (std::size_t i = 0; i < depth; ++i) tree.end();
        });
        CHECK(said == (depth <= DeviceTree::kMostDepth ? "" : "nodes are nested deeper than 16"));
    }
    TreeWriter open_end;
    open_end.begin("").flag("x").end();
    open_end.strings = {std::byte{'a'}, std::byte{0}, std::byte{'x'}};
    for (const std::uint32_t offset : {0U, 1U, 2U, 3U, 0xffffffffU}) { // the last zero's own place is an empty name
        TreeWriter tree = open_end;
        put_word(tree.structure, 16, offset);
        CHECK(problem(tree.done()) == (offset < 2 ? "" : "a property's name is outside the strings"));
    }
    TreeWriter unended;
    unended.begin("");
    TreeWriter::word(unended.structure, 1);
    for (int i = 0; i < 40; ++i) unended.structure.push_back(std::byte{'n'});
    unended.structure.resize(unended.structure.size() + 4, std::byte{'n'});
    Blob blob = unended.done();
    put_word(blob, 36, static_cast<std::uint32_t>(unended.structure.size() - 4)); // without the end token's zeros
    CHECK(problem(blob) == "a node's name has no end");
    blob = unended.done();

    // Reservations up to the end of the blob, without the terminating entry.
    Blob endless = good;
    put_word(endless, 16, static_cast<std::uint32_t>(endless.size() / 8 * 8 - 16));
    CHECK(problem(endless) == "the memory reservation block has no end");
}

TEST_CASE("version 16 has no length of the structure block; a padded blob is cut to what it holds") {
    TreeWriter writer;
    writer.version = 16;
    writer.begin("").flag("x").end();
    Blob blob = writer.done();
    put_word(blob, 36, 0xffffffff);
    CHECK(opened(blob).root()->has("x"));

    Blob padded = machine();
    const std::size_t used = padded.size();
    padded.resize(1 << 20);
    put_word(padded, 4, 1 << 20);
    CHECK(opened(padded).bytes().size() == used);
    CHECK(DeviceTree::length(padded) == 1 << 20);
    CHECK(DeviceTree::length(std::span(padded).first(39)) == 0);
    put_word(padded, 4, 0x10000000);
    CHECK(DeviceTree::length(padded) == 0);
}

TEST_CASE("damaged in any place a tree is refused or read, never more") {
    const Blob good = machine();
    std::size_t accepted = 0;
    const auto look = [&](const Blob& bad) {
        const auto tree = DeviceTree::open(bad);
        if (tree) accepted += ask_all(*tree) != 0;
    };
    for (std::size_t size = 0; size <= good.size(); size += 3) look(Blob(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    for (std::size_t at = 0; at < good.size(); ++at)
        for (const unsigned value : {0U, 1U, 0x7fU, 0xffU}) {
            Blob bad = good;
            bad[at] = static_cast<std::byte>(value);
            look(bad);
        }
    for (std::size_t at = 0; at + 4 <= good.size(); at += 4)
        for (const std::uint32_t value : {2U, 3U, 4U, 9U, 0x80000000U, 0xffffffffU, 0x3fffffffU}) {
            Blob bad = good;
            put_word(bad, at, value);
            look(bad);
        }
    std::mt19937 random(5);
    for (int round = 0; round < 2000; ++round) {
        Blob bad = good;
        for (int i = 0; i < 4; ++i) bad[random() % bad.size()] = static_cast<std::byte>(random());
        look(bad);
    }
    CHECK(accepted > 1000); // most damage is inside values: those trees were walked
}
