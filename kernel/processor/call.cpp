#include "kernel/processor/call.hpp"

#include "kernel/panic/panic.hpp"
#include "kernel/processor/processor.hpp"

namespace kernel {
namespace {

void finish(Call& call) noexcept {
    // Once done is seen the call is gone with its caller's stack.
    Processor& caller = *call.caller;
    call.done.store(1, std::memory_order_release);
    caller.notify();
}

void run_call(void* argument) {
    Call& call = *static_cast<Call*>(argument);
    call.run(call.context);
    finish(call);
}

} // namespace

void CallQueue::put(Call& call) noexcept {
    call.next = newest_.load(std::memory_order_relaxed);
    while (!newest_.compare_exchange_weak(call.next, &call, std::memory_order_release, std::memory_order_relaxed)) {
    }
    any_.store(1, std::memory_order_release);
}

void CallQueue::serve() {
    for (;;) {
        static_cast<void>(wait_for(any_));
        any_.store(0, std::memory_order_relaxed);
        // Newest first: turned round, so that calls start in the order of their coming.
        Call* oldest = nullptr;
        for (Call* call = newest_.exchange(nullptr, std::memory_order_acq_rel); call != nullptr;) {
            Call* const next = call->next;
            call->next = oldest;
            oldest = call;
            call = next;
        }
        while (oldest != nullptr) {
            Call& call = *oldest;
            oldest = call.next; // before it runs: then it may be gone
            // Without memory for a task it is done here, and the others wait for it.
            if (!spawn("call", run_call, &call)) run_call(&call);
        }
    }
}

void call_on(Processor& where, void (*run)(void* context), void* context) {
    if (&where == &this_processor()) return run(context);
    Call call;
    call.run = run;
    call.context = context;
    call.caller = &this_processor();
    where.calls.put(call);
    where.notify();
    while (!wait_for(call.done)) {
    }
}

} // namespace kernel
