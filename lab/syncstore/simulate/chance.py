"""Seeded generators, one for each purpose.

Owns how a seed is forked: equal seed and labels give equal draws in every process, and drawing more
for one purpose never shifts another's. So a world without faults and one with them, from one seed,
have the same clients doing the same things at the same instants.
"""

from __future__ import annotations

import hashlib
from random import Random


def fork(seed: int, *labels: object) -> Random:
    """A generator for one purpose, named by its labels."""
    text = "/".join([str(seed), *map(str, labels)])
    return Random(hashlib.sha256(text.encode()).digest())
