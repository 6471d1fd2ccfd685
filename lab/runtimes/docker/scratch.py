"""NATS and Toxiproxy as images that hold nothing but the program: on Linux the very file that is run as a process.

Toxiproxy's holds its command-line tool too, which dials from inside a network and asks the server after its health.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import docker

from lab import binaries
from lab.binaries import UNSTATED, Binary
from lab.errors import BinaryMissing
from lab.programs import elf
from lab.programs.platforms import Platform
from lab.runtimes.docker.building import NOBODY, build
from lab.runtimes.docker.stock import Recipe

Say = Callable[[str], None]
TOXIPROXY, TOOL = "toxiproxy-server", "toxiproxy-cli"


def recipe(engine: docker.DockerClient, program: str, version: str, platform: Platform, say: Say) -> Recipe:
    """The image of a program for the engine's platform; the program is got first. Raises BinaryMissing, UnknownName."""
    found = [binaries.find(program, version, say, platform=platform)]
    if program == TOXIPROXY:
        same = "" if found[0].version == UNSTATED else found[0].version
        found.append(binaries.find(TOOL, same, say, platform=platform))
    for one in found:
        check(one, platform)
    text = dockerfile([one.name for one in found])
    digests = {one.name: one.sha256 for one in found}
    return Recipe(
        program,
        found[0].version,
        {"Dockerfile": text, **digests},
        digests,
        lambda engine, recipe, say: build(engine, recipe, text, {one.name: one.path for one in found}),
        has_tools=program == TOXIPROXY,
    )


def dockerfile(programs: Sequence[str]) -> str:
    """The first of the programs is what the image runs, as nobody, in a folder it may write."""
    return "\n".join(
        [
            "FROM scratch",
            *(f"COPY --chown=0:0 {program} /{program}" for program in programs),
            f"COPY --chown={NOBODY}:{NOBODY} data /data",
            "WORKDIR /data",
            f"USER {NOBODY}:{NOBODY}",
            f'ENTRYPOINT ["/{programs[0]}"]',
            "",
        ]
    )


def check(binary: Binary, platform: Platform) -> None:
    """Refuse what could not start in an image that holds nothing else. Raises BinaryMissing."""
    found, where = elf.read(binary.path), f"{binary.name} at {binary.path}"
    if found is None:
        raise BinaryMissing(f"{where} is no Linux program: containers here need one for {platform}.")
    if found.machine != platform.machine:
        raise BinaryMissing(f"{where} is for {found.machine}: the container engine runs programs for {platform}.")
    if not found.static:
        raise BinaryMissing(
            f"{where} needs the libraries of a system, and the image has none: give one that was built with "
            "CGO_ENABLED=0, or say RUNTIME=process."
        )
