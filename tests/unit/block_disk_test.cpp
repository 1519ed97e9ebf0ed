// A disk as programs see it: many tasks at once on the real scheduler, over the real driver, against a disk that answers later, in
// another order, or never.
#include <doctest/doctest.h>

#include <cstdarg>
#include <cstring>

#include "kernel/device_manager/block_disk.hpp"
#include "kernel/log/log.hpp"
#include "kernel/task/task.hpp"
#include "tests/unit/fake_machine.hpp"
#include "tests/unit/support/disk_model.hpp"

using namespace virtio;
using fake::machine;

namespace {
std::vector<std::string> log_lines;
}
void kernel::log(LogLevel, const char* format, ...) {
    char text[256];
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_lines.emplace_back(text);
}

namespace {

struct Started {
    Started() { kernel::start_tasks(); }
};
const Started started;

/// The kernel's platform, but for memory from malloc.
class TaskPlatform final : public Platform {
public:
    explicit TaskPlatform(fake::HostPlatform& memory) : memory_(memory) {}
    void* dma_allocate(std::size_t bytes, std::size_t alignment) noexcept override { return memory_.dma_allocate(bytes, alignment); }
    void dma_free(void* memory, std::size_t bytes) noexcept override { memory_.dma_free(memory, bytes); }
    DmaAddress dma_address(const void* memory) noexcept override { return memory_.dma_address(memory); }
    std::uint64_t now_ns() noexcept override { return machine().now += 10; }
    Result<DmaDomain*> dma_domain(const DeviceIdentity& device, bool translated) noexcept override {
        return memory_.dma_domain(device, translated);
    }
    void wait(const Event& event, std::uint64_t deadline_ns) noexcept override {
        static_cast<void>(kernel::wait_for(event.word(), deadline_ns));
    }
    void wake() noexcept override { kernel::wake_hint(); }

private:
    fake::HostPlatform& memory_;
};

struct Rig {
    explicit Rig(fake::Disk::Options options = {}) : model(options), platform(model.platform), disk(0) {
        model.automatic = false;
        model.device.on_notify = [this](unsigned) { answer_later(); };
        const auto up = disk.start(platform, model.device);
        REQUIRE_MESSAGE(up.has_value(), message(up ? Error::none : up.error()));
    }
    ~Rig() {
        static_cast<void>(disk.stop());
        kernel::sleep_until(machine().now + 1'000'000'000); // the disk's task ends
        if (!check_end) return;
        for (const std::string& broken : model.device.violations) FAIL_CHECK(broken);
        CHECK(model.platform.live.empty());
        CHECK(disk.device().device().watchdog_rescues() == 0);
    }
    void answer_later() {
        if (silent) return;
        machine().interrupt_at(machine().now + 50'000, [this] {
            if (silent) return;
            model.collect();
            std::shuffle(model.pending.begin(), model.pending.end(), random);
            while (!model.pending.empty()) {
                const fake::Chain chain = model.pending.front();
                model.pending.pop_front();
                model.answer(chain);
            }
        });
    }
    fake::Disk model;
    TaskPlatform platform;
    kernel::BlockDisk disk;
    std::mt19937 random{3};
    bool silent = false;
    bool check_end = true;
};

struct Job {
    Rig* rig = nullptr;
    unsigned number = 0;
    Error error = Error::none;
    unsigned failures = 0;
    bool ended = false;
};

std::vector<kernel::Task*> spawn_all(std::vector<Job>& jobs, void (*entry)(void*)) {
    std::vector<kernel::Task*> tasks;
    for (Job& job : jobs) {
        const auto task = kernel::spawn("job", entry, &job, 128 * 1024, kernel::TaskLifetime::joinable);
        REQUIRE(task.has_value());
        tasks.push_back(*task);
    }
    return tasks;
}

void read_one(void* argument) {
    Job& job = *static_cast<Job*>(argument);
    std::array<std::byte, 4096> data{};
    const auto done = job.rig->disk.read(job.number * 8, data);
    if (!done)
        job.error = done.error();
    else if (std::memcmp(data.data(), job.rig->model.image.data() + job.number * 4096, data.size()) != 0)
        ++job.failures;
    job.ended = true;
}

} // namespace

