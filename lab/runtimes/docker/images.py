"""The image of a program: ours, made without a registry and kept by its content; or one that the user names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import docker

from lab.binaries import OURS
from lab.programs.platforms import Platform
from lab.runtimes.docker import python_image, registry, scratch, stock
from lab.runtimes.docker.stock import refused

Say = Callable[[str], None]
NAMED = "image:"


@dataclass(frozen=True)
class Image:
    """An image of the engine. sha256: file or program → digest of what is in it. has_tools: it is known to hold
    something by which it can be asked from inside (toxiproxy-cli, a Python)."""

    reference: str
    id: str
    version: str
    sha256: Mapping[str, str]
    has_tools: bool


def image_of(engine: docker.DockerClient, program: str, version: str, say: Say = lambda sentence: None) -> Image:
    """The image of a program, built or pulled first if need be: seconds, once; a first Python minutes. Blocking.

    version: as for `binaries.find`, or `image:REFERENCE`, an image by its name. Raises BinaryMissing, UnknownName.
    """
    if version.startswith(NAMED):
        return _named(engine, program, version.removeprefix(NAMED), say)
    find = python_image.recipe if program == OURS else scratch.recipe
    recipe = find(engine, program, version, platform_of(engine), say)
    image_id = stock.had(engine, recipe, say)
    return Image(recipe.reference, image_id, recipe.version, recipe.sha256, recipe.has_tools)


def platform_of(engine: docker.DockerClient) -> Platform:
    """What the engine's containers run on: on a Mac, not this host's."""
    with refused("the engine's platform can't be asked for"):
        info: dict[str, Any] = engine.info()
    return Platform.of(info["OSType"], info["Architecture"])


def _named(engine: docker.DockerClient, program: str, reference: str, say: Say) -> Image:
    """An image that others made: what it states of itself is its name, and its digest is recorded."""
    found = registry.had(engine, reference, platform_of(engine), say)
    return Image(reference, found.id, reference, {program: found.sha256}, has_tools=False)
