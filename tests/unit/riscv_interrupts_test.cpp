// What a hart's IMSIC has pending is taken whole, also where its line to the hart is not in step with what is pending.
#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "arch/riscv64/imsic.hpp"

namespace {

/// QEMU 7.2's: a claim looks for what is pending, and sets the line by what it saw a moment later.
class Imsic {
public:
    void message(std::uint32_t identity) {
        pending.insert(identity);
        line = true;
    }
    std::uint32_t take() {
        if (pending.empty()) return 0;
        const std::uint32_t identity = *pending.begin();
        pending.erase(pending.begin());
        const bool more = !pending.empty();
        if (meanwhile) std::exchange(meanwhile, nullptr)();
        line = more;
        return identity;
    }

    bool line = false;
    std::function<void()> meanwhile; // once
    std::set<std::uint32_t> pending;
};

} // namespace

TEST_CASE("a message that comes while another one is claimed is not left behind") {
    Imsic imsic;
    std::vector<std::uint32_t> handled;
    const auto interrupt = [&] {
        arch::take_all([&] { return imsic.take(); }, [&](std::uint32_t identity) { handled.push_back(identity); });
    };
    imsic.message(0x31);
    imsic.message(0x33);
    interrupt();
    CHECK(handled == std::vector<std::uint32_t>{0x31, 0x33});

    handled.clear();
    imsic.message(0x40);
    imsic.meanwhile = [&] { imsic.message(0x35); };
    while (imsic.line) interrupt();
    CHECK(handled == std::vector<std::uint32_t>{0x40, 0x35});
    CHECK(imsic.pending.empty());

    // The same one again, while it is claimed and while it is handled.
    handled.clear();
    imsic.message(0x40);
    imsic.meanwhile = [&] { imsic.message(0x40); };
    while (imsic.line) interrupt();
    CHECK(handled == std::vector<std::uint32_t>{0x40, 0x40});
}
