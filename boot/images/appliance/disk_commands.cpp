// disk, ls, cat, sha256, write.
#include <array>
#include <cstring>
#include <memory>
#include <new>

#include "boot/images/appliance/disk_stream.hpp"
#include "boot/images/appliance/files.hpp"
#include "boot/images/appliance/operands.hpp"
#include "boot/images/appliance/sha256.hpp"
#include "boot/images/appliance/shell.hpp"
#include "kernel/firmware/command_line.hpp"

namespace appliance {

namespace {

/// A part of a disk, by its name ("disk:0:5,10") or as a file of the archive.
struct Source {
    ringside::Disk* disk = nullptr;
    std::uint64_t offset = 0, length = 0;
};

/// Finds what an operand names; false after a message.
bool find_source(Session& session, std::string_view operand, Source& source) {
    if (operand.starts_with("disk:")) {
        const auto part = parse_disk_part(operand);
        if (!part) return session.fail("'%s' is not disk:N or disk:N:FIRST,COUNT", Shown(operand).c_str()), false;
        source.disk = ringside::disks().at(part->disk);
        if (source.disk == nullptr) return session.fail("there is no disk %zu", part->disk), false;
        const std::uint64_t sectors = source.disk->sectors(), first = part->first.value_or(0);
        const std::uint64_t number = part->count.value_or(sectors);
        if (first > sectors || number > sectors - first)
            return session.fail("disk %zu has %llu sectors", part->disk, static_cast<unsigned long long>(sectors)), false;
        source.offset = first * ringside::kSectorBytes;
        source.length = number * ringside::kSectorBytes;
        return true;
    }
    if (files().disk == nullptr) return session.fail("%s", files().missing()), false;
    const TarEntry* entry = files().archive.find(operand);
    if (entry == nullptr || entry->kind == TarEntry::Kind::directory) {
        const bool directory = entry != nullptr || files().archive.is_directory(operand);
        return session.fail(directory ? "'%s' is a directory" : "there is no file '%s'", Shown(operand).c_str()), false;
    }
    source = {files().disk, entry->offset, entry->size};
    return true;
}

/// Streams a source through use(piece); the command's status.
template<class Use> int stream(Session& session, const Source& source, Use use) {
    DiskStream pieces(*source.disk, source.offset, source.length, DiskStream::kMostDepth);
    if (auto started = pieces.start(); !started) return session.fail("%s: %s", source.disk->name(), virtio::message(started.error()));
    for (;;) {
        const auto piece = pieces.next();
        if (!piece) return session.fail("%s: %s", source.disk->name(), virtio::message(piece.error()));
        if (piece->empty()) return kDone;
        use(*piece);
        if (session.interrupted()) return kInterrupted;
    }
}

int disk(Session& session, Arguments) {
    std::size_t number = 0;
    for (ringside::Disk& each : ringside::disks()) {
        session.out.print("disk:%zu  %-20s %llu sectors, %s, %s%s\n", number++, each.model()[0] != 0 ? each.model() : "(no name)",
                          static_cast<unsigned long long>(each.sectors()), ByteCount(each.bytes()).c_str(),
                          each.read_only() ? "read only" : "read and write", &each == files().disk ? ", serves files" : "");
    }
    if (number == 0) return session.fail("there is no disk");
    if (files().disk == nullptr) session.out.print("%s\n", files().missing());
    if (files().archive.damage() != nullptr) session.out.print("the archive ends early: %s\n", files().archive.damage());
    return kDone;
}

int ls(Session& session, Arguments words) {
    if (files().disk == nullptr) return session.fail("%s", files().missing());
    const std::string_view path = words.size() > 1 ? words[1] : std::string_view();
    const auto line = [&](std::string_view name, const TarEntry* entry) {
        const bool folder = entry == nullptr || entry->kind == TarEntry::Kind::directory;
        session.out.print("%12s  ", folder ? "" : ByteCount(entry->size).c_str());
        write_printable(session.out, name);
        session.out.write(folder ? "/\n" : "\n");
    };
    if (files().archive.is_directory(path))
        files().archive.list(path, line);
    else if (const TarEntry* entry = files().archive.find(path); entry != nullptr)
        line(path, entry);
    else
        return session.fail("there is no file '%s'", Shown(path).c_str());
    return kDone;
}

int cat(Session& session, Arguments words) {
    for (std::string_view operand : words.subspan(1)) {
        Source source;
        if (!find_source(session, operand, source)) return kFailed;
        char last = '\n';
        const int status = stream(session, source, [&](std::span<const std::byte> piece) {
            session.out.write({reinterpret_cast<const char*>(piece.data()), piece.size()});
            last = static_cast<char>(piece.back());
        });
        if (last != '\n') session.out.write("\n");
        if (status != kDone) return status;
    }
    return kDone;
}

int sha256(Session& session, Arguments words) {
    for (std::string_view operand : words.subspan(1)) {
        Source source;
        if (!find_source(session, operand, source)) return kFailed;
        Sha256 hash;
        const int status = stream(session, source, [&](std::span<const std::byte> piece) { hash.update(piece); });
        if (status != kDone) return status;
        session.out.print("%s  %s\n", hash.finish().c_str(), Shown(operand).c_str());
    }
    return kDone;
}

/// write disk:N SECTOR TEXT: the text, and zeros up to the end of its last sector.
int write(Session& session, Arguments words) {
    const auto part = parse_disk_part(words[1]);
    const auto sector = kernel::parse_number(words[2]);
    const std::string_view text = words[3];
    if (!part || part->first || !sector || text.empty()) return kWrongUsage;
    ringside::Disk* target = ringside::disks().at(part->disk);
    if (target == nullptr) return session.fail("there is no disk %zu", part->disk);
    static constexpr std::size_t kMost = Words::kMostBytes;
    const std::size_t bytes = virtio::align_up(text.size(), ringside::kSectorBytes);
    const std::unique_ptr<std::array<std::byte, kMost>> sectors(new (std::nothrow) std::array<std::byte, kMost>{});
    if (sectors == nullptr) return session.fail("out of memory");
    std::memcpy(sectors->data(), text.data(), text.size());
    auto written = target->write(*sector, std::span(*sectors).first(bytes));
    if (written) written = target->flush();
    if (!written) return session.fail("%s: %s", target->name(), virtio::message(written.error()));
    session.out.print("wrote %zu bytes to sector %llu of %s, flushed\n", text.size(), static_cast<unsigned long long>(*sector),
                      target->name());
    return kDone;
}

constexpr std::array kCommands{
    Command{"disk", "", "the disks, and which one serves files", 0, 0, disk},
    Command{"ls", "[PATH]", "the files in the archive", 0, 1, ls},
    Command{"cat", "FILE|disk:N[:FIRST,COUNT]...", "print files or sectors", 1, 30, cat},
    Command{"sha256", "FILE|disk:N[:FIRST,COUNT]...", "checksums of files, disks or sectors", 1, 30, sha256},
    Command{"write", "disk:N SECTOR TEXT", "write a text to a sector, filled up with zeros", 3, 3, write},
};

} // namespace

std::span<const Command> disk_commands() noexcept { return kCommands; }

} // namespace appliance
