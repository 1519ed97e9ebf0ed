// Deadlines in order: an intrusive pairing heap. Insertion is constant, taking the earliest is logarithmic on average, and a
// deadline that is called off in the middle leaves at the same price; nothing is allocated. Equal deadlines leave in an
// unspecified order. The owner of an element is whoever made it. Not for interrupt handlers.
//
//     struct Timer : DeadlineNode<Timer> {};
//     heap.insert(timer, now + 1'000'000);
//     while (Timer* due = heap.pop_due(now)) fire(*due);
#pragma once

#include <cstdint>

namespace kernel {

template<class T> class DeadlineHeap;

template<class T> class DeadlineNode {
public:
    DeadlineNode() noexcept = default;
    DeadlineNode(const DeadlineNode&) = delete;
    DeadlineNode& operator=(const DeadlineNode&) = delete;
    [[nodiscard]] std::uint64_t deadline() const noexcept { return deadline_; }
    [[nodiscard]] bool has_deadline() const noexcept { return queued_; }

private:
    friend class DeadlineHeap<T>;
    std::uint64_t deadline_ = 0;
    T* child_ = nullptr;
    T* sibling_ = nullptr;
    T* back_ = nullptr; // previous sibling, or the parent of a first child
    bool queued_ = false;
};

template<class T> class DeadlineHeap {
public:
    static constexpr std::uint64_t kNever = ~std::uint64_t{0};

    constexpr DeadlineHeap() noexcept = default;
    DeadlineHeap(const DeadlineHeap&) = delete;
    DeadlineHeap& operator=(const DeadlineHeap&) = delete;

    [[nodiscard]] bool empty() const noexcept { return root_ == nullptr; }

    /// The earliest deadline, kNever without any.
    [[nodiscard]] std::uint64_t earliest() const noexcept { return root_ == nullptr ? kNever : node(*root_).deadline_; }

    void insert(T& element, std::uint64_t deadline) noexcept {
        DeadlineNode<T>& inserted = node(element);
        inserted.deadline_ = deadline;
        inserted.child_ = inserted.sibling_ = inserted.back_ = nullptr;
        inserted.queued_ = true;
        root_ = meld(root_, &element);
    }

    void remove(T& element) noexcept {
        DeadlineNode<T>& removed = node(element);
        if (!removed.queued_) return;
        T* rest = merge_children(removed.child_);
        if (root_ == &element) {
            root_ = rest;
        } else {
            DeadlineNode<T>& before = node(*removed.back_);
            (before.child_ == &element ? before.child_ : before.sibling_) = removed.sibling_;
            if (removed.sibling_ != nullptr) node(*removed.sibling_).back_ = removed.back_;
            root_ = meld(root_, rest);
        }
        removed.child_ = removed.sibling_ = removed.back_ = nullptr;
        removed.queued_ = false;
    }

    /// Takes out the earliest element if its deadline has come (deadline <= now); null otherwise.
    T* pop_due(std::uint64_t now) noexcept {
        if (root_ == nullptr || node(*root_).deadline_ > now) return nullptr;
        T* due = root_;
        remove(*due);
        return due;
    }

private:
    static DeadlineNode<T>& node(T& element) noexcept { return element; }

    /// Both are roots: without siblings. The later one becomes the first child of the earlier one.
    static T* meld(T* left, T* right) noexcept {
        if (left == nullptr) return right;
        if (right == nullptr) return left;
        if (node(*right).deadline_ < node(*left).deadline_) {
            T* swap = left;
            left = right;
            right = swap;
        }
        DeadlineNode<T>& parent = node(*left);
        DeadlineNode<T>& child = node(*right);
        child.sibling_ = parent.child_;
        if (parent.child_ != nullptr) node(*parent.child_).back_ = right;
        child.back_ = left;
        parent.child_ = right;
        return left;
    }

    /// Two passes over a list of siblings, with loops instead of recursion: a thousand sleepers must not need a deep stack.
    static T* merge_children(T* first) noexcept {
        T* pairs = nullptr; // melded pairs, last one first, linked by sibling_
        while (first != nullptr) {
            T* left = first;
            T* right = node(*left).sibling_;
            first = right == nullptr ? nullptr : node(*right).sibling_;
            detach(*left);
            if (right != nullptr) detach(*right);
            T* pair = meld(left, right);
            node(*pair).sibling_ = pairs;
            pairs = pair;
        }
        T* merged = nullptr;
        while (pairs != nullptr) {
            T* next = node(*pairs).sibling_;
            detach(*pairs);
            merged = meld(merged, pairs);
            pairs = next;
        }
        return merged;
    }

    static void detach(T& element) noexcept { node(element).sibling_ = node(element).back_ = nullptr; }

    T* root_ = nullptr;
};

} // namespace kernel
