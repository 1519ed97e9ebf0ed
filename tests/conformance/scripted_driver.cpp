#include "tests/conformance/scripted_driver.hpp"

namespace scripted {

void Driver::kick() {
    const bool wanted = wants_kick();
    if (is(Fault::kick_never)) return;
    if (wanted || is(Fault::kick_always)) notify();
}

std::uint32_t Driver::notification() const {
    const auto queue = static_cast<std::uint16_t>(options_.queue + (is(Fault::wrong_queue) ? 1 : 0));
    if (!options_.notification_data) return queue;
    std::uint16_t at = position();
    if (is(Fault::wrong_position)) at = static_cast<std::uint16_t>(at - 1);
    if (is(Fault::wrong_wrap)) at = static_cast<std::uint16_t>(at ^ 0x8000);
    return std::uint32_t{at} << 16 | queue; // VIRTIO 1.4, 2.9
}

std::unique_ptr<Driver> make(const Options& options, Memory memory, std::function<void(std::uint32_t)> notify, std::function<void()> look) {
    return options.packed ? make_packed(options, memory, std::move(notify), std::move(look))
                          : make_split(options, memory, std::move(notify), std::move(look));
}

} // namespace scripted
