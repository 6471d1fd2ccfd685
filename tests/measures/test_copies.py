"""Copies: how stale reads are, how far copies lag, what is lost, what disagrees."""

from __future__ import annotations

import pytest

from lab.measurements import Divergence, Durability, Lag, Staleness
from tests.histories import Made, Out, measured


def staleness(made: Made, phase: str = "fault") -> Staleness:
    return measured(made.phases().history(), "staleness").staleness["eu"][phase]


def lag(made: Made, link: str = "us->eu", phase: str = "fault") -> Lag:
    return measured(made.phases().history(), "replication_lag").replication_lag[link][phase]


def durability(made: Made) -> Durability:
    found = measured(made.phases().history(), "durability").durability
    assert found is not None
    return found


def divergence(made: Made) -> Divergence:
    found = measured(made.phases().history(), "divergence").divergence
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("revision", "due_s", "age_s"),
    [
        pytest.param("3", 30, 0.0, id="the newest"),
        pytest.param("2", 30, 4.995, id="one behind: since the third was acknowledged"),
        pytest.param("1", 30, 9.995, id="two behind: since the second was, not the third"),
        pytest.param("", 30, 29.995, id="absent, though written in preload"),
        pytest.param("2", 25.004, 0.0, id="the third was not acknowledged yet"),
        pytest.param("9", 30, 0.0, id="newer than anything acknowledged"),
    ],
)
def test_staleness(revision: str, due_s: float, age_s: float) -> None:
    made = Made().put("us", "k", "1", "a", 0, phase="preload")
    made.put("us", "k", "2", "b", 20).put("us", "k", "3", "c", 25)
    made.operation("eu", "get_others", due_s, home="us", key="k", revision=revision)
    found = staleness(made)
    assert (found.reads, found.stale_reads) == (1, int(age_s > 0))
    assert found.max_s == pytest.approx(age_s)


def test_staleness_counts_from_when_the_read_really_started() -> None:
    made = Made().put("us", "k", "2", "b", 20)
    made.operation("eu", "get_others", 19, took_ms=3000, home="us", key="k", started_ns=0)
    assert staleness(made).stale_reads == 0


def test_staleness_leaves_out_failed_reads_own_reads_and_unacknowledged_writes() -> None:
    made = Made().put("us", "k", "2", "b", 20).put("us", "m", "1", "b", 20, outcome="info")
    made.operation("eu", "get_others", 30, home="us", key="k", outcome="fail", error="timeout")
    made.operation("us", "get_own", 30, key="k")
    made.operation("eu", "get_others", 30, home="us", key="m")
    found = staleness(made)
    assert (found.reads, found.stale_reads, found.p50_s) == (1, 0, 0.0)
    assert staleness(made, "steady").p50_s is None


@pytest.mark.parametrize(
    ("sights", "lag_ms", "unseen"),
    [
        pytest.param([("1", 20.055)], 10.0, 0, id="beyond the 40 ms of the link"),
        pytest.param([("1", 20.035)], -10.0, 0, id="faster than the link: negative"),
        pytest.param([("2", 20.145)], 100.0, 0, id="superseded: a newer revision shows it was passed"),
        pytest.param([("1", 20.5), ("2", 20.145)], 100.0, 0, id="whichever came first"),
        pytest.param([("0", 20.1)], None, 1, id="an older revision does not"),
    ],
)
def test_replication_lag(sights: list[tuple[str, float]], lag_ms: float | None, unseen: int) -> None:
    made = Made().put("us", "k", "1", "a", 20)
    for revision, second in sights:
        made.visible("eu", "us", "k", revision, second)
    found = lag(made)
    assert found.p50_ms == (None if lag_ms is None else pytest.approx(lag_ms))
    assert (found.count, found.unseen) == (1 - unseen, unseen)


def test_replication_lag_only_where_a_watch_showed_something() -> None:
    made = Made().phases().put("us", "k", "1", "a", 20).visible("eu", "us", "k", "1", 21)
    assert list(measured(made.history(), "replication_lag").replication_lag) == ["us->eu"]


def written(*writes: tuple[str, str], key: str = "k") -> Made:
    """Acknowledged writes (revision, value) of one key of us, a second apart."""
    made = Made()
    for i, (revision, value) in enumerate(writes):
        made.put("us", key, revision, value, 10 + i)
    return made


