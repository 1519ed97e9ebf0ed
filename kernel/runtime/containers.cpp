// What std::list, std::unordered_map leave to libstdc++'s archive, which is not linked. The names are those
// of its headers. Pure, any context.
#include <bit>
#include <bits/hash_bytes.h>
#include <cstring>
#include <list>
#include <memory>
#include <unordered_map>
#include <utility>

namespace std {

namespace __detail {

void _List_node_base::_M_hook(_List_node_base* const position) noexcept {
    _M_next = position;
    _M_prev = position->_M_prev;
    position->_M_prev->_M_next = this;
    position->_M_prev = this;
}

void _List_node_base::_M_unhook() noexcept {
    _M_prev->_M_next = _M_next;
    _M_next->_M_prev = _M_prev;
}

/// Moves [first, last) in front of this.
void _List_node_base::_M_transfer(_List_node_base* const first, _List_node_base* const last) noexcept {
    if (this == last || first == last) return;
    _List_node_base* const end = last->_M_prev;
    first->_M_prev->_M_next = last;
    last->_M_prev = first->_M_prev;
    first->_M_prev = _M_prev;
    _M_prev->_M_next = first;
    end->_M_next = this;
    _M_prev = end;
}

void _List_node_base::_M_reverse() noexcept {
    _List_node_base* node = this;
    do {
        std::swap(node->_M_next, node->_M_prev);
        node = node->_M_prev; // what was next
    } while (node != this);
}

void _List_node_base::swap(_List_node_base& left, _List_node_base& right) noexcept {
    auto close = [](_List_node_base& header, const _List_node_base& old) {
        if (header._M_next == &old) {
            header._M_next = header._M_prev = &header;
        } else {
            header._M_next->_M_prev = header._M_prev->_M_next = &header;
        }
    };
    std::swap(left._M_next, right._M_next);
    std::swap(left._M_prev, right._M_prev);
    close(left, right);
    close(right, left);
}

namespace {

bool is_prime(size_t number) noexcept {
    for (size_t divisor = 3; divisor <= number / divisor; divisor += 2) {
        if (number % divisor == 0) return false;
    }
    return true;
}

} // namespace

size_t _Prime_rehash_policy::_M_next_bkt(size_t wanted) const {
    size_t count = wanted < 3 ? 3 : wanted | 1;
    while (!is_prime(count)) count += 2;
    _M_next_resize = static_cast<size_t>(static_cast<double>(count) * static_cast<double>(_M_max_load_factor));
    return count;
}

pair<bool, size_t> _Prime_rehash_policy::_M_need_rehash(size_t buckets, size_t elements, size_t added) const {
    if (elements + added <= _M_next_resize) return {false, 0};
    const auto least = static_cast<size_t>(static_cast<double>(elements + added) / static_cast<double>(_M_max_load_factor)) + 1;
    if (least < buckets) {
        _M_next_resize = static_cast<size_t>(static_cast<double>(buckets) * static_cast<double>(_M_max_load_factor));
        return {false, 0};
    }
    // Twice as many at least, so that a growing table is rebuilt a logarithmic number of times; 11 for a first one.
    size_t count = least > buckets * 2 ? least : buckets * 2;
    if (count < 11) count = 11;
    return {true, _M_next_bkt(count)};
}

} // namespace __detail

size_t _Hash_bytes(const void* bytes, size_t size, size_t seed) {
    constexpr uint64_t kFirst = 0x9e3779b97f4a7c15, kSecond = 0xbf58476d1ce4e5b9, kThird = 0x94d049bb133111eb;
    uint64_t hash = seed ^ (size * kFirst);
    const auto* next = static_cast<const unsigned char*>(bytes);
    while (size > 0) {
        uint64_t word = 0;
        const size_t part = size < 8 ? size : 8;
        memcpy(&word, next, part);
        hash = (std::rotl(hash, 27) ^ (word * kSecond)) * kFirst;
        next += part;
        size -= part;
    }
    // Every bit of the input reaches every bit of the result.
    hash = (hash ^ (hash >> 30)) * kSecond;
    hash = (hash ^ (hash >> 27)) * kThird;
    return static_cast<size_t>(hash ^ (hash >> 31));
}

size_t _Fnv_hash_bytes(const void* bytes, size_t size, size_t seed) {
    constexpr auto kPrime = static_cast<size_t>(sizeof(size_t) == 8 ? 0x100000001b3 : 0x01000193);
    const auto* next = static_cast<const unsigned char*>(bytes);
    for (; size > 0; --size) seed = (seed ^ *next++) * kPrime;
    return seed;
}

// make_shared() asks by type where there is type information; here it compares addresses instead.
bool _Sp_make_shared_tag::_S_eq(const type_info&) noexcept { return false; }

} // namespace std
