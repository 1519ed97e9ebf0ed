#include <doctest/doctest.h>

#include "kernel/firmware/isa_lines.hpp"

using kernel::IsaLines;
using kernel::Line;
using kernel::Polarity;
using kernel::Trigger;

namespace {

bool same(const Line& a, const Line& b) { return a.gsi == b.gsi && a.trigger == b.trigger && a.polarity == b.polarity; }

} // namespace

TEST_CASE("without overrides an ISA interrupt is its own input, and PCI's are level and low") {
    const IsaLines lines;
    CHECK(same(lines.isa_line(4), {4, Trigger::edge, Polarity::high}));
    CHECK(same(lines.isa_line(200), {200, Trigger::edge, Polarity::high}));
    CHECK(same(lines.pci_line(11), {11, Trigger::level, Polarity::low}));
    CHECK(same(lines.pci_line(20), {20, Trigger::level, Polarity::low}));
}

TEST_CASE("overrides move inputs and say how they signal") {
    IsaLines lines;
    lines.override(0, {2, Trigger::edge, Polarity::high});
    lines.override(9, {9, Trigger::level, Polarity::high}); // QEMU's pc
    lines.override(10, {20, Trigger::level, Polarity::low});
    lines.override(5, {5, Trigger::edge, Polarity::high}); // an MP table's entry that says nothing
    lines.override(16, {99, Trigger::level, Polarity::low});
    CHECK(same(lines.isa_line(0), {2, Trigger::edge, Polarity::high}));
    CHECK(same(lines.isa_line(9), {9, Trigger::level, Polarity::high}));
    CHECK(same(lines.pci_line(9), {9, Trigger::level, Polarity::high}));
    CHECK(same(lines.pci_line(10), {20, Trigger::level, Polarity::low}));
    CHECK(same(lines.pci_line(5), {5, Trigger::level, Polarity::low}));
    CHECK(same(lines.isa_line(5), {5, Trigger::edge, Polarity::high}));
    CHECK(same(lines.isa_line(16), {16, Trigger::edge, Polarity::high}));
}
