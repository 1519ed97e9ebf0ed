// ns per operation on one processor: submit, the device's part, and collect, of every ring, shape and batch.
#include <benchmark/benchmark.h>

#include <string>

#include "tests/bench/native/rig.hpp"

namespace {

void time(benchmark::State& state, bench::Ring ring, bench::Shape shape, unsigned batch) {
    bench::Rig rig{ring, shape};
    for (auto turn : state) {
        static_cast<void>(turn);
        if (!rig.submit(batch) || rig.serve() != batch || rig.collect(batch) != batch) {
            state.SkipWithError("a request was refused or lost");
            return;
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * batch);
}

} // namespace

int main(int argc, char** argv) {
    for (const bench::Ring ring : bench::kRings)
        for (const bench::Shape shape : bench::kShapes)
            for (const unsigned batch : bench::kBatches)
                benchmark::RegisterBenchmark(
                    (std::string(bench::name(ring)) + "." + std::string(bench::name(shape)) + ".b" + std::to_string(batch)).c_str(),
                    [=](benchmark::State& state) { time(state, ring, shape, batch); });
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
}
