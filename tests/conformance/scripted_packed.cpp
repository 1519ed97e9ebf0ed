#include <algorithm>

#include "tests/conformance/scripted_driver.hpp"

namespace scripted {
namespace {

constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4, kAvailable = 1u << 7, kUsed = 1u << 15;
constexpr std::uint16_t kEnable = 0, kDisable = 1, kSpecific = 2;

class PackedDriver final : public Driver {
public:
    PackedDriver(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify, std::function<void()> look)
        : Driver(options, memory, std::move(notify), std::move(look)) {
        const std::size_t size = options.size;
        descriptors_ = starts_with(Fault::misaligned) ? 8 : 0;
        driver_ = descriptors_ + 16 * size + (starts_with(Fault::misaligned) ? 2 : 0);
        device_ = (driver_ + 4 + 63) / 64 * 64;
        tables_ = device_ + 64;
        lists_.resize(size);
        for (std::uint16_t i = 0; i < options.size; ++i) ids_.push_back(static_cast<std::uint16_t>(options.size - 1 - i));
        room_ = options.size;
        if (starts_with(Fault::dirty_ring)) store<std::uint16_t>(descriptor(options.size - 1) + 14, kUsed);
    }

    bool add(std::span<const Part> readable, std::span<const Part> writable, Shape shape, unsigned tag) override {
        struct Entry {
            Part part;
            std::uint16_t flags;
        };
        std::vector<Entry> entries;
        for (const Part& part : readable) entries.push_back({part, 0});
        for (const Part& part : writable) entries.push_back({part, kWrite});
        if (is(Fault::splinters)) {
            std::vector<Entry> splinters;
            for (const Entry& entry : entries)
                for (std::uint32_t at = 0; at < entry.part.length && splinters.size() < options_.size; at += 4)
                    splinters.push_back({{entry.part.address + at, 4}, entry.flags});
            entries = std::move(splinters);
        }
        if (is(Fault::writable_first)) std::reverse(entries.begin(), entries.end());
        const std::size_t longest = options_.longest != 0 ? options_.longest : options_.size;
        if (entries.size() > longest && !is(Fault::too_long)) return false;

        if (ids_.empty()) return false;
        const bool table = shape == Shape::indirect && (options_.indirect || is(Fault::indirect_unnegotiated));
        const bool mixed = table && is(Fault::indirect_in_list);
        if (table) {
            const std::size_t at = tables_ + ids_.back() * 16 * (options_.size + 2u); // of the buffer, not of the slot
            for (std::size_t i = 0; i < entries.size(); ++i) {
                const auto flags = static_cast<std::uint16_t>(entries[i].flags | (is(Fault::flags_in_table) ? kNext : 0));
                store_descriptor(at + 16 * i, entries[i].part.address, entries[i].part.length, 0, flags);
            }
            const Part whole{memory_.address + at, static_cast<std::uint32_t>(16 * entries.size() + (is(Fault::odd_table) ? 8 : 0))};
            const Entry first = entries.front();
            entries.clear();
            if (mixed) entries.push_back(first);
            entries.push_back({whole, kIndirect});
        }
        const std::size_t count = entries.size();
        const bool forced = is(Fault::no_room_check) || (is(Fault::partial_list) && room_ != 0);
        if (count > room_ && !forced) return false;

        std::uint16_t id = ids_.back();
        ids_.pop_back();
        List list{order_.empty() || !is(Fault::offered_twice) ? id : order_.back(), static_cast<std::uint16_t>(count), tag, true, 0};
        for (const Part& part : writable) list.lent += part.length;
        if (list.id != id) { // two buffers of one id: the second one takes over
            ids_.push_back(id);
            id = list.id;
        }
        Pending pending;
        for (std::size_t i = 0; i < count; ++i) {
            const bool last = i + 1 == count;
            auto flags = static_cast<std::uint16_t>(entries[i].flags | (last && !is(Fault::endless_list) ? 0 : kNext) | ownership());
            if (i != 0 && is(Fault::used_bit_not_inverse)) flags = static_cast<std::uint16_t>(flags ^ kUsed);
            const std::size_t at = descriptor(next_);
            store<std::uint64_t>(at, entries[i].part.address);
            store<std::uint32_t>(at + 8, entries[i].part.length);
            store<std::uint16_t>(at + 12, last ? id : static_cast<std::uint16_t>(0xdead));
            // The first one's flags come last: they expose the list.
            if (i == 0 && !is(Fault::flags_before_rest)) {
                pending = {at + 14, flags};
            } else {
                store<std::uint16_t>(at + 14, flags);
                look_();
            }
            if (is(Fault::partial_list) && (i + 1 == room_ || count <= room_) &&
                !last) { // the rest waits, but what there is is shown already
                store<std::uint16_t>(pending.at, pending.flags);
                pending = {};
                look_();
                return false;
            }
            advance();
        }
        if (pending.at != 0) pending_.push_back(pending);
        room_ -= std::min<std::size_t>(room_, count);
        lists_[id] = list;
        order_.push_back(id);
        ++in_flight_;
        fresh_ += static_cast<unsigned>(count);
        return true;
    }

    void publish() override {
        // Later lists first: the first one's flags then expose them all at once.
        for (auto pending = pending_.rbegin(); pending != pending_.rend(); ++pending) {
            store<std::uint16_t>(pending->at, pending->flags);
            if (pending + 1 == pending_.rend()) look_();
        }
        pending_.clear();
    }

