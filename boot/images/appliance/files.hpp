// The files that the appliance serves: those of the first disk with a tar archive on it. Opened once at the start; read by many tasks.
//
//     files().open();
//     if (const TarEntry* entry = files().archive.find("index.html")) DiskStream stream(*files().disk, entry->offset, entry->size, 4);
#pragma once

#include "boot/images/appliance/tar.hpp"
#include "kernel/app.hpp"

namespace appliance {

struct Files {
    TarArchive archive;
    ringside::Disk* disk = nullptr; // null: no disk has an archive

    /// Looks at all disks. Logs what it finds.
    void open();
    /// Why there are none.
    [[nodiscard]] const char* missing() const noexcept;
};

[[nodiscard]] Files& files() noexcept;

} // namespace appliance
