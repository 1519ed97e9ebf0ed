// vDPA (MLX5): num_buffers is garbage unless MRG_RXBUF was negotiated.
#include "tests/unit/support/lan.hpp"

using namespace virtio;
using namespace lan;

TEST_CASE("MLX5: garbage in num_buffers is not looked at without MRG_RXBUF, and not believed with it") {
    for (const std::uint16_t garbage :
         {std::uint16_t{0}, std::uint16_t{2}, std::uint16_t{17}, std::uint16_t{0xdead}, std::uint16_t{0xffff}}) {
        Lan lan;
        REQUIRE(lan.start());
        Header header;
        header.buffers = garbage;
        for (unsigned i = 0; i < 100; ++i) {
            REQUIRE(lan.deliver(frame(60 + i, i), header, false));
            lan.card.poll();
            REQUIRE(lan.received.size() == i + 1);
            CHECK(lan.received.back().bytes == frame(60 + i, i));
        }
        CHECK(lan.card.counters().received_dropped() == 0);
    }
    Lan lan{with(usual(), NetFeature::mrg_rxbuf)};
    REQUIRE(lan.start());
    Header header;
    header.buffers = 0xdead;
    REQUIRE(lan.deliver(frame(60), header, false));
    lan.card.poll();
    CHECK(lan.received.empty());
    CHECK(lan.card.counters().dropped_buffer_count == 1);
    REQUIRE(lan.deliver(frame(61)));
    lan.card.poll();
    REQUIRE(lan.received.size() == 1);
    CHECK(lan.received.back().bytes == frame(61));
}
