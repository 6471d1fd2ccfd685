"""What each fault does to which link, as pure values; and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from lab import files
from lab.clock import seeded
from lab.errors import Refused
from lab.faults.latency import LatencyFault
from lab.faults.none import NoFault
from lab.faults.partition import PartitionFault
from lab.protocols import Cut, FaultContext, Latency
from lab.topology import Link, Topology

TOPOLOGY = Topology.model_validate(
    {
        "name": "t",
        "regions": {name: {"nodes": 1} for name in ("us", "eu", "sg")},
        "rtt_ms": {"us-eu": 80, "us-sg": 200, "eu-sg": 160},
    }
)
OF_SG = {Link("sg", "us"), Link("us", "sg"), Link("sg", "eu"), Link("eu", "sg")}


def context(seed: int = 1) -> FaultContext:
    return FaultContext(TOPOLOGY, "process", "jetstream-stretched", seeded(seed, "fault", 0))


@pytest.mark.parametrize("how", ["stall", "blackhole", "refuse"])
def test_a_partition_cuts_both_directions_of_every_pair(how: Any) -> None:
    assert PartitionFault("sg", how).impairments(context()) == dict.fromkeys(OF_SG, Cut(how))


def test_one_latency_for_all() -> None:
    assert LatencyFault("sg", 300.0).impairments(context()) == dict.fromkeys(OF_SG, Latency(300.0))


def test_latency_within_bounds_is_drawn_per_link_from_the_seed() -> None:
    first, again, other = (LatencyFault("sg", (1000, 2000)).impairments(context(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert set(first) == OF_SG
    drawn = [harm.ms for harm in first.values() if isinstance(harm, Latency)]
    assert len(set(drawn)) > 1 and all(1000 <= ms <= 2000 and ms == int(ms) for ms in drawn)


def test_no_fault_harms_nothing() -> None:
    NoFault().check(context())
    assert NoFault().impairments(context()) == {} and NoFault().targets == ()


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (LatencyFault, {"region": "sq", "add_ms": 10}, r"unknown region 'sq'; known: eu, sg, us\."),
        (PartitionFault, {"region": "mars"}, r"unknown region 'mars'; known: eu, sg, us"),
        (LatencyFault, {"region": "sg", "add_ms": 0}, "between 0 and 60000 ms, found 0"),
        (LatencyFault, {"region": "sg", "add_ms": [20, 10]}, "found"),
        (LatencyFault, {"region": "sg", "add_ms": [1, 2, 3]}, "fault: add_ms"),
        (LatencyFault, {"region": "sg", "add_ms": float("nan")}, "found nan"),
        (LatencyFault, {"region": "sg"}, "fault: add_ms: "),
        (PartitionFault, {"region": "sg", "how": "stal"}, "fault: how: .*'stall'"),
        (NoFault, {"region": "sg"}, "unknown setting 'region'"),
    ],
)
def test_what_does_not_fit_is_refused(kind: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        files.validated(kind, settings, "fault").check(context())
