// What the web server serves: the page, the metrics, and the disk's files. One object; its answers are written by many tasks.
#pragma once

#include "boot/images/appliance/http_server.hpp"

namespace appliance {

class ApplianceSite final : public Site {
public:
    void answer(const HttpRequest& request, Response& response) override;

private:
    void report(HttpStatus status, std::string_view type, bool metrics, Response& response);
    void file(std::string_view path, bool slash, const HttpRequest& request, Response& response);
    void listing(std::string_view path, Response& response);
};

/// The server on port 80; collect() reads its counters.
[[nodiscard]] HttpServer& web_server() noexcept;

} // namespace appliance
