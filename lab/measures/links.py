"""Links as their witnesses read them: the one-way delay the topology asks for, the median attested
before the load, and the median of the answers to probes sent while a fault was in force.

A probe counts as silent in a fault if it was sent while all of one was in force (between the pulses
of a flapping one it isn't) and had no answer: still waiting, refused or closed. All delays in ms, one direction.
"""

from __future__ import annotations

import polars as pl

from lab.history import History
from lab.measurements import LinkReading, Measurements
from lab.measures.probes import ANSWERED, in_force, probes


def measure(history: History, done: Measurements) -> dict[str, LinkReading]:
    """`a->b` → reading, for every link of the topology."""
    attested = _medians(probes(history, "attest"))
    in_fault = probes(history, "run").filter(in_force(history))
    answers = _medians(in_fault)
    answered = _counts(in_fault.filter(ANSWERED))
    silent = _counts(in_fault.filter(~ANSWERED))
    return {
        str(link): LinkReading(
            expected_ms=history.topology.one_way_ms(link),
            attested_ms=attested.get(str(link)),
            fault_ms=answers.get(str(link)),
            silent_in_fault=silent.get(str(link), 0),
            answered_in_fault=answered.get(str(link), 0),
        )
        for link in history.topology.links
    }


def _medians(read: pl.DataFrame) -> dict[str, float]:
    return dict(read.filter(ANSWERED).group_by("link").agg(pl.col("delay_ms").median()).rows())


def _counts(read: pl.DataFrame) -> dict[str, int]:
    return dict(read.group_by("link").len().rows())
