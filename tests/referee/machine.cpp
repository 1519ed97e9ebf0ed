#include "tests/referee/machine.hpp"

#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "tests/referee/mmio.hpp"
#include "tests/referee/random.hpp"

namespace referee {

namespace {

constexpr std::uint64_t kMmioBytes = 0x200; // registers and 256 bytes of configuration (4.2.2)

} // namespace

struct Machine::State {
    explicit State(const Options& options_in)
        : options(options_in), memory{{.size = options.memory, .address = options.memory_address}},
          access{this,          read_function,     write_function,   step_function,   memory.data(), memory.address(),
                 memory.size(), allocate_function, release_function, connect_function} {
        // A printed line replays the run: seed and script come from the environment where it is set.
        const auto replayed = Script{.seed = options.seed}.or_environment();
        if (!replayed) {
            std::fprintf(stderr, "RINGSIDE_REFEREE is ignored: %s\n", replayed.error().c_str());
        } else {
            overriding = *replayed != Script{.seed = options.seed};
            replay = *replayed;
            options.seed = replay.seed;
        }
        memory.on_release = [this](std::uint64_t guest, std::size_t bytes) {
            for (auto& [address, device] : devices) device->memory_released(guest, bytes);
        };
    }

    static State& of(void* context) noexcept { return *static_cast<State*>(context); }
    static std::uint64_t read_function(void* context, std::uint64_t address, unsigned width) { return of(context).read(address, width); }
    static void write_function(void* context, std::uint64_t address, unsigned width, std::uint64_t value) {
        of(context).write(address, width, value);
    }
    static void step_function(void* context) { of(context).step(); }
    static std::uint64_t allocate_function(void* context, std::uint64_t bytes, std::uint64_t alignment) {
        const std::lock_guard lock{of(context).mutex};
        return of(context).memory.allocate(bytes, alignment);
    }
    static void release_function(void* context, std::uint64_t address) {
        const std::lock_guard lock{of(context).mutex};
        of(context).memory.release(address);
    }
    static void connect_function(void* context, std::uint64_t base, void (*handler)(void*), void* argument) {
        const std::lock_guard lock{of(context).mutex};
        const auto found = of(context).devices.find(base);
        if (found != of(context).devices.end()) found->second->connect(handler, argument);
    }

    MmioDevice* at(std::uint64_t address, std::uint64_t& offset) noexcept {
        auto found = devices.upper_bound(address);
        if (found == devices.begin()) return nullptr;
        --found;
        offset = address - found->first;
        return offset < kMmioBytes ? found->second.get() : nullptr;
    }
    std::uint64_t read(std::uint64_t address, unsigned width) {
        const std::lock_guard lock{mutex};
        std::uint64_t offset = 0;
        MmioDevice* device = at(address, offset);
        return device != nullptr ? device->read(offset, width) : all_ones(width);
    }
    void write(std::uint64_t address, unsigned width, std::uint64_t value) {
        std::uint64_t offset = 0;
        MmioDevice* device = at(address, offset);
        if (device == nullptr) return;
        if (running.load(std::memory_order_relaxed) && offset == mmio::kQueueNotify) {
            device->notify_threaded(static_cast<std::uint32_t>(value)); // must not wait for a step to end
            return;
        }
        {
            const std::lock_guard lock{mutex};
            device->write(offset, width, value);
        }
        if (!running.load(std::memory_order_relaxed)) deliver();
    }
    void step() {
        if (running.load(std::memory_order_relaxed)) {
            std::this_thread::yield();
            return;
        }
        step_once();
    }
    void step_once() {
        {
            const std::lock_guard lock{mutex};
            for (auto& [address, device] : devices) device->step();
        }
        deliver();
    }
    /// Calls the handlers of lines that were raised, without the lock: they may use every register.
    void deliver() {
        if (delivering) return;
        delivering = true;
        for (auto& [address, device] : devices) {
            bool raised = false;
            {
                const std::lock_guard lock{mutex};
                raised = device->take_interrupt();
                if (raised) device->interrupt_delivered();
            }
            if (raised) device->call_handler();
        }
        delivering = false;
    }

    Mmio& add(std::uint64_t address, Device device, std::shared_ptr<Disk> disk) {
        // The line names the first device's script; what else there is follows from the seed.
        if (overriding && devices.empty()) device.script = replay;
        Script shown = device.script;
        shown.seed = options.seed;
        if (judge.replay().empty()) judge.set_replay(shown.text());
        // Devices and queues throw dice of their own, which follow from the machine's seed.
        Random dice{options.seed + devices.size()};
        device.script.seed = dice.next() >> 16;
        auto& slot = devices[address];
        slot = std::make_unique<MmioDevice>(memory, judge, device, std::move(disk));
        return *slot;
    }

    Options options;
    Memory memory;
    Judge judge;
    std::map<std::uint64_t, std::unique_ptr<MmioDevice>> devices;
    referee_access access;
    Script replay;
    bool overriding = false;
    bool delivering = false;
    std::recursive_mutex mutex;
    std::atomic<bool> running{false};
    std::jthread thread;
};

Machine::Machine(const Options& options) : state_(std::make_unique<State>(options)) {}
Machine::~Machine() { stop_thread(); }

Mmio& Machine::add_mmio(std::uint64_t address, const Device& device) { return state_->add(address, device, nullptr); }
Mmio& Machine::add_mmio(std::uint64_t address, const Block& block) {
    auto disk = std::make_shared<Disk>(block);
    return state_->add(address, make_device(block, disk), disk);
}
Mmio& Machine::add_mmio(std::uint64_t address, const Echo& echo) { return state_->add(address, make_device(echo), nullptr); }

const referee_access* Machine::access() const noexcept { return &state_->access; }
void Machine::step() { state_->step(); }
Judge& Machine::judge() noexcept { return state_->judge; }
Memory& Machine::memory() noexcept { return state_->memory; }
Verdict Machine::verdict(std::string_view selection) const { return state_->judge.verdict(selection); }

void Machine::run_on_thread() {
    State& state = *state_;
    if (state.running.load()) return;
    {
        const std::lock_guard lock{state.mutex};
        for (auto& [address, device] : state.devices) device->set_threaded(true);
    }
    state.running.store(true);
    state.thread = std::jthread([&state](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            state.step_once();
            std::this_thread::yield();
        }
    });
}

void Machine::stop_thread() {
    State& state = *state_;
    if (!state.running.load()) return;
    state.thread.request_stop();
    state.thread.join();
    state.running.store(false);
    const std::lock_guard lock{state.mutex};
    for (auto& [address, device] : state.devices) device->set_threaded(false);
}

} // namespace referee
