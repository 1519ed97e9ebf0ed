// The device tree of a QEMU machine, as the QEMU that is installed writes it: dumped when the test runs. A missing QEMU fails the test.
//
//     std::vector<std::byte> blob = dumped_tree("qemu-system-aarch64", "-M virt,gic-version=3 -cpu cortex-a57 -smp 2");
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

inline std::vector<std::byte> dumped_tree(const std::string& program, const std::string& options) {
    std::string name = (std::filesystem::temp_directory_path() / "ringside-tree-XXXXXX").string();
    const int made = mkstemp(name.data());
    REQUIRE(made >= 0);
    close(made);
    const std::string command =
        "timeout 60 " + program + " " + options + " -nodefaults -display none -machine dumpdtb=" + name + " >/dev/null 2>" + name + ".said";
    const int status = std::system(command.c_str());
    std::ifstream file(name, std::ios::binary), said(name + ".said");
    const std::string bytes((std::istreambuf_iterator<char>(file)), {}), words((std::istreambuf_iterator<char>(said)), {});
    std::filesystem::remove(name);
    std::filesystem::remove(name + ".said");
    REQUIRE_MESSAGE((status == 0 && !bytes.empty()), command << ": " << words);
    std::vector<std::byte> blob(bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i) blob[i] = static_cast<std::byte>(bytes[i]);
    return blob;
}
