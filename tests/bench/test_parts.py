"""Pure parts of rows and stages: whose links there are, what covers what, how late a watcher was."""

from __future__ import annotations

import pytest

from lab.bench.equal import covers, joined
from lab.bench.lines import Line
from lab.bench.load import Window
from lab.bench.rows import heal, isolation, lag, one_region, stretched
from lab.bench.rows.one_region import Contender, blemishes
from lab.bench.sizes import FULL, QUICK
from lab.bench.stage import ground_of, regions, three, together
from lab.protocols import Addresses


def test_stores_that_stand_apart_share_no_link() -> None:
    ground = ground_of([three(), three("2")])
    links = {str(link) for link in ground.links}
    assert len(ground.regions) == 6
    assert len(links) == 12
    assert {"us->eu", "sg2->us2"} <= links
    assert not any(("2" in link.partition("->")[0]) != ("2" in link.partition("->")[2]) for link in links)
    assert {ground.one_way_ms(link) for link in ground.links} == {40.0, 100.0, 80.0}


def test_stores_in_the_same_regions_share_their_links() -> None:
    assert len(ground_of([three(), three()]).links) == 6


def test_one_region_has_no_links() -> None:
    assert ground_of([regions("one")]).links == ()


def test_the_network_knows_every_proxy_and_where_it_leads() -> None:
    one = Addresses({"us-1/client": "c", "us-1/wan": "w"}, {"eu/us-1/wan": "p"}, {"eu->us": "x"}, "t1")
    other = Addresses({"us-1/client": "d", "us-1/routes": "r"}, {"eu/us-1/routes": "q"}, {"eu->us": "y"}, "t2")
    both = together([one, other])
    assert both.proxies == {"eu/us-1/wan": "p", "eu/us-1/routes": "q"}
    assert both.listen == {"us-1/wan": "w", "us-1/routes": "r"}
    assert (both.witnesses, both.toxiproxy) == ({"eu->us": "y"}, "t1")


@pytest.mark.parametrize(
    ("vector", "covered"),
    [({"a": 2, "b": 1}, True), ({"a": 3, "b": 1, "c": 9}, True), ({"a": 1, "b": 1}, False), ({"a": 2}, False)],
)
def test_a_node_covers_what_any_held(vector: dict[str, int], covered: bool) -> None:
    target = joined([{"vector": {"a": 2}}, {"vector": {"a": 1, "b": 1}}])
    assert target == {"a": 2, "b": 1}
    assert covers(vector, target) is covered


def test_healing_may_be_slower_by_a_factor_or_by_some_ms() -> None:
    def line(steady: float, healing: float) -> bool | None:
        steadily, meanwhile = Window(took_ms=[steady]), Window(took_ms=[healing])
        sides = dict.fromkeys(heal.SIDES, steadily), dict.fromkeys(heal.SIDES, meanwhile)
        [met] = {one.met for one in heal.lines(heal.Seen(1, 2, 60), *sides, FULL) if one.what.startswith("local")}
        return met

    assert line(1.0, 10.9) is True  # + 10 ms
    assert line(1.0, 11.1) is False
    assert line(20.0, 59.0) is True  # 3 ×
    assert line(20.0, 61.0) is False


def test_a_lag_is_less_the_way_there() -> None:
    marks = lag.Marks()
    first = marks.value("us")
    marks.begun_s = marks.called_s["us", 1] + 0.001
    second = marks.value("us")
    marks.called_s["us", 2] = marks.begun_s + 1
    marks.shown("eu", "us", first)  # before the begin: does not count
    marks.shown_s["eu", "us", 2] = marks.called_s["us", 2] + 0.050
    marks.shown("eu", "us", second)  # shown again: the first time counts
    found = marks.lags_ms(three())
    assert found["us->eu"] == [pytest.approx(10.0)]
    assert found["us->sg"] == [pytest.approx(lag.LATE_S * 1000 - 100)]  # never shown
    assert found["eu->us"] == []


def test_never_shown_is_no_good_lag() -> None:
    lines = lag.lines({"us->eu": [5.0] * 97, "eu->us": [4900.0] * 3})
    assert lines[1].met is False
    assert lines[1].numbers["not_shown"] == 3
    assert "eu->us" in lines[2].what


def test_blemishes_are_told_and_their_absence_is_not() -> None:
    clean, spotted = Window(took_ms=[1.0]), Window(took_ms=[1.0], degraded=1)
    spotted.failed["TimeoutError"] = 2
    assert blemishes(1, {"lww": [clean]}) == []
    assert [line.syncstore for line in blemishes(1, {"lww": [clean, spotted]})] == ["1 puts", "2 puts"]


def _window(puts: int) -> Window:
    return Window(seconds=1.0, took_ms=[1.0] * puts, cpu_s={"servers": 1.0, "client": 0.5})


def test_row_1_has_its_bars() -> None:
    names = (one_region.LWW, one_region.REGISTER, one_region.DEFAULT, one_region.ALWAYS, one_region.PUBLISHED)
    of = {name: Contender(None, dict, [_window(100)], [_window(10)]) for name in names}  # type: ignore[arg-type]
    of[one_region.LWW].many = [_window(200)]
    lines = one_region.lines(of, FULL)
    assert [(line.bar, line.met) for line in lines if line.bar] == [
        ("≥ 1.25 ×", True), ("≥ 1.25 ×", True), ("≤ 1 ×", True),
    ]  # fmt: skip
    assert _line(lines, "puts, 500 in flight, register / default").ratio.startswith("1.00 ×")
    assert _line(lines, "CPU-s per 1,000 puts, servers, lww / default").syncstore == "5.00 s"


def test_row_2_and_3() -> None:
    quick, slow = Window(took_ms=[1.0, 2.0]), Window(took_ms=[80.0, 90.0])
    assert [line.met for line in stretched.lines([quick], [slow])] == [True, True]
    assert [line.met for line in stretched.lines([slow], [slow])] == [False, False]
    assert [line.met for line in isolation.lines("dead", [quick], [quick], "steady")] == [True, True]
    assert [line.met for line in isolation.lines("dead", [slow], [quick], "steady")] == [False, False]


def test_quick_is_no_other_benchmark() -> None:
    assert (QUICK.in_flight, QUICK.rate_per_s) == (FULL.in_flight, FULL.rate_per_s)
    assert FULL.pairs >= 5
    assert (FULL.partition_s, FULL.changed, FULL.records) == (60, 100_000, 1_000_000)


def _line(lines: list[Line], what: str) -> Line:
    [found] = [line for line in lines if line.what == what]
    return found
