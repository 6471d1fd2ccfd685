"""Reports: what all hold may be forgotten, and an incarnation is closed only when nobody lacks any of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore.reports import Report, all_hold, all_past, closable, of_region
from lab.syncstore.vector import Vector
from tests.syncstore.engines import incarnation, origin_of

OLD, NEW = origin_of("a", 1), origin_of("a", 2)
REGIONS = {"r": ("a", "b"), "s": ("x", "y")}
NODES = [node for nodes in REGIONS.values() for node in nodes]


def report(low: dict[str, int], high: dict[str, int] | None = None) -> Report:
    made = Report()
    made.join(Vector(low, {}), Vector(low if high is None else high, {}), 0)
    return made


def test_a_region_holds_what_all_of_its_nodes_hold_durably() -> None:
    held = [Vector({OLD: 5}, {}), Vector({OLD: 7}, {})]
    durable = [Vector({OLD: 4}, {}), Vector({OLD: 6}, {})]
    low, high = of_region(zip(held, durable, strict=True))
    assert low.entries == {OLD: 4}
    assert high.entries == {OLD: 7}


def test_nothing_is_held_by_all_while_a_region_is_silent_or_ahead() -> None:
    mine = Vector({OLD: 5}, {})
    reports = {"r": report({OLD: 5})}
    assert all_hold(reports, ["r", "s"], mine) is None
    reports["s"] = report({OLD: 3}, {OLD: 9})
    assert all_hold(reports, ["r", "s"], mine) is None, "what they have seen is still on its way here"
    mine.raise_to(OLD, 9)
    low = all_hold(reports, ["r", "s"], mine)
    assert low is not None
    assert low.entries == {OLD: 3}
    assert all_hold(reports, [], mine) is None


def test_what_all_clocks_have_shown_is_what_the_slowest_region_told_last() -> None:
    reports = {"r": Report(clock_ms=900_000)}
    assert all_past(reports, ["r", "s"]) == 0, "a region that has not reported has shown nothing"
    reports["s"] = Report(clock_ms=500)
    reports["s"].join(Vector({}, {}), Vector({}, {}), 700)
    reports["s"].join(Vector({}, {}), Vector({}, {}), 600)
    assert all_past(reports, ["r", "s"]) == 700
    assert all_past(reports, ["r"]) == 900_000, "an evicted region does not count"


def test_who_is_not_counted_is_not_waited_for() -> None:
    low = all_hold({"r": report({OLD: 5})}, ["r"], Vector({OLD: 5}, {}))
    assert low is not None
    assert low.entries == {OLD: 5}


CASES = {
    "all agree": ({OLD: 5, NEW: 0}, {OLD: 5, NEW: 0}, None, True),
    "one knows of no newer": ({OLD: 5, NEW: 0}, {OLD: 5}, None, False),
    "one lacks some": ({OLD: 5, NEW: 0}, {OLD: 4, NEW: 0}, {OLD: 5, NEW: 0}, False),
    "one has more": ({OLD: 5, NEW: 0}, {OLD: 5, NEW: 0}, {OLD: 6, NEW: 0}, False),
    "held but not durable": ({OLD: 5, NEW: 0}, {NEW: 0}, {OLD: 5, NEW: 0}, False),
}


def test_when_an_incarnation_may_be_closed() -> None:
    for name, (mine, low, high, closed) in CASES.items():
        reports = {"r": report(mine), "s": report(low, high)}
        found = closable(reports, REGIONS, Vector(dict(mine), {}))
        assert found == ([("r/a", incarnation(2))] if closed else []), name


def test_incarnations_are_closed_in_order_and_the_newest_never() -> None:
    entries = {origin_of("a", number): number for number in (1, 2, 3)}
    same = {"r": report(entries), "s": report(entries)}
    assert closable(same, REGIONS, Vector(dict(entries), {}))[-1] == ("r/a", incarnation(3))
    lacking = {**entries, origin_of("a", 1): 0}
    assert closable({"r": report(entries), "s": report(lacking, entries)}, REGIONS, Vector(entries, {})) == []


STEPS = st.lists(
    st.one_of(
        st.just("write"),
        st.just("restart"),
        st.tuples(st.just("copy"), st.sampled_from(NODES), st.sampled_from(NODES)),
        st.tuples(st.just("sync"), st.sampled_from(NODES)),
        st.tuples(st.just("report"), st.sampled_from(sorted(REGIONS))),
        st.tuples(st.just("hear"), st.sampled_from(NODES), st.integers(0, 40)),
    ),
    max_size=80,
)


@settings(max_examples=300)
@given(STEPS)
def test_what_is_closed_or_held_by_all_is_held_by_all_whatever_order_reports_come_in(steps: list[object]) -> None:
    """Node a writes and restarts; vectors spread one by one; reports are made now and heard whenever."""
    held = {node: Vector({OLD: 0}, {}) for node in NODES}
    durable = {node: Vector({OLD: 0}, {}) for node in NODES}
    known: dict[str, dict[str, Report]] = {node: {} for node in NODES}
    made: list[tuple[str, Vector, Vector]] = []
    current = OLD
    for step in steps:
        if step == "write":
            held["a"].raise_to(current, max(held["a"].get(current), 0) + 1)
        elif step == "restart" and current == OLD:
            durable["a"].join(held["a"])  # nothing it wrote is lost: that is the log's to see to
            current = NEW
            for one in (held["a"], durable["a"]):
                one.entries[NEW] = 0
        elif isinstance(step, tuple) and step[0] == "copy":
            held[step[2]].join(held[step[1]])
            held[step[2]].entries.update({one: 0 for one in held[step[1]].entries if one not in held[step[2]].entries})
        elif isinstance(step, tuple) and step[0] == "sync":
            durable[step[1]].entries.update(held[step[1]].entries)
        elif isinstance(step, tuple) and step[0] == "report":
            nodes = REGIONS[step[1]]
            made.append((step[1], *of_region((held[node].copy(), durable[node].copy()) for node in nodes)))
        elif isinstance(step, tuple) and step[0] == "hear" and made:
            region, low, high = made[step[2] % len(made)]
            known[step[1]].setdefault(region, Report()).join(low, high, 0)
    last = max(held[node].get(OLD) for node in NODES)
    for node in NODES:
        if closable(known[node], REGIONS, held[node]):
            assert current == NEW
            assert all(durable[other].get(OLD) == last for other in NODES), "an incarnation was closed too early"
        low = all_hold(known[node], REGIONS, held[node])
        if low is not None:
            assert all(durable[other].covers_all(low) for other in NODES)
