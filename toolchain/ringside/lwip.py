"""lwIP's sources: the distribution's own source archive, its signature checked by apt, its checksum by us."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from .messages import Progress, UserError
from .paths import cache_folder

VERSION = "2.1.3"
SHA256 = "0a8276d09fc4e97bbba2f953d74af2388fc2195ea156be9d7589e297a68fde24"
ARCHIVE = "lwip_2.1.3+dfsg1.orig.tar.xz"


def folder():
    """The same place as in toolchain/lwip.cmake, unless the user names a tree with LWIP_SOURCE."""
    if os.environ.get("LWIP_SOURCE"):
        return Path(os.environ["LWIP_SOURCE"]).absolute()
    return cache_folder() / f"lwip-{VERSION}"


def source_lists(deb822, one_line):
    """From the machine's own package sources, (deb822 texts, sources.list texts): the same with source packages. Pure, for tests."""
    stanzas = []
    for text in deb822:
        for stanza in re.split(r"\n\s*\n", text):
            if re.search(r"(?mi)^Enabled:\s*no\b", stanza) or not re.search(r"(?mi)^Types:.*\bdeb(-src)?\b", stanza):
                continue
            stanzas.append(re.sub(r"(?mi)^Types:.*$", "Types: deb-src", stanza.strip("\n")))
    lines = []
    for text in one_line:
        for line in text.splitlines():
            match = re.match(r"\s*deb(?:-src)?(\s+.*)$", line)
            if match and "deb-src" + match[1] not in lines:
                lines.append("deb-src" + match[1])
    return "\n\n".join(stanzas) + "\n", "\n".join(lines) + "\n"


def _machine_lists():
    parts = Path("/etc/apt/sources.list.d")
    one_line = [Path("/etc/apt/sources.list"), *sorted(parts.glob("*.list"))]
    return source_lists([path.read_text() for path in sorted(parts.glob("*.sources"))],
                        [path.read_text() for path in one_line if path.exists()])


def ensure():
    """Downloads, checks and unpacks if it is not there. Works as any user: apt's lists and cache are folders of ours."""
    if (folder() / "src" / "core" / "tcp.c").exists():
        return False
    if os.environ.get("LWIP_SOURCE"):
        raise UserError(f"LWIP_SOURCE={folder()} holds no lwIP sources (src/core/tcp.c)")
    progress = Progress(f"lwIP {VERSION} sources", 5)
    work = cache_folder() / "lwip-work"
    shutil.rmtree(work, ignore_errors=True)
    for name in ("parts", "lists/partial", "cache/archives/partial", "unpacked"):
        (work / name).mkdir(parents=True)
    try:
        deb822, one_line = _machine_lists()
        (work / "parts" / "sources.sources").write_text(deb822)
        (work / "parts" / "sources.list").write_text(one_line)
        options = ["-q", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={work}/parts",
                   "-o", f"Dir::State::Lists={work}/lists", "-o", f"Dir::Cache={work}/cache"]
        if os.geteuid() == 0:
            # The cache may lie where apt's own user cannot read.
            options += ["-o", "APT::Sandbox::User=root"]
        for arguments in (["update"], ["source", "--download-only", "lwip"]):
            run = subprocess.run(["apt-get", *options, *arguments], cwd=work, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if run.returncode != 0:
                raise UserError(f"lwIP could not be downloaded (apt-get {arguments[0]}): {(run.stderr or run.stdout).strip()}\n"
                                "  A source tree of your own will do as well: LWIP_SOURCE=FOLDER ringside setup")
        _unpack(work / ARCHIVE, work / "unpacked")
        os.rename(work / "unpacked", folder())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress.done()
    return True


def _unpack(archive, target):
    if not archive.exists():
        others = ", ".join(sorted(path.name for path in archive.parent.glob("lwip_*.orig.tar.*")))
        raise UserError(f"the distribution has {others or 'no lwIP'}, not {ARCHIVE}, whose checksum we know. "
                        f"Unpack lwIP {VERSION} yourself and say LWIP_SOURCE=FOLDER")
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    if checksum != SHA256:
        raise UserError(f"{archive.name} has the SHA-256 {checksum}, not the expected {SHA256}: it is not used")
    subprocess.run(["tar", "-xf", archive, "-C", target, "--strip-components=1"], check=True)
