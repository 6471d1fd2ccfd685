"""The libraries that the store needs in its image: those it imports, at the versions that are locked, nothing more.

They are unpacked from wheels for the image's platform and Python, by this host's pip: a container needs no network,
no pip and no compiler.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.errors import BinaryMissing
from lab.programs import cache
from lab.programs.commands import Failed, pip
from lab.programs.platforms import Platform

Say = Callable[[str], None]
IMPORTED = {
    "msgspec": "frames on the wire and in the log",
    "prometheus-client": "what a node tells of itself",
    "sortedcontainers": "keys by prefix",
    "uvloop": "the event loop of a node",
    "xxhash": "digests",
    "typer": "its commands: put, get, status, drain …",
}
"""Distributions that the store imports, and what for."""
BENEATH = {
    "annotated-doc": "typer",
    "shellingham": "typer",
    "pydantic": "typer",
    "annotated-types": "pydantic",
    "pydantic-core": "pydantic",
    "typing-extensions": "pydantic",
    "typing-inspection": "pydantic",
}
"""Distributions that the store does not import itself, and which one does."""
LEFT_OUT = {"trustme": "`syncstore certs` alone, which makes a test CA: on the host"}
_BLOCK = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?: ;[^\\\n]*)? \\\n(?P<hashes>(?: {4}.*\n?)+)", re.M)


def locked(text: str) -> dict[str, str]:
    """name → its requirement with hashes, of each distribution that the image needs. text: requirements.lock.
    Markers are dropped: they speak of this host. Raises BinaryMissing when one is absent."""
    found = {
        match["name"]: f"{match['name']}=={match['version']} \\\n{match['hashes']}" for match in _BLOCK.finditer(text)
    }
    if missing := sorted((IMPORTED.keys() | BENEATH.keys()) - found.keys()):
        raise BinaryMissing(f"requirements.lock does not name {', '.join(missing)}: run `make lock`.")
    return {name: found[name] for name in sorted(IMPORTED.keys() | BENEATH.keys())}


def lock() -> str:
    """The text of requirements.lock. Raises BinaryMissing outside a checkout."""
    path = Path(__file__).resolve().parents[3] / "requirements.lock"
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        raise BinaryMissing(
            f"expected {path}, by which the store's image is built: work in a clone of the project, or name an image."
        ) from None


def unpacked(requirements: Mapping[str, str], platform: Platform, python: str, say: Say) -> Path:
    """The folder of their modules, kept in the cache. python: `3.11`. Raises BinaryMissing."""
    text = "".join(requirements.values())
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    place = cache.folder("syncstore-packages", f"{digest}-python{python}", platform)
    with cache.work_in(place, "unpacked") as part:
        if part:
            say(f"downloading what SyncStore imports: {', '.join(requirements)} (about 8 MB, once)")
            with tempfile.NamedTemporaryFile("w", dir=part, suffix=".txt", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                _install(Path(file.name), part / "unpacked", platform, python)
            (part / "unpacked").rename(place / "unpacked")
    return place / "unpacked"


def _install(requirements: Path, target: Path, platform: Platform, python: str) -> None:
    options = ["--require-hashes", "--no-compile", "--target", str(target), "--requirement", str(requirements)]
    kind = [f"--python-version={python}", "--implementation=cp", *platform.wheels]
    try:
        pip("what SyncStore imports", "install", *options, *kind)
    except Failed as failed:
        raise BinaryMissing(f"the image of syncstore can't be built: {failed}. Is there a network?") from None
