// The table of file descriptors: small numbers for Files, the lowest free one first, as POSIX has it. One for the whole machine, used
// by every task; task context only, nothing in it waits. It owns the numbers, not the Files.
//
//     int descriptor = table.open(file, O_RDWR);          // -1 when all are taken
//     if (auto* entry = table.find(descriptor)) entry->file->read(...);
#pragma once

#include <array>
#include <cstddef>

#include "kernel/newlib/file.hpp"

namespace kernel {

inline constexpr std::size_t kDescriptors = 256;

struct Descriptor {
    File* file = nullptr;
    int flags = 0; // O_ACCMODE and O_NONBLOCK
};

class DescriptorTable {
public:
    /// The lowest free number from `from` on, or -1.
    int open(File& file, int flags, int from = 0) noexcept {
        for (std::size_t i = from < 0 ? kDescriptors : static_cast<std::size_t>(from); i < entries_.size(); ++i) {
            if (entries_[i].file != nullptr) continue;
            entries_[i] = {&file, flags};
            ++file.references;
            return static_cast<int>(i);
        }
        return -1;
    }

    /// Null for a number that is not open.
    [[nodiscard]] Descriptor* find(int descriptor) noexcept {
        if (descriptor < 0 || static_cast<std::size_t>(descriptor) >= entries_.size()) return nullptr;
        Descriptor& entry = entries_[static_cast<std::size_t>(descriptor)];
        return entry.file == nullptr ? nullptr : &entry;
    }

    /// False for a number that is not open. The File hears of it if it was its last one.
    bool close(int descriptor) noexcept {
        Descriptor* entry = find(descriptor);
        if (entry == nullptr) return false;
        File* file = entry->file;
        *entry = {};
        if (--file->references == 0) file->closed();
        return true;
    }

    [[nodiscard]] std::size_t size() const noexcept {
        std::size_t open = 0;
        for (const Descriptor& entry : entries_) open += entry.file != nullptr ? 1 : 0;
        return open;
    }

private:
    std::array<Descriptor, kDescriptors> entries_{};
};

/// The machine's table: 0, 1 and 2 are the console.
[[nodiscard]] DescriptorTable& descriptors() noexcept;

/// Lets open() reach Files of another kind: called with the whole path; null if the path is somebody else's, and errno-style errors in
/// `error` if it is ours but cannot be opened. Four of them at most.
using Opener = File* (*)(const char* path, int flags, int& error);
void register_opener(Opener opener);

} // namespace kernel
