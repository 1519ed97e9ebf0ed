// Walking a tar archive from header to header.
#include <algorithm>
#include <array>
#include <memory>
#include <new>

#include "boot/images/appliance/tar.hpp"
#include "boot/images/appliance/tar_header.hpp"

namespace appliance {

namespace {

/// Headers of small files stand close together: one read of the disk serves several.
class Window {
public:
    explicit Window(ByteSource& source) noexcept : source_(source) {}

    /// The block at the offset, valid until the next call; the caller has checked that it is within the source.
    virtio::Result<std::span<const std::byte, kTarBlock>> block(std::uint64_t offset) {
        if (offset < start_ || offset + kTarBlock > start_ + length_) {
            const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(bytes_.size(), source_.size() - offset));
            length_ = 0;
            if (auto read = source_.read(offset, std::span(bytes_).first(length)); !read) return std::unexpected(read.error());
            start_ = offset;
            length_ = length;
        }
        return std::span(bytes_).subspan(static_cast<std::size_t>(offset - start_)).first<kTarBlock>();
    }

private:
    ByteSource& source_;
    std::uint64_t start_ = 0;
    std::size_t length_ = 0;
    std::array<std::byte, 16 * kTarBlock> bytes_;
};

} // namespace

struct TarArchive::Scan {
    explicit Scan(ByteSource& from) noexcept : source(from), window(from) {}

    ByteSource& source;
    Window window;
    // What an extended header said about the entry that follows it.
    std::array<char, 4096> extension;
    std::string_view long_name;
    std::optional<std::uint64_t> long_size;

    void forget() noexcept {
        long_name = {};
        long_size.reset();
    }

    /// Takes the contents of an extended header; null, or what is wrong with it.
    const char* extend(const TarHeader& header, std::uint64_t data) {
        if (header.size > extension.size()) return "an extended header is too long";
        const auto length = static_cast<std::size_t>(header.size);
        if (!source.read(data, std::as_writable_bytes(std::span(extension).first(length)))) return "an extended header cannot be read";
        const std::string_view text(extension.data(), length);
        if (header.type == 'L') {
            long_name = text.substr(0, text.find('\0'));
            return nullptr;
        }
        PaxFields fields;
        if (!parse_pax(text, fields)) return "an extended header is malformed";
        long_name = fields.path;
        long_size = fields.size;
        return nullptr;
    }
};

virtio::Result<> TarArchive::open(ByteSource& source) {
    if (opened_) return virtio::fail(virtio::Error::already_started);
    const std::unique_ptr<Scan> scan(new (std::nothrow) Scan(source));
    if (scan == nullptr) return virtio::fail(virtio::Error::out_of_memory);

    const auto stop = [&](const char* why) {
        damage_ = why;
        return virtio::Result<>{};
    };
    std::uint64_t offset = 0;
    for (;; opened_ = true) {
        if (offset > source.size() || source.size() - offset < kTarBlock) {
            return opened_ ? stop("the archive has no end") : virtio::fail(virtio::Error::not_found);
        }
        const auto block = scan->window.block(offset);
        if (!block) return opened_ ? stop("a header cannot be read") : std::unexpected(block.error());
        // A block of zeros ends the archive.
        if (std::ranges::all_of(*block, [](std::byte b) { return b == std::byte{0}; }))
            return opened_ ? virtio::Result<>{} : virtio::fail(virtio::Error::not_found);
        const auto header = parse_tar_header(*block);
        if (!header) return opened_ ? stop("a header is damaged") : virtio::fail(virtio::Error::not_found);

        const std::uint64_t data = offset + kTarBlock;
        const bool extended = header->type == 'x' || header->type == 'L' || header->type == 'g' || header->type == 'K';
        // Links, devices and pipes have no data, whatever their size field says (POSIX: "shall be ignored").
        const bool has_data = header->type < '1' || header->type > '6';
        const std::uint64_t size = !has_data ? 0 : extended ? header->size : scan->long_size.value_or(header->size);
        if (size > source.size() - data) return stop("a file is longer than the disk");
        offset = data + virtio::align_up<std::uint64_t>(size, kTarBlock);

        const char* problem = nullptr;
        switch (header->type) {
        case 'x':
        case 'L': problem = scan->extend(*header, data); break;
        case 'g':
        case 'K': break; // for the whole archive, or for links: nothing that is asked for here
        case '0':
        case '\0':
        case '7':
        case '5': {
            const std::string_view path = scan->long_name.empty() ? header->path() : scan->long_name;
            // Before POSIX a directory was a file whose name ends with a slash.
            const bool directory = header->type == '5' || path.ends_with('/');
            problem =
                add({path, data, directory ? 0 : size, header->modified, directory ? TarEntry::Kind::directory : TarEntry::Kind::file});
            scan->forget();
            break;
        }
        default: ++skipped_; scan->forget();
        }
        if (problem != nullptr) {
            opened_ = true;
            return stop(problem);
        }
    }
}

} // namespace appliance
