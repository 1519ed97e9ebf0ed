#include "tests/referee/toy_table.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace referee::toy {

Table::Table(std::uint64_t features, const Script& script, std::uint16_t size, std::uint16_t first)
    : ring(memory, size, features, first), queue(memory, judge, script), random(script.seed + 1),
      indirect((features & feature::kIndirectDesc) != 0) {
    queue.on_interrupt([](void* self) { ++static_cast<Table*>(self)->interrupts; }, this);
    enabled = queue.enable(ring.setup());
}

bool Table::submit() {
    const auto length = static_cast<std::uint32_t>(1 + random.below(64));
    const std::uint64_t data = memory.allocate(2 * length);
    if (data == 0) return false;
    std::vector<Part> parts{{data, length, false}, {data + length, length, true}};
    // A queue of one takes one.
    if (random.one_in(3) || ring.setup().size == 1) parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(random.below(2)));
    std::memset(memory.at(data, length), static_cast<int>(random.below(256)), length);
    const auto number = ring.add(parts, indirect && random.one_in(2));
    if (!number) {
        memory.release(data);
        return false;
    }
    sent[*number] = {data, length, parts.size() == 2};
    return true;
}

void Table::kick() {
    ring.publish();
    if (ring.needs_kick()) queue.notify(ring.kick_value());
}

unsigned Table::reap() {
    unsigned count = 0;
    while (const auto back = ring.take()) {
        const auto found = sent.find(back->number);
        if (found == sent.end()) {
            intact = false;
            continue;
        }
        const auto [data, length, both] = found->second;
        // An echo: what was written is what was sent.
        if (back->length > length || (both && std::memcmp(memory.at(data, length), memory.at(data + length, length), back->length) != 0))
            intact = false;
        memory.release(data);
        sent.erase(found);
        ++count;
        ++done;
    }
    return count;
}

bool Table::run(std::uint64_t total) {
    std::uint64_t submitted = done + sent.size();
    unsigned idle = 0;
    while (done < total && ring.fault() == nullptr) {
        ring.suppress();
        for (auto batch = random.below(5); batch != 0 && submitted < total; --batch) {
            if (!submit()) break;
            ++submitted;
        }
        kick();
        idle = reap() != 0 ? 0 : idle + 1;
        if (idle > 1000) return false;
        if (!ring.arm()) queue.step();
    }
    return ring.fault() == nullptr && intact;
}

std::string described(std::uint64_t features, const Script& script) {
    char text[64];
    const int length = std::snprintf(text, sizeof text, "features 0x%" PRIx64 " ", features);
    return std::string{text, static_cast<std::size_t>(length)} + script.text();
}

} // namespace referee::toy
