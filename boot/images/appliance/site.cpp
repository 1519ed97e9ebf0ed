#include "boot/images/appliance/site.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <new>

#include "boot/images/appliance/collect.hpp"
#include "boot/images/appliance/disk_stream.hpp"
#include "boot/images/appliance/files.hpp"
#include "boot/images/appliance/operands.hpp"
#include "boot/images/appliance/text.hpp"
#include "kernel/firmware/command_line.hpp"

namespace appliance {

namespace {

constexpr std::size_t kLargestPage = 1 << 20;
constexpr unsigned kFileDepth = 4; // pieces of 64 KiB read ahead of the network

constinit ApplianceSite site;
constinit HttpServer server(site, HttpOptions{});

} // namespace

HttpServer& web_server() noexcept { return server; }

void ApplianceSite::answer(const HttpRequest& request, Response& response) {
    std::array<char, kLongestTarget> buffer;
    const auto decoded = kernel::percent_decode(request.target.substr(0, request.target.find('?')), buffer);
    if (!decoded || decoded->find('\0') != decoded->npos) {
        response.send_status(HttpStatus::bad_request);
        return;
    }
    const std::string_view path = *decoded;
    if (path == "/") {
        report(HttpStatus::ok, "text/html; charset=utf-8", false, response);
    } else if (path == "/metrics") {
        report(HttpStatus::ok, "text/plain; version=0.0.4; charset=utf-8", true, response);
    } else if (path == "/files") {
        response.redirect("/files/");
    } else if (path.starts_with("/files/")) {
        file(path.substr(7), path.ends_with('/'), request, response);
    } else {
        response.send_status(HttpStatus::not_found);
    }
}

void ApplianceSite::report(HttpStatus status, std::string_view type, bool metrics, Response& response) {
    const std::unique_ptr<Report> state(new (std::nothrow) Report);
    Text page(kLargestPage);
    if (state != nullptr) {
        collect(*state);
        (metrics ? write_metrics : write_page)(page, *state);
    }
    if (state == nullptr || !page.complete())
        response.send_status(HttpStatus::unavailable, "Retry-After: 2\r\n");
    else
        response.send(status, type, page.view(), "Cache-Control: no-store\r\n");
}

void ApplianceSite::file(std::string_view path, bool slash, const HttpRequest& request, Response& response) {
    const TarArchive& archive = files().archive;
    const TarEntry* entry = archive.find(path);
    if (files().disk == nullptr || (entry == nullptr && !archive.is_directory(path))) {
        response.send_status(HttpStatus::not_found);
        return;
    }
    if (entry == nullptr || entry->kind == TarEntry::Kind::directory) {
        if (slash || path.empty()) {
            listing(path, response);
        } else { // relative links in it count from the last slash
            Text where(2 * kLongestTarget);
            where.write("/files/");
            where.write(path);
            where.write("/");
            response.redirect(where.view());
        }
        return;
    }
    Extent part{0, entry->size};
    std::array<char, 128> fields;
    const auto size = static_cast<unsigned long long>(entry->size);
    int length = std::snprintf(fields.data(), fields.size(), "Accept-Ranges: bytes\r\n");
    if (request.range && request.method == HttpMethod::get) {
        const auto wanted = resolve(*request.range, entry->size);
        if (!wanted) {
            std::snprintf(fields.data(), fields.size(), "Content-Range: bytes */%llu\r\n", size);
            response.send_status(HttpStatus::range_not_satisfiable, fields.data());
            return;
        }
        part = *wanted;
        length = std::snprintf(fields.data(), fields.size(), "Content-Range: bytes %llu-%llu/%llu\r\n",
                               static_cast<unsigned long long>(part.offset), static_cast<unsigned long long>(part.offset + part.length - 1),
                               size);
    }
    const bool whole = part.length == entry->size;
    DiskStream stream(*files().disk, entry->offset + part.offset, request.method == HttpMethod::head ? 0 : part.length, kFileDepth);
    if (!stream.start()) {
        response.send_status(HttpStatus::unavailable, "Retry-After: 2\r\n");
        return;
    }
    bool wanted = response.begin(whole && !request.range ? HttpStatus::ok : HttpStatus::partial_content, content_type(path), part.length,
                                 {fields.data(), static_cast<std::size_t>(length)});
    while (wanted) {
        const auto piece = stream.next();
        // An error in the middle ends the connection: the client sees that bytes are missing.
        wanted = piece && !piece->empty() && response.body(*piece);
    }
}

void ApplianceSite::listing(std::string_view path, Response& response) {
    Text page(kLargestPage);
    page.write("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>/");
    write_html(page, path);
    page.write("</title><style>body { font: 15px/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 50rem; padding: 0 1rem; }"
               "td { padding-right: 2rem; } .n { text-align: right; } a { color: #0a6c74; }</style></head>\n<body><h1>/");
    write_html(page, path);
    page.write("</h1>\n<table>\n");
    page.write(path.empty() ? "<tr><td><a href=\"/\">the machine</a>\n" : "<tr><td><a href=\"../\">..</a>\n");
    files().archive.list(path, [&](std::string_view name, const TarEntry* entry) {
        const bool folder = entry == nullptr || entry->kind == TarEntry::Kind::directory;
        page.write("<tr><td><a href=\"./");
        write_url(page, name);
        page.write(folder ? "/\">" : "\">");
        write_html(page, name);
        page.write(folder ? "/</a>" : "</a>");
        if (!folder) {
            page.print("<td class=\"n\">%s", ByteCount(entry->size).c_str());
            page.print("<td>%s", Date(entry->modified * 1'000'000'000).c_str());
        }
        page.write("\n");
    });
    page.write("</table></body></html>\n");
    if (page.complete())
        response.send(HttpStatus::ok, "text/html; charset=utf-8", page.view());
    else
        response.send_status(HttpStatus::unavailable);
}

} // namespace appliance
