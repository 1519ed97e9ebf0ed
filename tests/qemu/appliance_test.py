#!/usr/bin/env python3
"""The appliance on one machine, as its users meet it: web, shell, ports, balloon, power button.

    appliance_test.py q35|q35-intx|q35-packed|pc|microvm|aarch64.virt|riscv64.virt|armv7.virt
"""

import contextlib
import hashlib
import http.client
import http.server
import random
import re
import sys
import tempfile
import threading
from pathlib import Path

from ringside.disk import make_tar_disk
from ringside.guest import Guest
from ringside.machine import Disk, Forward

from support import status, traffic
from support.checks import Checks, equal, eventually, need
from support.machines import free_ports, image, make
from support.pattern import difference
from support.shell import Shell

MIB = 1 << 20
MEMORY = 256
FILES, LARGE, SPARE = 0, 1, 2               # disks, by number


def content():
    chooser = random.Random(7)
    return {"index.html": b"<!doctype html><title>hello</title><p>A page.\n", "text/small.txt": b"three\nshort\nlines\n", "empty": b"",
            "data/large.bin": chooser.randbytes(5 * MIB + 4321), "data/one": b"1", "data/sector": chooser.randbytes(512),
            "names/a b+c%.txt": b"an awkward name\n", "deep/" + "/".join("abcdefghij") + "/end": b"deep\n"}


def make_disks(folder, files):
    root = Path(folder) / "content"
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    paths = [Path(folder) / f"disk{number}.img" for number in range(3)]
    make_tar_disk(root, paths[FILES])
    paths[LARGE].write_bytes(random.Random(8).randbytes(64 * MIB))
    paths[SPARE].write_bytes(bytes(4 * MIB))
    return paths


# The web.

