"""What faults on links share."""

from __future__ import annotations

from lab.errors import UnknownName
from lab.protocols import FaultContext


def known_region(region: str, context: FaultContext) -> None:
    """Raise UnknownName when the topology has no such region."""
    if region not in context.topology.regions:
        raise UnknownName.of("region", region, context.topology.regions)
