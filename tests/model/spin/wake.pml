/* A processor that halts and another one that has something for it: Scheduler::idle and halt_for on one side, Scheduler::put_woken and
 * Processor::notify on the other. Each writes first and looks at the other's word then; an interrupt is sent only to who is seen to halt.
 * Nobody sleeps over what was brought, in any order of stores, and every step that stands for that is shown necessary.
 * DRIVER is the one that halts, DEVICE the one that brings. */

#define TOTAL 3 /* times that something is brought */

#define NEWS 0    /* Scheduler::woken_, or a word that a task waits for: how much was brought */
#define HINTS 1   /* Scheduler::hints_ */
#define HALTING 2 /* Scheduler::halting_ */
#define WORDS 3

/* What may be taken away, for the bit set `fences`. */
#define HINT_RELEASE 1    /* Scheduler::hint: what was brought is visible before the hint */
#define HINT_FENCE 2      /* Scheduler::hint is sequentially consistent: visible before the look at halting_ */
#define HALT_FENCE 4      /* the store of halting_ is sequentially consistent: visible before the look at hints_ */
#define HALTING_FIRST 8   /* the store of halting_ comes before the look at hints_ */
#define MASKED_HALT 16    /* interrupts are off from before the look until the halt itself: one that comes between ends the halt */

#include "memory.pml"

bit pending = 0; /* the interrupt */

proctype bringer() {
    byte n = 0;
    do
    :: n < TOTAL ->
        n++;
        store(DEVICE, NEWS, n, ANY); /* Scheduler::put_woken */
        if
        :: has(HINT_RELEASE) -> store(DEVICE, HINTS, n, RELEASE)
        :: else -> store(DEVICE, HINTS, n, ANY)
        fi;
        if :: has(HINT_FENCE) -> fence(DEVICE) :: else fi;
        if
        :: memory[HALTING] == 1 -> pending = 1 /* arch::wake_processor */
        :: else
        fi
    :: n == TOTAL -> break
    od
}

proctype sleeper() {
    byte seen = 0;
    byte taken = 0;
    byte hints;
    do
    :: taken < TOTAL ->
        if :: !has(MASKED_HALT) -> pending = 0 :: else fi; /* an interrupt that came before is over */
        if :: has(HALTING_FIRST) -> store(DRIVER, HALTING, 1, ANY) :: else fi;
        if :: has(HALT_FENCE) && has(HALTING_FIRST) -> fence(DRIVER) :: else fi;
        hints = memory[HINTS];
        if
        :: hints != seen -> /* Scheduler::wake_words */
            seen = hints;
            taken = memory[NEWS];
            assert(taken >= hints);
            store(DRIVER, HALTING, 0, ANY)
        :: else ->
            if
            :: has(HALTING_FIRST) -> skip
            :: else -> store(DRIVER, HALTING, 1, ANY)
            fi;
            /* enable_and_halt. Without the mask an interrupt that is taken just before the halt does not end it. */
            if :: !has(MASKED_HALT) -> pending = 0 :: else fi;
            pending == 1;
            pending = 0;
            store(DRIVER, HALTING, 0, ANY)
        fi
    :: taken == TOTAL -> break
    od
}

init {
    atomic {
        c_code {
            now.order = setting("ORDER");
            now.fences = setting("FENCES");
        };
        run memory_system(DRIVER);
        run memory_system(DEVICE);
        run sleeper();
        run bringer()
    }
}
