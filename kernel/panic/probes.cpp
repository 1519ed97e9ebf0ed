#include "kernel/panic/probes.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <machine/frame.hpp>

#include "arch/kernel_hooks.hpp"
#include "kernel/memory/pages.hpp"

extern "C" std::uintptr_t __stack_chk_guard;

namespace kernel {
namespace {

/// Keeps the compiler from knowing what an address is.
template<class T> T* hidden(T* pointer) noexcept {
    asm volatile("" : "+r"(pointer) : : "memory");
    return pointer;
}

void execute(void* address) noexcept { reinterpret_cast<void (*)()>(hidden(address))(); }

void write_text() { *hidden(const_cast<volatile char*>(ringside_text_start)) = 0; }

void write_rodata() { *hidden(const_cast<volatile char*>(ringside_rodata_start)) = 0; }

void execute_heap() {
    const auto page = allocate_pages(1);
    if (!page) return;
    std::memcpy(*page, arch::kReturnCode.data(), sizeof arch::kReturnCode);
    execute(*page);
}

void execute_stack() {
    auto code = arch::kReturnCode;
    execute(hidden(code.data()));
}

void read_null() { (void)*hidden(static_cast<volatile std::uint8_t*>(nullptr)); }

void execute_null() { execute(nullptr); }

[[gnu::noinline]] std::size_t descend(std::size_t depth) {
    volatile std::byte ballast[512];
    ballast[depth % sizeof ballast] = std::byte{1};
    // Far deeper than any stack. Not a tail call: the frames must stay.
    if (depth == ~std::size_t{0}) return 0;
    return descend(depth + 1) + static_cast<std::size_t>(ballast[depth % sizeof ballast]);
}

void overflow_stack() { (void)descend(0); }

/// Runs over the end of its array, up to the guard and no further: the frame behind it is what the backtrace begins with.
[[gnu::noinline]] void smash() {
    volatile std::uintptr_t words[4] = {}; // what stood there before may have been the guard
    volatile std::uintptr_t* word = hidden(&words[0]);
    while (*word != __stack_chk_guard) *word++ = 1;
    *word = 1;
}

void smash_canary() { smash(); }

constexpr std::array<Probe, 8> kProbes = {{{"write-text", "write of program text", write_text},
                                           {"write-rodata", "write of read-only data", write_rodata},
                                           {"execute-heap", "execute of no-execute data", execute_heap},
                                           {"execute-stack", "execute of no-execute data", execute_stack},
                                           {"read-null", "read of page 0", read_null},
                                           {"execute-null", "execute of page 0", execute_null},
                                           {"stack-overflow", "stack overflow", overflow_stack},
                                           {"smash-canary", "stack smashed", smash_canary}}};

} // namespace

std::span<const Probe> probes() noexcept { return kProbes; }

virtio::Result<> run_probe(std::string_view name) {
    for (const Probe& probe : kProbes) {
        if (probe.name != name) continue;
        probe.run();
        return virtio::fail(virtio::Error::io_error);
    }
    return virtio::fail(virtio::Error::not_found);
}

} // namespace kernel
