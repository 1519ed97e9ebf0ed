// bench_native check                      every shape with payloads looked at; "ok", or what is wrong
// bench_native count                      under callgrind: one dump per ring, shape and batch, named so, with the driver's part alone
// bench_native two_core RING OPERATIONS   driver and device on two processors: prints ns per operation
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "tests/bench/native/rig.hpp"

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#endif

namespace bench {
namespace {

template<class Use> void each(Use use) {
    for (const Ring ring : kRings)
        for (const Shape shape : kShapes)
            for (const unsigned batch : kBatches) use(ring, shape, batch);
}

int check() {
    std::string wrong;
    each([&](Ring ring, Shape shape, unsigned batch) {
        if (wrong.empty()) wrong = Rig{ring, shape}.check(batch);
    });
    std::puts(wrong.empty() ? "ok" : wrong.c_str());
    return wrong.empty() ? 0 : 1;
}

#ifdef CALLGRIND_DUMP_STATS_AT
bool run(Rig& rig, unsigned batch, unsigned operations) {
    for (unsigned done = 0; done < operations; done += batch)
        if (!rig.submit(batch) || rig.serve() != batch || rig.collect(batch) != batch) return false;
    return true;
}

int count() {
    if (RUNNING_ON_VALGRIND == 0) {
        std::fputs("this counts nothing without callgrind\n", stderr);
        return 2;
    }
    bool good = true;
    each([&](Ring ring, Shape shape, unsigned batch) {
        Rig rig{ring, shape};
        good = run(rig, batch, kCounted) && good; // the first laps do what is done once
        CALLGRIND_ZERO_STATS;
        good = run(rig, batch, kCounted) && good;
        const std::string title = std::string(name(ring)) + "." + std::string(name(shape)) + ".b" + std::to_string(batch);
        CALLGRIND_DUMP_STATS_AT(title.c_str());
    });
    std::printf("operations %u\n", kCounted);
    return good ? 0 : 1;
}
#else
int count() {
    std::fputs("built without <valgrind/callgrind.h>\n", stderr);
    return 2;
}
#endif

bool pin(unsigned processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    return pthread_setaffinity_np(pthread_self(), sizeof(set), &set) == 0;
}

int two_core(Ring ring, std::uint64_t operations) {
    constexpr unsigned kBatch = 32;
    Rig rig{ring, Shape::one};
    std::atomic<int> state{0}; // 1: the device runs, 2: it shall end
    std::thread device([&] {
        if (!pin(1)) std::abort();
        state = 1;
        while (state.load(std::memory_order_relaxed) != 2) rig.serve();
    });
    if (!pin(0)) std::abort();
    while (state != 1) {
    }
    const auto start = std::chrono::steady_clock::now();
    std::uint64_t submitted = 0;
    std::uint64_t done = 0;
    bool good = true;
    while (good && done < operations) {
        if (submitted < operations && submitted - done + kBatch <= rig.most()) {
            good = rig.submit(kBatch);
            submitted += kBatch;
        }
        done += rig.collect(kBatch);
    }
    const auto end = std::chrono::steady_clock::now();
    state = 2;
    device.join();
    if (!good) return 1;
    std::printf("%.3f\n", std::chrono::duration<double, std::nano>(end - start).count() / static_cast<double>(operations));
    return 0;
}

} // namespace
} // namespace bench

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "check") == 0) return bench::check();
    if (argc == 2 && std::strcmp(argv[1], "count") == 0) return bench::count();
    if (argc == 4 && std::strcmp(argv[1], "two_core") == 0)
        return bench::two_core(bench::name(bench::Ring::packed) == argv[2] ? bench::Ring::packed : bench::Ring::split,
                               std::strtoull(argv[3], nullptr, 10) / 32 * 32);
    std::fputs("usage: bench_native check | count | two_core split|packed OPERATIONS\n", stderr);
    return 2;
}
