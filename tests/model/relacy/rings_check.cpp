// rings_check [SCHEDULES [SWITCHES [SCENARIO]]]: the shipped ring engines (libvirtio/ring) in one thread, an honest device in another, under the
// C++ memory model as Relacy plays it: by random schedules, and by all schedules with few switches. No payload, descriptor or used
// element is touched by both sides at once; every request completes with its own data; neither side sleeps for ever. Then each
// acquire, release and fence is left out alone: that must be found. Prints a table; fails on a surprise.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <streambuf>
#include <string>

#include "tests/model/relacy/memory_relacy.hpp"

#include "libvirtio/doorbell.hpp"
#include "libvirtio/ring/packed.hpp"
#include "libvirtio/ring/split.hpp"

// Relacy defines the global operator delete, but not the form with a size.
void operator delete(void* place, std::size_t) noexcept { ::operator delete(place); }
void operator delete[](void* place, std::size_t) noexcept { ::operator delete[](place); }

namespace {

using namespace relacy_check;
using virtio::Request;
using virtio::Segment;

constexpr unsigned kSize = 2;
constexpr unsigned kRequests = 4;
constexpr std::uint32_t kLength = 16;

struct Split {
    using Ring = virtio::SplitRing;
    using Memory = virtio::SplitMemory;
    static constexpr std::uint16_t kFirst = 0xfffe; // the index wraps at 65,536 after two requests
    static constexpr std::size_t kBytes = virtio::split_layout(kSlots).total;
};
struct Packed {
    using Ring = virtio::PackedRing;
    using Memory = virtio::PackedMemory;
    static constexpr std::uint16_t kFirst = 1; // the last slot of its lap
    static constexpr std::size_t kBytes = virtio::packed_layout(kSlots).total;
};

// How the two sides tell each other; see the table of scenarios.
struct Flags {
    static constexpr bool event_index = false, always = false;
};
struct Event {
    static constexpr bool event_index = true, always = false;
};
struct Always {
    static constexpr bool event_index = false, always = true;
};

rl::memory_order unless(Weakened which, rl::memory_order order) { return weakened == which ? rl::mo_relaxed : order; }

template<class Kind, class Way> struct Program : rl::test_suite<Program<Kind, Way>, 2> {
    SharedWords shared;
    std::array<rl::var<unsigned>, kRequests> sent;     // payload, written by the driver
    std::array<rl::var<unsigned>, kRequests> received; // payload, written by the device
    alignas(128) std::array<std::byte, Kind::kBytes> memory;
    std::array<virtio::RingSlot, kSize> slots;
    std::array<Request, kRequests> requests;
    typename Kind::Ring ring;
    virtio::Doorbell doorbell;

    void before() {
        words = &shared;
        shared.begin(std::is_same_v<Kind, Split> ? Kind::kFirst : 0);
        memory.fill(std::byte{0});
        for (unsigned i = 0; i < kRequests; ++i) {
            write(sent[i], 0, "before");
            write(received[i], 0, "before");
        }
        virtio::RingSetup setup;
        setup.size = kSize;
        setup.event_index = Way::event_index;
        ring.attach(typename Kind::Memory{memory.data(), kSize}, slots, nullptr, virtio::DmaAddress{0}, setup, Kind::kFirst);
        if constexpr (std::is_same_v<Kind, Packed>) // the slots before the first one were used in this lap
            for (unsigned i = 0; i < Kind::kFirst; ++i)
                shared.entry[i].store(virtio::packed_flag::kAvailable | virtio::packed_flag::kUsed, rl::mo_relaxed, here("used before"));
        doorbell = virtio::Doorbell::through(&rung, this, 0, false);
    }
    static void rung(void* context, std::uint32_t) noexcept {
        static_cast<Program*>(context)->shared.doorbell.store(1, rl::mo_relaxed, here("kick"));
    }
    void thread(unsigned index) {
        if (index == 0)
            driver();
        else
            device();
    }
    // Blocks for ever where nobody wakes: Relacy calls that a live lock.
    static void sleep(Atomic& word) {
        while (word.rmw(rl::rmw_type_t<rl::rmw_type_swap>(), 0u, rl::mo_acquire, here("asleep")) == 0) rl::yield(1, here("asleep"));
    }

    void driver() {
        unsigned added = 0, done = 0;
        while (done < kRequests) {
            while (added < kRequests && ring.free_descriptors() != 0) {
                write(sent[added], 100 + added, "driver writes a request's payload");
                const Segment segment{virtio::DmaAddress{added * kLength}, kLength};
                RL_ASSERT(ring.add({}, {&segment, 1}, requests[added]).has_value());
                ++added;
            }
            // Virtqueue::kick, kick_always
            if (ring.publish()) {
                if (Way::always || ring.needs_kick()) doorbell.ring(0);
            }
            if (rl::rand(2) != 0) ring.suppress_interrupts();
            bool again = true;
            while (again) {
                bool progress = false;
                for (;;) {
                    const virtio::RingTaken taken = ring.take();
                    if (taken.request == nullptr) break;
                    const auto which = static_cast<unsigned>(taken.request - requests.data());
                    RL_ASSERT(which < kRequests && taken.request->length == kLength && !taken.request->length_clamped);
                    RL_ASSERT(read(received[which], "driver reads a completion's payload") == 200 + which);
                    ++done;
                    progress = true;
                }
                RL_ASSERT(!ring.broken());
                if (done == kRequests || (progress && added < kRequests)) break;
                again = ring.arm_interrupts();
                if (!again) {
                    sleep(shared.interrupt);
                    again = true;
                }
            }
        }
    }

    void use(std::uint64_t address) {
        const auto which = static_cast<unsigned>(address / kLength);
        RL_ASSERT(which < kRequests);
        RL_ASSERT(read(sent[which], "device reads a request's payload") == 100 + which);
        write(received[which], 200 + which, "device writes a completion's payload");
    }
    void full_fence(Weakened which) { full_fence_unless(which); }
    void interrupt() { shared.interrupt.store(1, rl::mo_release, here("interrupt")); }

    void device() {
        if constexpr (std::is_same_v<Kind, Split>)
            split_device();
        else
            packed_device();
    }

    void split_device() {
        std::uint16_t available = Kind::kFirst, used = Kind::kFirst, signalled = Kind::kFirst;
        unsigned finished = 0;
        auto* descriptors = reinterpret_cast<virtio::Descriptor*>(memory.data());
        auto* elements = reinterpret_cast<virtio::UsedElement*>(memory.data() + virtio::split_layout(kSize).device + 4);
        while (finished < kRequests) {
            const auto index = static_cast<std::uint16_t>(
                shared.available_index.load(unless(Weakened::device_acquire, rl::mo_acquire), here("device looks")));
            if (index != available) {
                if (!Way::event_index && rl::rand(2) != 0) shared.used_flags.store(1, rl::mo_relaxed, here("device suppresses"));
                while (index != available) {
                    const std::uint32_t head = shared.entry[available % kSize].load(rl::mo_relaxed, here("device reads an entry"));
                    RL_ASSERT(head < kSize);
                    read(shared.body[head], "device reads a descriptor");
                    use(descriptors[head].address.load());
                    write(shared.used[used % kSize], 1, "device writes a used element");
                    elements[used % kSize] = {virtio::Le32{head}, virtio::Le32{kLength}};
                    ++available;
                    ++used;
                    ++finished;
                }
                shared.used_index.store(used, unless(Weakened::device_release, rl::mo_release), here("device publishes"));
                full_fence(Weakened::device_notify);
                bool wanted = false;
                if (Way::event_index)
                    wanted = virtio::need_event(static_cast<std::uint16_t>(shared.used_event.load(rl::mo_relaxed, here("device asks"))),
                                                used, signalled);
                else
                    wanted = shared.available_flags.load(rl::mo_relaxed, here("device asks")) == 0;
                signalled = used;
                if (wanted) interrupt();
                continue;
            }
            if (Way::event_index)
                shared.available_event.store(available, rl::mo_relaxed, here("device arms"));
            else
                shared.used_flags.store(0, rl::mo_relaxed, here("device arms"));
            full_fence(Weakened::device_arm);
            if (static_cast<std::uint16_t>(shared.available_index.load(rl::mo_relaxed, here("device looks again"))) != available) continue;
            sleep(shared.doorbell);
        }
    }

    void packed_device() {
        using namespace virtio::packed_flag;
        constexpr std::uint32_t kBoth = kAvailable | kUsed;
        unsigned slot = Kind::kFirst % kSize, signalled = slot;
        std::uint32_t lap = kAvailable;
        unsigned finished = 0, count = 0; // since the last signal
        auto* descriptors = reinterpret_cast<virtio::PackedDescriptor*>(memory.data());
        while (finished < kRequests) {
            const auto fresh = [&](rl::memory_order order) {
                return (shared.entry[slot].load(order, here("device looks")) & kBoth) == (lap != 0 ? kAvailable : kUsed);
            };
            if (fresh(unless(Weakened::device_acquire, rl::mo_acquire))) {
                if (rl::rand(2) != 0)
                    shared.device_event.store(virtio::packed_event::kDisable << 16, rl::mo_relaxed, here("device suppresses"));
                do {
                    read(shared.body[slot], "device reads a descriptor");
                    use(descriptors[slot].address.load());
                    const std::uint16_t id = descriptors[slot].id.load();
                    write(shared.body[slot], 2, "device writes a used descriptor");
                    descriptors[slot].id = virtio::Le16{id};
                    descriptors[slot].length = virtio::Le32{kLength};
                    shared.entry[slot].store(lap != 0 ? kBoth : 0, unless(Weakened::device_release, rl::mo_release),
                                             here("device publishes"));
                    if (++slot == kSize) {
                        slot = 0;
                        lap ^= kAvailable;
                    }
                    ++finished;
                    ++count;
                } while (count < kSize && fresh(unless(Weakened::device_acquire, rl::mo_acquire)));
                full_fence(Weakened::device_notify);
                const std::uint32_t event = shared.driver_event.load(rl::mo_relaxed, here("device asks"));
                bool wanted = event >> 16 == virtio::packed_event::kEnable;
                if (event >> 16 == virtio::packed_event::kDescriptor)
                    for (unsigned back = 1; back <= count; ++back) { // was one of the descriptors just used the one that it named?
                        const unsigned at = (slot + 2 * kSize - back) % kSize;
                        const bool wrapped = back > slot; // in the lap before
                        const bool its_lap = wrapped ? lap == 0 : lap != 0;
                        wanted = wanted || ((event & 0x7fff) == at && ((event & 0x8000) != 0) == its_lap);
                    }
                count = 0;
                if (wanted) interrupt();
                continue;
            }
            const std::uint32_t position = slot | (lap != 0 ? virtio::packed_event::kWrap : 0u);
            shared.device_event.store(Way::event_index ? (virtio::packed_event::kDescriptor << 16) | position : 0u, rl::mo_relaxed,
                                      here("device arms"));
            full_fence(Weakened::device_arm);
            if (fresh(rl::mo_relaxed)) continue;
            sleep(shared.doorbell);
        }
        static_cast<void>(signalled);
    }
    static void full_fence_unless(Weakened which) {
        if (weakened != which) rl::atomic_thread_fence(rl::mo_seq_cst, here("device's full fence"));
    }
};

// What Relacy says, in memory of its own: allocations that outlive a run would be taken for the program's.
class Text : public std::streambuf {
public:
    void clear() { setp(text_.data(), text_.data() + text_.size()); }
    std::string_view text() const { return {pbase(), static_cast<std::size_t>(pptr() - pbase())}; }

protected:
    int_type overflow(int_type character) override { return character; } // the rest is not kept

private:
    inline static std::array<char, 1 << 16> text_;
};

unsigned surprises = 0;
unsigned runs = 0;
unsigned switches = 2; // that the scheduler may make besides those that the program asks for

template<class Program> const char* run(rl::scheduler_type_e scheduler, rl::iteration_t schedules, Text& text, rl::iteration_t& used) {
    text.clear();
    std::ostream out(&text);
    rl::test_params parameters;
    parameters.search_type = scheduler;
    parameters.iteration_count = schedules;
    parameters.context_bound = switches;
    parameters.execution_depth_limit = 3000;
    parameters.output_stream = &out;
    parameters.progress_stream = &out;
    rl::simulate<Program>(parameters);
    used = parameters.stop_iteration;
    return parameters.test_result == rl::test_result_success ? "holds" : rl::test_result_str(parameters.test_result);
}

template<class Kind, class Way> void scenario(const char* name, rl::iteration_t schedules, std::initializer_list<Weakened> removable) {
    static constexpr std::array names{"nothing",          "publish_release", "used_acquire",   "publish_barrier", "arm_barrier",
                                      "doorbell_barrier", "device_release",  "device_acquire", "device_notify",   "device_arm"};
    static Text text;
    rl::iteration_t count = 0;
    const auto report = [&](const char* missing, const char* schedule, std::string_view verdict, bool expected) {
        ++runs;
        std::printf("%-24s %-17s %-13s %9llu  %.*s\n", name, missing, schedule, static_cast<unsigned long long>(count),
                    static_cast<int>(verdict.size()), verdict.data());
        if (!expected) {
            ++surprises;
            std::printf("SURPRISE:\n%.*s\n", static_cast<int>(text.text().size()), text.text().data());
        }
        std::fflush(stdout);
    };
    weakened = Weakened::nothing;
    std::string_view verdict = run<Program<Kind, Way>>(rl::random_scheduler_type, schedules, text, count);
    report("nothing", "random", verdict, verdict == "holds");
    verdict = run<Program<Kind, Way>>(rl::fair_context_bound_scheduler_type, schedules * 100, text, count);
    report("nothing", "few switches", verdict, verdict == "holds");
    for (const Weakened which : removable) {
        weakened = which;
        verdict = run<Program<Kind, Way>>(rl::random_scheduler_type, schedules * 10, text, count);
        report(names[static_cast<std::size_t>(which)], "random", verdict, verdict != "holds");
    }
}

} // namespace

