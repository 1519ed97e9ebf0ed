/* A packed ring's notifications in both directions (VIRTIO 1.4, 2.8.10 to 2.8.14, 2.8.21, 2.8.22): no wake-up is lost, and nothing is
 * read before it was written. The driver is libvirtio's; each statement names the function that it stands for. The device is an
 * honest one with the fences that the specification asks of it.
 *
 * A position is slot + N * lap, lap being the wrap counter: 0 to 2 N - 1. Requests are of one or two descriptors. */

#ifndef N
#define N 2        /* queue size */
#endif
#define P (2 * N)  /* positions */
#ifndef FIRST
#define FIRST (P - 1) /* first position: the last slot of its lap */
#endif
#ifndef TOTAL
#define TOTAL 3    /* requests */
#endif

/* Shared words. */
#define BODY 0  /* N words: address, length and id; here the request's number */
#define FLAGS N /* N words: the flags of the same descriptors */
#define DRIVER_EVENT (2 * N)        /* the driver writes position and flags in one access, the device may read them in two */
#define DEVICE_POSITION (2 * N + 1) /* the driver reads position and flags in one access, the device may write them in two */
#define DEVICE_FLAGS (2 * N + 2)
#define DOORBELL (2 * N + 3)
#define INTERRUPT (2 * N + 4)
#define WORDS (2 * N + 5)

/* Flags of a descriptor. */
#define AVAILABLE 1
#define USED 2
#define BOTH 3
#define NEXT 4
/* Flags of an event structure; in DRIVER_EVENT times 16 above the position. */
#define ENABLE 0
#define DISABLE 1
#define DESCRIPTOR 2

/* The fences, for the bit set `fences`. */
#define PUBLISH_RELEASE 1   /* PackedMemoryOf::publish_flags: store_release */
#define PUBLISH_BARRIER 2   /* PackedRing::needs_kick: arch::publish_barrier */
#define ARM_BARRIER 4       /* PackedRing::arm_interrupts: arch::arm_barrier */
#define DOORBELL_BARRIER 8  /* Doorbell::ring: arch::doorbell_barrier */
#define DEVICE_RELEASE 16   /* the device's store of a used descriptor's flags */
#define DEVICE_NOTIFY 32    /* the device's fence between used flags and the driver's event structure */
#define DEVICE_ARM 64       /* the device's fence between its event structure and the second look at a descriptor */
#define SECOND_LOOK 128     /* no fence: PackedRing::arm_interrupts looks once more */

#include "memory.pml"

bit event_index; /* RingSetup::event_index */
bit chains;      /* requests of two descriptors too */
bit always;      /* the owner calls Virtqueue::kick_always instead of kick_if_needed */

#define minus(a, b) (((a) + P - (b)) % P)
#define slot(position) ((position) % N)
#define lap(position) ((position) / N)
#define available_in(position) (lap(position) -> AVAILABLE : USED) /* available differs from used, and equals the wrap counter */
#define used_in(position) (lap(position) -> BOTH : 0)
#define state(flags) ((flags) & BOTH)
/* Whether the driver asked to hear of the step from `old` to `fresh`, as the device sees it (2.8.14). */
#define wanted(flags, event, fresh, old) \
    ((flags) == ENABLE || ((flags) == DESCRIPTOR && minus(minus(fresh, event), 1) < minus(fresh, old)))
/* The same the other way, as PackedRing::needs_kick counts: how many slots ago the event's descriptor was made available. */
#define ago(event, fresh) (N + slot(fresh) - slot(event) + (lap(event) == lap(fresh) -> 0 : N)) /* one N more than there, to stay above 0 */
#define kicks(flags, event, fresh, since) \
    ((flags) == ENABLE || ((flags) == DESCRIPTOR && (!event_index || (ago(event, fresh) > N && ago(event, fresh) - N <= since))))

byte done = 0;

