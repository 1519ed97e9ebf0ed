// Says hello with plain C, names every disk, and reads its first sector.
#include <array>
#include <cstddef>
#include <cstdio>

#include <ringside/app.hpp>

int main(int argc, char** argv) {
    std::printf("Hello from %s!\n", argc > 0 ? argv[0] : "nowhere");
    for (int i = 1; i < argc; ++i) std::printf("argument %d: %s\n", i, argv[i]);

    int failures = 0;
    for (ringside::Disk& disk : ringside::disks()) {
        std::array<std::byte, ringside::kSectorBytes> sector;
        const auto outcome = disk.read(0, sector);
        std::printf("%s: %llu KiB, %s\n", disk.name(), static_cast<unsigned long long>(disk.bytes() / 1024),
                    outcome ? "first sector read" : virtio::message(outcome.error()));
        if (!outcome) ++failures;
    }
    return failures;
}
