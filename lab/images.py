"""The images that runs on the docker runtime need, made ahead: what `lab images` and `make images` do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lab.binaries import OURS
from lab.runtimes.docker import engine
from lab.runtimes.docker.images import Image, image_of

PROGRAMS = ("nats-server", "toxiproxy-server", OURS)
SHOWN = 12
"""Of a digest, so many characters."""


def ready(programs: Sequence[str], say: Callable[[str], None]) -> Iterator[Image]:
    """Each program's image, made or pulled if need be. programs: `name` or `name@version`. Raises Refused."""
    client = engine.connected()
    try:
        for asked in programs:
            name, _, version = asked.partition("@")
            yield image_of(client, name, version, say)
    finally:
        client.close()


def line(image: Image) -> str:
    """One line: what to call it, and the digests of what is in it."""
    digests = ", ".join(f"{name} {digest[:SHOWN]}" for name, digest in image.sha256.items())
    return f"{image.reference} (sha256: {digests})"
