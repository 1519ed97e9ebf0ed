// A fuzzer of one ring engine (libFuzzer). The input is a program: how the ring is set up, what its owner calls (mistakes included), and
// what the device does. Two kinds of device: the referee, which works by a script and tells lies of its own; or the input itself, which
// answers every single read of a device-written word. FUZZ_RING (split, packed) and FUZZ_KIND (direct, indirect, in_order) choose the target.
//
// A shadow model of what is lent checks after each call: a request completes once and only if it was lent, with IN_ORDER the oldest
// first; no length beyond what was lent; free + lent descriptors = N; misuse is refused; a broken queue stays so and gives each request
// back once. No call makes more than 4 N + 64 accesses of shared words, and none reads a word of the device's twice.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "libvirtio/memory.hpp"
#include "libvirtio/ring/packed.hpp"
#include "libvirtio/ring/split.hpp"
#include "tests/referee/queue.hpp"
#include "tests/referee/wire.hpp"

namespace {

using virtio::DmaAddress;
using virtio::Error;
using virtio::Request;
using virtio::Segment;
using virtio::SharedWord;

#define FUZZ_NAME(ring, kind) #ring "_" #kind
#define FUZZ_TARGET(ring, kind) FUZZ_NAME(ring, kind)
constexpr std::string_view kTarget = FUZZ_TARGET(FUZZ_RING, FUZZ_KIND);
constexpr bool kPacked = kTarget.starts_with("packed");
constexpr bool kIndirect = kTarget.ends_with("indirect");
constexpr bool kInOrder = kTarget.ends_with("in_order");
using Ring = std::conditional_t<kPacked, virtio::PackedRing, virtio::SplitRing>;
using Memory = std::conditional_t<kPacked, virtio::PackedMemory, virtio::SplitMemory>;

constexpr unsigned kRequests = 80;
constexpr unsigned kMostOperations = 400;
constexpr std::uint32_t kPart = 64; // bytes of payload memory for each segment

void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "VIOLATED: %s\n", what);
    std::abort();
}

/// The fuzzer's bytes; nothing but zeros when they are used up.
class Input {
public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    [[nodiscard]] bool empty() const { return size_ == 0; }
    std::uint8_t byte() {
        if (size_ == 0) return 0;
        --size_;
        return *data_++;
    }
    std::uint16_t word() {
        const std::uint16_t low = byte();
        return static_cast<std::uint16_t>(low | byte() << 8);
    }
    std::uint32_t below(std::uint32_t limit) { return limit == 0 ? 0 : byte() % limit; }

private:
    const std::uint8_t* data_;
    std::size_t size_;
};

struct Lent {
    bool in_flight = false;
    unsigned descriptors = 0;
    std::uint32_t writable = 0;
};

class Run {
public:
    explicit Run(Input& input) : input_(input), judge_() {
        static constexpr std::array<std::uint16_t, 8> kSplitSizes{1, 2, 4, 8, 16, 32, 64, 4};
        static constexpr std::array<std::uint16_t, 8> kPackedSizes{1, 2, 3, 5, 8, 16, 33, 4};
        const std::uint8_t shape = input.byte();
        size_ = (kPacked ? kPackedSizes : kSplitSizes)[shape & 7];
        const std::uint8_t how = input.byte();
        setup_.size = size_;
        setup_.event_index = (shape & 8) != 0;
        setup_.strict_length = (shape & 16) != 0;
        setup_.in_order = kInOrder;
        setup_.fixed = (shape & 0x60) == 0x20;
        if (kIndirect || (kInOrder && (how & 1) != 0)) setup_.indirect_entries = static_cast<std::uint16_t>(1 + (how >> 1 & 7));
        if (setup_.indirect_entries > size_) setup_.indirect_entries = size_; // as Virtqueue does
        if ((shape & 0x60) == 0x40) setup_.presets = size_ / 4;
        if ((kPacked || kInOrder) && setup_.indirect_entries < 3) setup_.presets = 0;
        hostile_ = (shape & 0x80) != 0;
        if (Ring::table_descriptors(setup_) != 0) tables_ = guest_.address() + kTables;
        slots_.resize(size_);
        templates_.resize(Ring::template_count(setup_));
        setup_.templates = templates_.empty() ? nullptr : templates_.data();

        referee::Script script;
        script.seed = how;
        script.order = static_cast<referee::Order>(input.below(4));
        script.length = static_cast<referee::Length>(input.below(5));
        script.notify = static_cast<referee::Notify>(input.below(5));
        script.budget = 1 + input.below(16);
        script.batch = 1 + input.below(8);
        for (std::uint32_t lies = input.below(4); lies != 0; --lies)
            script.lies.push_back(
                {.kind = static_cast<referee::LieKind>(input.below(13)), .when = input.below(24), .value = input.below(70), .times = 1});
        if (!hostile_) queue_ = std::make_unique<referee::Queue>(guest_, judge_, script);

        virtio::probe().reset();
        virtio::probe().context = this;
        virtio::probe().answer = [](void* context, SharedWord role, std::uint16_t, std::uint64_t value) noexcept {
            Run& run = *static_cast<Run*>(context);
            return run.hostile_ ? run.answer(role, value) : run.queue_->answer(value);
        };
        attach();
    }
    ~Run() { virtio::probe().reset(); }

