// Linux's tools/virtio/ringtest in the loop of bench_native: the ring's source is included from where it was extracted, so that the
// compiler may inline it into the driver's part, as its own build does. Counted by the same function names.
//   gcc -O2 -I RINGTEST -DRING='"virtio_ring_0_9.c"' -o ringtest ringtest.c
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include RING

int param;
bool do_exit, do_sleep, do_relax;
unsigned ring_size = 256;
static unsigned kicks, calls;
void kick(void) { kicks++; }
void call(void) { calls++; }
void wait_for_kick(void) {}
void wait_for_call(void) {}

static char buffers[256][64];

__attribute__((noinline, flatten)) static int driver_submit(unsigned count, unsigned first) {
    for (unsigned i = 0; i < count; i++)
        if (add_inbuf(64, buffers[(first + i) & 255], buffers[(first + i) & 255]) != 0) return -1;
    kick_available();
    return 0;
}

__attribute__((noinline, flatten)) static unsigned driver_collect(unsigned budget) {
    unsigned done = 0, length;
    void* buffer;
    while (done < budget && get_buf(&length, &buffer) != NULL) done++;
    return done;
}

__attribute__((noinline)) static unsigned device_serve(void) {
    unsigned done = 0, length;
    void* buffer;
    while (use_buf(&length, &buffer)) done++;
    call_used();
    return done;
}

static int run(unsigned batch, unsigned operations) {
    for (unsigned done = 0; done < operations; done += batch)
        if (driver_submit(batch, done) != 0 || device_serve() != batch || driver_collect(batch) != batch) return 0;
    return 1;
}

int main(int argc, char** argv) {
    static const unsigned batches[] = {1, 16, 32};
    const unsigned operations = argc > 1 ? (unsigned)atoi(argv[1]) : 8192;
    alloc_ring();
    for (unsigned i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%u", batches[i]);
        if (!run(batches[i], operations)) return 1;
        CALLGRIND_ZERO_STATS;
        if (!run(batches[i], operations)) return 1;
        CALLGRIND_DUMP_STATS_AT(name);
    }
    printf("operations %u\n", operations);
    return 0;
}
