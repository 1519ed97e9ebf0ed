// ip, ping, fetch.
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <unistd.h>

#include "boot/images/appliance/connection.hpp"
#include "boot/images/appliance/http_reply.hpp"
#include "boot/images/appliance/http_request.hpp"
#include "boot/images/appliance/operands.hpp"
#include "boot/images/appliance/sha256.hpp"
#include "boot/images/appliance/shell.hpp"
#include "kernel/app.hpp"
#include "kernel/device_manager/device_manager.hpp"
#include "kernel/device_manager/net_link.hpp"
#include "kernel/task/task.hpp"

namespace appliance {

namespace {

using namespace std::chrono_literals;

/// A name for functions that want a C string.
struct Name {
    explicit Name(std::string_view text) noexcept : fits(text.size() < characters.size()) {
        if (fits) std::memcpy(characters.data(), text.data(), text.size());
    }
    std::array<char, 256> characters{};
    bool fits;
};

int ip(Session& session, Arguments) {
    for (kernel::NetLink* link : kernel::net_links()) {
        const auto mac = link->mac();
        session.out.print("%s: %02x:%02x:%02x:%02x:%02x:%02x, MTU %u, link %s\n", link->name(), mac[0], mac[1], mac[2], mac[3], mac[4],
                          mac[5], link->mtu(), link->up() ? "up" : "down");
    }
    auto lan = ringside::net::status();
    // Right after the start the lease may not be there yet; a link that is down is an answer.
    if (!lan && lan.error() == virtio::Error::no_lease) lan = ringside::net::up(10s);
    if (!lan)
        return session.fail("%s", lan.error() == virtio::Error::no_device ? "there is no network device" : virtio::message(lan.error()));
    session.out.print("address %s\n", lan->address.text().c_str());
    session.out.print("netmask %s\n", lan->netmask.text().c_str());
    session.out.print("gateway %s\n", lan->gateway.text().c_str());
    session.out.print("dns     %s\n", lan->dns.text().c_str());
    return kDone;
}

int ping(Session& session, Arguments words) {
    const auto count = words.size() > 2 ? decimal(words[2]) : 3;
    const Name host(words[1]);
    if (!count || *count == 0 || *count > 1000 || !host.fits) return kWrongUsage;
    if (auto lan = ringside::net::up(10s); !lan) return session.fail("%s", virtio::message(lan.error()));
    std::uint64_t answers = 0;
    for (std::uint64_t i = 0; i < *count; ++i) {
        if (i > 0) kernel::sleep_until(kernel::now_ns() + 200'000'000);
        if (session.interrupted()) return kInterrupted;
        const auto trip = ringside::net::ping(host.characters.data(), 2s);
        if (!trip && trip.error() == virtio::Error::not_found) return session.fail("there is no host '%s'", host.characters.data());
        if (trip) {
            ++answers;
            const auto microseconds = static_cast<unsigned long long>(trip->count() / 1000);
            session.out.print("answer from %s after %llu.%03llu ms\n", host.characters.data(), microseconds / 1000, microseconds % 1000);
        } else {
            session.out.print("no answer from %s: %s\n", host.characters.data(), virtio::message(trip.error()));
        }
    }
    session.out.print("%llu of %llu answered\n", static_cast<unsigned long long>(answers), static_cast<unsigned long long>(*count));
    return answers == *count ? kDone : kFailed;
}

constexpr std::int64_t kPatienceMs = 15'000; // without a byte from the server

/// A request and its answer; the body goes to the screen if people can read it.
class Fetch {
public:
    Fetch(Session& session, int descriptor) noexcept : session_(session), connection_(descriptor) {}

