"""Which node hears which region."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.syncstore.gateway import rank, should_hear, targets

NODES = ["n1", "n2", "n3", "n4", "n5"]
HEARING = st.dictionaries(st.sampled_from(NODES), st.sets(st.sampled_from("stu")), min_size=1)


@given(HEARING, st.sampled_from("stu"))
def test_one_of_those_that_hear_goes_on_and_all_probe_when_none_does(hearing: dict[str, set[str]], region: str) -> None:
    those = [node for node in hearing if should_hear(region, node, hearing)]
    if any(region in heard for heard in hearing.values()):
        assert len(those) == 1
        assert region in hearing[those[0]]
    else:
        assert those == list(hearing)


@given(HEARING, st.sampled_from("stu"), st.sampled_from(NODES))
def test_losing_a_node_that_is_not_the_gateway_moves_nothing(
    hearing: dict[str, set[str]], region: str, lost: str
) -> None:
    chosen = [node for node in hearing if should_hear(region, node, hearing)]
    left = {node: heard for node, heard in hearing.items() if node != lost}
    if lost in hearing and lost not in chosen and any(region in heard for heard in left.values()):
        assert [node for node in left if should_hear(region, node, left)] == chosen


def test_regions_spread_over_the_nodes_and_probes_over_their_targets() -> None:
    firsts = {max(NODES, key=lambda node: rank(f"region{place}", node)) for place in range(100)}
    assert firsts == set(NODES)
    assert {targets(f"node{place}", NODES)[0] for place in range(100)} == set(NODES)
    assert sorted(targets("n1", NODES)) == NODES
