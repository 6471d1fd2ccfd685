"""What each fault does to which link, as pure values; and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from lab import files
from lab.backends.jetstream.stretched import StretchedJetStream
from lab.clock import seeded
from lab.errors import Refused
from lab.faults.deaf import DeafFault
from lab.faults.flap import FlapFault
from lab.faults.latency import LatencyFault
from lab.faults.mute import MuteFault
from lab.faults.none import NoFault
from lab.faults.partition import PartitionFault
from lab.faults.rate import RateFault
from lab.protocols import Cut, FaultContext, Latency, Rate
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
    return FaultContext(TOPOLOGY, "process", StretchedJetStream("", {}), seeded(seed, "fault", 0))


@pytest.mark.parametrize("how", ["stall", "blackhole", "refuse"])
def test_a_partition_cuts_both_directions_of_every_pair(how: Any) -> None:
    assert PartitionFault("sg", how).impairments(context()) == dict.fromkeys(OF_SG, Cut(how))


@pytest.mark.parametrize("how", ["stall", "blackhole"])
def test_deaf_and_mute_cut_one_direction_of_every_pair(how: Any) -> None:
    to_sg, from_sg = {Link("us", "sg"), Link("eu", "sg")}, {Link("sg", "us"), Link("sg", "eu")}
    assert DeafFault("sg", how).impairments(context()) == dict.fromkeys(to_sg, Cut(how))
    assert MuteFault("sg", how).impairments(context()) == dict.fromkeys(from_sg, Cut(how))


def test_rate_narrows_every_link() -> None:
    assert RateFault("sg", 64).impairments(context()) == dict.fromkeys(OF_SG, Rate(64))


@pytest.mark.parametrize(
    ("down_s", "up_s", "lasting_s", "pulses"),
    [
        pytest.param(4, 4, 30, [(0, 4), (8, 12), (16, 20), (24, 28)], id="the rest is peace"),
        pytest.param(4, 4, 28, [(0, 4), (8, 12), (16, 20), (24, 28)], id="the last one ends just in time"),
        pytest.param(4, 4, 27.9, [(0, 4), (8, 12), (16, 20)], id="the last one would not end in time"),
        pytest.param(3, 2, 5, [(0, 3)], id="one"),
    ],
)
def test_pulses_of_a_flap(down_s: float, up_s: float, lasting_s: float, pulses: list[tuple[float, float]]) -> None:
    assert FlapFault("sg", down_s, up_s).pulses(lasting_s) == pulses
    assert FlapFault("sg", down_s, up_s, "refuse").impairments(context()) == dict.fromkeys(OF_SG, Cut("refuse"))


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
        (LatencyFault, {"region": "sg"}, "fault: expected the setting 'add_ms', found none; add"),
        (PartitionFault, {"region": "sg", "how": "stal"}, "fault: how: .*'stall'"),
        (NoFault, {"region": "sg"}, "unknown setting 'region'"),
        (DeafFault, {"region": "mars"}, r"unknown region 'mars'"),
        (DeafFault, {"region": "sg", "how": "refuse"}, "fault: how: .*'refuse'"),
        (MuteFault, {"region": "mars"}, r"unknown region 'mars'"),
        (RateFault, {"region": "sg", "kbps": 0}, "from 1 to 500 .*, found 0"),
        (RateFault, {"region": "sg", "kbps": 501}, "from 1 to 500 .*, found 501"),
        (RateFault, {"region": "sg", "kbps": 1.5}, "fault: kbps: "),
        (FlapFault, {"region": "sg", "down_s": 1.9}, "down_s must be 2 to 3600 s .*, found 1.9"),
        (FlapFault, {"region": "sg", "up_s": 0}, "up_s must be 2 to 3600 s .*, found 0"),
        (FlapFault, {"region": "sg", "up_s": float("nan")}, "up_s must be .* found nan"),
    ],
)
def test_what_does_not_fit_is_refused(kind: Any, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        files.validated(kind, settings, "fault").check(context())