TEST_CASE("block disk: many tasks, each with its own stripe, completions in any order") {
    for (const bool polled : {false, true}) {
        Rig rig({.messages = static_cast<std::uint16_t>(polled ? 0 : 8), .line = !polled});
        CHECK(std::string(rig.disk.name()) == "disk0");
        CHECK(std::string(rig.disk.model()) == "ring-7?");
        CHECK((rig.disk.device().device().interrupt_mode() == InterruptMode::polled) == polled);
        std::vector<Job> jobs(16);
        for (unsigned i = 0; i < jobs.size(); ++i) jobs[i] = {.rig = &rig, .number = i};
        const auto tasks = spawn_all(jobs, [](void* argument) {
            Job& job = *static_cast<Job*>(argument);
            for (unsigned round = 0; round < 30; ++round) {
                std::array<std::byte, 1024> data, back;
                data.fill(static_cast<std::byte>(job.number * 30 + round));
                back.fill(std::byte{0});
                const std::uint64_t sector = job.number * 100 + round * 2;
                if (!job.rig->disk.write(sector, data)) ++job.failures;
                if (!job.rig->disk.read(sector, back)) ++job.failures;
                if (data != back) ++job.failures;
            }
            if (!job.rig->disk.flush()) ++job.failures;
        });
        for (kernel::Task* task : tasks) kernel::join(*task);
        for (const Job& job : jobs) CHECK(job.failures == 0);
        CHECK(rig.model.flushes == 16);
        CHECK(rig.disk.device().counters().writes == 16 * 30);
    }
}

TEST_CASE("block disk: more tasks than the queue has room for") {
    Rig rig({.queue_size = 16});
    REQUIRE(rig.disk.device().depth() < 40);
    std::vector<Job> jobs(40);
    for (unsigned i = 0; i < jobs.size(); ++i) jobs[i] = {.rig = &rig, .number = i};
    const auto tasks = spawn_all(jobs, read_one);
    for (kernel::Task* task : tasks) kernel::join(*task);
    for (const Job& job : jobs) {
        CHECK(job.error == Error::none);
        CHECK(job.failures == 0);
    }
    CHECK(rig.disk.device().queue().counters().ring_full != 0);
}

TEST_CASE("block disk: trap 28: a device that falls silent costs a reset, every waiting task hears of it, and it goes on") {
    Rig rig;
    rig.silent = true;
    log_lines.clear();
    std::vector<Job> jobs(5);
    for (unsigned i = 0; i < jobs.size(); ++i) jobs[i] = {.rig = &rig, .number = i};
    const std::uint64_t begun = machine().now;
    const auto tasks = spawn_all(jobs, read_one);
    for (kernel::Task* task : tasks) kernel::join(*task);
    for (const Job& job : jobs) CHECK(job.error == Error::device_reset);
    CHECK(machine().now - begun >= kernel::BlockDisk::kPatienceNs);
    CHECK(machine().now - begun < kernel::BlockDisk::kPatienceNs + 2 * kernel::BlockDisk::kGraceNs);
    CHECK(log_lines.size() == 1); // one reset for all of them
    rig.model.pending.clear();
    rig.silent = false;
    Job again{.rig = &rig, .number = 3};
    read_one(&again);
    CHECK(again.error == Error::none);
    CHECK(again.failures == 0);
}

TEST_CASE("block disk: a task that never lets the processor idle does not keep a request from the device") {
    Rig rig;
    bool notified = false;
    rig.model.device.on_notify = [&](unsigned) { notified = true; };
    std::vector<Job> jobs(2);
    for (unsigned i = 0; i < jobs.size(); ++i) jobs[i] = {.rig = &rig, .number = i};
    const auto tasks = spawn_all(jobs, read_one);
    unsigned rounds = 0;
    while (!(jobs[0].ended && jobs[1].ended) && rounds++ < 1000) {
        kernel::yield();
        machine().now += 1000;
        if (!std::exchange(notified, false)) continue; // a device that was not told of anything does not look
        rig.model.collect();
        for (; !rig.model.pending.empty(); rig.model.pending.pop_front()) rig.model.answer(rig.model.pending.front());
    }
    CHECK(rounds < 1000);
    rig.model.device.on_notify = [&](unsigned) { rig.answer_later(); };
    rig.answer_later();
    for (kernel::Task* task : tasks) kernel::join(*task);
    CHECK((jobs[0].error == Error::none && jobs[1].error == Error::none));
}

TEST_CASE("block disk: what is done already is not waited for") {
    Rig rig({.features = {1, 2, 6, 10, 11, 28, 29, 32}}); // write-through: a flush has nothing to do
    const std::uint64_t begun = machine().now;
    REQUIRE(rig.disk.flush());
    CHECK(rig.model.flushes == 0);
    std::array<std::byte, 512> first{}, second{};
    BlockRequest one, other;
    REQUIRE(rig.disk.device().read(one, 0, first));
    REQUIRE(rig.disk.device().read(other, 1, second));
    CHECK(rig.disk.wait(one));
    CHECK(rig.disk.wait(other));
    CHECK(machine().now - begun < 1'000'000);
}

TEST_CASE("block disk: a machine that stood still does not expire everything") {
    Rig rig;
    std::vector<Job> jobs(1, Job{.rig = &rig, .number = 2});
    rig.silent = true;
    const auto tasks = spawn_all(jobs, read_one);
    kernel::sleep_until(machine().now + 1'000'000);
    machine().now += 10 * kernel::BlockDisk::kPatienceNs; // a snapshot, a suspended host
    rig.silent = false;
    rig.answer_later();
    kernel::join(*tasks[0]);
    CHECK(jobs[0].error == Error::none);
    CHECK(rig.disk.device().counters().resets == 0);
}