def get(port, path, method="GET", headers=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def page(port):
    code, headers, body = get(port, "/")
    equal(code, 200, "status")
    need(headers["Content-Type"].startswith("text/html"), f"type {headers['Content-Type']}")
    text = body.decode()
    for word in ("disk0", "disk1", "net0", "console0", "balloon0", "entropy0", "EVENT_IDX", "VERSION_1", "10.0.2.15"):
        need(word in text, f"the page does not mention {word}")
    need(re.search(r"(?i)refresh", text), "the page does not refresh itself")


def files(port, expected):
    for name, data in expected.items():
        code, headers, body = get(port, "/files/" + name.replace("%", "%25").replace(" ", "%20").replace("+", "%2B"))
        equal(code, 200, f"status of {name}")
        equal(int(headers["Content-Length"]), len(data), f"length of {name}")
        wrong = difference(body, data)
        need(not wrong, f"{name}: {wrong}")


def file_parts(port, expected):
    data = expected["data/large.bin"]
    for first, last in ((0, 0), (511, 512), (1, 100_000), (len(data) - 5, len(data) - 1), (MIB - 1, 3 * MIB)):
        code, headers, body = get(port, "/files/data/large.bin", headers={"Range": f"bytes={first}-{last}"})
        equal((code, headers.get("Content-Range")), (206, f"bytes {first}-{last}/{len(data)}"), "range")
        wrong = difference(body, data[first:last + 1])
        need(not wrong, f"bytes {first} to {last}: {wrong}")
    equal(get(port, "/files/data/large.bin", headers={"Range": f"bytes={len(data)}-"})[0], 416, "a range behind the end")


def wrong_requests(port):
    for path, code in (("/nothing", 404), ("/files/nothing", 404), ("/files/../../etc/passwd", 404), ("/files/data/large.bin/x", 404)):
        equal(get(port, path)[0], code, path)
    answer = get(port, "/files/data/large.bin", "HEAD")
    equal((answer[0], answer[2]), (200, b""), "HEAD")
    need(get(port, "/", "BREW")[0] in (400, 405, 501), "an unknown method was accepted")
    for garbage in (b"\r\n\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 100_000, bytes(range(256)) * 20):
        with traffic.connect(port) as connection:
            connection.settimeout(1)       # some of it is only the beginning of something, and the server waits for the rest
            try:
                connection.sendall(garbage)
                connection.recv(1000)
            except OSError:
                pass
    equal(get(port, "/files/data/one")[2], b"1", "a request after the garbage")


def many_at_once(port, expected):
    data = expected["data/large.bin"]
    problems = []

    def one(connection):
        try:
            connection.request("GET", "/files/data/large.bin")
            wrong = difference(connection.getresponse().read(), data)
            if wrong:
                problems.append(wrong)
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{type(error).__name__}: {error}")

    with contextlib.ExitStack() as stack:
        threads = []
        for _ in range(10):
            connection = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=90)))
            connection.request("HEAD", "/")     # it is through, so the next may come (traffic.connect)
            connection.getresponse().read()
            threads.append(threading.Thread(target=one, args=(connection,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    need(not problems, "; ".join(problems))


def kept_connection(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(20):
        connection.request("GET", "/files/data/sector")
        answer = connection.getresponse()
        equal((answer.status, len(answer.read())), (200, 512), "an answer on a kept connection")
    connection.close()


def metrics(port):
    """{(name, labels): value}"""
    code, headers, body = get(port, "/metrics")
    equal(code, 200, "status")
    need(headers["Content-Type"].startswith("text/plain; version=0.0.4"), f"type {headers['Content-Type']}")
    values, typed = {}, set()
    for line in body.decode().splitlines():
        if match := re.fullmatch(r"# TYPE (\S+) (counter|gauge)", line):
            typed.add(match[1])
        elif not line.startswith("# HELP "):
            match = re.fullmatch(r'([a-z_]+)(?:\{([^}]*)\})? ([0-9.]+)', line)
            need(match, f"not a sample: {line}")
            need(match[1] in typed, f"a sample without a type: {line}")
            need((match[1], match[2]) not in values, f"a sample twice: {line}")
            values[match[1], match[2]] = float(match[3])
    return values


def counters(port):
    before = metrics(port)
    get(port, "/files/data/large.bin")
    after = metrics(port)
    need({kind for name, kind in labels(after, "ringside_device_info", "kind")} >= {"disk", "network", "console", "balloon", "entropy"}, "not every device is listed")
    for name in ("requests", "completions", "bytes", "kicks", "suppressed_kicks", "interrupts", "spurious_interrupts", "ring_full", "errors"):
        for (device, queue), value in labels(after, f"ringside_queue_{name}_total", "queue", True):
            need(value >= before[f"ringside_queue_{name}_total", f'device="{device}",queue="{queue}"'], f"{name} of {device}.{queue} went back")
    requests = {key: value for key, value in labels(after, "ringside_queue_requests_total", "queue", True)}
    old = {key: value for key, value in labels(before, "ringside_queue_requests_total", "queue", True)}
    need(requests["disk0", "0"] - old["disk0", "0"] >= 40, "5 MiB of a file, but hardly a request to the disk")
    need(requests["net0", "1"] - old["net0", "1"] >= 100, "5 MiB sent, but hardly a frame")
    errors = {key: value for key, value in labels(after, "ringside_queue_errors_total", "queue", True) if value}
    need(not errors, f"errors: {errors}")


def labels(values, name, label, with_device=False):
    for (found, text), value in values.items():
        if found == name:
            device = re.search(r'device="([^"]*)"', text)[1]
            other = re.search(rf'{label}="([^"]*)"', text)[1]
            yield ((device, other), value) if with_device else (device, other)


def no_rescues(port):
    rescued = {key: value for key, value in metrics(port).items() if "rescues" in key[0] and value}
    need(not rescued, f"the watchdog had to rescue: {rescued}")
    need(any("rescues" in key[0] for key in metrics(port)), "rescues are not counted at all")


# The shell.

def shell_disks(shell, paths):
    text = shell.run("disk")
    for number, path in enumerate(paths):
        need(re.search(rf"disk:{number}\b.*\b{path.stat().st_size // 512} sectors", text), f"disk:{number} is missing or wrong: {text}")
    need("files disk" in text or "serves files" in text, f"which disk serves files: {text}")


def shell_sums(shell, paths, expected):
    digest = hashlib.sha256(paths[LARGE].read_bytes()).hexdigest()
    need(digest in shell.run(f"sha256 disk:{LARGE}", 120), "SHA-256 of a disk of 64 MiB")
    part = hashlib.sha256(paths[LARGE].read_bytes()[777 * 512:(777 + 3) * 512]).hexdigest()
    need(part in shell.run(f"sha256 disk:{LARGE}:777,3"), "SHA-256 of three sectors")
    for name in ("data/large.bin", "empty", "text/small.txt"):
        need(hashlib.sha256(expected[name]).hexdigest() in shell.run(f"sha256 {name}"), f"SHA-256 of {name}")


def shell_files(shell):
    text = shell.run("ls")
    for name in ("index.html", "data/", "text/", "names/"):
        need(name in text, f"ls does not show {name}: {text}")
    equal(shell.run("cat text/small.txt"), "three\nshort\nlines\n", "cat")


def shell_writes(shell, paths):
    shell.run(f'write disk:{SPARE} 5 "said by the guest"')
    need("said by the guest" in shell.run(f"cat disk:{SPARE}:5,1"), "what was written does not come back")
    sector = paths[SPARE].read_bytes()[5 * 512:6 * 512]
    equal(sector, b"said by the guest".ljust(512, b"\0"), "the sector in the image")


def shell_network(shell):
    text = shell.run("ip")
    for word in ("10.0.2.15", "10.0.2.2", "52:54:00:12:34:56"):
        need(word in text, f"ip does not show {word}: {text}")
    need("3 of 3 answered" in shell.run("ping 10.0.2.2"), "ping")


def shell_fetch(shell):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"you asked for {self.path}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        text = shell.run(f"fetch http://10.0.2.2:{server.server_address[1]}/some/page")
        server.shutdown()
    page = b"you asked for /some/page\n"
    need("200" in text and f"{len(page)} bytes" in text and hashlib.sha256(page).hexdigest() in text, f"fetch: {text}")


def shell_editing(shell):
    need("MiB" in shell.run("mex\x7fm"), "a corrected line")
    need("MiB" in shell.run("\x1b[A"), "the line before, out of the history")
    need(shell.run("nonsense").strip(), "an unknown command says nothing")
    for command in ("help", "queues", "tasks", "time", "log", "balloon"):
        need(len(shell.run(command).strip()) > 20, f"'{command}' says nothing")


def shell_devices(shell, guest):
    text = shell.run("devices")
    for name, path in status.devices(guest):
        report = status.status(guest, path)
        kind = {"virtio-blk": "disk", "virtio-net": "net", "virtio-serial": "console", "virtio-balloon": "balloon", "virtio-rng": "entropy"}[report["name"]]
        need(re.search(rf"(?m)^{kind}\d", text), f"{kind} is not listed: {text}")
    need("EVENT_IDX" in text and "VERSION_1" in text, "features are not named")
    found = {"q35": "ECAM, MCFG", "pc": "ports 0xcf8", "microvm": "ACPI"}.get(guest.machine.machine, "ECAM, device tree")
    equal(len(re.findall(rf"(?m)^ +found by {found}$", text)), len(status.devices(guest)), f"devices found by {found}, in {text}")


# Ports, link, balloon, resize, end.

def echo_port(guest):
    connection = guest.port("ringside.echo")
    connection.settimeout(60)
    data = random.Random(2).randbytes(MIB)
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    wrong = difference(traffic.receive(connection, len(data)), data)
    sender.join(30)
    need(not wrong, f"the echo: {wrong}")


def log_port(guest):
    connection = guest.port("ringside.log")
    connection.settimeout(10)
    text = b""
    while b"serving an archive" not in text:
        part = connection.recv(65536)
        need(part, "the log ended")
        text += part


def link(guest, shell, port, expected):
    guest.qmp("set_link", name="nic0", up=False)
    try:
        eventually(20, lambda: "link down" in shell.run("ip"), "the shell says that the link is down")
    finally:
        guest.qmp("set_link", name="nic0", up=True)
    eventually(20, lambda: "link up" in shell.run("ip"), "the shell says that the link is up")
    eventually(60, lambda: answers(port, expected), "the web server answers again")


def answers(port, expected):
    try:
        return get(port, "/files/data/large.bin", timeout=20)[2] == expected["data/large.bin"]
    except (OSError, http.client.HTTPException):
        return False


def balloon(guest, shell, port, expected):
    total = MEMORY * MIB
    for size in (total // 2, total):
        guest.qmp("balloon", value=size)
        equal(get(port, "/files/data/large.bin", timeout=90)[2], expected["data/large.bin"], "a file while the balloon moves")
        eventually(60, lambda: guest.qmp("query-balloon")["actual"] == size, f"query-balloon says {size // MIB} MiB")
        pages = (total - size) // 4096
        text = eventually(10, lambda: found(shell, pages), "the shell says the same")
        values = metrics(port)
        equal(values["ringside_balloon_bytes", None], total - size, f"the metric; the shell: {text}")


def found(shell, pages):
    text = shell.run("balloon")
    return text if re.search(rf"the host has +{pages} pages", text) else None


def resize(guest, shell):
    size = 6 * MIB
    guest.qmp("block_resize", **{"node-name": f"disk{SPARE}", "size": size})
    eventually(20, lambda: f"{size // 512} sectors" in shell.run("disk"), "the new size")
    shell.run(f"write disk:{SPARE} {size // 512 - 1} end")
    need("end" in shell.run(f"cat disk:{SPARE}:{size // 512 - 1},1"), "the last sector of the grown disk")


def power_off(guest, shell, paths):
    """By the button; QEMU's `virt` has none on riscv64, and there by the shell."""
    shell.run(f"write disk:{SPARE} 9 before_the_end")
    if guest.machine.arch == "riscv64":
        guest.send("poweroff\n")
    else:
        guest.qmp("system_powerdown")
    equal(guest.wait(20), 0, "status")
    equal(paths[SPARE].read_bytes()[9 * 512:][:14], b"before_the_end", "what was written before")


def main(configuration):
    with Checks(f"appliance {configuration}", 270) as checks, tempfile.TemporaryDirectory(prefix="ringside-appliance-") as folder:
        expected = content()
        paths = make_disks(folder, expected)
        port, echo = free_ports(2)
        machine = make(configuration, image("appliance"), memory=MEMORY, forwards=[Forward(port, 80), Forward(echo, 7)],
                       disks=[Disk(paths[FILES], "files"), Disk(paths[LARGE], "large", read_only=True), Disk(paths[SPARE], "spare")])
        with Guest(machine, ports=["ringside.echo", "ringside.log"]) as guest:
            checks.guest = guest
            shell = checks.run("shell.prompt", Shell, guest)
            checks.run("http.page", lambda: eventually(60, lambda: ready(port), "the web server is up") and page(port))
            checks.run("http.files", files, port, expected)
            checks.run("http.file_parts", file_parts, port, expected)
            checks.run("http.wrong_requests", wrong_requests, port)
            checks.run("http.many_at_once", many_at_once, port, expected)
            checks.run("http.kept_connection", kept_connection, port)
            checks.run("metrics.counters", counters, port)
            checks.run("shell.disks", shell_disks, shell, paths)
            checks.run("shell.sha256", shell_sums, shell, paths, expected)
            checks.run("shell.files", shell_files, shell)
            checks.run("shell.write", shell_writes, shell, paths)
            checks.run("shell.network", shell_network, shell)
            checks.run("shell.fetch", shell_fetch, shell)
            checks.run("shell.editing", shell_editing, shell)
            checks.run("shell.devices", shell_devices, shell, guest)
            checks.run("port.echo_1_mib", echo_port, guest)
            checks.run("port.log", log_port, guest)
            checks.run("net.link_down_and_up", link, guest, shell, port, expected)
            checks.run("balloon.half_and_back", balloon, guest, shell, port, expected)
            checks.run("disk.resize", resize, guest, shell)
            checks.run("metrics.no_rescues", no_rescues, port)
            log = guest.guest_errors()
            checks.run("power.off", power_off, guest, shell, paths)
        checks.run("qemu.guest_errors", status.nothing_but_firmware, log, machine)
    return checks.status()


def ready(port):
    try:
        return get(port, "/files/data/one", timeout=5)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
