#include <algorithm>

#include "tests/conformance/scripted_driver.hpp"

namespace scripted {
namespace {

constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4;

class SplitDriver final : public Driver {
public:
    SplitDriver(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify, std::function<void()> look)
        : Driver(options, memory, std::move(notify), std::move(look)) {
        const std::size_t size = options.size;
        // Descriptors, available ring, used ring, and a table for each descriptor.
        descriptors_ = starts_with(Fault::misaligned) ? 8 : 0;
        driver_ = descriptors_ + 16 * size;
        device_ = (driver_ + 6 + 2 * size + 63) / 64 * 64;
        tables_ = (device_ + 6 + 8 * size + 63) / 64 * 64;
        chains_.resize(size);
        for (std::uint16_t i = 0; i < options.size; ++i) free_.push_back(static_cast<std::uint16_t>(options.size - 1 - i));
        added_ = published_ = checked_ = last_used_ = options.first_index;
        store<std::uint16_t>(driver_, 0);
        store<std::uint16_t>(driver_ + 2, options.first_index);
        store<std::uint16_t>(device_, starts_with(Fault::dirty_used_flags) ? 1 : 0);
        store<std::uint16_t>(device_ + 2, static_cast<std::uint16_t>(options.first_index + (starts_with(Fault::dirty_ring) ? 1 : 0)));
    }

    bool add(std::span<const Part> readable, std::span<const Part> writable, Shape shape, unsigned tag) override {
        struct Entry {
            Part part;
            std::uint16_t flags;
        };
        std::vector<Entry> entries;
        for (const Part& part : readable) entries.push_back({part, 0});
        for (const Part& part : writable) entries.push_back({part, kWrite});
        if (is(Fault::huge_lengths))
            for (Entry& entry : entries) entry.part.length = 0xffff'ffff;
        if (is(Fault::splinters)) {
            std::vector<Entry> splinters;
            for (const Entry& entry : entries)
                for (std::uint32_t at = 0; at < entry.part.length && splinters.size() < options_.size; at += 4)
                    splinters.push_back({{entry.part.address + at, 4}, entry.flags});
            entries = std::move(splinters);
        }
        if (is(Fault::writable_first)) std::reverse(entries.begin(), entries.end());
        const std::size_t count = entries.size();
        if (count > options_.size && !is(Fault::too_long)) return false;

        const bool table = shape == Shape::indirect && (options_.indirect || is(Fault::indirect_unnegotiated));
        const std::size_t needed = table ? 1 : count;
        if (needed > free_count()) return false;
        if (is(Fault::starts_elsewhere)) take(1);
        Chain chain{take(needed), tag, true, 0};
        const std::uint16_t head = chain.descriptors.front();

        const auto next_of = [&](std::size_t i) { return i + 1 < count ? chain.descriptors[i + 1] : std::uint16_t{0}; };
        if (table) {
            const std::size_t at = tables_ + std::size_t{head} * 16 * (options_.size + 2u);
            for (std::size_t i = 0; i < count; ++i) {
                const bool last = i + 1 == count;
                auto flags = static_cast<std::uint16_t>(entries[i].flags | (last ? 0 : kNext));
                if (last && is(Fault::nested_table)) flags = static_cast<std::uint16_t>(flags | kIndirect);
                store_descriptor(at + 16 * slot_in_table(i, count), entries[i].part.address, entries[i].part.length, flags,
                                 last ? std::uint16_t{0} : static_cast<std::uint16_t>(slot_in_table(i + 1, count)));
            }
            const auto bytes = static_cast<std::uint32_t>(16 * count + (is(Fault::odd_table) ? 8 : 0));
            const std::uint16_t flags = is(Fault::indirect_and_next) ? kIndirect | kNext : kIndirect;
            store_descriptor(descriptor(head), memory_.address + at, bytes, flags, static_cast<std::uint16_t>((head + 1) % options_.size));
        } else {
            for (std::size_t i = 0; i < count; ++i) {
                const bool last = i + 1 == count;
                // With IN_ORDER a loop that keeps the order goes once round the table.
                const bool back = last && is(Fault::loop) && (!options_.in_order || (count == options_.size && head == 0));
                store_descriptor(descriptor(chain.descriptors[i]), entries[i].part.address, entries[i].part.length,
                                 static_cast<std::uint16_t>(entries[i].flags | (last && !back ? 0 : kNext)), back ? head : next_of(i));
            }
        }
        for (const Part& part : writable) chain.lent += part.length;
        chains_[head] = std::move(chain);
        ++in_flight_;
        expose(is(Fault::entry_beyond_queue) ? static_cast<std::uint16_t>(head + options_.size) : head);
        order_.push_back(head);
        if (is(Fault::offered_twice)) expose(head);
        look_();
        return true;
    }

    void publish() override {
        published_ = added_;
        store<std::uint16_t>(driver_ + 2, published_);
        look_();
        if (!is(Fault::index_back) && !is(Fault::index_jump)) return;
        const int step = is(Fault::index_back) ? -1 : options_.size + 1;
        store<std::uint16_t>(driver_ + 2, static_cast<std::uint16_t>(published_ + step));
        look_();
        store<std::uint16_t>(driver_ + 2, published_);
        look_();
    }

