#include "kernel/entropy/entropy.hpp"

#include <array>

#include <machine/cpu.hpp>

#include "kernel/entropy/generator.hpp"
#include "kernel/log/log.hpp"
#include "kernel/processor/processor.hpp"
#include "kernel/task/mutex.hpp"
#include "kernel/task/task.hpp"
#include "kernel/time/clock.hpp"

namespace kernel {

namespace {

constexpr std::size_t kSeedBytes = 48;
constexpr std::uint64_t kReseedAfter = 1 << 20;

constinit Generator generator;
constinit Mutex generator_mutex;
constinit EntropySource* device = nullptr;
constinit const char* source_name = "none yet";
constinit bool seeded = false;
constinit bool stale = false; // a source was registered since

bool seed_from_device() {
    if (device == nullptr) return false;
    std::array<std::byte, kSeedBytes> seed;
    for (std::size_t got = 0; got < seed.size();) {
        auto count = device->read(std::span(seed).subspan(got));
        if (!count || *count == 0) {
            log(LogLevel::warning, "entropy: %s gives nothing: %s", device->name(),
                virtio::message(count ? virtio::Error::none : count.error()));
            return false;
        }
        got += *count;
    }
    generator.reseed(seed);
    source_name = device->name();
    return true;
}

bool seed_from_processor() {
    std::array<std::uint64_t, kSeedBytes / 8> seed;
    for (std::uint64_t& word : seed) {
        if (!arch::random_number(word)) return false;
    }
    generator.reseed(std::as_bytes(std::span(seed)));
    source_name = arch::kRandomSource;
    return true;
}

/// Little is known about how much there is in it, so there is plenty of it, and a warning.
void seed_from_jitter() {
    for (int round = 0; round < 64; ++round) {
        std::array<std::uint64_t, 4> seed;
        for (std::uint64_t& word : seed) {
            word = arch::read_counter();
            if (round % 16 == 0) sleep_until(now_ns() + 50'000 + (word & 0xfff)); // the timer's interrupt is not in step with the counter
        }
        generator.reseed(std::as_bytes(std::span(seed)));
    }
    if (!seeded) log(LogLevel::warning, "entropy: no device and no processor instruction, time jitter only: random numbers may be guessed");
    source_name = "jitter";
}

void seed() {
    stale = false;
    const std::uint64_t now = arch::read_counter();
    generator.reseed(std::as_bytes(std::span(&now, 1)));
    if (!seed_from_device() && !seed_from_processor()) seed_from_jitter();
    if (!seeded) log(LogLevel::debug, "entropy: seeded from %s", source_name);
    seeded = true;
}

} // namespace

void register_entropy_source(EntropySource& source) noexcept {
    device = &source;
    stale = true;
}

void unregister_entropy_source(EntropySource& source) noexcept {
    if (device == &source) device = nullptr;
}

void random_bytes(std::span<std::byte> into) {
    if (&this_processor() != &processors::boot) return call_on(processors::boot, [into] { random_bytes(into); }); // devices are there
    MutexLock lock(generator_mutex);
    if (!seeded || stale || generator.given() >= kReseedAfter) seed();
    generator.generate(into);
}

std::uint32_t random_u32() {
    std::uint32_t value = 0;
    random_bytes(std::as_writable_bytes(std::span(&value, 1)));
    return value;
}

const char* entropy_source_name() noexcept { return source_name; }

} // namespace kernel
