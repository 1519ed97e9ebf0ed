// The first process of a Linux guest that `bench guest --versus-linux` measures: it loads the modules that /mods/order names, does what
// boot/images/bench does for a Ringside guest with Linux's own interfaces, and powers off. Two instructions that do nothing mark the
// beginning and the end of each measurement (count.c). T=a,b,c on the kernel command line says what, N= how many of each.
// Prints "RESULT NAME operations=N interrupts=N" for each. Build: gcc -O2 -static
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MARK(number) __asm__ volatile(".byte 0x0f, 0x1f, 0x84, 0x00\n.long 0x5ec0de00 + " #number ::: "memory")
enum { kBlock = 4096, kLarge = 1 << 20, kDepth = 32, kBatch = 32, kFrame = 60 };

static void fail(const char* what) {
    printf("FAILED %s: %s\n", what, strerror(errno));
    sync();
    reboot(RB_POWER_OFF);
}

/// Interrupts of virtio devices so far.
static long interrupts(void) {
    FILE* file = fopen("/proc/interrupts", "r");
    char line[1024];
    long sum = 0;
    while (file && fgets(line, sizeof line, file)) {
        const char* colon = strchr(line, ':');
        if (colon && strstr(line, "virtio")) sum += atol(colon + 1);
    }
    if (file) fclose(file);
    return sum;
}

static long before;
static void begin(void) {
    before = interrupts();
    MARK(1);
}
static void end(const char* name, long operations) {
    MARK(2);
    printf("RESULT %s operations=%ld interrupts=%ld\n", name, operations, interrupts() - before);
}

static uint64_t blocks(int disk, size_t bytes) {
    uint64_t size = 0;
    if (ioctl(disk, BLKGETSIZE64, &size)) fail("size of the disk");
    return size / bytes;
}

static void one_by_one(const char* name, const char* path, size_t bytes, long count) {
    const int disk = open(path, O_RDONLY | O_DIRECT);
    void* buffer = NULL;
    if (disk < 0 || posix_memalign(&buffer, 4096, bytes)) fail(path);
    memset(buffer, 1, bytes);
    const uint64_t all = blocks(disk, bytes);
    for (int i = 0; i < 16; i++)
        if (pread(disk, buffer, bytes, (off_t)(i * bytes)) != (ssize_t)bytes) fail("read");
    begin();
    for (long i = 0; i < count; i++)
        if (pread(disk, buffer, bytes, (off_t)((uint64_t)i % all * bytes)) != (ssize_t)bytes) fail("read");
    end(name, count);
    free(buffer);
    close(disk);
}

/// io_uring with registered buffers and file, `depth` reads in flight.
static void by_ring(const char* name, const char* path, unsigned depth, long count) {
    const int disk = open(path, O_RDONLY | O_DIRECT);
    char* buffers = NULL;
    if (disk < 0 || posix_memalign((void**)&buffers, 4096, (size_t)depth * kBlock)) fail(path);
    memset(buffers, 1, (size_t)depth * kBlock);
    struct io_uring_params setup = {0};
    const int ring = (int)syscall(SYS_io_uring_setup, depth, &setup);
    if (ring < 0) fail("io_uring_setup");
    char* sq = mmap(NULL, setup.sq_off.array + setup.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    char* cq = mmap(NULL, setup.cq_off.cqes + setup.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
                    IORING_OFF_CQ_RING);
    struct io_uring_sqe* entries = mmap(NULL, setup.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    unsigned *sq_tail = (unsigned*)(sq + setup.sq_off.tail), sq_mask = *(unsigned*)(sq + setup.sq_off.ring_mask), *array = (unsigned*)(sq + setup.sq_off.array);
    unsigned *cq_head = (unsigned*)(cq + setup.cq_off.head), *cq_tail = (unsigned*)(cq + setup.cq_off.tail), cq_mask = *(unsigned*)(cq + setup.cq_off.ring_mask);
    struct io_uring_cqe* done = (struct io_uring_cqe*)(cq + setup.cq_off.cqes);
    struct iovec memory = {buffers, (size_t)depth * kBlock};
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &memory, 1)) fail("register buffers");
    if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &disk, 1)) fail("register file");
    const uint64_t all = blocks(disk, kBlock);
    unsigned free_slots[256], free_count = 0;
    for (unsigned i = 0; i < depth; i++) free_slots[free_count++] = i;
    long submitted = 0, finished = 0;
    const long warm = 8 * depth;
    bool begun = false;
    while (finished < warm + count) {
        unsigned fresh = 0;
        while (free_count && submitted < warm + count) {
            const unsigned slot = free_slots[--free_count], place = (*sq_tail + fresh) & sq_mask;
            struct io_uring_sqe* entry = &entries[place];
            memset(entry, 0, sizeof *entry);
            entry->opcode = IORING_OP_READ_FIXED;
            entry->flags = IOSQE_FIXED_FILE;
            entry->addr = (uintptr_t)(buffers + (size_t)slot * kBlock);
            entry->len = kBlock;
            entry->off = (uint64_t)submitted % all * kBlock;
            entry->user_data = slot;
            array[place] = place;
            fresh++;
            submitted++;
        }
        __atomic_store_n(sq_tail, *sq_tail + fresh, __ATOMIC_RELEASE);
        if (syscall(SYS_io_uring_enter, ring, fresh, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) fail("io_uring_enter");
        unsigned head = *cq_head;
        for (const unsigned tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE); head != tail; head++) {
            const struct io_uring_cqe* one = &done[head & cq_mask];
            if (one->res != kBlock) {
                errno = -one->res;
                fail("a read");
            }
            free_slots[free_count++] = (unsigned)one->user_data;
            finished++;
        }
        __atomic_store_n(cq_head, head, __ATOMIC_RELEASE);
        if (!begun && finished >= warm) {
            begun = true;
            count -= finished - warm; // what is in flight now is not done from its beginning
            if (count < 1) count = 1;
            begin();
        }
    }
    end(name, count);
    close(ring);
    close(disk);
    free(buffers);
}

