// The files of a tar archive on a disk: ustar as POSIX has it, with the long names and sizes of GNU tar and pax. The disk is not
// trusted: checksums, sizes and offsets are checked, and the index takes a bounded amount of memory. The archive is read once, by
// open(); afterwards entries are data, and their bytes are read from the disk by whoever wants them. Any task.
//
//     TarArchive archive;
//     if (auto opened = archive.open(source); !opened) ...                    // not_found: this is no archive
//     const TarEntry* page = archive.find("docs/index.html");                 // page->offset, page->size
//     archive.list("docs", [](std::string_view name, const TarEntry* entry) { ... });
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "libvirtio/base.hpp"

namespace appliance {

/// Bytes at an offset: a disk, or memory in a test.
class ByteSource {
public:
    [[nodiscard]] virtual std::uint64_t size() const = 0;
    /// Fills all of `into`. Errors: out_of_range, and whatever the device says.
    [[nodiscard]] virtual virtio::Result<> read(std::uint64_t offset, std::span<std::byte> into) = 0;

protected:
    ~ByteSource() = default;
};

struct TarEntry {
    enum class Kind : std::uint8_t { file, directory };

    std::string_view path; // "docs/index.html": no "./" before and no "/" behind it
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::int64_t modified = 0; // seconds since 1970
    Kind kind = Kind::file;
};

class TarArchive {
public:
    static constexpr std::size_t kMostEntries = 8192;
    static constexpr std::size_t kMostNameBytes = 512 * 1024;
    static constexpr std::size_t kLongestPath = 1024;

    constexpr TarArchive() noexcept = default;
    TarArchive(const TarArchive&) = delete;
    TarArchive& operator=(const TarArchive&) = delete;
    ~TarArchive();

    /// Reads the index. Errors: not_found (the first block is no header), the source's. A damaged or cut off archive keeps what
    /// stands before the damage; damage() says what it is.
    [[nodiscard]] virtio::Result<> open(ByteSource& source);

    [[nodiscard]] bool is_open() const noexcept { return opened_; }
    /// Null, or why the index ends before the archive does.
    [[nodiscard]] const char* damage() const noexcept { return damage_; }
    /// Links, devices and other things that are not listed.
    [[nodiscard]] std::size_t skipped() const noexcept { return skipped_; }
    [[nodiscard]] std::span<const TarEntry> entries() const noexcept { return {entries_, count_}; }
    /// "" and "/" are the root, which has no entry.
    [[nodiscard]] const TarEntry* find(std::string_view path) const noexcept;
    /// True for the root, for directories that have an entry and for those that are only part of a name.
    [[nodiscard]] bool is_directory(std::string_view path) const noexcept;

    /// Calls visit(name, entry) for everything directly in the directory, in order; entry is null for a directory without its own.
    template<class Visit> void list(std::string_view directory, Visit&& visit) const {
        directory = normal(directory);
        const std::size_t front = directory.empty() ? 0 : directory.size() + 1;
        for (std::size_t i = first_in(directory); i < count_ && is_in(directory, entries_[i].path);) {
            const std::string_view path = entries_[i].path;
            const std::size_t slash = path.find('/', front);
            const std::string_view name = path.substr(front, slash == path.npos ? path.npos : slash - front);
            visit(name, slash == path.npos ? &entries_[i] : nullptr);
            const std::string_view child = path.substr(0, front + name.size());
            for (++i; i < count_ && is_in(child, entries_[i].path);) ++i;
        }
    }

private:
    struct Scan;

    [[nodiscard]] static std::string_view normal(std::string_view path) noexcept;
    [[nodiscard]] static bool is_in(std::string_view directory, std::string_view path) noexcept;
    [[nodiscard]] std::size_t lower_bound(std::string_view path) const noexcept;
    [[nodiscard]] std::size_t first_in(std::string_view directory) const noexcept;
    [[nodiscard]] const char* add(const TarEntry& entry);

    TarEntry* entries_ = nullptr; // sorted, a directory right before what is in it
    std::size_t count_ = 0;
    std::size_t capacity_ = 0;
    std::size_t name_bytes_ = 0;
    std::size_t skipped_ = 0;
    const char* damage_ = nullptr;
    bool opened_ = false;
};

} // namespace appliance