    std::vector<Done> reap() override {
        if (is(Fault::interrupt_is_completion) && !order_.empty()) return {finish(order_.front(), 0)};
        std::vector<Done> done;
        while (in_flight_ != 0) {
            const std::size_t at = descriptor(last_used_);
            const auto flags = load<std::uint16_t>(at + 14);
            const bool available = (flags & kAvailable) != 0, used = (flags & kUsed) != 0;
            if (available != used || used != used_wrap_) break;
            const auto id = load<std::uint16_t>(at + 12);
            const std::uint32_t length = (flags & kWrite) != 0 ? load<std::uint32_t>(at + 8) : 0;
            if (id >= options_.size || !lists_[id].live) break;
            if (!options_.in_order) {
                done.push_back(finish(id, length));
                continue;
            }
            while (!order_.empty()) { // a batch, up to the one that is named (2.8.9)
                const std::uint16_t first = order_.front();
                done.push_back(finish(first, length));
                if (first == id || is(Fault::batch_oldest_only)) break;
            }
        }
        return done;
    }

    void suppress() override {
        store<std::uint16_t>(driver_ + 2, static_cast<std::uint16_t>(kDisable | reserved()));
        look_();
    }
    bool arm() override {
        if (options_.event_index || is(Fault::event_unnegotiated)) {
            const std::uint16_t offset = is(Fault::event_beyond_ring) ? options_.size : last_used_;
            store<std::uint16_t>(driver_, static_cast<std::uint16_t>(offset | (used_wrap_ ? 0x8000 : 0)));
            store<std::uint16_t>(driver_ + 2, static_cast<std::uint16_t>(kSpecific | reserved()));
        } else {
            store<std::uint16_t>(driver_ + 2, static_cast<std::uint16_t>(kEnable | reserved()));
        }
        look_();
        if (in_flight_ == 0) return false;
        const auto flags = load<std::uint16_t>(descriptor(last_used_) + 14);
        return ((flags & kAvailable) != 0) == used_wrap_ && ((flags & kUsed) != 0) == used_wrap_;
    }

    void rewrite() override {
        if (!is(Fault::rewrites)) return;
        const auto previous = static_cast<std::uint16_t>((next_ + options_.size - 1) % options_.size);
        const std::size_t at = descriptor(previous);
        store<std::uint32_t>(at + 8, load<std::uint32_t>(at + 8) + 1);
        look_();
    }

private:
    struct List {
        std::uint16_t id = 0;
        std::uint16_t count = 0;
        unsigned tag = 0;
        bool live = false;
        std::uint32_t lent = 0; // writable bytes
    };
    struct Pending {
        std::size_t at = 0;
        std::uint16_t flags = 0;
    };

    [[nodiscard]] std::size_t descriptor(std::uint16_t index) const { return descriptors_ + 16 * std::size_t{index}; }
    [[nodiscard]] std::uint16_t reserved() const { return is(Fault::event_reserved_bits) ? 4 : 0; }
    [[nodiscard]] std::uint16_t ownership() const { return wrap_ || is(Fault::wrap_stuck) ? kAvailable : kUsed; }
    void advance() {
        if (++next_ < options_.size) return;
        next_ = 0;
        wrap_ = !wrap_;
    }

    Done finish(std::uint16_t id, std::uint32_t length) {
        List& list = lists_[id];
        list.live = false;
        last_used_ = static_cast<std::uint16_t>(last_used_ + (is(Fault::skip_one) ? 1 : list.count));
        if (last_used_ >= options_.size) {
            last_used_ = static_cast<std::uint16_t>(last_used_ - options_.size);
            used_wrap_ = !used_wrap_;
        }
        room_ += list.count;
        std::erase(order_, id);
        ids_.push_back(id);
        --in_flight_;
        return {list.tag, is(Fault::length_ignored) ? list.lent : length};
    }

    bool wants_kick() override {
        const unsigned fresh = fresh_;
        fresh_ = 0;
        if (fresh == 0) return false;
        const auto flags = static_cast<std::uint16_t>(load<std::uint16_t>(device_ + 2) & 3);
        if (flags != kSpecific) return flags != kDisable;
        // At a certain descriptor: is it among the fresh ones? Both counted from the position before them (2.8.10).
        const auto event = load<std::uint16_t>(device_);
        const unsigned size = options_.size;
        const unsigned old = (next_ + (wrap_ ? size : 0) + 2 * size - fresh) % (2 * size);
        const unsigned where = (event & 0x7fffu) + ((event & 0x8000u) != 0 ? size : 0);
        const unsigned ahead = (where + 2 * size - old) % (2 * size);
        return is(Fault::event_last_slot_only) ? ahead + 1 == fresh : ahead < fresh;
    }
    [[nodiscard]] std::uint16_t position() const override { return static_cast<std::uint16_t>(next_ | (wrap_ ? 0x8000 : 0)); }

    std::vector<List> lists_;
    std::vector<std::uint16_t> ids_;
    std::vector<std::uint16_t> order_; // ids in flight, oldest first
    std::vector<Pending> pending_;
    std::size_t room_ = 0;
    std::uint16_t next_ = 0, last_used_ = 0;
    unsigned fresh_ = 0; // descriptors since the last look at the device's wishes
    bool wrap_ = true, used_wrap_ = true;
};

} // namespace

std::unique_ptr<Driver> make_packed(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify,
                                    std::function<void()> look) {
    return std::make_unique<PackedDriver>(options, memory, std::move(notify), std::move(look));
}

} // namespace scripted
