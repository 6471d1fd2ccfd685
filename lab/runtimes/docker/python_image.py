"""SyncStore as an image: a base with Python, the libraries that the store imports, and its own sources; of the lab
nothing else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker

from lab import binaries
from lab.programs.platforms import Platform
from lab.runtimes.docker import packages, python_base
from lab.runtimes.docker.building import NOBODY, build
from lab.runtimes.docker.python_base import Base
from lab.runtimes.docker.stock import Recipe

Say = Callable[[str], None]
HOME = "/opt/syncstore"
COMPILE = '["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "{folder}"]'
"""Else each of nine nodes would compile all of it at its start: nobody may write it there."""


def recipe(engine: docker.DockerClient, program: str, version: str, platform: Platform, say: Say) -> Recipe:
    """The store's image; the base is had first. Raises BinaryMissing, UnknownName."""
    store = binaries.find(program, version)
    requirements = packages.locked(packages.lock())
    base = python_base.had(engine, platform, say)
    text = dockerfile(base)

    def make(engine: docker.DockerClient, recipe: Recipe, say: Say) -> None:
        modules = packages.unpacked(requirements, platform, base.python, say)
        with tempfile.TemporaryDirectory(prefix="isolation-lab-") as folder:
            build(engine, recipe, text, {"packages": modules, "lab": sources(Path(folder))})

    ingredients = {"Dockerfile": text, "base": base.id, **requirements, program: store.sha256}
    return Recipe(program, store.version, ingredients, {program: store.sha256}, make, "about 10 s", has_tools=True)


def dockerfile(base: Base) -> str:
    """Libraries before sources, which change: then only these are laid and compiled anew."""
    return "\n".join(
        [
            f"FROM {base.reference}",
            f"COPY packages {HOME}",
            f"RUN {COMPILE.format(folder=HOME)}",
            f"COPY lab {HOME}/lab",
            f"RUN {COMPILE.format(folder=f'{HOME}/lab')}",
            f"COPY --chown={NOBODY}:{NOBODY} data /data",
            f"ENV PYTHONPATH={HOME}",
            "WORKDIR /data",
            f"USER {NOBODY}:{NOBODY}",
            'ENTRYPOINT ["python3"]',  # a node's arguments are those of the process runtime: `-m lab.syncstore serve …`
            'CMD ["-m", "lab.syncstore"]',
            "",
        ]
    )


def sources(folder: Path) -> Path:
    """A copy of the store's modules as `lab/syncstore`: exactly the files of which its digest is made. Without
    `lab/__init__`: the store imports nothing of the lab, and a folder is package enough."""
    for path in sorted(binaries.STORE.rglob("*.py")):
        target = folder / "lab" / "syncstore" / path.relative_to(binaries.STORE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder / "lab"