TEST_CASE("block disk: trap 20: a reset that is never confirmed ends the tasks, not the memory's loan") {
    Rig rig;
    rig.check_end = false;
    rig.silent = true;
    rig.model.device.reset_reads = ~std::uint64_t{0};
    std::vector<Job> jobs(3);
    for (unsigned i = 0; i < jobs.size(); ++i) jobs[i] = {.rig = &rig, .number = i};
    const auto tasks = spawn_all(jobs, read_one);
    for (kernel::Task* task : tasks) kernel::join(*task);
    for (const Job& job : jobs) CHECK(job.error == Error::abandoned);
    CHECK_FALSE(rig.model.platform.live.empty());
    Job after{.rig = &rig, .number = 0};
    read_one(&after);
    CHECK(after.error == Error::reset_timeout);
}

TEST_CASE("block disk: B1, B40: a broken queue heals without anybody's request") {
    Rig rig;
    rig.silent = true;
    std::vector<Job> jobs(1, Job{.rig = &rig, .number = 2});
    const auto tasks = spawn_all(jobs, read_one);
    kernel::sleep_until(machine().now + 1'000'000);
    machine().interrupt_at(machine().now + 1000, [&] { rig.model.device.use(0, 0xffff, 1); });
    kernel::join(*tasks[0]);
    CHECK(jobs[0].error == Error::device_reset);
    CHECK(rig.disk.device().counters().resets == 1);
    rig.model.pending.clear();
    machine().interrupt_at(machine().now + 1000, [&] { rig.model.device.needs_reset(); });
    kernel::sleep_until(machine().now + 10'000'000);
    CHECK(rig.disk.device().counters().resets == 2);
    rig.silent = false;
    Job again{.rig = &rig, .number = 1};
    read_one(&again);
    CHECK(again.error == Error::none);
}

TEST_CASE("block disk: the size follows the host while nobody reads; the end flushes") {
    Rig rig;
    rig.model.set_capacity(3000);
    rig.model.image.resize(3000 * 512);
    machine().interrupt_at(machine().now + 1000, [&] { rig.model.device.config_changed(); });
    kernel::sleep_until(machine().now + 10'000'000);
    CHECK(rig.disk.sectors() == 3000);
    CHECK(rig.disk.bytes() == 3000 * 512);
    REQUIRE(rig.disk.stop());
    CHECK(rig.model.flushes == 1);
    std::array<std::byte, 512> data{};
    CHECK(rig.disk.read(0, data).error() == Error::not_started);
    CHECK(rig.model.platform.live.empty());
}

TEST_CASE("block disk: programs have sectors even where the device has larger blocks") {
    Rig rig({.block_size = 4096});
    REQUIRE(rig.disk.device().limits().block_size == 4096);
    std::vector<std::uint8_t> expected = rig.model.image;
    std::mt19937 random(11);
    for (unsigned round = 0; round < 100; ++round) {
        const std::uint64_t sector = random() % 2000;
        std::vector<std::byte> data((1 + random() % 40) * 512);
        if (round % 2 == 0) {
            for (std::byte& byte : data) byte = static_cast<std::byte>(random());
            REQUIRE(rig.disk.write(sector, data));
            std::memcpy(expected.data() + sector * 512, data.data(), data.size());
        } else {
            REQUIRE(rig.disk.read(sector, data));
            CHECK(std::memcmp(data.data(), expected.data() + sector * 512, data.size()) == 0);
        }
    }
    CHECK(rig.model.image == expected);
    std::array<std::byte, 1024> data{};
    CHECK(rig.disk.read(2047, data).error() == Error::out_of_range);
    CHECK(rig.disk.write(~0ull, data).error() == Error::out_of_range);
    CHECK(rig.disk.read(1, std::span(data).first(100)).error() == Error::unaligned);
    CHECK(rig.disk.read(1, std::span(data).first(0)).error() == Error::empty_request);

    // Eight tasks write their own sector of the same block at once: nobody's is lost.
    std::vector<Job> jobs(8);
    for (unsigned i = 0; i < jobs.size(); ++i) jobs[i] = {.rig = &rig, .number = i};
    const auto tasks = spawn_all(jobs, [](void* argument) {
        Job& job = *static_cast<Job*>(argument);
        std::array<std::byte, 512> mine;
        mine.fill(static_cast<std::byte>(0x70 + job.number));
        if (!job.rig->disk.write(64 + job.number, mine)) ++job.failures;
    });
    for (kernel::Task* task : tasks) kernel::join(*task);
    for (unsigned i = 0; i < 8; ++i) {
        CHECK(jobs[i].failures == 0);
        CHECK(rig.model.image[(64 + i) * 512] == 0x70 + i);
        CHECK(rig.model.image[(64 + i) * 512 + 511] == 0x70 + i);
    }
}
