#include "boot/images/appliance/tar.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace appliance {

namespace {

/// The order in which a directory stands right before what is in it: a slash is less than any other character.
bool before(std::string_view a, std::string_view b) noexcept {
    const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
    return std::ranges::lexicographical_compare(a, b, {}, rank, rank);
}

/// A name that climbs or hides something is not served to anybody.
bool decent(std::string_view path) noexcept {
    if (path.empty() || path.size() > TarArchive::kLongestPath) return false;
    while (!path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        const std::string_view part = path.substr(0, slash);
        if (part.empty() || part == "." || part == "..") return false;
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return true;
}

} // namespace

TarArchive::~TarArchive() {
    for (const TarEntry& entry : entries()) std::free(const_cast<char*>(entry.path.data()));
    std::free(entries_);
}

std::string_view TarArchive::normal(std::string_view path) noexcept {
    for (;;) {
        if (path.starts_with('/'))
            path.remove_prefix(1);
        else if (path.starts_with("./"))
            path.remove_prefix(2);
        else
            break;
    }
    while (path.ends_with('/')) path.remove_suffix(1);
    return path == "." ? std::string_view() : path;
}

bool TarArchive::is_in(std::string_view directory, std::string_view path) noexcept {
    return directory.empty() || (path.size() > directory.size() && path[directory.size()] == '/' && path.starts_with(directory));
}

std::size_t TarArchive::lower_bound(std::string_view path) const noexcept {
    const auto all = entries();
    return static_cast<std::size_t>(std::ranges::lower_bound(all, path, before, &TarEntry::path) - all.begin());
}

std::size_t TarArchive::first_in(std::string_view directory) const noexcept {
    std::size_t i = lower_bound(directory);
    if (!directory.empty() && i < count_ && entries_[i].path == directory) ++i;
    return i;
}

const TarEntry* TarArchive::find(std::string_view path) const noexcept {
    path = normal(path);
    const std::size_t i = lower_bound(path);
    return i < count_ && entries_[i].path == path ? &entries_[i] : nullptr;
}

bool TarArchive::is_directory(std::string_view path) const noexcept {
    path = normal(path);
    if (path.empty()) return true;
    if (const TarEntry* entry = find(path)) return entry->kind == TarEntry::Kind::directory;
    const std::size_t i = first_in(path);
    return i < count_ && is_in(path, entries_[i].path);
}

/// Null, or why the index is full.
const char* TarArchive::add(const TarEntry& entry) {
    TarEntry added = entry;
    added.path = normal(entry.path);
    if (added.path.empty()) return nullptr; // the entry for "./" itself
    if (!decent(added.path)) {
        ++skipped_;
        return nullptr;
    }
    const std::size_t place = lower_bound(added.path);
    if (place < count_ && entries_[place].path == added.path) {
        added.path = entries_[place].path; // the later one is the newer one
        entries_[place] = added;
        return nullptr;
    }
    if (count_ == kMostEntries || added.path.size() > kMostNameBytes - name_bytes_) return "too many files";
    if (count_ == capacity_) {
        const std::size_t wanted = std::max<std::size_t>(64, capacity_ * 2);
        auto* larger = static_cast<TarEntry*>(std::realloc(static_cast<void*>(entries_), wanted * sizeof(TarEntry)));
        if (larger == nullptr) return "out of memory";
        entries_ = larger;
        capacity_ = wanted;
    }
    auto* name = static_cast<char*>(std::malloc(added.path.size()));
    if (name == nullptr) return "out of memory";
    std::memcpy(name, added.path.data(), added.path.size());
    added.path = {name, added.path.size()};
    std::copy_backward(entries_ + place, entries_ + count_, entries_ + count_ + 1);
    entries_[place] = added;
    ++count_;
    name_bytes_ += added.path.size();
    return nullptr;
}

} // namespace appliance
