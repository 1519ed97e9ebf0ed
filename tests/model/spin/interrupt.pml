/* From a used buffer to a woken owner, over a line interrupt: the acknowledge of the interrupt, the event word, the sleep. Nothing
 * is lost though the handler runs on another processor at any moment, and every step that stands for that is shown necessary.
 * Sequential consistency: the fences around the rings are split.pml's and packed.pml's. */

#define TOTAL 3

/* What may be taken away, for the bit set `fences`. */
#define ACKNOWLEDGE_FIRST 1 /* Device::on_interrupt: InterruptStatus::acknowledge before Event::mark */
#define TAKE_FIRST 2        /* the owner: Event::take before Virtqueue::arm_interrupts, not on the way to sleep */
#define SECOND_LOOK 4       /* the owner: what Virtqueue::arm_interrupts answers */
#define MASKED_TEST 8       /* the owner's sleep: Event::pending is tested with interrupts off, and enable-and-halt is one step */

#define has(step) ((fences & (step)) != 0)

c_code {
    static unsigned char setting(const char *name) {
        const char *text = getenv(name);
        if (text == NULL) { fprintf(stderr, "the environment does not say %s\n", name); exit(2); }
        return (unsigned char)atoi(text);
    }
}

byte fences;
byte used = 0;      /* the used index */
bit wanted = 1;     /* the driver asks for interrupts */
bit line = 0;       /* interrupt status register and line: level, until acknowledged */
bit event = 0;      /* Event's word */
bit halted = 0;     /* the owner's processor */

proctype device() {
    do
    :: used < TOTAL ->
        used++;
        if
        :: wanted -> line = 1
        :: else
        fi
    :: used == TOTAL -> break
    od
}

proctype handler() {
    bit why;
end:
    do
    :: atomic { line == 1 -> why = 1 }; /* the interrupt, and the read of its reason */
        if
        :: has(ACKNOWLEDGE_FIRST) -> line = 0; event = 1
        :: else -> event = 1; halted = 0; line = 0
        fi;
        halted = 0; /* Platform::wake */
        why = 0
    od
}

proctype owner() {
    byte taken = 0;
    do
    :: taken < TOTAL ->
        if :: has(TAKE_FIRST) -> event = 0 :: else fi; /* Event::take */
        wanted = 0;                                    /* Virtqueue::suppress_interrupts */
        do
        :: taken < used -> taken++                     /* Virtqueue::poll */
        :: else -> break
        od;
        wanted = 1;                                    /* Virtqueue::arm_interrupts */
        if
        :: taken == TOTAL -> skip
        :: taken < TOTAL && has(SECOND_LOOK) && used != taken -> skip
        :: taken < TOTAL && (!has(SECOND_LOOK) || used == taken) ->
            if :: !has(TAKE_FIRST) -> event = 0 :: else fi;
            /* the owner's sleep */
            if
            :: has(MASKED_TEST) -> atomic { if :: !event -> halted = 1 :: else fi }
            :: else -> if :: !event -> halted = 1 :: else fi
            fi;
            halted == 0
        fi
    :: taken == TOTAL -> break
    od
}

init {
    atomic {
        c_code { now.fences = setting("FENCES"); };
        run device();
        run handler();
        run owner()
    }
}
