// soak_threads RING OPERATIONS: the driver on one thread, the device on another, both polling, under the thread sanitizer: descriptors, used
// elements and payloads are plain memory, so that a missing acquire or release shows.
#include <atomic>
#include <thread>

#include "tests/soak/rings.hpp"

int main(int count, char** arguments) {
    return soak::main(count, arguments, []<class Ring>(std::uint64_t operations, bool in_order) noexcept {
        static soak::Bench<Ring> bench;
        bench.attach(in_order);
        std::atomic<bool> stop = false;
        std::thread other([&]() noexcept {
            soak::Device<Ring> device{bench};
            while (!stop.load(std::memory_order_relaxed))
                if (device.serve(32) == 0) std::this_thread::yield();
        });
        soak::Driver<Ring> driver{bench};
        while (driver.done() < operations) {
            driver.submit(32);
            if (driver.collect(32) == 0) std::this_thread::yield();
        }
        while (driver.done() != driver.sent())
            if (driver.collect(soak::kSize) == 0) std::this_thread::yield();
        stop.store(true, std::memory_order_relaxed);
        other.join();
        std::printf("%llu operations on two threads\n", static_cast<unsigned long long>(driver.done()));
        return 0;
    });
}
