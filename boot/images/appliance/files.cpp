#include "boot/images/appliance/files.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernel/log/log.hpp"

namespace appliance {

namespace {

using kernel::LogLevel;

/// Bytes at any offset, out of aligned blocks: every disk can read those, whatever its own blocks are.
class DiskBytes final : public ByteSource {
public:
    explicit DiskBytes(ringside::Disk& disk) noexcept : disk_(disk) {}

    std::uint64_t size() const override { return disk_.bytes(); }
    virtio::Result<> read(std::uint64_t offset, std::span<std::byte> into) override {
        if (offset > size() || into.size() > size() - offset) return virtio::fail(virtio::Error::out_of_range);
        while (!into.empty()) {
            const std::uint64_t begin = offset / block_.size() * block_.size();
            const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(block_.size(), size() - begin));
            if (auto read = disk_.read(begin / ringside::kSectorBytes, std::span(block_).first(length)); !read) return read;
            const auto skip = static_cast<std::size_t>(offset - begin);
            const std::size_t part = std::min(into.size(), length - skip);
            std::memcpy(into.data(), block_.data() + skip, part);
            into = into.subspan(part);
            offset += part;
        }
        return {};
    }

private:
    ringside::Disk& disk_;
    alignas(4096) std::array<std::byte, 4096> block_;
};

constinit Files the_files;

} // namespace

Files& files() noexcept { return the_files; }

void Files::open() {
    for (ringside::Disk& each : ringside::disks()) {
        DiskBytes bytes(each);
        if (auto opened = archive.open(bytes); !opened) {
            const bool plain = opened.error() == virtio::Error::not_found;
            log(plain ? LogLevel::info : LogLevel::warning, "%s: %s", each.name(), plain ? "no archive" : virtio::message(opened.error()));
            continue;
        }
        disk = &each;
        log(LogLevel::info, "%s: serving an archive of %zu files and folders", each.name(), archive.entries().size());
        if (archive.damage() != nullptr) log(LogLevel::warning, "%s: the archive ends early: %s", each.name(), archive.damage());
        return;
    }
}

const char* Files::missing() const noexcept { return ringside::disks().empty() ? "there is no disk" : "no disk has a tar archive on it"; }

} // namespace appliance