static struct mmsghdr messages[64];
static struct iovec vectors[64];
static unsigned char frames[64][2048];

/// A raw socket on a card that is up; protocol 0 receives nothing.
static int raw_socket(const char* card, int protocol) {
    const int made = socket(AF_PACKET, SOCK_RAW, htons(protocol)), one = 1, large = 8 << 20;
    struct ifreq request = {0};
    strcpy(request.ifr_name, card);
    if (ioctl(made, SIOCGIFFLAGS, &request)) fail(card);
    request.ifr_flags |= IFF_UP | IFF_PROMISC;
    if (ioctl(made, SIOCSIFFLAGS, &request) || ioctl(made, SIOCGIFINDEX, &request)) fail(card);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = request.ifr_ifindex};
    if (bind(made, (void*)&address, sizeof address)) fail("bind");
    setsockopt(made, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one);
    setsockopt(made, SOL_SOCKET, SO_SNDBUFFORCE, &large, sizeof large);
    setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large);
    for (int i = 0; i < 64; i++) {
        memcpy(frames[i], "\x52\x54\x00\x12\x34\x57\x52\x54\x00\x12\x34\x56\x88\xb5", 14);
        vectors[i] = (struct iovec){frames[i], kFrame};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    return made;
}

static long send_batch(int socket) {
    const int sent = sendmmsg(socket, messages, kBatch, 0);
    if (sent < 0 && errno != ENOBUFS && errno != EAGAIN) fail("sendmmsg");
    if (sent <= 0) usleep(100);
    return sent > 0 ? sent : 0;
}

static void transmit(const char* name, long count) {
    const int socket = raw_socket("eth0", 0);
    usleep(200000);
    for (long i = 0; i < 640;) i += send_batch(socket);
    usleep(50000);
    long sent = 0;
    begin();
    while (sent < count) {
        sent += send_batch(socket);
        MARK(3);
        usleep(300);
        MARK(4);
    }
    end(name, sent);
    close(socket);
}