    void operate() {
        for (unsigned i = 0; i < kMostOperations && !input_.empty(); ++i) {
            one();
            if (!ring_.broken()) {
                counted();
                continue;
            }
            broken_for_ever();
            attach();
        }
        reclaim_all(); // what a confirmed reset does
    }

private:
    // --- set-up ---

    void attach() {
        std::byte* const ring = guest_.at(ring_memory_, 1);
        const std::size_t bytes = kPacked ? virtio::packed_layout(size_).total : virtio::split_layout(size_).total;
        std::memset(ring, 0, bytes);
        if (!hostile_) queue_->reset();
        // Split indices start shortly before they wrap.
        const std::uint16_t first = kPacked ? std::uint16_t{0} : static_cast<std::uint16_t>(0xfff0 + (input_.byte() & 15));
        ring_.attach(Memory{ring, size_}, slots_, tables_ == 0 ? nullptr : guest_.at(tables_, 1), DmaAddress{tables_}, setup_, first);
        if (!hostile_) {
            referee::QueueSetup setup;
            setup.size = size_;
            setup.descriptors = ring_memory_;
            setup.driver = ring_memory_ + (kPacked ? virtio::packed_layout(size_).driver : virtio::split_layout(size_).driver);
            setup.device = ring_memory_ + (kPacked ? virtio::packed_layout(size_).device : virtio::split_layout(size_).device);
            setup.features = (setup_.event_index ? referee::feature::kEventIdx : 0) | (setup_.in_order ? referee::feature::kInOrder : 0) |
                             (setup_.indirect_entries != 0 ? referee::feature::kIndirectDesc : 0) |
                             (kPacked ? referee::feature::kRingPacked : 0);
            setup.first = first;
            static_cast<void>(queue_->enable(setup));
        }
        for (std::uint16_t slot = 0; slot < ring_.preset_count(); ++slot) static_cast<void>(ring_.preset(slot, part(slot), part(slot)));
        for (std::uint16_t slot = 0; setup_.fixed && slot < size_; ++slot) fix(slot);
    }
    Segment part(unsigned number) { return {DmaAddress{payload_ + number % kRequests * kPart}, 1 + input_.below(kPart)}; }
    void fix(std::uint16_t slot) {
        const Segment segment = part(slot);
        const std::uint8_t how = input_.byte();
        fixed_writable_[slot] = 0;
        if (setup_.indirect_entries != 0 && how % 3 == 2 && ring_.fix_table(slot, {&segment, 1})) return;
        if (how % 3 == 0) {
            ring_.fix_writable(slot, segment);
            fixed_writable_[slot] = segment.length;
        } else {
            ring_.fix_readable(slot, segment);
        }
    }

    // --- the device ---

