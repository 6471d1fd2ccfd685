"""Images that others made, by their name: taken as they are where they are present, else pulled.

A registry is waited for a short time only: on many machines none answers, and that must not cost minutes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import DockerException, ImageNotFound
from requests.exceptions import RequestException

from lab.errors import BinaryMissing
from lab.programs.platforms import Platform
from lab.runtimes.docker.engine import why
from lab.runtimes.docker.stock import refused

Say = Callable[[str], None]
ANSWER_WITHIN_S, STALLED_S, SAY_EVERY_S = 10.0, 120.0, 5.0


class NoRegistry(Exception):
    """The image can't be pulled; the text says why."""


@dataclass(frozen=True)
class Found:
    """sha256: the digest by which the registry knows the image, else the engine's own of it."""

    id: str
    sha256: str


def had(engine: docker.DockerClient, reference: str, platform: Platform, say: Say) -> Found:
    """The image of that name. Raises BinaryMissing."""
    if not reference or reference != "".join(reference.split()):
        raise BinaryMissing(f"expected an image's name after `image:`, such as image:nats:2.10, found {reference!r}.")
    with refused(f"the image {reference} can't be looked for"):
        found = present(engine, reference, platform)
        if not found:
            try:
                pull(engine, reference, say, ANSWER_WITHIN_S)
            except NoRegistry as error:
                raise BinaryMissing(
                    f"the image {reference} is not on this machine and can't be pulled: {error}. Is the name right, "
                    "and is there a network? Without one, load it (docker load), or leave out `image:` to use our own."
                ) from None
            found = present(engine, reference, platform)
    if not found:
        raise BinaryMissing(f"the image {reference} was removed from the engine just now; run again.")
    return found


def present(engine: docker.DockerClient, reference: str, platform: Platform) -> Found | None:
    """The image if the engine has it. Raises BinaryMissing for one of another platform."""
    try:
        image = engine.images.get(reference)
    except ImageNotFound:
        return None
    about: dict[str, Any] = image.attrs
    of = Platform.of(about["Os"], about["Architecture"])
    if of != platform:
        raise BinaryMissing(
            f"the image {reference} on this machine is for {of}: the container engine runs programs for {platform}; "
            f"remove it (docker rmi {reference}) and run again."
        )
    known = [digest.rpartition("@")[2] for digest in about.get("RepoDigests") or []]
    return Found(str(image.id), (known or [str(image.id)])[0].removeprefix("sha256:"))


def pull(engine: docker.DockerClient, reference: str, say: Say, answer_within_s: float) -> None:
    """Pull with progress; a registry that says nothing within the time is none. Raises NoRegistry."""
    name, _, tag = reference.rpartition(":")
    if not name or "/" in tag or "@" in reference:
        name, tag = reference, "" if "@" in reference else "latest"
    lines: queue.Queue[dict[str, Any] | Exception | None] = queue.Queue()

    def ask() -> None:
        try:
            for line in engine.api.pull(name, tag or None, stream=True, decode=True):
                lines.put(line)
            lines.put(None)
        except (DockerException, RequestException, OSError) as error:
            lines.put(error)

    # A thread of its own, left behind if need be: the engine's first word may take it minutes.
    threading.Thread(target=ask, name=f"pull {reference}", daemon=True).start()
    progress = _Progress(reference, say)
    for line in _heard(lines, answer_within_s):
        if isinstance(line, Exception):
            raise NoRegistry(f"the container engine says: {why(line)}")
        if "error" in line:
            raise NoRegistry(f"the container engine says: {' '.join(str(line['error']).split()).rstrip('.')}")
        progress.hear(line)


def _heard(
    lines: queue.Queue[dict[str, Any] | Exception | None], answer_within_s: float
) -> Iterator[dict[str, Any] | Exception]:
    """Every line until the end. Raises NoRegistry where none comes in time."""
    within_s, missing = answer_within_s, "no registry answered"
    while True:
        try:
            line = lines.get(timeout=within_s)
        except queue.Empty:
            raise NoRegistry(f"{missing} within {within_s:g} s") from None
        if line is None:
            return
        yield line
        within_s, missing = STALLED_S, "the registry said nothing more"


class _Progress:
    """Says now and then how much has come."""

    def __init__(self, reference: str, say: Say) -> None:
        self._reference, self._say = reference, say
        self._layers: dict[str, tuple[int, int]] = {}
        self._said_s = time.monotonic() - SAY_EVERY_S

    def hear(self, line: dict[str, Any]) -> None:
        about = line.get("progressDetail") or {}
        if line.get("status") == "Downloading" and about.get("total"):
            self._layers[str(line.get("id"))] = (about.get("current", 0), about["total"])
        if time.monotonic() - self._said_s >= SAY_EVERY_S:
            self._said_s = time.monotonic()
            have, of = (sum(one) / 1e6 for one in zip(*self._layers.values(), strict=True)) if self._layers else (0, 0)
            self._say(f"pulling {self._reference}" + (f": {have:.0f} of {of:.0f} MB" if of else ""))
