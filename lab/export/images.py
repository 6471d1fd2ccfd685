"""Which image each program of an export is started from: official ones by name, or those that `lab images` makes."""

from __future__ import annotations

from collections.abc import Callable

from lab.binaries import NEWEST, OURS
from lab.errors import DoesNotFit
from lab.export.model import Images
from lab.plan import TOXIPROXY, Plan

NAMED = "image:"
PYTHON = "python:3.13-slim"
ROAD = "ghcr.io/shopify/toxiproxy"
OFFICIAL = {"nats-server": "nats"}


def official(plan: Plan) -> Images:
    """By name, unasked: whether a registry has them is seen at the start. Raises DoesNotFit."""
    programs = {program: _public(program, version) for program, version in plan.backend.programs().items()}
    return Images(programs, f"{ROAD}:{NEWEST[TOXIPROXY]}", PYTHON, local=False)


def local(plan: Plan, say: Callable[[str], None]) -> Images:
    """Those of this machine's engine, made first if need be. Raises Refused."""
    from lab import images as making

    wanted = {**plan.backend.programs(), TOXIPROXY: "", OURS: ""}
    asked = [f"{program}@{version}" if version else program for program, version in wanted.items()]
    made = dict(zip(wanted, (image.reference for image in making.ready(asked, say)), strict=True))
    programs = {program: made[program] for program in plan.backend.programs()}
    return Images(programs, made[TOXIPROXY], made[OURS], local=True)


def _public(program: str, version: str) -> str:
    if version.startswith(NAMED):
        return version.removeprefix(NAMED)
    if program not in OFFICIAL:
        raise DoesNotFit(
            f"{program} has no public image: say --local-images, for the one that `lab images {program}` makes on this "
            "machine's engine."
        )
    if version.startswith(("/", ".", "~")):
        raise DoesNotFit(
            f"expected a version of {program} that has a public image, found the file {version}: give its number, an "
            "image (@image:…), or say --local-images."
        )
    return f"{OFFICIAL[program]}:{version}"
