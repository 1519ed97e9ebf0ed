/* A split ring's notifications in both directions (VIRTIO 1.4, 2.7.7 to 2.7.10): no wake-up is lost, and nothing is read before it
 * was written. The driver is libvirtio's; each statement names the function that it stands for. The device is an honest one with the
 * fences that the specification asks of it.
 *
 * Index space: M instead of 65,536, a multiple of N and more than 2 N; the indices start one short of the wrap. */

#ifndef N
#define N 2     /* queue size */
#endif
#define M 8
#define FIRST 7 /* first index */
#define TOTAL 4 /* requests */

/* Shared words. */
#define AVAILABLE_RING 0 /* N words, each with the descriptor that it names: the request's number */
#define USED_RING (N)
#define AVAILABLE_INDEX (2 * N)
#define AVAILABLE_FLAGS (2 * N + 1)
#define USED_EVENT (2 * N + 2)
#define USED_INDEX (2 * N + 3)
#define USED_FLAGS (2 * N + 4)
#define AVAILABLE_EVENT (2 * N + 5)
#define DOORBELL (2 * N + 6)  /* of the device: 1 while a kick has not been noticed */
#define INTERRUPT (2 * N + 7) /* of the driver: 1 while an interrupt has not been noticed */
#define WORDS (2 * N + 8)

/* The fences, for the bit set `fences`. */
#define PUBLISH_RELEASE 1   /* SplitMemoryOf::publish_available_index: store_release */
#define PUBLISH_BARRIER 2   /* SplitRing::needs_kick: arch::publish_barrier */
#define ARM_BARRIER 4       /* SplitRing::arm_interrupts: arch::arm_barrier */
#define DOORBELL_BARRIER 8  /* Doorbell::ring: arch::doorbell_barrier */
#define DEVICE_RELEASE 16   /* the device's store of the used index */
#define DEVICE_NOTIFY 32    /* the device's fence between the used index and used_event or the available flags */
#define DEVICE_ARM 64       /* the device's fence between avail_event or the used flags and the second look at the available index */
#define SECOND_LOOK 128     /* no fence: SplitRing::arm_interrupts looks once more */

#include "memory.pml"

bit event_index; /* RingSetup::event_index */
bit always;      /* the owner calls Virtqueue::kick_always instead of kick_if_needed */

#define minus(a, b) (((a) + M - (b)) % M)
/* virtio::need_event */
#define need_event(event, fresh, old) (minus(minus(fresh, event), 1) < minus(fresh, old))

byte done = 0;

proctype driver() {
    byte available = FIRST, published = FIRST, checked = FIRST, last_used = FIRST; /* SplitRing's private indices */
    byte sent = 0, seen, old, event, more;
    bit suppressed = 0;
submit:
    /* SplitRing::add, as often as the owner likes: descriptor, slot of the available ring */
    do
    :: sent < TOTAL && sent - done < N ->
        store(DRIVER, AVAILABLE_RING + available % N, available, ANY);
        available = (available + 1) % M;
        sent++
    :: available != published || sent == TOTAL || sent - done == N -> break
    od;
    /* SplitRing::publish */
    if
    :: available != published ->
        published = available;
        store(DRIVER, AVAILABLE_INDEX, published, (has(PUBLISH_RELEASE) -> RELEASE : ANY));
        if
        :: always -> /* Virtqueue::kick_always */
            store(DRIVER, DOORBELL, 1, (has(DOORBELL_BARRIER) -> RELEASE : ANY))
        :: else ->
            /* SplitRing::needs_kick */
            if :: has(PUBLISH_BARRIER) -> fence(DRIVER) :: else fi;
            old = checked;
            checked = published;
            if
            :: event_index -> event = memory[AVAILABLE_EVENT]; seen = need_event(event, published, old)
            :: else -> seen = (memory[USED_FLAGS] == 0)
            fi;
            event = 0; old = 0;
            if
            :: seen -> store(DRIVER, DOORBELL, 1, (has(DOORBELL_BARRIER) -> RELEASE : ANY)) /* Doorbell::ring */
            :: else
            fi;
            seen = 0
        fi
    :: else
    fi;
    /* SplitRing::suppress_interrupts: the owner may */
    if
    :: !event_index && !suppressed -> store(DRIVER, AVAILABLE_FLAGS, 1, ANY); suppressed = 1
    :: skip
    fi;
poll:
    /* SplitRing::take, until nothing is left: the index once, then each entry that it announces */
    seen = memory[USED_INDEX];
    if
    :: seen != last_used ->
        assert(minus(seen, last_used) <= sent - done); /* an honest device breaks no queue */
        do
        :: last_used != seen ->
            assert(memory[USED_RING + last_used % N] == last_used); /* the entry is the one that the index announced */
            d_step { last_used = (last_used + 1) % M; done++ }
        :: else -> break
        od;
        goto poll
    :: else
    fi;
    if
    :: done == TOTAL -> goto finished
    :: done < TOTAL && sent < TOTAL && sent - done < N -> goto submit
    :: sent != done
    fi;
    /* SplitRing::arm_interrupts(more): 1 up to what is in flight */
    more = 1;
    do
    :: more < sent - done -> more++
    :: break
    od;
    if
    :: event_index -> store(DRIVER, USED_EVENT, (last_used + more - 1) % M, ANY)
    :: !event_index && suppressed -> store(DRIVER, AVAILABLE_FLAGS, 0, ANY)
    :: else
    fi;
    suppressed = 0;
    if :: has(ARM_BARRIER) -> fence(DRIVER) :: else fi;
    seen = memory[USED_INDEX];
    if
    :: has(SECOND_LOOK) && minus(seen, last_used) >= more -> more = 0; goto poll
    :: else
    fi;
    more = 0; seen = 0;
    /* the owner sleeps */
    atomic { memory[INTERRUPT] == 1 -> memory[INTERRUPT] = 0 };
    goto poll;
finished:
    skip
}