/// Into one card, through a hub, out of another: both ways are counted. What the sending costs is known from transmit().
static void loop(const char* name, long count) {
    const int out = raw_socket("eth1", 0), in = raw_socket("eth2", 0x88b5);
    static struct mmsghdr into[64];
    static struct iovec places[64];
    static char buffers[64][2048];
    for (int i = 0; i < 64; i++) {
        places[i] = (struct iovec){buffers[i], sizeof buffers[i]};
        into[i].msg_hdr.msg_iov = &places[i];
        into[i].msg_hdr.msg_iovlen = 1;
    }
    usleep(200000);
    long sent = 0, got = 0;
    for (int round = 0; round < 2; round++) {
        const long wanted = round ? count : 640;
        if (round) begin();
        for (sent = got = 0; sent < wanted;) {
            sent += send_batch(out);
            while (got < sent) {
                const int some = recvmmsg(in, into, 64, MSG_WAITFORONE, NULL);
                if (some <= 0) fail("recvmmsg");
                got += some;
            }
        }
    }
    end(name, got);
    close(out);
    close(in);
}

static void console(const char* name, size_t piece) {
    const int port = open("/dev/hvc0", O_WRONLY | O_NOCTTY);
    struct {
        unsigned flags[4];
        unsigned char line, characters[19];
    } terminal;
    char* text = malloc(piece);
    if (port < 0 || !text) fail("/dev/hvc0");
    memset(text, 'x', piece);
    if (!ioctl(port, 0x5401 /* TCGETS */, &terminal)) {
        terminal.flags[1] &= ~1u; // OPOST: bytes as they are
        ioctl(port, 0x5402 /* TCSETS */, &terminal);
    }
    begin();
    for (size_t done = 0; done < kLarge;) {
        const ssize_t written = write(port, text, piece);
        if (written <= 0) fail("write");
        done += (size_t)written;
    }
    ioctl(port, 0x5409 /* TCSBRK: until it is out */, 1);
    end(name, kLarge);
    free(text);
    close(port);
}

static void load_modules(void) {
    FILE* order = fopen("/mods/order", "r");
    char line[256];
    while (order && fgets(line, sizeof line, order)) {
        line[strcspn(line, "\n")] = 0;
        char path[300];
        snprintf(path, sizeof path, "/mods/%s", line);
        const int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0 || (syscall(SYS_finit_module, file, "", 0) && errno != EEXIST)) fail(path);
        close(file);
    }
}

int main(void) {
    MARK(0);
    mkdir("/proc", 0755);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, NULL);
    mount("dev", "/dev", "devtmpfs", 0, NULL);
    const int terminal = open("/dev/console", O_RDWR);
    for (int i = 0; i < 3; i++) dup2(terminal, i);
    setvbuf(stdout, NULL, _IOLBF, 0);
    static char options[4096];
    const int file = open("/proc/cmdline", O_RDONLY);
    if (file < 0 || read(file, options, sizeof options - 1) <= 0) fail("/proc/cmdline");
    load_modules();
    usleep(500000);
    const char* number = strstr(options, " N=");
    const long count = number ? atol(number + 3) : 1000;
    char* tests = strstr(options, " T=");
    if (!tests) fail("T=");
    tests += 3;
    tests[strcspn(tests, " \n")] = 0;
    for (char* test = strtok(tests, ","); test; test = strtok(NULL, ",")) {
        if (!strcmp(test, "qd1_sleep")) one_by_one(test, "/dev/vdb", kBlock, count);
        if (!strcmp(test, "qd1_poll")) one_by_one(test, "/dev/vda", kBlock, count); // the nearest: an answer at once
        if (!strcmp(test, "qd32")) by_ring(test, "/dev/vda", kDepth, count);
        if (!strcmp(test, "read1m")) one_by_one(test, "/dev/vdb", kLarge, count / 8);
        if (!strcmp(test, "tx60")) transmit(test, count);
        if (!strcmp(test, "loop60")) loop(test, count);
        if (!strcmp(test, "1mib")) console(test, kLarge);
        if (!strcmp(test, "1k")) console(test, 1024);
        if (!strcmp(test, "64b")) console(test, 64);
    }
    sync();
    reboot(RB_POWER_OFF);
    for (;;) pause();
}
