"""Names, links and round-trip times of a topology."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from lab.topology import Link, Node, Topology

THREE = Topology.model_validate(
    {
        "regions": {"us": {"nodes": 2}, "eu": {"nodes": 1}, "sg": {"nodes": 3}},
        "rtt_ms": {"us-eu": 80, "sg-us": 200, "eu-sg": 160.5},
    }
)


def test_names() -> None:
    assert THREE.region_names == ("us", "eu", "sg")
    assert [node.name for node in THREE.nodes] == ["us-1", "us-2", "eu-1", "sg-1", "sg-2", "sg-3"]
    assert THREE.nodes_of("us") == (Node("us", 1), Node("us", 2))


def test_links_are_both_directions_of_every_pair() -> None:
    assert sorted(map(str, THREE.links)) == ["eu->sg", "eu->us", "sg->eu", "sg->us", "us->eu", "us->sg"]
    assert set(THREE.links_of("us")) == {
        Link("us", "eu"),
        Link("eu", "us"),
        Link("us", "sg"),
        Link("sg", "us"),
    }


RTT = {
    "as written": ("us", "eu", 80),
    "reversed": ("us", "sg", 200),
    "fraction": ("sg", "eu", 160.5),
    "own": ("us", "us", 0),
}


@pytest.mark.parametrize("case", RTT)
def test_rtt_is_symmetric_and_links_have_half(case: str) -> None:
    a, b, rtt_ms = RTT[case]
    assert THREE.rtt(a, b) == THREE.rtt(b, a) == rtt_ms
    assert THREE.one_way_ms(Link(a, b)) == THREE.one_way_ms(Link(b, a)) == rtt_ms / 2


NAMES = {
    "a": True,
    "sg2": True,
    "abcdefghijkl": True,
    "abcdefghijklm": False,
    "2sg": False,
    "s-g": False,
    "SG": False,
    "": False,
    "s_g": False,
    "ü": False,
}


@pytest.mark.parametrize("name", NAMES)
def test_region_name(name: str) -> None:
    data = {"regions": {name: {"nodes": 1}, "zz": {"nodes": 1}}, "rtt_ms": {f"{name}-zz": 1}}
    if NAMES[name]:
        assert Topology.model_validate(data).rtt("zz", name) == 1
    else:
        with pytest.raises(ValidationError):
            Topology.model_validate(data)


PAIRS = {
    "missing": ({"us-eu": 1}, "found none for us and sg; add `us-sg: …`"),
    "stranger": ({"us-xx": 1}, "expected a pair of the regions us, eu, sg, found 'us-xx'; write it like 'us-eu'"),
    "itself": ({"us-us": 1}, "found 'us-us'; write"),
    "three ends": ({"us-eu-sg": 1}, "found 'us-eu-sg'; write"),
    "one end": ({"us": 1}, "found 'us'; write"),
    "twice": ({"us-eu": 1, "eu-us": 1}, "each pair once, found 'eu-us' again"),
}


@pytest.mark.parametrize("case", PAIRS)
def test_pairs(case: str) -> None:
    rtt_ms, words = PAIRS[case]
    regions = {name: {"nodes": 1} for name in ("us", "eu", "sg")}
    with pytest.raises(ValidationError, match=words):
        Topology.model_validate({"regions": regions, "rtt_ms": rtt_ms})