    std::vector<Done> reap() override {
        std::vector<Done> done;
        if (is(Fault::interrupt_is_completion) && !order_.empty()) return {finish(order_.front(), 0)};
        const auto used = load<std::uint16_t>(device_ + 2);
        while (last_used_ != used) {
            const std::size_t at = device_ + 4 + 8 * std::size_t{static_cast<std::uint16_t>(last_used_ % options_.size)};
            const auto id = static_cast<std::uint16_t>(load<std::uint32_t>(at));
            const auto length = load<std::uint32_t>(at + 4);
            if (!options_.in_order) {
                done.push_back(finish(id, length));
                continue;
            }
            // A batch: everything up to the buffer that is named (2.7.9).
            while (!order_.empty()) {
                const std::uint16_t head = order_.front();
                done.push_back(finish(head, length));
                if (is(Fault::batch_oldest_only)) last_used_ = used;
                if (head == id || is(Fault::batch_oldest_only)) break;
            }
        }
        return done;
    }

    void suppress() override {
        if (!options_.event_index || is(Fault::flags_despite_event)) store<std::uint16_t>(driver_, is(Fault::undefined_flags) ? 2 : 1);
        look_();
    }
    bool arm() override {
        if (options_.event_index)
            store<std::uint16_t>(driver_ + 4 + 2 * std::size_t{options_.size}, last_used_);
        else
            store<std::uint16_t>(driver_, 0);
        look_();
        return load<std::uint16_t>(device_ + 2) != last_used_;
    }

    void rewrite() override {
        if (!is(Fault::rewrites) || order_.empty()) return;
        const std::size_t at = descriptor(order_.back());
        store<std::uint32_t>(at + 8, load<std::uint32_t>(at + 8) + 1);
        look_();
    }

private:
    struct Chain {
        std::vector<std::uint16_t> descriptors;
        unsigned tag = 0;
        bool live = false;
        std::uint32_t lent = 0; // writable bytes
    };

    void expose(std::uint16_t head) {
        store<std::uint16_t>(driver_ + 4 + 2 * std::size_t{static_cast<std::uint16_t>(added_ % options_.size)}, head);
        ++added_;
    }
    [[nodiscard]] std::size_t descriptor(std::uint16_t index) const { return descriptors_ + 16 * std::size_t{index}; }
    [[nodiscard]] std::size_t free_count() const { return options_.in_order ? options_.size - taken_ : free_.size(); }

    /// Any free descriptors; with IN_ORDER the next ones of the table (2.7.5).
    std::vector<std::uint16_t> take(std::size_t count) {
        std::vector<std::uint16_t> taken;
        for (std::size_t i = 0; i < count; ++i) {
            if (options_.in_order) {
                taken.push_back(next_descriptor_);
                next_descriptor_ = static_cast<std::uint16_t>((next_descriptor_ + 1) % options_.size);
                ++taken_;
            } else {
                taken.push_back(free_.back());
                free_.pop_back();
            }
        }
        if (is(Fault::next_swapped) && taken.size() > 3) std::swap(taken[1], taken[2]);
        return taken;
    }

    /// Where entry `i` of a table stands: in sequence, or with the fault the inner ones reversed.
    [[nodiscard]] std::size_t slot_in_table(std::size_t i, std::size_t count) const {
        return is(Fault::table_out_of_order) && i != 0 ? count - i : i;
    }

    Done finish(std::uint16_t head, std::uint32_t length) {
        Chain& chain = chains_[head % options_.size];
        ++last_used_;
        if (!chain.live) return {};
        for (const std::uint16_t index : chain.descriptors) {
            if (options_.in_order)
                --taken_;
            else
                free_.push_back(index);
        }
        std::erase(order_, head);
        chain.live = false;
        --in_flight_;
        return {chain.tag, is(Fault::length_ignored) ? chain.lent : length};
    }

    bool wants_kick() override {
        const std::uint16_t old = checked_;
        checked_ = published_;
        if (published_ == old) return false;
        const bool flags_allow = (load<std::uint16_t>(device_) & 1) == 0;
        const auto event = load<std::uint16_t>(device_ + 4 + 8 * std::size_t{options_.size});
        const bool hit = static_cast<std::uint16_t>(published_ - event - 1) < static_cast<std::uint16_t>(published_ - old);
        if (!options_.event_index) return is(Fault::obey_event_unasked) ? flags_allow && hit : flags_allow;
        if (is(Fault::obey_flags_despite_event)) return hit && flags_allow;
        if (is(Fault::event_last_only)) return static_cast<std::uint16_t>(published_ - 1) == event;
        return hit;
    }
    [[nodiscard]] std::uint16_t position() const override { return published_; }

    std::vector<Chain> chains_;
    std::vector<std::uint16_t> free_;
    std::vector<std::uint16_t> order_; // heads in flight, oldest first
    std::uint16_t added_ = 0, published_ = 0, checked_ = 0, last_used_ = 0;
    std::uint16_t next_descriptor_ = 0;
    std::size_t taken_ = 0;
};

} // namespace

std::unique_ptr<Driver> make_split(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify,
                                   std::function<void()> look) {
    return std::make_unique<SplitDriver>(options, memory, std::move(notify), std::move(look));
}

} // namespace scripted
