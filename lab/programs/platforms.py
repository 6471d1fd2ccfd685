"""The system and processor a program is for: this host's, or a container engine's, which on a Mac differs.

Owns how Python, pip, Go and Docker each name the same thing.
"""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # as others call them → as Linux does
_GO_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
# Of Linux' wheels: by the oldest C library that they ask for. Programs in them are mostly static.
_WHEELS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")


@dataclass(frozen=True)
class Platform:
    """system: `linux`, `darwin`; machine: `x86_64`, `aarch64`, as `uname -m` says on Linux."""

    system: str
    machine: str

    @classmethod
    def of(cls, system: str, machine: str) -> Platform:
        """Whatever the processor was called by whoever told it."""
        told = machine.lower()
        return cls(system.lower(), _MACHINES.get(told, told))

    @classmethod
    def here(cls) -> Platform:
        return cls.of(sys.platform, platform.machine())

    def __str__(self) -> str:
        return f"{self.system}-{self.machine}"

    @property
    def go(self) -> dict[str, str]:
        """The variables by which Go builds for it."""
        return {"GOOS": self.system, "GOARCH": _GO_MACHINES.get(self.machine, self.machine)}

    @property
    def docker(self) -> str:
        """As images are asked for: `linux/arm64`."""
        return f"{self.system}/{_GO_MACHINES.get(self.machine, self.machine)}"

    @property
    def wheels(self) -> list[str]:
        """pip's options that ask for wheels of this platform, for Linux."""
        return [f"--platform={libc}_{self.machine}" for libc in _WHEELS]
