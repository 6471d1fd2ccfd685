"""A thing → its page: which module tells of which kind."""

from __future__ import annotations

from collections.abc import Callable

from lab.show import batches, experiments, parts, topologies
from lab.show.names import Thing
from lab.show.paper import Paper

PAGES: dict[str, Callable[[Thing, Paper], None]] = {
    "experiment": experiments.write,
    "batch": batches.write,
    "topology": topologies.write,
    "backend": parts.backend,
    "fault": parts.fault,
    "workload": parts.workload,
    "checker": parts.checker,
    "measure": parts.measure,
}


def page_of(thing: Thing, width: int) -> Paper:
    """What is to be known of it, `width` letters wide. Raises Refused for a file that can't be read."""
    paper = Paper(width)
    PAGES[thing.kind](thing, paper)
    return paper
