"""Which platform a program is for: as everybody calls it, and as a file's first bytes tell it."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from lab.programs import elf
from lab.programs.elf import Elf
from lab.programs.platforms import Platform

SAME = [("linux", "x86_64"), ("linux", "amd64"), ("Linux", "AMD64")]


@pytest.mark.parametrize(("system", "machine"), SAME)
def test_one_platform_has_one_name(system: str, machine: str) -> None:
    assert Platform.of(system, machine) == Platform("linux", "x86_64")


def test_what_go_and_pip_and_the_cache_call_it() -> None:
    arm = Platform.of("linux", "arm64")
    assert arm.go == {"GOOS": "linux", "GOARCH": "arm64"}
    assert arm.wheels[0] == "--platform=manylinux_2_28_aarch64"
    assert str(arm) == "linux-aarch64"


def program(machine: int, kinds: tuple[int, ...], *, wide: bool = True, little: bool = True) -> bytes:
    """An ELF header and its program headers, of these kinds."""
    order, size = "<" if little else ">", 56 if wide else 32
    head = b"\x7fELF" + bytes([2 if wide else 1, 1 if little else 2, 1]) + bytes(9)
    head += struct.pack(f"{order}HHI", 2, machine, 1)
    if wide:
        head += struct.pack(f"{order}QQQIHHH", 0, 64, 0, 0, 64, size, len(kinds))
    else:
        head += struct.pack(f"{order}IIIIHHH", 0, 52, 0, 0, 52, size, len(kinds))
    head = head.ljust(64 if wide else 52, b"\0")
    return head + b"".join(struct.pack(f"{order}I", kind).ljust(size, b"\0") for kind in kinds)


FILES = {
    "static, 64 bit": (program(62, (6, 1, 1)), Elf("x86_64", True)),
    "static, arm": (program(183, (1,)), Elf("aarch64", True)),
    "needs libraries": (program(62, (6, 3, 1)), Elf("x86_64", False)),
    "32 bit": (program(40, (1, 3), wide=False), Elf("armv7l", False)),
    "the other order of bytes": (program(183, (1,), little=False), Elf("aarch64", True)),
    "a processor not known here": (program(22, (1,)), Elf("machine 22", True)),
    "a script": (b"#!/bin/sh\necho\n", None),
    "of a Mac": (b"\xcf\xfa\xed\xfe" + bytes(60), None),
    "cut short": (program(62, (1, 3))[:70], None),
    "empty": (b"", None),
    "four bytes": (b"\x7fELF", None),
}


@pytest.mark.parametrize("case", FILES)
def test_a_header_is_read(case: str, tmp_path: Path) -> None:
    content, told = FILES[case]
    (tmp_path / "file").write_bytes(content)
    assert elf.read(tmp_path / "file") == told


@pytest.mark.skipif(sys.platform != "linux", reason="reads this Python's own header")
def test_of_a_real_program() -> None:
    found = elf.read(Path(sys.executable).resolve())
    assert found is not None and found.machine == Platform.here().machine