    // A value that the engine must survive: near what is right, or anything.
    std::uint64_t answer(SharedWord role, std::uint64_t value) {
        const std::uint8_t how = input_.byte();
        if (how >= 0xf0) return static_cast<std::uint64_t>(input_.word()) << 16 | input_.word();
        switch (role) {
        case SharedWord::used_index:
            if constexpr (!kPacked) return static_cast<std::uint16_t>(ring_.position() - ring_.in_flight() + how % (size_ + 2u));
            return value;
        case SharedWord::packed_flags: {
            static constexpr std::array<std::uint16_t, 4> kFlags{0x8080, 0, 0x0080, 0x8000};
            return kFlags[how & 3] | (how & 0x40);
        }
        case SharedWord::used_id:
        case SharedWord::packed_id: return how % (size_ + 1u);
        case SharedWord::used_length:
        case SharedWord::packed_length: return how & 0x80 ? std::uint64_t{how} << 20 : how;
        default: return how & 0x80 ? value : how;
        }
    }

    // --- the owner ---

    template<class Call> auto bounded(Call call) {
        virtio::Probe& probe = virtio::probe();
        probe.accesses = probe.repeated = 0;
        probe.begin_operation();
        struct Check {
            unsigned size;
            ~Check() {
                check(virtio::probe().accesses <= 4u * size + 64, "more than 4 N + 64 accesses of shared words in one call");
                check(virtio::probe().repeated == 0, "a word of the device's was read twice in one call");
            }
        };
        const Check at_end{size_};
        return call();
    }
    void lend(Request& request, std::uint32_t writable, unsigned descriptors) {
        lent_[number_of(request)] = {true, descriptors, writable};
        order_.push_back(number_of(request));
        check(request.state == Request::State::in_flight, "an added request is in flight");
    }
    unsigned number_of(const Request& request) {
        const auto number = static_cast<std::size_t>(&request - requests_.data());
        check(number < kRequests, "a completion is one of our requests");
        return static_cast<unsigned>(number);
    }
    Request& some_request() { return requests_[input_.below(kRequests)]; }

