// std::map, std::set, std::list and std::unordered_map on the guest's own runtime functions: linked into this program, they take the
// place of the host library's.
#include <algorithm>
#include <list>
#include <map>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <doctest/doctest.h>

namespace {

using Node = std::_Rb_tree_node_base;

/// Number of black nodes on every way down, or -1: unequal, two reds in a row, or a wrong link upwards.
int black_height(const Node* node, const Node* parent) {
    if (node == nullptr) return 0;
    if (node->_M_parent != parent) return -1;
    const bool red = node->_M_color == std::_S_red;
    for (const Node* child : {node->_M_left, node->_M_right}) {
        if (red && child != nullptr && child->_M_color == std::_S_red) return -1;
    }
    const int left = black_height(node->_M_left, node);
    const int right = black_height(node->_M_right, node);
    return left < 0 || left != right ? -1 : left + (red ? 0 : 1);
}

template<class Set> bool is_balanced(const Set& set) {
    const Node* header = set.end()._M_node;
    const Node* root = header->_M_parent;
    return root == nullptr || (root->_M_color == std::_S_black && root->_M_parent == header && black_height(root, header) >= 0);
}

} // namespace

TEST_CASE("a set under random insertions and removals agrees with a sorted vector and stays balanced") {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937 random(seed);
        std::set<int> set;
        std::vector<int> model;
        for (int step = 0; step < 3000; ++step) {
            const int value = static_cast<int>(random() % 400);
            if (random() % 2 == 0) {
                set.insert(value);
                const auto place = std::lower_bound(model.begin(), model.end(), value);
                if (place == model.end() || *place != value) model.insert(place, value);
            } else {
                set.erase(value);
                std::erase(model, value);
            }
            REQUIRE(set.size() == model.size());
            if (step % 50 != 0) continue;
            REQUIRE(is_balanced(set));
            REQUIRE(std::equal(set.begin(), set.end(), model.begin(), model.end()));
            REQUIRE(std::equal(set.rbegin(), set.rend(), model.rbegin(), model.rend()));
        }
        while (!set.empty()) {
            set.erase(random() % 2 == 0 ? set.begin() : std::prev(set.end()));
            REQUIRE(is_balanced(set));
        }
    }
}

TEST_CASE("ascending and descending insertion stay balanced; one element is first and last") {
    std::set<int> up, down;
    for (int i = 0; i < 1000; ++i) {
        up.insert(up.end(), i);
        down.insert(-i);
        REQUIRE(is_balanced(up));
        REQUIRE(is_balanced(down));
    }
    CHECK(*up.rbegin() == 999);
    CHECK(*down.begin() == -999);
    std::map<std::string, int> one{{"only", 1}};
    CHECK(one.begin() == std::prev(one.end()));
    CHECK(std::next(one.begin()) == one.end());
    one.erase("only");
    CHECK(one.begin() == one.end());
}

TEST_CASE("lists are sorted, reversed, spliced and swapped") {
    std::list<int> list{5, 1, 4, 2, 3};
    list.sort();
    CHECK(list == std::list<int>{1, 2, 3, 4, 5});
    list.reverse();
    CHECK(list == std::list<int>{5, 4, 3, 2, 1});
    std::list<int> other{9, 8, 7};
    list.splice(std::next(list.begin()), other, other.begin(), std::prev(other.end()));
    CHECK(list == std::list<int>{5, 9, 8, 4, 3, 2, 1});
    CHECK(other == std::list<int>{7});
    list.remove(4);
    std::list<int> empty;
    empty.swap(list);
    CHECK(list.empty());
    CHECK(empty.size() == 6);
    std::swap(empty, other);
    CHECK(other.front() == 5);
    CHECK(other.back() == 1);
    CHECK(empty == std::list<int>{7});
    empty.reverse();
    CHECK(empty == std::list<int>{7});
}

TEST_CASE("an unordered map finds everything while it grows, shrinks and is given sizes") {
    std::unordered_map<std::string, int> map;
    std::size_t rebuilt = 0;
    for (int i = 0; i < 20'000; ++i) {
        const std::size_t buckets = map.bucket_count();
        map["key " + std::to_string(i)] = i;
        rebuilt += map.bucket_count() != buckets ? 1 : 0;
        REQUIRE(map.load_factor() <= map.max_load_factor());
    }
    CHECK(rebuilt < 20);
    for (int i = 0; i < 20'000; ++i) REQUIRE(map.at("key " + std::to_string(i)) == i);
    for (int i = 0; i < 20'000; i += 2) map.erase("key " + std::to_string(i));
    CHECK(map.size() == 10'000);
    CHECK(map.find("key 2") == map.end());
    map.rehash(50'000);
    CHECK(map.bucket_count() >= 50'000);
    CHECK(map.at("key 19999") == 19'999);
    map.max_load_factor(4);
    map.rehash(0);
    CHECK(map.bucket_count() < 10'000);
    CHECK(map.at("key 1") == 1);
}

TEST_CASE("the hash tells apart what differs in one bit or in length") {
    std::set<std::size_t> seen;
    std::string text(40, 'a');
    std::size_t count = 0;
    for (std::size_t size = 0; size <= text.size(); ++size, ++count) seen.insert(std::_Hash_bytes(text.data(), size, 1));
    for (std::size_t bit = 0; bit < text.size() * 8; ++bit, ++count) {
        std::string changed = text;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ 1 << bit % 8);
        seen.insert(std::_Hash_bytes(changed.data(), changed.size(), 1));
    }
    CHECK(seen.size() == count);
    CHECK(std::_Hash_bytes("a", 1, 1) != std::_Hash_bytes("a", 1, 2));
}
