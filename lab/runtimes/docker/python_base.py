"""The Python that SyncStore's image stands on: the official slim one where it is to be had, else one made here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import docker

from lab.errors import BinaryMissing
from lab.programs.platforms import Platform
from lab.runtimes.docker import debian, registry, stock

Say = Callable[[str], None]
SLIM_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"  # as the nodes that are processes here
SLIM = f"python:{SLIM_PYTHON}-slim"
ANSWER_WITHIN_S = 6.0


@dataclass(frozen=True)
class Base:
    """python: the version of its `python3`, such as `3.11`."""

    reference: str
    id: str
    python: str


def had(engine: docker.DockerClient, platform: Platform, say: Say) -> Base:
    """What is present first, so that a warm start asks nobody; then the registry; then debootstrap. Raises
    BinaryMissing."""
    own = debian.recipe()
    with stock.refused("a base for Python can't be looked for"):
        if found := registry.present(engine, SLIM, platform):
            return Base(SLIM, found.id, SLIM_PYTHON)
        if present := stock.present(engine, own):
            return Base(own.reference, present, debian.PYTHON)
    say(f"looking for a registry that has {SLIM}, for {ANSWER_WITHIN_S:g} s")
    try:
        registry.pull(engine, SLIM, say, ANSWER_WITHIN_S)
    except registry.NoRegistry as error:
        if lacking := debian.lacking(platform):
            raise BinaryMissing(
                f"SyncStore's image needs a base with Python: {SLIM} can't be pulled ({error}), and {lacking}; or load "
                f"{SLIM} (docker load), or say RUNTIME=process."
            ) from None
        say("there is none: a small Debian with Python is made here")
        return Base(own.reference, stock.had(engine, own, say), debian.PYTHON)
    return had(engine, platform, say)
