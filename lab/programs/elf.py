"""For which platform a Linux program was built, and whether it needs a C library: read in its first bytes.

Source: the System V ABI's "ELF Header" and "Program Header". Runs nothing: the program may be for
another processor than this one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF"
_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}  # e_machine
_INTERPRETED = 3  # p_type PT_INTERP: names the dynamic linker
_BYTES = 4096


@dataclass(frozen=True)
class Elf:
    """machine: as `uname -m` says it; static: needs no library of the system it runs on."""

    machine: str
    static: bool


def read(path: Path) -> Elf | None:
    """What the file says of itself; None when it is no Linux program."""
    with path.open("rb") as file:
        head = file.read(_BYTES)
    try:
        return _parsed(head)
    except (struct.error, IndexError):  # it ends too early
        return None


def _parsed(head: bytes) -> Elf | None:
    if head[:4] != _MAGIC:
        return None
    wide, order = head[4] == 2, "<" if head[5] == 1 else ">"
    (machine,) = struct.unpack_from(f"{order}H", head, 18)
    if wide:
        (first,), (size, count) = struct.unpack_from(f"{order}Q", head, 32), struct.unpack_from(f"{order}HH", head, 54)
    else:
        (first,), (size, count) = struct.unpack_from(f"{order}I", head, 28), struct.unpack_from(f"{order}HH", head, 42)
    kinds = [struct.unpack_from(f"{order}I", head, first + size * i)[0] for i in range(count)]
    return Elf(_MACHINES.get(machine, f"machine {machine}"), _INTERPRETED not in kinds)
