// What std::map and std::set leave to libstdc++'s archive, which is not linked: walking and balancing a red-black tree. The names and
// the node layout are those of <bits/stl_tree.h>. A header node stands beside the tree: its parent is the root, left the first
// element, right the last; the root's parent is the header, which is red, as the root never is. Pure, any context.
#include <bits/stl_tree.h>
#include <utility>

namespace std {

namespace {

using Node = _Rb_tree_node_base;

bool is_red(const Node* node) noexcept { return node != nullptr && node->_M_color == _S_red; }

/// Puts `replacement` (may be null) where `old` hangs at its parent.
void replace_child(Node* old, Node* replacement, Node& header) noexcept {
    Node* parent = old->_M_parent;
    if (header._M_parent == old) {
        header._M_parent = replacement;
    } else {
        (parent->_M_left == old ? parent->_M_left : parent->_M_right) = replacement;
    }
    if (replacement != nullptr) replacement->_M_parent = parent;
}

void rotate_left(Node* node, Node& header) noexcept {
    Node* risen = node->_M_right;
    node->_M_right = risen->_M_left;
    if (risen->_M_left != nullptr) risen->_M_left->_M_parent = node;
    replace_child(node, risen, header);
    risen->_M_left = node;
    node->_M_parent = risen;
}

void rotate_right(Node* node, Node& header) noexcept {
    Node* risen = node->_M_left;
    node->_M_left = risen->_M_right;
    if (risen->_M_right != nullptr) risen->_M_right->_M_parent = node;
    replace_child(node, risen, header);
    risen->_M_right = node;
    node->_M_parent = risen;
}

/// The subtree at `node` (may be null), a child of `parent`, is one black node short.
void restore_black(Node* node, Node* parent, Node& header) noexcept {
    while (node != header._M_parent && !is_red(node)) {
        const bool left = node == parent->_M_left;
        auto toward = left ? rotate_left : rotate_right; // lets the short side sink
        auto away = left ? rotate_right : rotate_left;
        Node* sibling = left ? parent->_M_right : parent->_M_left;
        if (is_red(sibling)) {
            sibling->_M_color = _S_black;
            parent->_M_color = _S_red;
            toward(parent, header);
            sibling = left ? parent->_M_right : parent->_M_left;
        }
        Node* near = left ? sibling->_M_left : sibling->_M_right;
        Node* far = left ? sibling->_M_right : sibling->_M_left;
        if (!is_red(near) && !is_red(far)) {
            sibling->_M_color = _S_red;
            node = parent;
            parent = node->_M_parent;
            continue;
        }
        if (!is_red(far)) {
            near->_M_color = _S_black;
            sibling->_M_color = _S_red;
            away(sibling, header);
            far = sibling;
            sibling = near;
        }
        sibling->_M_color = parent->_M_color;
        parent->_M_color = _S_black;
        far->_M_color = _S_black;
        toward(parent, header);
        break;
    }
    if (node != nullptr) node->_M_color = _S_black;
}

} // namespace

Node* _Rb_tree_increment(Node* node) throw() {
    if (node->_M_right != nullptr) return Node::_S_minimum(node->_M_right);
    Node* parent = node->_M_parent;
    while (node == parent->_M_right) {
        node = parent;
        parent = parent->_M_parent;
    }
    // From a root without a right child the way up has ended in the header and come back to the root.
    return node->_M_right != parent ? parent : node;
}

Node* _Rb_tree_decrement(Node* node) throw() {
    if (node->_M_color == _S_red && node->_M_parent->_M_parent == node) return node->_M_right; // the header: end()
    if (node->_M_left != nullptr) return Node::_S_maximum(node->_M_left);
    Node* parent = node->_M_parent;
    while (node == parent->_M_left) {
        node = parent;
        parent = parent->_M_parent;
    }
    return parent;
}

const Node* _Rb_tree_increment(const Node* node) throw() { return _Rb_tree_increment(const_cast<Node*>(node)); }
const Node* _Rb_tree_decrement(const Node* node) throw() { return _Rb_tree_decrement(const_cast<Node*>(node)); }

void _Rb_tree_insert_and_rebalance(const bool left, Node* node, Node* parent, Node& header) throw() {
    node->_M_parent = parent;
    node->_M_left = node->_M_right = nullptr;
    node->_M_color = _S_red;
    if (left) {
        parent->_M_left = node; // of the header too: the first element
        if (parent == &header) {
            header._M_parent = header._M_right = node;
        } else if (parent == header._M_left) {
            header._M_left = node;
        }
    } else {
        parent->_M_right = node;
        if (parent == header._M_right) header._M_right = node;
    }
    while (node != header._M_parent && is_red(node->_M_parent)) {
        parent = node->_M_parent;
        Node* grandparent = parent->_M_parent;
        const bool parent_left = parent == grandparent->_M_left;
        Node* uncle = parent_left ? grandparent->_M_right : grandparent->_M_left;
        if (is_red(uncle)) {
            parent->_M_color = uncle->_M_color = _S_black;
            grandparent->_M_color = _S_red;
            node = grandparent;
            continue;
        }
        if (node == (parent_left ? parent->_M_right : parent->_M_left)) {
            (parent_left ? rotate_left : rotate_right)(parent, header);
            parent = node;
        }
        parent->_M_color = _S_black;
        grandparent->_M_color = _S_red;
        (parent_left ? rotate_right : rotate_left)(grandparent, header);
        break;
    }
    header._M_parent->_M_color = _S_black;
}

Node* _Rb_tree_rebalance_for_erase(Node* const node, Node& header) throw() {
    if (header._M_left == node) header._M_left = node->_M_right != nullptr ? Node::_S_minimum(node->_M_right) : node->_M_parent;
    if (header._M_right == node) header._M_right = node->_M_left != nullptr ? Node::_S_maximum(node->_M_left) : node->_M_parent;

    Node* hole = nullptr;   // what moves up into the place that is left
    Node* parent = nullptr; // and under whom
    _Rb_tree_color lost = node->_M_color;
    if (node->_M_left == nullptr || node->_M_right == nullptr) {
        hole = node->_M_left != nullptr ? node->_M_left : node->_M_right;
        parent = node->_M_parent;
        replace_child(node, hole, header);
    } else {
        // The next element takes the node's place and colour; its own place is the one that is left.
        Node* next = Node::_S_minimum(node->_M_right);
        lost = next->_M_color;
        hole = next->_M_right;
        if (next->_M_parent == node) {
            parent = next;
        } else {
            parent = next->_M_parent;
            replace_child(next, hole, header);
            next->_M_right = node->_M_right;
            next->_M_right->_M_parent = next;
        }
        replace_child(node, next, header);
        next->_M_left = node->_M_left;
        next->_M_left->_M_parent = next;
        next->_M_color = node->_M_color;
    }
    if (lost == _S_black) restore_black(hole, parent, header);
    return node;
}

} // namespace std