    void one() {
        switch (input_.below(16)) {
        case 0:
        case 1: add(); break;
        case 2:
        case 3: add_one(); break;
        case 4: add_preset(); break;
        case 5: add_fixed(); break;
        case 6: bounded([&] { return ring_.publish(); }); break;
        case 7:
        case 8:
            bounded([&] { return ring_.publish(); });
            if (bounded([&] { return ring_.needs_kick(); }) && !hostile_) queue_->notify(0);
            break;
        case 9:
        case 10: completed(bounded([&] { return ring_.take(); })); break;
        case 11: drain(); break;
        case 12:
            if ((input_.byte() & 1) != 0)
                ring_.suppress_interrupts();
            else
                static_cast<void>(bounded([&] { return ring_.arm_interrupts(static_cast<std::uint16_t>(1 + input_.below(4))); }));
            break;
        case 13: static_cast<void>(bounded([&] { return ring_.pending(); })); break;
        case 14:
            if (!hostile_) queue_->step();
            break;
        default:
            if ((input_.byte() & 7) == 0) ring_.close();
            if (setup_.fixed) refix();
            break;
        }
    }
    void add() {
        Request& request = some_request();
        std::array<Segment, 8> segments;
        const unsigned count = input_.below(9);
        const unsigned writable = count == 0 ? 0 : input_.below(count + 1);
        bool mistaken = count == 0 || count > size_ || lent_[number_of(request)].in_flight;
        std::uint64_t all = 0;
        std::uint32_t lent = 0;
        for (unsigned i = 0; i < count; ++i) {
            const std::uint8_t length = input_.byte();
            segments[i] = {DmaAddress{payload_ + (number_of(request) + i) % kRequests * kPart},
                           length >= 0xf8 ? 0xffff'ffffu : length % (kPart + 1)};
            mistaken = mistaken || segments[i].length == 0;
            all += segments[i].length;
            if (i >= count - writable) lent += segments[i].length;
        }
        mistaken = mistaken || all > 0xffff'ffffu;
        if (!hostile_ && all > 8 * kPart) return; // the referee would look for memory there
        const unsigned room = ring_.free_descriptors();
        const unsigned in_flight = ring_.in_flight();
        const bool broken = ring_.broken();
        const virtio::Result<> added = bounded(
            [&] { return ring_.add({segments.data(), count - writable}, {segments.data() + (count - writable), writable}, request); });
        if (!added) {
            check(ring_.free_descriptors() == room && ring_.in_flight() == in_flight, "a refused request takes nothing");
            check(mistaken || broken || setup_.fixed || count > room || setup_.presets != 0, "a request that fits is accepted");
            return;
        }
        check(!mistaken && !broken && !setup_.fixed, "misuse is refused");
        const unsigned taken = room - ring_.free_descriptors();
        check(taken == count || (taken == 1 && count <= ring_.indirect_entries()), "a chain takes its parts' descriptors, or one");
        lend(request, lent, taken);
    }
    void add_one() {
        Request& request = some_request();
        const std::uint8_t length = input_.byte();
        const Segment segment{DmaAddress{payload_ + number_of(request) * kPart}, length & (kPart - 1)};
        const bool writable = (length & 0x80) != 0;
        const bool mistaken = segment.length == 0 || lent_[number_of(request)].in_flight;
        const unsigned room = ring_.free_descriptors();
        const bool broken = ring_.broken();
        const virtio::Result<> added =
            bounded([&] { return writable ? ring_.add_writable(segment, request) : ring_.add_readable(segment, request); });
        check(added.has_value() == (!mistaken && !broken && !setup_.fixed && room != 0), "one segment is accepted where there is room");
        if (added) lend(request, writable ? segment.length : 0, 1);
    }
    void add_preset() {
        Request& request = some_request();
        const auto slot = static_cast<std::uint16_t>(input_.byte() % (ring_.preset_count() + 2u));
        const std::uint8_t length = input_.byte();
        const Segment segment{DmaAddress{payload_ + number_of(request) * kPart},
                              length == 0xff && hostile_ ? 0xffff'fff0u : length & (kPart - 1)};
        const bool writable = (length & 0x80) != 0;
        const bool mistaken = slot >= ring_.preset_count() || segment.length == 0 || lent_[number_of(request)].in_flight;
        const bool busy = slot < ring_.preset_count() && ring_.preset_in_flight(slot);
        const unsigned room = ring_.free_descriptors();
        const bool broken = ring_.broken();
        const virtio::Result<> added = bounded([&] { return ring_.add_preset(slot, segment, writable, request); });
        if (!added) return;
        check(!mistaken && !broken && !busy, "misuse of a preset is refused");
        const unsigned taken = room - ring_.free_descriptors();
        check(taken <= 1, "a preset takes no more than one of the general descriptors");
        lend(request, 0xffff'ffff, taken); // the last part's length is the ring's to know
    }
    void add_fixed() {
        Request& request = some_request();
        const auto slot = static_cast<std::uint16_t>(input_.byte() % (size_ + 1u));
        if (lent_[number_of(request)].in_flight) return; // an owner of fixed slots knows its own requests
        const bool busy = setup_.fixed && slot < size_ && fixed_by_[slot] != 0;
        const bool broken = ring_.broken();
        const virtio::Result<> added = bounded([&] { return ring_.add_fixed(slot, request); });
        check(added.has_value() == (setup_.fixed && !broken && slot < size_ && !busy), "a fixed slot is accepted where it is free");
        if (!added) return;
        fixed_by_[slot] = number_of(request) + 1;
        lend(request, fixed_writable_[slot], 1);
    }
    void refix() {
        const auto slot = static_cast<std::uint16_t>(input_.below(size_));
        if (fixed_by_[slot] == 0 && !ring_.broken()) fix(slot);
    }

    void completed(const virtio::RingTaken& taken) {
        if (taken.request == nullptr) return;
        give_back(*taken.request);
    }
    void give_back(Request& request) {
        const unsigned number = number_of(request);
        Lent& lent = lent_[number];
        check(lent.in_flight, "only what was lent completes, and once");
        check(request.state != Request::State::in_flight || kPacked, "a completed request is no longer in flight");
        check(request.length <= lent.writable, "a length is at most what was lent");
        check(!request.length_clamped || !setup_.strict_length, "strict: no length is clamped");
        check(!kInOrder || order_.front() == number, "IN_ORDER: the oldest request completes");
        forget(number);
    }
    void forget(unsigned number) {
        lent_[number] = {};
        std::erase(order_, number);
        for (unsigned& by : fixed_by_)
            if (by == number + 1) by = 0;
        requests_[number].state = Request::State::idle;
    }
    void drain() {
        const unsigned budget = 1 + input_.below(size_);
        virtio::Probe& probe = virtio::probe();
        probe.accesses = 0;
        const unsigned done = ring_.drain(budget, [&](Request& request) noexcept {
            give_back(request);
            if ((input_.byte() & 3) != 0) return;
            const std::uint64_t accesses = probe.accesses;
            add_one(); // a completion may submit
            probe.accesses = accesses;
        });
        check(done <= budget, "a budget is kept");
        check(probe.accesses <= 4u * size_ + 64, "more than 4 N + 64 accesses of shared words in one call");
    }

    // --- what always holds ---

    void counted() {
        unsigned descriptors = 0;
        for (const Lent& lent : lent_) descriptors += lent.descriptors;
        const unsigned reserved = kPacked ? ring_.preset_count() : kInOrder ? 0 : ring_.preset_count() * 3u;
        check(ring_.free_descriptors() + descriptors == size_ - reserved, "free and lent descriptors are N together");
        check(ring_.in_flight() == order_.size(), "in_flight() counts what is lent");
    }
    void broken_for_ever() {
        const virtio::RingFault fault = ring_.fault();
        const Segment segment{DmaAddress{payload_}, 1};
        Request fresh;
        check(!ring_.add({&segment, 1}, {}, fresh) && !ring_.add_writable(segment, fresh) && !ring_.add_fixed(0, fresh) &&
                  !ring_.add_preset(0, segment, true, fresh),
              "a broken queue refuses every request");
        for (unsigned i = 0; i < 3; ++i) check(ring_.take().request == nullptr, "a broken queue completes nothing");
        check(ring_.drain(4, [](Request&) noexcept {}) == 0, "a broken queue completes nothing");
        check(ring_.fault() == fault, "a broken queue stays as it is broken");
        reclaim_all();
    }
    void reclaim_all() {
        std::uint16_t cursor = 0;
        while (const Request* request = ring_.reclaim(cursor)) {
            const unsigned number = number_of(*request);
            check(lent_[number].in_flight, "reclaim() hands out what was lent, and once");
            forget(number);
        }
        check(order_.empty(), "reclaim() hands out all that was lent");
        check(ring_.in_flight() == 0, "nothing is in flight after reclaim()");
    }

    Input& input_;
    virtio::RingSetup setup_;
    std::uint16_t size_ = 0;
    bool hostile_ = false;
    // Made once: ring, indirect tables and payload have places of their own, with room for the largest.
    static constexpr std::size_t kTables = 4096, kPayload = kTables + 65 * 8 * 16, kGuest = 32768;
    static_assert(kPayload + kRequests * kPart <= kGuest && virtio::split_layout(64).total <= kTables);
    inline static referee::Memory guest_{{.size = kGuest}};
    referee::Judge judge_;
    std::unique_ptr<referee::Queue> queue_;
    const std::uint64_t ring_memory_ = guest_.address(), payload_ = guest_.address() + kPayload;
    std::uint64_t tables_ = 0;
    std::vector<virtio::RingSlot> slots_; // of exactly the ring's size: a sanitizer sees what goes beyond
    std::vector<virtio::RingTemplate> templates_;
    Ring ring_;
    std::array<Request, kRequests> requests_{};
    std::array<Lent, kRequests> lent_{};
    std::vector<unsigned> order_; // request numbers, oldest first
    std::array<unsigned, 64> fixed_by_{};
    std::array<std::uint32_t, 64> fixed_writable_{};
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    Run run(input);
    run.operate();
    return 0;
}
