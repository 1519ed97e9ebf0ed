/* A driver in plain C at the referee's table: a virtio disk over virtio-mmio and a split ring, polled, one request at a time. It is
 * the example of README.md, short on purpose, and a test holds it to the rules. */
#ifndef RINGSIDE_REFEREE_EXAMPLE_DRIVER_H
#define RINGSIDE_REFEREE_EXAMPLE_DRIVER_H

#include <stdint.h>

#include "tests/referee/access.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { EXAMPLE_QUEUE_SIZE = 8, EXAMPLE_SECTOR = 512 };

struct example_disk {
    const struct referee_access* access;
    uint64_t base;      /* of the registers */
    uint64_t sectors;   /* capacity */
    uint64_t ring;      /* guest addresses */
    uint64_t request;   /* header, data, status */
    uint16_t available; /* free-running indices */
    uint16_t used;
};

/* 0: started. Otherwise what went wrong: -1 no such device, -2 features refused, -3 no memory. */
int example_probe(struct example_disk* disk, const struct referee_access* access, uint64_t base);
/* One sector each. 0: done. -1: the device says error. -2: it never answered. */
int example_read(struct example_disk* disk, uint64_t sector, void* data);
int example_write(struct example_disk* disk, uint64_t sector, const void* data);
/* Resets the device and gives its memory back. 0: confirmed. */
int example_stop(struct example_disk* disk);

#ifdef __cplusplus
}
#endif

#endif
