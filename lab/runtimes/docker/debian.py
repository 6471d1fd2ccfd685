"""A small Debian with Python, for where no registry answers: made here by debootstrap and given to the engine.

Needs root, since it makes a whole system in a folder; it is done in mounts and processes of its own, so that
nothing of it outlives a kill.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker

from lab.errors import BinaryMissing
from lab.programs import cache
from lab.programs.commands import Failed, run
from lab.programs.platforms import Platform
from lab.runtimes.docker.stock import Recipe

Say = Callable[[str], None]
PROGRAM = "python-base"
SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = ("python3-minimal", "python3")
COMMAND = ("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "--force-check-gpg", SUITE)
DPKG = "force-unsafe-io\n"  # what is not finished is thrown away: nothing here need outlive a power cut
ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
TIMEOUT_S = 900
NEEDLESS = (
    "var/cache", "var/lib/apt/lists", "var/log", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
    "dev", "proc", "sys", "tmp",
)  # fmt: skip
"""What is in those folders no server reads; the engine fills the last ones itself."""


def recipe() -> Recipe:
    """What the base is made from; its packages' versions are Debian's of the day."""
    return Recipe(
        PROGRAM,
        f"{PYTHON}-{SUITE}",
        {"command": " ".join(COMMAND), "dpkg": DPKG, "without": " ".join(NEEDLESS)},
        {},
        _make,
        takes="about 90 s and 200 MB",
    )


def lacking(platform: Platform) -> str:
    """Why it can't be made here, and what to do; "" when it can."""
    if not shutil.which("debootstrap"):
        return (
            "debootstrap, which would make one here, is not installed (Debian, Ubuntu: apt-get install debootstrap "
            "debian-archive-keyring)"
        )
    if os.geteuid() != 0:
        return "debootstrap, which would make one here, needs root: run `sudo make images` once"
    if platform != Platform.here():
        return f"debootstrap would make one for {Platform.here()}, and the engine needs {platform}"
    return ""


def _make(engine: docker.DockerClient, recipe: Recipe, say: Say) -> None:
    """Raises BinaryMissing."""
    place = cache.folder(PROGRAM, recipe.version, Platform.here())
    with cache.work_in(place, "never") as part:
        assert part is not None
        folder, archive = part / "system", part / "system.tar"
        settings = folder / "etc" / "dpkg" / "dpkg.cfg.d" / "isolation-lab"
        settings.parent.mkdir(parents=True)
        settings.write_text(DPKG, encoding="utf-8")
        alone = ALONE if shutil.which("unshare") else ()
        try:
            run("debootstrap", [*alone, *COMMAND, str(folder)], TIMEOUT_S)
        except Failed as failed:
            raise BinaryMissing(
                f"a base for Python can't be made: {failed}. Are Debian's packages reached (look at http_proxy), "
                "and is debian-archive-keyring installed?"
            ) from None
        pack(folder, archive)
        changes = [*(f'LABEL {key}="{value}"' for key, value in recipe.labels.items()), 'CMD ["python3"]']
        name, _, tag = recipe.reference.rpartition(":")
        engine.api.import_image(str(archive), repository=name, tag=tag, changes=changes)


def pack(folder: Path, archive: Path) -> None:
    """The system as an archive, without what no server reads."""

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        inside = member.name.removeprefix("./")
        return None if any(inside.startswith(f"{one}/") for one in NEEDLESS) else member

    with tarfile.open(archive, "w") as tar:
        tar.add(folder, ".", filter=kept)
