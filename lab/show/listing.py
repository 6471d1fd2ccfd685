"""The list of everything that can be named, with how long what can be run takes."""

from __future__ import annotations

from lab import plan
from lab.show.names import everything
from lab.show.paper import Paper
from lab.show.takes import takes


def listing(width: int) -> Paper:
    """A line a thing, in the inventory's order."""
    known = {(thing.kind, thing.name): thing for thing in everything()}
    paper = Paper(width)
    paper.table(
        ("what", "name", "takes", "about"),
        [
            (what, name, takes(known[what, name]) if (what, name) in known else "", about)
            for what, name, about in plan.inventory()
        ],
        right=(2,),
    )
    return paper
