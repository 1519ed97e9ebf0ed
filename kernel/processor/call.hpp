// Doing something on another processor: the caller's task waits while a task over there does it. It may wait there too. Task context.
//
//     kernel::call_on(owner, [&] { result = device.read(request); });
#pragma once

#include <atomic>
#include <cstdint>

namespace kernel {

class Processor;

/// One call on its way; lives on the caller's stack until it is done.
struct Call {
    void (*run)(void* context) = nullptr;
    void* context = nullptr;
    Processor* caller = nullptr;
    Call* next = nullptr;
    std::atomic<std::uint32_t> done{0};
};

/// What other processors want done here: many put in, the owner's task takes all.
class CallQueue {
public:
    constexpr CallQueue() noexcept = default;
    void put(Call& call) noexcept;
    /// Serves for ever, in a task of its own; each call gets a task, so that one that waits holds up nobody.
    [[noreturn]] void serve();

private:
    std::atomic<Call*> newest_{nullptr};
    std::atomic<std::uint32_t> any_{0}; // what serve() waits on
};

void call_on(Processor& where, void (*run)(void* context), void* context);

template<class Function> void call_on(Processor& where, Function function) {
    call_on(where, [](void* context) { (*static_cast<Function*>(context))(); }, &function);
}

} // namespace kernel
