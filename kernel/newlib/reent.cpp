#include "kernel/newlib/reent.hpp"

#include <new>
#include <reent.h>
#include <string.h>

#include "kernel/task/task.hpp"

namespace kernel {

std::size_t reent_bytes() noexcept { return sizeof(struct _reent); }

struct _reent* initialize_reent(void* memory) noexcept {
    auto* reent = new (memory) struct _reent;
    _REENT_INIT_PTR(reent);
    return reent;
}

void release_reent(struct _reent* reent) noexcept { _reclaim_reent(reent); }

struct _reent* boot_reent() noexcept { return _impure_ptr; }

struct _reent* make_reent() noexcept {
    void* memory = ::operator new(sizeof(struct _reent), std::nothrow);
    return memory == nullptr ? nullptr : initialize_reent(memory);
}

} // namespace kernel

// Asked for by every newlib function that touches errno or a stream. Before the first task there is the library's own.
extern "C" struct _reent* __getreent() {
    struct _reent* reent = kernel::current_task().reent();
    return reent != nullptr ? reent : _impure_ptr;
}
