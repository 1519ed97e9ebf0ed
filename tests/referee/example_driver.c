#include "tests/referee/example_driver.h"

#include <string.h>

/* Registers and numbers of VIRTIO 1.4, 4.2.2, 2.1, 6, 2.7.5 and 5.2.6. */
enum {
    MAGIC = 0x000,
    VERSION = 0x004,
    DEVICE_ID = 0x008,
    DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SEL = 0x014,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030,
    QUEUE_SIZE_MAX = 0x034,
    QUEUE_SIZE = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    STATUS = 0x070,
    QUEUE_DESC = 0x080,
    QUEUE_DRIVER = 0x090,
    QUEUE_DEVICE = 0x0a0,
    CONFIG_GENERATION = 0x0fc,
    CONFIG = 0x100
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { VERSION_1 = 1 }; /* bit 32: bit 0 of the second word */
enum { NEXT = 1, WRITE = 2 };
enum { READ_REQUEST = 0, WRITE_REQUEST = 1 };
enum { DESCRIPTORS = 0, AVAILABLE = 16 * EXAMPLE_QUEUE_SIZE, USED = AVAILABLE + 64, RING_BYTES = USED + 128 };
enum { HEADER = 16, STATUS_BYTE = HEADER + EXAMPLE_SECTOR, REQUEST_BYTES = STATUS_BYTE + 1 };
enum { PATIENCE = 100000 };

struct descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

static uint32_t get(const struct example_disk* disk, uint64_t offset) {
    return (uint32_t)disk->access->read(disk->access->context, disk->base + offset, 4);
}
static void put(const struct example_disk* disk, uint64_t offset, uint32_t value) {
    disk->access->write(disk->access->context, disk->base + offset, 4, value);
}
static void put64(const struct example_disk* disk, uint64_t offset, uint64_t value) {
    put(disk, offset, (uint32_t)value);
    put(disk, offset + 4, (uint32_t)(value >> 32));
}
static unsigned char* host(const struct example_disk* disk, uint64_t guest) {
    return (unsigned char*)disk->access->memory + (guest - disk->access->memory_address);
}
/* Words that the device writes or reads on its own. */
static uint16_t* word(const struct example_disk* disk, uint64_t offset) { return (uint16_t*)(void*)(host(disk, disk->ring) + offset); }

static int reset(struct example_disk* disk) {
    put(disk, STATUS, 0);
    for (int i = 0; i < PATIENCE; ++i) {
        if (get(disk, STATUS) == 0) return 0;
        disk->access->step(disk->access->context);
    }
    return -1;
}

static uint64_t capacity(struct example_disk* disk) {
    uint32_t before = 0;
    uint32_t low = 0;
    uint32_t high = 0;
    do {
        before = get(disk, CONFIG_GENERATION);
        low = get(disk, CONFIG);
        high = get(disk, CONFIG + 4);
    } while (before != get(disk, CONFIG_GENERATION));
    return low | ((uint64_t)high << 32);
}

int example_probe(struct example_disk* disk, const struct referee_access* access, uint64_t base) {
    memset(disk, 0, sizeof *disk);
    disk->access = access;
    disk->base = base;
    if (get(disk, MAGIC) != 0x74726976 || get(disk, VERSION) != 2 || get(disk, DEVICE_ID) != 2) return -1;
    if (reset(disk) != 0) return -1;
    put(disk, STATUS, ACKNOWLEDGE);
    put(disk, STATUS, ACKNOWLEDGE | DRIVER);
    put(disk, DEVICE_FEATURES_SEL, 1);
    if ((get(disk, DEVICE_FEATURES) & VERSION_1) == 0) return -2;
    put(disk, DRIVER_FEATURES_SEL, 0);
    put(disk, DRIVER_FEATURES, 0);
    put(disk, DRIVER_FEATURES_SEL, 1);
    put(disk, DRIVER_FEATURES, VERSION_1);
    put(disk, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if ((get(disk, STATUS) & FEATURES_OK) == 0) return -2;

    disk->sectors = capacity(disk);
    put(disk, QUEUE_SEL, 0);
    if (get(disk, QUEUE_READY) != 0 || get(disk, QUEUE_SIZE_MAX) < EXAMPLE_QUEUE_SIZE) return -2;
    disk->ring = access->allocate(access->context, RING_BYTES, 16);
    disk->request = access->allocate(access->context, REQUEST_BYTES, 16);
    if (disk->ring == 0 || disk->request == 0) return -3;
    memset(host(disk, disk->ring), 0, RING_BYTES);
    put(disk, QUEUE_SIZE, EXAMPLE_QUEUE_SIZE);
    put64(disk, QUEUE_DESC, disk->ring + DESCRIPTORS);
    put64(disk, QUEUE_DRIVER, disk->ring + AVAILABLE);
    put64(disk, QUEUE_DEVICE, disk->ring + USED);
    put(disk, QUEUE_READY, 1);
    put(disk, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    return 0;
}

static int transfer(struct example_disk* disk, uint32_t type, uint64_t sector) {
    unsigned char* request = host(disk, disk->request);
    const struct descriptor chain[3] = {
        {disk->request, HEADER, NEXT, 1},
        {disk->request + HEADER, EXAMPLE_SECTOR, type == READ_REQUEST ? NEXT | WRITE : NEXT, 2},
        {disk->request + STATUS_BYTE, 1, WRITE, 0},
    };
    memset(request, 0, HEADER);
    memcpy(request, &type, 4);
    memcpy(request + 8, &sector, 8);
    request[STATUS_BYTE] = 0xff;
    memcpy(host(disk, disk->ring + DESCRIPTORS), chain, sizeof chain);
    *word(disk, AVAILABLE + 4 + 2 * (uint64_t)(disk->available % EXAMPLE_QUEUE_SIZE)) = 0; /* the chain's head */
    ++disk->available;
    __atomic_store_n(word(disk, AVAILABLE + 2), disk->available, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if ((__atomic_load_n(word(disk, USED), __ATOMIC_RELAXED) & 1) == 0) put(disk, QUEUE_NOTIFY, 0);

    for (int i = 0; __atomic_load_n(word(disk, USED + 2), __ATOMIC_ACQUIRE) == disk->used; ++i) {
        if (i == PATIENCE) return -2;
        disk->access->step(disk->access->context);
    }
    ++disk->used;
    return request[STATUS_BYTE] == 0 ? 0 : -1;
}

int example_read(struct example_disk* disk, uint64_t sector, void* data) {
    const int result = transfer(disk, READ_REQUEST, sector);
    if (result == 0) memcpy(data, host(disk, disk->request + HEADER), EXAMPLE_SECTOR);
    return result;
}

int example_write(struct example_disk* disk, uint64_t sector, const void* data) {
    memcpy(host(disk, disk->request + HEADER), data, EXAMPLE_SECTOR);
    return transfer(disk, WRITE_REQUEST, sector);
}

int example_stop(struct example_disk* disk) {
    if (reset(disk) != 0) return -1; /* then the device may still use the memory */
    disk->access->release(disk->access->context, disk->ring);
    disk->access->release(disk->access->context, disk->request);
    return 0;
}
