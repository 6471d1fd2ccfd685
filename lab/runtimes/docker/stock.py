"""Images of ours by their content: found again in a moment, made once, and gone when what went in has changed.

An image is named after the digest of all that goes into it. Of several processes that want it one makes it, the others
wait. An older image of the same program and version is removed, but never one that a container uses, that somebody was
told of just now, or that does not bear our label.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import filelock
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from lab.errors import BinaryMissing
from lab.programs import cache
from lab.runtimes.docker.engine import why

Say = Callable[[str], None]
IMAGE, VERSION, DIGEST = "isolation-lab.image", "isolation-lab.image.version", "isolation-lab.image.digest"
"""Labels: the program an image is of (on each of its layers), its version, the digest of all that went in."""
REPOSITORY = "isolation-lab"
LOCK_TIMEOUT_S = 1800
SPARED_S = 300.0
"""An image that somebody was told of so lately may be about to become a container."""


@dataclass(frozen=True)
class Recipe:
    """How an image is made. ingredients: everything that goes in, name → digest or text; sha256: those of them that are
    told to the user; takes: about how long; make: gives the engine the image, by (engine, recipe, say)."""

    program: str
    version: str
    ingredients: Mapping[str, str]
    sha256: Mapping[str, str]
    make: Callable[[docker.DockerClient, Recipe, Say], None]
    takes: str = "a second or two"
    has_tools: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.program, dict(self.ingredients)], sort_keys=True).encode()).hexdigest()

    @property
    def reference(self) -> str:
        version = re.sub(r"[^A-Za-z0-9_.-]", "-", self.version)[:80]
        return f"{REPOSITORY}/{self.program}:{version}-{self.digest[:12]}"

    @property
    def labels(self) -> dict[str, str]:
        return {IMAGE: self.program, VERSION: self.version, DIGEST: self.digest}


def had(engine: docker.DockerClient, recipe: Recipe, say: Say) -> str:
    """The id of the recipe's image: there already, or made now. Raises BinaryMissing."""
    with refused(f"the image of {recipe.program} {recipe.version} can't be had"):
        _note(recipe.digest).touch()
        if found := present(engine, recipe):
            return found
        with _alone(recipe.program):
            if not (found := present(engine, recipe)):  # else another process made it meanwhile
                begun_s = time.monotonic()
                say(f"building the image of {recipe.program} {recipe.version} ({recipe.takes}, once)")
                recipe.make(engine, recipe, say)
                say(f"the image of {recipe.program} {recipe.version} is built ({time.monotonic() - begun_s:.1f} s)")
                found = present(engine, recipe)
            _remove_old(engine, recipe, found)
        if not found:
            raise BinaryMissing(f"the image {recipe.reference} was removed from the engine just now; run again.")
        return found


def present(engine: docker.DockerClient, recipe: Recipe) -> str:
    """The id of the recipe's image, "" when it isn't there: its name alone is not believed."""
    with suppress(ImageNotFound):
        found = engine.images.get(recipe.reference)
        if found.labels.get(DIGEST) == recipe.digest:
            return str(found.id)
    return ""


def _remove_old(engine: docker.DockerClient, recipe: Recipe, current: str) -> None:
    """What earlier content of the same program and version made, and what a build that was ended has left."""
    ours = {f"{REPOSITORY}/{recipe.program}"}
    for one in engine.api.images(filters={"label": [f"{IMAGE}={recipe.program}"]}):
        names = [name for name in one["RepoTags"] or [] if name != "<none>:<none>"]
        labels = one["Labels"] or {}
        if (
            one["Id"] == current
            or _spared(labels.get(DIGEST, ""))
            or not set(map(_repository, names)) <= ours  # a name that the user gave it
        ):
            continue
        if not names or labels.get(VERSION) == recipe.version:
            for name in names or [one["Id"]]:
                _remove(engine, name)


def _repository(name: str) -> str:
    return name.rpartition(":")[0]


def _remove(engine: docker.DockerClient, name: str) -> None:
    """Unless a container or another image needs it: then the engine refuses, and a later build removes it."""
    try:
        engine.api.remove_image(name)
    except NotFound:
        pass
    except APIError as error:
        if error.status_code != 409:
            raise


def _notes() -> Path:
    folder = cache.root().parent / "images"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _note(digest: str) -> Path:
    """A file that was touched when somebody was last told of the image."""
    return _notes() / digest[:12]


def _spared(digest: str) -> bool:
    note = _note(digest)
    if not digest or not note.exists():
        return False
    if time.time() - note.stat().st_mtime < SPARED_S:
        return True
    note.unlink(missing_ok=True)
    return False


@contextmanager
def _alone(program: str) -> Iterator[None]:
    lock = filelock.FileLock(_notes() / f"{program}.lock", timeout=LOCK_TIMEOUT_S)
    try:
        lock.acquire()
    except filelock.Timeout:
        said = f"another process has been building the image of {program} for {LOCK_TIMEOUT_S} s"
        raise BinaryMissing(f"{said}; end it and run again.") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def refused(what: str) -> Iterator[None]:
    """What the engine or the disk refuses becomes a sentence. Raises BinaryMissing."""
    try:
        yield
    except (DockerException, RequestException) as error:
        raise BinaryMissing(f"{what}: the container engine says: {why(error)}.") from error
    except OSError as error:
        raise BinaryMissing(
            f"{what}: {error}; free space there, or set XDG_CACHE_HOME to a folder that can be written."
        ) from error
