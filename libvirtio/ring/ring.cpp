#include "libvirtio/ring/ring.hpp"

namespace virtio {

const char* message(RingFault fault) noexcept {
    switch (fault) {
    case RingFault::none: return "none";
    case RingFault::used_index_jump: return "used index moved by more than is in flight";
    case RingFault::used_id_out_of_range: return "used id out of range";
    case RingFault::used_id_not_in_flight: return "used id is no chain in flight";
    case RingFault::used_length: return "used length beyond what was lent";
    case RingFault::closed: return "closed";
    case RingFault::out_of_order: return "used id is not among the requests in flight, in order";
    }
    return "unknown";
}

} // namespace virtio
