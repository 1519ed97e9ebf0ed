/* How a driver sits at the referee's table: a struct of function pointers, plain C, so that a driver in any language that can call
 * C takes part. The referee plays the machine: registers, memory, interrupts. Owned by referee::Machine, valid as long as it lives.
 * One context at a time, except when the machine runs on a thread of its own (then any driver context).
 *
 *     uint32_t magic = (uint32_t)access->read(access->context, base + 0x000, 4);
 *     while (!done(request)) access->step(access->context);       // "I wait": time passes, the device works
 */
#ifndef RINGSIDE_REFEREE_ACCESS_H
#define RINGSIDE_REFEREE_ACCESS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct referee_access {
    void* context; /* first argument of every function below */

    /* Device registers. `width` is 1, 2, 4 or 8 bytes, `address` a guest address. Where there is no device, reads give all ones. */
    uint64_t (*read)(void* context, uint64_t address, unsigned width);
    void (*write)(void* context, uint64_t address, unsigned width, uint64_t value);

    /* The driver has nothing left to do before the device answers: wherever it would sleep, halt or poll, it calls this. One step
     * of device time passes; interrupt handlers run inside. A notification that was due and did not come by now is a lost one. */
    void (*step)(void* context);

    /* Guest memory: what the driver sees at `memory + n` the device sees at `memory_address + n`. */
    void* memory;
    uint64_t memory_address;
    uint64_t memory_size;
    /* Memory for rings and buffers, as a guest address; 0: none left. Filled with junk: a driver zeroes what must be zero.
     * `alignment` is a power of two. */
    uint64_t (*allocate)(void* context, uint64_t bytes, uint64_t alignment);
    /* Gives back what allocate() returned. Memory that the device may still use is taken back too early: a violation (RESET-006). */
    void (*release)(void* context, uint64_t address);

    /* Connects the interrupt line of the device at `base`; a null handler disconnects. The handler may use every function here but step. */
    void (*connect)(void* context, uint64_t base, void (*handler)(void* argument), void* argument);
};

#ifdef __cplusplus
}
#endif

#endif