proctype driver() {
    byte next = FIRST, published = FIRST, last_used = FIRST; /* PackedRing's private positions */
    byte unchecked = 0;                                      /* PackedRing::unchecked_ */
    byte head = 255;   /* first head of the batch: its flags are kept back */
    byte head_flags;
    byte sent = 0, room = N, seen, more;
    byte count[N];     /* descriptors of the request whose number modulo N this is; honest devices complete in order here */
    bit suppressed = 0, kick;
    byte place;
submit:
    /* PackedRing::add, as often as the owner likes */
    do
    :: sent < TOTAL && room > 0 ->
        if
        :: count[sent % N] = 1
        :: chains && room > 1 -> count[sent % N] = 2
        fi;
        store(DRIVER, BODY + slot(next), sent, ANY);
        seen = available_in(next) | (count[sent % N] == 2 -> NEXT : 0);
        place = next;
        next = (next + 1) % P;
        if
        :: count[sent % N] == 2 ->
            store(DRIVER, BODY + slot(next), sent, ANY);
            store(DRIVER, FLAGS + slot(next), available_in(next), ANY);
            next = (next + 1) % P
        :: else
        fi;
        if
        :: head == 255 -> head = place; head_flags = seen
        :: else -> store(DRIVER, FLAGS + slot(place), seen, ANY)
        fi;
        room = room - count[sent % N];
        place = 0; seen = 0;
        sent++
    :: head != 255 || sent == TOTAL || room == 0 -> break
    od;
    if
    :: head != 255 ->
        /* PackedRing::publish */
        store(DRIVER, FLAGS + slot(head), head_flags, (has(PUBLISH_RELEASE) -> RELEASE : ANY));
        head = 255;
        head_flags = 0;
        d_step {
            unchecked = unchecked + minus(next, published); /* what is added in one batch is at most N slots, never 0 */
            unchecked = (unchecked < N -> unchecked : N);
            published = next
        };
        if
        :: always -> /* Virtqueue::kick_always */
            store(DRIVER, DOORBELL, 1, (has(DOORBELL_BARRIER) -> RELEASE : ANY))
        :: else ->
            /* PackedRing::needs_kick */
            if :: has(PUBLISH_BARRIER) -> fence(DRIVER) :: else fi;
            d_step { kick = kicks(memory[DEVICE_FLAGS], memory[DEVICE_POSITION], published, unchecked); unchecked = 0 };
            if
            :: kick -> store(DRIVER, DOORBELL, 1, (has(DOORBELL_BARRIER) -> RELEASE : ANY)); kick = 0 /* Doorbell::ring */
            :: else
            fi
        fi
    :: else
    fi;
    /* PackedRing::suppress_interrupts: the owner may */
    if
    :: !suppressed -> store(DRIVER, DRIVER_EVENT, DISABLE * 16, ANY); suppressed = 1
    :: skip
    fi;
poll:
    /* PackedRing::take, until nothing is left: the flags, then the rest of the descriptor */
    do
    :: done < TOTAL && state(memory[FLAGS + slot(last_used)]) == used_in(last_used) && done < sent ->
        assert(memory[BODY + slot(last_used)] == done); /* id and length are what the flags announced */
        d_step {
            last_used = (last_used + count[done % N]) % P;
            room = room + count[done % N];
            count[done % N] = 0;
            done++
        }
    :: else -> break
    od;
    if
    :: done == TOTAL -> goto finished
    :: done < TOTAL && sent < TOTAL && room > 0 -> goto submit
    :: sent != done
    fi;
    /* PackedRing::arm_interrupts(more): 1 up to what is in flight; the event counts descriptors */
    more = 1;
    do
    :: event_index && more < sent - done -> more++
    :: break
    od;
    if
    :: event_index -> store(DRIVER, DRIVER_EVENT, DESCRIPTOR * 16 + (last_used + more - 1) % P, ANY)
    :: !event_index && suppressed -> store(DRIVER, DRIVER_EVENT, ENABLE * 16, ANY)
    :: else
    fi;
    suppressed = 0;
    more = 0;
    if :: has(ARM_BARRIER) -> fence(DRIVER) :: else fi;
    if
    :: has(SECOND_LOOK) && state(memory[FLAGS + slot(last_used)]) == used_in(last_used) -> goto poll
    :: else
    fi;
    /* the owner sleeps */
    atomic { memory[INTERRUPT] == 1 -> memory[INTERRUPT] = 0 };
    goto poll;
finished:
    skip
}