proctype device() {
    byte last_available = FIRST, used = FIRST, signalled = FIRST, seen, event;
    bit suppressed = 0;
look:
    seen = memory[AVAILABLE_INDEX];
    if
    :: seen != last_available ->
        /* may suppress while it works */
        if
        :: !event_index && !suppressed -> store(DEVICE, USED_FLAGS, 1, ANY); suppressed = 1
        :: skip
        fi;
        /* completes one, or more, before it tells */
        do
        :: last_available != seen ->
            assert(memory[AVAILABLE_RING + last_available % N] == last_available); /* what the index announced was written */
            store(DEVICE, USED_RING + used % N, last_available, ANY);
            last_available = (last_available + 1) % M;
            used = (used + 1) % M
        :: used != signalled -> break
        od;
        store(DEVICE, USED_INDEX, used, (has(DEVICE_RELEASE) -> RELEASE : ANY));
        if :: has(DEVICE_NOTIFY) -> fence(DEVICE) :: else fi;
        if
        :: event_index -> event = memory[USED_EVENT]; seen = need_event(event, used, signalled)
        :: else -> seen = (memory[AVAILABLE_FLAGS] == 0)
        fi;
        signalled = used;
        event = 0;
        if
        :: seen -> store(DEVICE, INTERRUPT, 1, RELEASE) /* a message-signalled interrupt is a store after the ring's */
        :: else
        fi;
        seen = 0;
        goto look
    :: else
    fi;
    /* asks for a kick, looks once more, sleeps */
    if
    :: event_index -> store(DEVICE, AVAILABLE_EVENT, last_available, ANY)
    :: !event_index && suppressed -> store(DEVICE, USED_FLAGS, 0, ANY)
    :: else
    fi;
    suppressed = 0;
    if :: has(DEVICE_ARM) -> fence(DEVICE) :: else fi;
    seen = memory[AVAILABLE_INDEX];
    if
    :: seen != last_available -> goto look
    :: else
    fi;
    seen = 0;
end:
    atomic { memory[DOORBELL] == 1 -> memory[DOORBELL] = 0 };
    goto look
}

init {
    atomic {
        c_code {
            now.order = setting("ORDER");
            now.fences = setting("FENCES");
            now.event_index = setting("EVENT_INDEX");
            now.always = setting("ALWAYS");
        };
        memory[AVAILABLE_INDEX] = FIRST;
        memory[USED_INDEX] = FIRST;
        memory[AVAILABLE_EVENT] = FIRST;
        memory[USED_EVENT] = FIRST;
        run memory_system(DRIVER);
        run memory_system(DEVICE);
        run driver();
        run device()
    }
}
