// soak_rings RING OPERATIONS: that many requests through one ring on one thread, the library as it is shipped. Every payload is checked both
// ways, batches are of every size, and the index wraps thousands of times.
#include <chrono>

#include "tests/soak/rings.hpp"

int main(int count, char** arguments) {
    return soak::main(count, arguments, []<class Ring>(std::uint64_t operations, bool in_order) noexcept {
        static soak::Bench<Ring> bench;
        bench.attach(in_order);
        soak::Device<Ring> device{bench};
        soak::Driver<Ring> driver{bench};
        const auto start = std::chrono::steady_clock::now();
        std::uint64_t random = 1;
        while (driver.done() < operations) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            driver.submit(1 + (random >> 33 & 63));
            device.serve(1 + (random >> 40 & 63));
            driver.collect(1 + (random >> 48 & 63));
        }
        // What is still under way comes back too.
        while (driver.done() != driver.sent()) {
            device.serve(soak::kSize);
            soak::check(driver.collect(soak::kSize) != 0, "a request never completes", driver.done());
        }
        soak::check(bench.ring.in_flight() == 0 && bench.ring.free_descriptors() == soak::kSize, "all descriptors are free", driver.done());
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        std::printf("%llu operations, %llu laps of 65,536, %.1f s, %.1f million/s\n", static_cast<unsigned long long>(driver.done()),
                    static_cast<unsigned long long>(driver.done() >> 16), seconds, static_cast<double>(driver.done()) / seconds / 1e6);
        return 0;
    });
}
