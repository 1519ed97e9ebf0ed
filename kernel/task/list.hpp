// An intrusive doubly linked list: an element carries its own links, so that moving it between lists allocates nothing.
// The owner of an element is whoever made it; a list only borrows. One element is in one list at a time. Not for interrupt handlers.
//
//     List<Task> ready;
//     ready.push_back(task);
//     while (Task* next = ready.pop_front()) run(*next);
#pragma once

#include <cstddef>

namespace kernel {

template<class T> class List;

template<class T> class ListNode {
public:
    constexpr ListNode() noexcept = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;
    [[nodiscard]] bool listed() const noexcept { return list_ != nullptr; }

private:
    friend class List<T>;
    T* next_ = nullptr;
    T* previous_ = nullptr;
    List<T>* list_ = nullptr;
};

template<class T> class List {
public:
    constexpr List() noexcept = default;
    List(const List&) = delete;
    List& operator=(const List&) = delete;

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    [[nodiscard]] T* front() const noexcept { return first_; }
    [[nodiscard]] static T* next(const T& element) noexcept { return static_cast<const ListNode<T>&>(element).next_; }

    void push_back(T& element) noexcept {
        ListNode<T>& node = element;
        node.list_ = this;
        node.next_ = nullptr;
        node.previous_ = last_;
        (last_ != nullptr ? static_cast<ListNode<T>&>(*last_).next_ : first_) = &element;
        last_ = &element;
    }

    /// Before `next`; null: at the end.
    void insert(T& element, T* next) noexcept {
        if (next == nullptr) return push_back(element);
        ListNode<T>& node = element;
        ListNode<T>& behind = *next;
        node.list_ = this;
        node.next_ = next;
        node.previous_ = behind.previous_;
        (behind.previous_ != nullptr ? static_cast<ListNode<T>&>(*behind.previous_).next_ : first_) = &element;
        behind.previous_ = &element;
    }

    void remove(T& element) noexcept {
        ListNode<T>& node = element;
        (node.previous_ != nullptr ? static_cast<ListNode<T>&>(*node.previous_).next_ : first_) = node.next_;
        (node.next_ != nullptr ? static_cast<ListNode<T>&>(*node.next_).previous_ : last_) = node.previous_;
        node.next_ = node.previous_ = nullptr;
        node.list_ = nullptr;
    }

    T* pop_front() noexcept {
        T* element = first_;
        if (element != nullptr) remove(*element);
        return element;
    }

    /// Takes an element out of whatever list it stands in.
    static void unlink(T& element) noexcept {
        ListNode<T>& node = element;
        if (node.list_ != nullptr) node.list_->remove(element);
    }

private:
    T* first_ = nullptr;
    T* last_ = nullptr;
};

} // namespace kernel
