"""An image from a Dockerfile and files in memory: no folder is sent, no registry asked, no network reached."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import docker

from lab.errors import BinaryMissing
from lab.runtimes.docker.stock import IMAGE, Recipe

NOBODY = 65534
DOCKERFILE = "Dockerfile"


def build(engine: docker.DockerClient, recipe: Recipe, dockerfile: str, files: Mapping[str, Path]) -> None:
    """The recipe's image. files: path in the context → the file, or a folder of files. Raises BinaryMissing."""
    first, _, rest = dockerfile.partition("\n")
    # The label comes first, so that what a build that was ended leaves is known to be ours.
    text = f"{first}\nLABEL {IMAGE}={recipe.program}\n{rest}"
    steps = engine.api.build(
        fileobj=context(text, files), custom_context=True, tag=recipe.reference, labels=recipe.labels,
        rm=True, forcerm=True, network_mode="none", decode=True,
    )  # fmt: skip
    for step in steps:
        if error := step.get("error"):
            raise BinaryMissing(
                f"the image of {recipe.program} {recipe.version} can't be built: the container engine says: "
                f"{' '.join(str(error).split()).rstrip('.')}."
            )


def context(dockerfile: str, files: Mapping[str, Path]) -> io.BytesIO:
    """The archive that the engine builds from, and an empty folder `data`; equal files make equal bytes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        text = dockerfile.encode()
        about = _plain(tarfile.TarInfo(DOCKERFILE))
        about.size = len(text)
        tar.addfile(about, io.BytesIO(text))
        folder = _plain(tarfile.TarInfo("data"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name, path in files.items():
            tar.add(path, name, filter=_plain)
    archive.seek(0)
    return archive


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nothing of this host: neither whose the file is nor when it was made."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member