@pytest.mark.parametrize(
    ("writes", "reads", "lost", "unread"),
    [
        pytest.param([("1", "a"), ("2", "b")], {"us": ("2", "b")}, 0, 2, id="superseded is not lost"),
        pytest.param([("1", "a"), ("2", "b")], {"us": ("1", "a")}, 1, 2, id="the newest is gone"),
        pytest.param([("1", "a")], {"us": ("", "")}, 1, 2, id="absent"),
        pytest.param([("1", "a")], {"us": ("1", "x")}, 1, 2, id="another value"),
        pytest.param([("1", "a")], {"us": ("", ""), "eu": ("1", "a")}, 0, 1, id="one region has it"),
        pytest.param([("1", "a")], {"us": ("2", "z")}, 0, 2, id="newer: an unacknowledged write won"),
        pytest.param([("1", "a")], {}, None, 3, id="nobody could read: unknown"),
        pytest.param([("1", "a"), ("1", "b")], {"us": ("1", "b")}, 1, 2, id="one revision for two values"),
    ],
)
def test_durability(
    writes: list[tuple[str, str]], reads: dict[str, tuple[str, str]], lost: int | None, unread: int
) -> None:
    made = written(*writes)
    for region in ("us", "eu", "sg"):
        revision, value = reads.get(region, ("", ""))
        made.read_back(region, "us", "k", revision, value, ok=region in reads)
    found = durability(made)
    assert (found.acknowledged, found.lost, found.unread) == (len(writes), lost, unread)
    assert len(found.examples) == (lost or 0)


def test_a_certain_loss_beside_an_unread_key() -> None:
    made = written(("1", "a")).put("eu", "m", "1", "b").read_back("us", "us", "k", "", "")
    found = durability(made)
    assert (found.lost, found.lost_by_region) == (None, {"eu": 0, "us": 1})
    assert "us/k: revision 1 with 'a' was acknowledged, but us reads nothing" in found.examples


def test_a_read_before_the_acknowledgement_speaks_against_nothing() -> None:
    made = written(("1", "a")).put("us", "k", "2", "b", 65).read_back("us", "us", "k", "1", "a", second=64)
    assert durability(made).lost is None


def test_unacknowledged_writes_can_not_be_lost() -> None:
    made = written(("1", "a")).put("us", "k", "2", "b", 20, outcome="info").read_back("us", "us", "k", "1", "a")
    assert durability(made).lost == 0


def test_writes_of_preload_count() -> None:
    made = Made().put("us", "k", "1", "a", -5, phase="preload").read_back("us", "us", "k", "", "")
    assert durability(made).lost == 1


def test_nothing_acknowledged_proves_nothing() -> None:
    made = Made().load([Out(r, 0, 62) for r in ("us", "eu", "sg")], rates={"put": 5})
    assert (durability(made).acknowledged, durability(made).lost) == (0, None)


def test_examples_are_few() -> None:
    made = Made()
    for i in range(15):
        made.put("us", f"k{i}", "1", "a").read_back("us", "us", f"k{i}", "", "")
    found = durability(made)
    assert (found.lost, len(found.examples)) == (15, 10)


@pytest.mark.parametrize(
    ("reads", "divergent"),
    [
        pytest.param({"us": "1a", "eu": "1a", "sg": "1a"}, 0, id="all agree"),
        pytest.param({"us": "1a", "eu": "1b", "sg": "1a"}, 1, id="another value"),
        pytest.param({"us": "1a", "eu": "2a", "sg": "1a"}, 1, id="another revision"),
        pytest.param({"us": "1a", "eu": "", "sg": "1a"}, 1, id="absent in one"),
        pytest.param({"us": "1a", "eu": "1a"}, None, id="two agree, the third could not be read"),
        pytest.param({"us": "1a", "eu": "1b"}, 1, id="two disagree, whatever the third holds"),
        pytest.param({"us": "1a"}, None, id="only one region read"),
    ],
)
def test_divergence_of_keys(reads: dict[str, str], divergent: int | None) -> None:
    made = Made()
    for region in ("us", "eu", "sg"):
        found = reads.get(region, "")
        made.read_back(region, "us", "k", found[:1], found[1:], ok=region in reads)
    assert divergence(made).divergent == divergent


@pytest.mark.parametrize(
    ("digests", "divergent"),
    [
        pytest.param(["x", "x", "x"], 0, id="equal"),
        pytest.param(["x", "x", "y"], 1, id="one differs"),
        pytest.param(["x"], None, id="one replica can't disagree"),
    ],
)
def test_divergence_of_replicas(digests: list[str], divergent: int | None) -> None:
    made = Made()
    for i, digest in enumerate(digests):
        made.replica("us", f"us-{i + 1}", digest)
    found = divergence(made)
    assert (found.replicas, found.divergent) == (len(digests), divergent)


def test_divergence_says_who_holds_what() -> None:
    made = Made().replica("us", "us-1", "x").replica("us", "us-2", "y")
    made.read_back("us", "us", "k", "1", "a").read_back("eu", "us", "k", "", "")
    assert divergence(made).examples == [
        "bucket us: us-1 has x; us-2 has y",
        "us/k: eu has nothing; us has revision 1 with 'a'",
    ]