int main(int count, char** arguments) {
    const rl::iteration_t schedules = count > 1 ? std::strtoul(arguments[1], nullptr, 10) : 20000;
    if (count > 2) switches = static_cast<unsigned>(std::strtoul(arguments[2], nullptr, 10));
    const char* wanted = count > 3 ? arguments[3] : "";
    std::printf("%-24s %-17s %-13s %9s  %s\n", "scenario", "missing", "schedules", "run", "verdict");
    using enum Weakened;
    const auto is = [&](const char* name) { return std::strstr(name, wanted) != nullptr; };
    const std::initializer_list<Weakened> all{publish_release, used_acquire,   publish_barrier, arm_barrier,
                                              device_release,  device_acquire, device_notify,   device_arm};
    if (is("split, flags")) scenario<Split, Flags>("split, flags", schedules, all);
    if (is("split, EVENT_IDX")) scenario<Split, Event>("split, EVENT_IDX", schedules, all);
    if (is("split, kick always")) scenario<Split, Always>("split, kick always", schedules, {doorbell_barrier});
    if (is("packed, ENABLE/DISABLE")) scenario<Packed, Flags>("packed, ENABLE/DISABLE", schedules, all);
    if (is("packed, DESC")) scenario<Packed, Event>("packed, DESC", schedules, all);
    if (is("packed, kick always")) scenario<Packed, Always>("packed, kick always", schedules, {doorbell_barrier});
    std::printf("%u runs, %u surprises\n", runs, surprises);
    return surprises != 0 || runs == 0 ? 1 : 0;
}