proctype device() {
    byte next = FIRST, used = FIRST, signalled = FIRST, number = 0, seen, event;
    bit suppressed = 0, chain;
look:
    if
    :: state(memory[FLAGS + slot(next)]) == available_in(next) ->
        /* may suppress while it works */
        if
        :: !suppressed -> store(DEVICE, DEVICE_FLAGS, DISABLE, RELEASE); suppressed = 1
        :: skip
        fi;
        /* completes one, or more, before it tells (never a whole lap: it would see no difference) */
        do
        :: minus(used, signalled) < N && state(memory[FLAGS + slot(next)]) == available_in(next) ->
            chain = ((memory[FLAGS + slot(next)] & NEXT) != 0);
            assert(memory[BODY + slot(next)] == number); /* what the flags announced was written */
            if
            :: chain ->
                seen = (next + 1) % P;
                assert(state(memory[FLAGS + slot(seen)]) == available_in(seen));
                assert(memory[BODY + slot(seen)] == number);
                seen = 0
            :: else
            fi;
            store(DEVICE, BODY + slot(next), number, ANY);
            store(DEVICE, FLAGS + slot(next), used_in(next), (has(DEVICE_RELEASE) -> RELEASE : ANY));
            next = (next + 1 + chain) % P;
            used = next;
            chain = 0;
            number++
        :: used != signalled -> break
        od;
        if :: has(DEVICE_NOTIFY) -> fence(DEVICE) :: else fi;
        seen = memory[DRIVER_EVENT] / 16;
        event = memory[DRIVER_EVENT] % 16;
        seen = wanted(seen, event, used, signalled);
        signalled = used;
        event = 0;
        if
        :: seen -> store(DEVICE, INTERRUPT, 1, RELEASE)
        :: else
        fi;
        seen = 0;
        goto look
    :: else
    fi;
    /* asks for a kick, looks once more, sleeps */
    if
    :: event_index ->
        store(DEVICE, DEVICE_POSITION, next, ANY);
        store(DEVICE, DEVICE_FLAGS, DESCRIPTOR, RELEASE)
    :: suppressed || !event_index -> store(DEVICE, DEVICE_FLAGS, ENABLE, RELEASE)
    fi;
    suppressed = 0;
    if :: has(DEVICE_ARM) -> fence(DEVICE) :: else fi;
    if
    :: state(memory[FLAGS + slot(next)]) == available_in(next) -> goto look
    :: else
    fi;
end:
    atomic { memory[DOORBELL] == 1 -> memory[DOORBELL] = 0 };
    goto look
}

init {
    byte i;
    atomic {
        c_code {
            now.order = setting("ORDER");
            now.fences = setting("FENCES");
            now.event_index = setting("EVENT_INDEX");
            now.chains = setting("CHAINS");
            now.always = setting("ALWAYS");
        };
        /* every descriptor was used: this lap's before FIRST, the rest in the lap before */
        do
        :: i < N ->
            memory[FLAGS + i] = ((i < slot(FIRST)) -> used_in(FIRST) : used_in((FIRST + N) % P));
            i++
        :: else -> break
        od;
        i = 0;
        memory[DEVICE_FLAGS] = ENABLE;
        memory[DRIVER_EVENT] = ENABLE * 16;
        run memory_system(DRIVER);
        run memory_system(DEVICE);
        run driver();
        run device()
    }
}