    int run(const Url& url) {
        Text request(4096);
        for (std::string_view part : {std::string_view("GET "), url.target, std::string_view(" HTTP/1.1\r\nHost: "), url.host})
            request.write(part);
        request.print(":%u\r\nUser-Agent: Ringside\r\nAccept: */*\r\nConnection: close\r\n\r\n", url.port);
        if (connection_.write(request.view(), kPatienceMs) != Connection::Outcome::done)
            return session_.fail("the server closed the connection");
        std::size_t head = 0;
        while ((head = head_length({buffer_.data(), length_})) == 0) {
            if (length_ == buffer_.size()) return session_.fail("the answer's head is too long");
            if (const int status = receive(); status != kDone) return status;
        }
        const auto reply = parse_reply({buffer_.data(), head});
        if (!reply) return session_.fail("the answer is not HTTP/1");
        return body(*reply, head);
    }

private:
    int receive() {
        const auto got = connection_.read(std::span(buffer_).subspan(length_), milliseconds() + kPatienceMs);
        if (got.outcome == Connection::Outcome::timeout) return session_.fail("the server says nothing");
        if (got.outcome == Connection::Outcome::closed) return session_.fail("the server closed the connection too early");
        length_ += got.bytes;
        return session_.interrupted() ? kInterrupted : kDone;
    }

    int body(const HttpReply& reply, std::size_t head) {
        BodyReader reader(reply);
        Sha256 hash;
        std::uint64_t bytes = 0;
        char last = '\n';
        const bool shown = is_text(reply.type);
        const auto use = [&](std::string_view piece) {
            if (shown && !piece.empty()) {
                session_.out.write(piece);
                last = piece.back();
            }
            hash.update(std::as_bytes(std::span(piece)));
            bytes += piece.size();
        };
        // The reply's texts lie in the buffer's front: the body is received behind them.
        std::string_view fresh(buffer_.data() + head, length_ - head);
        for (;;) {
            if (!reader.feed(fresh, use)) return session_.fail("the answer's chunks are malformed");
            if (reader.complete()) break;
            const auto got = connection_.read(std::span(buffer_).subspan(head), milliseconds() + kPatienceMs);
            if (got.outcome == Connection::Outcome::timeout) return session_.fail("the server says nothing more");
            if (got.outcome == Connection::Outcome::closed) {
                if (reader.ends_with_connection()) break;
                return session_.fail("the answer is cut off after %llu bytes", static_cast<unsigned long long>(bytes));
            }
            if (session_.interrupted()) return kInterrupted;
            fresh = {buffer_.data() + head, got.bytes};
        }
        if (last != '\n') session_.out.write("\n");
        session_.out.print("%u ", reply.status);
        for (std::string_view part : {reply.reason, std::string_view(", "), reply.type}) write_printable(session_.out, part.substr(0, 200));
        session_.out.print(", %llu bytes, sha256 %s\n", static_cast<unsigned long long>(bytes), hash.finish().c_str());
        if (!reply.location.empty()) {
            session_.out.write("moved to ");
            write_printable(session_.out, reply.location);
            session_.out.write("\n");
        }
        return reply.status >= 200 && reply.status < 300 ? kDone : kFailed;
    }

    Session& session_;
    Connection connection_;
    std::array<char, 16 * 1024> buffer_;
    std::size_t length_ = 0;
};

int fetch(Session& session, Arguments words) {
    const auto url = parse_url(words[1]);
    if (!url) return kWrongUsage;
    const Name host(url->host);
    if (auto lan = ringside::net::up(10s); !lan) return session.fail("%s", virtio::message(lan.error()));
    auto peer = ringside::net::connect(host.characters.data(), url->port);
    if (!peer) return session.fail("%s: %s", host.characters.data(), virtio::message(peer.error()));
    // The connection closes a descriptor of its own.
    const int descriptor = dup(peer->descriptor());
    if (descriptor < 0) return session.fail("too many open connections");
    const std::unique_ptr<Fetch> exchange(new (std::nothrow) Fetch(session, descriptor));
    if (exchange == nullptr) {
        close(descriptor);
        return session.fail("out of memory");
    }
    return exchange->run(*url);
}

constexpr std::array kCommands{
    Command{"ip", "", "the network's addresses", 0, 0, ip},
    Command{"ping", "HOST [COUNT]", "ask a host for an answer", 1, 2, ping},
    Command{"fetch", "http://HOST[:PORT]/PATH", "get a page from a web server", 1, 1, fetch},
};

} // namespace

std::span<const Command> network_commands() noexcept { return kCommands; }

} // namespace appliance
