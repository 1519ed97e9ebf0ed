/* Shared memory for the models: how stores of the driver and of the device become visible, in three orders.
 *
 *   SC    every store is visible at once
 *   TSO   x86: each side has one first-in first-out store buffer; a load may overtake earlier stores of its own side
 *   WEAK  a store becomes visible before or after any other store of its side to another word, unless it is a release (nothing
 *         that was stored before it becomes visible after it)
 *
 * A full fence waits until all stores of its side are visible, in every order. Loads happen in the order in which they stand: what
 * a weaker load order does is examined on the shipped header by the programs in ../relacy. No side loads a word that it stores, but
 * in the packed ring, where it looks at a descriptor again only after the other side has written it; so nothing is forwarded.
 *
 * A model defines WORDS (how many shared words) and its settings, then includes this file. The runner passes settings through the
 * environment, so that a model is compiled once and run in every order, with and without each fence. */

#define SC 0
#define TSO 1
#define WEAK 2

#define DEPTH 6 /* entries of a store buffer; a store waits for room, as in a processor */

#define ANY 0 /* how a store is ordered after earlier ones of its side */
#define RELEASE 1

#define DRIVER 0
#define DEVICE 1

c_code {
    static unsigned char setting(const char *name) {
        const char *text = getenv(name);
        if (text == NULL) { fprintf(stderr, "the environment does not say %s\n", name); exit(2); }
        return (unsigned char)atoi(text);
    }
}

typedef Buffer {
    byte count;
    byte word[DEPTH];
    byte value[DEPTH];
    bit release[DEPTH]
}

byte order;        /* SC, TSO or WEAK */
byte fences;       /* bit set of the fences that are there */
byte memory[WORDS];
Buffer stores[2];

#define has(fence) ((fences & (fence)) != 0)

/* Stores `v_` to `word_`. `ordering_` is ANY or RELEASE. */
inline store(side, word_, v_, ordering_) {
    atomic {
        stores[side].count < DEPTH;
        if
        :: order == SC -> memory[word_] = v_
        :: else ->
            d_step {
                stores[side].word[stores[side].count] = word_;
                stores[side].value[stores[side].count] = v_;
                stores[side].release[stores[side].count] = ordering_;
                stores[side].count++
            }
        fi
    }
}

/* Everything stored by this side is visible to the other, before anything that follows. */
#define fence(side) (stores[side].count == 0)

#define same(side, older, newer) (stores[side].word[older] == stores[side].word[newer])
/* Whether entry i may become visible now: the oldest always. */
#define ready0(side) (stores[side].count > 0)
#define younger(side, i) (order == WEAK && stores[side].count > i && !stores[side].release[i] && !same(side, 0, i))
#define ready1(side) (younger(side, 1))
#define ready2(side) (younger(side, 2) && !same(side, 1, 2))
#define ready3(side) (younger(side, 3) && !same(side, 1, 3) && !same(side, 2, 3))
#define ready4(side) (younger(side, 4) && !same(side, 1, 4) && !same(side, 2, 4) && !same(side, 3, 4))
#define ready5(side) (younger(side, 5) && !same(side, 1, 5) && !same(side, 2, 5) && !same(side, 3, 5) && !same(side, 4, 5))

#define drain(side, i) \
    d_step { \
        memory[stores[side].word[i]] = stores[side].value[i]; \
        j = i + 1; \
        do \
        :: j < stores[side].count -> \
            stores[side].word[j - 1] = stores[side].word[j]; \
            stores[side].value[j - 1] = stores[side].value[j]; \
            stores[side].release[j - 1] = stores[side].release[j]; \
            j++ \
        :: else -> break \
        od; \
        stores[side].count--; \
        stores[side].word[stores[side].count] = 0; \
        stores[side].value[stores[side].count] = 0; \
        stores[side].release[stores[side].count] = 0; \
        j = 0 \
    }

/* The memory system makes stores visible at any time. */
proctype memory_system(byte side) {
    byte j;
end:
    do
    :: atomic { ready0(side) -> drain(side, 0) }
    :: atomic { ready1(side) -> drain(side, 1) }
    :: atomic { ready2(side) -> drain(side, 2) }
    :: atomic { ready3(side) -> drain(side, 3) }
    :: atomic { ready4(side) -> drain(side, 4) }
    :: atomic { ready5(side) -> drain(side, 5) }
    od
}
