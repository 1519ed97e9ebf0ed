#include <cstdio>

#include <ringside/app.hpp>

int main() {
    for (ringside::Disk& disk : ringside::disks()) {
        std::printf("disk %s: %llu bytes\n", disk.name(), static_cast<unsigned long long>(disk.bytes()));
    }
    std::printf("@NAME@ is running\n");
    return 0;
}
