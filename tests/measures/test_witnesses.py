"""What witnesses, samples and the lab's own lines say: links, faults, leaders, harness, routes."""

from __future__ import annotations

from typing import Any

import pytest

from lab.measurements import FaultBite
from tests.histories import Made, measured

SLOW = {"sg->us": {"latency_ms": 1000.0}}  # over a link of 100 ms: at least 800 ms
CUT = {"sg->us": {"cut": "stall"}}
RATE = {"sg->us": {"rate_kbps": 64}}  # 8,192 bytes take 128 ms, 0.7 of which after a link of 100 ms
GONE = {"sg-1": "gone"}


def bite(made: Made) -> FaultBite:
    (found,) = measured(made.phases().history(), "faults").faults
    return found


@pytest.mark.parametrize(
    ("links", "probes", "why"),
    [
        pytest.param(SLOW, [(20, 1100, "ok")], "", id="latency as added"),
        pytest.param(SLOW, [(20, 800, "ok")], "", id="latency at 0.7 of what was added"),
        pytest.param(SLOW, [(20, 799, "ok")], "median delay 799 ms < 800 ms", id="latency too small"),
        pytest.param(SLOW, [(20, 90, "ok"), (21, 1100, "ok"), (22, 1100, "ok")], "", id="the median counts"),
        pytest.param(SLOW, [(20, 1500, "silent")], "", id="silent for long enough"),
        pytest.param(SLOW, [(20, 300, "silent")], "no probe waited", id="silent, but not long enough"),
        pytest.param(SLOW, [(11, 1100, "ok"), (43, 1100, "ok")], "no probe was sent", id="not in time"),
        pytest.param(CUT, [(20, 300, "silent")], "", id="cut: silent"),
        pytest.param(CUT, [(20, 0, "refused")], "", id="cut: refused"),
        pytest.param(CUT, [(20, 300, "silent"), (20, 25_000, "ok")], "", id="cut: answered after the heal"),
        pytest.param(CUT, [(20, 300, "silent"), (30, 100, "ok")], "1 of 2 probes", id="cut: answered in it"),
        pytest.param(CUT, [], "no probe was sent", id="cut: no probe"),
        pytest.param(RATE, [(20, 190, "ok")], "", id="rate: the probe took its time"),
        pytest.param(RATE, [(20, 189, "ok")], "median delay 189 ms < 190 ms", id="rate: the probe was too fast"),
        pytest.param(RATE, [], "no probe was sent", id="rate: no probe"),
        pytest.param({}, [], "", id="no links harmed: no witness needed"),
    ],
)
def test_bite(links: dict[str, dict[str, Any]], probes: list[tuple[float, float, str]], why: str) -> None:
    made = Made().fault(links=links)
    for second, delay_ms, answer in probes:
        made.probe("sg->us", second, delay_ms, answer)
    found = bite(made)
    assert found.seen is (why == "")
    assert why in "".join(found.why)
    assert all(line.startswith("sg->us: ") for line in found.why)


@pytest.mark.parametrize(
    ("readings", "why"),
    [
        pytest.param([(11, "running"), (13, "gone"), (30, "gone"), (43, "running")], "", id="gone all the time"),
        pytest.param([(13, "gone"), (20, "running")], "sg-1: seen gone and running, expected gone", id="came back"),
        pytest.param([(13, "paused")], "sg-1: seen paused, expected gone", id="something else"),
        pytest.param([(11, "gone"), (43, "running")], "sg-1: nobody looked at it", id="not looked at in time"),
        pytest.param([], "sg-1: nobody looked at it", id="never looked at"),
        pytest.param([(13, "gone"), (43, "gone"), (45, "gone")], "sg-1: gone when last seen", id="not healed"),
        pytest.param([(13, "gone"), (43, "running"), (44, "gone")], "sg-1: gone when last seen", id="fell again"),
        pytest.param([(13, "gone"), (42, "gone"), (45, "running")], "", id="healed a moment later"),
        pytest.param([(13, "gone")], "sg-1: nobody looked at it after the heal", id="not looked at again"),
    ],
)
def test_bite_of_a_node(readings: list[tuple[float, str]], why: str) -> None:
    found = bite(Made().fault("restart", nodes=GONE).states("sg-1", *readings).states("sg-2", (20, "running")))
    assert found.seen is (why == "")
    assert why in "".join(found.why)
    assert found.nodes == GONE


def test_a_node_that_is_harmed_again_is_looked_at_until_then() -> None:
    made = Made().phases().fault("restart", left_s=20, nodes=GONE)
    made.fault("restart", at_s=30, left_s=40, nodes=GONE, index=1)
    made.states("sg-1", (13, "gone"), (25, "running"), (31, "gone"), (45, "running"))
    assert [found.why for found in measured(made.history(), "faults").faults] == [[], []]


def test_every_pulse_must_be_seen() -> None:
    made = Made()
    for pulse, begin_s in enumerate((12, 20, 28)):
        made.fault("flap", at_s=begin_s, left_s=begin_s + 4, links=CUT, pulse=pulse)
    made.probe("sg->us", 13, 2900, "silent").probe("sg->us", 18, 100).probe("sg->us", 29, 100).probe("sg->us", 34, 100)
    found = bite(made)
    assert found.why == [
        "pulse 2: sg->us: no probe was sent while the fault was in force",
        "pulse 3: sg->us: 1 of 1 probes were answered although the link was cut",
    ]
    assert (found.entered_s, found.left_s) == (12.02, 32)
    assert found.pulses == [(12.02, 15.98), (20.02, 23.98), (28.02, 31.98)]


def test_between_pulses_no_fault_is_in_force() -> None:
    made = Made().phases()
    for pulse, begin_s in enumerate((12, 20)):
        made.fault("flap", at_s=begin_s, left_s=begin_s + 4, links=CUT, pulse=pulse)
    made.probe("sg->us", 13, 900, "silent").probe("sg->us", 17, 101).probe("sg->us", 21, 900, "silent")
    link = measured(made.history(), "links").links["sg->us"]
    assert (link.silent_in_fault, link.answered_in_fault) == (2, 0)


def test_every_link_must_show_it() -> None:
    made = Made().fault(links={**SLOW, "us->sg": {"latency_ms": 1000.0}}).probe("sg->us", 20, 1100)
    assert bite(made).why == ["us->sg: no probe was sent while the fault was in force"]


def test_bite_of_a_fault_that_never_left() -> None:
    found = bite(Made().fault(left_s=None, links=CUT).probe("sg->us", 60, 500, "silent"))
    assert (found.seen, found.left_s, found.entered_s) == (True, None, 12.02)


def test_links() -> None:
    made = Made().phases().attest(extra_ms=0.5).fault()
    made.probe("us->eu", 5, 41).probe("us->eu", 20, 43).probe("us->eu", 21, 45).probe("us->eu", 43, 99)
    made.probe("us->eu", 21, 90, "silent")  # its round trip was longer than its answer's one way
    made.probe("us->eu", 30, 200, "silent").probe("us->eu", 30, 1200, "silent").probe("us->eu", 35, 0, "closed")
    link = measured(made.history(), "links").links["us->eu"]
    assert (link.expected_ms, link.attested_ms, link.fault_ms) == (40, 40.5, 44)
    assert (link.answered_in_fault, link.silent_in_fault) == (2, 2), "lines of one probe count once"


def test_links_without_readings() -> None:
    links = measured(Made().phases().history(), "links").links
    assert len(links) == 6
    assert all(link.attested_ms is None and link.answered_in_fault == 0 for link in links.values())


def test_leaders_by_majority() -> None:
    made = Made().phases().fault()
    made.leader("us", "us-1", 1, ["us-1", "us-2", "sg-1"])
    made.leader("us", "us-1", 11, ["us-1", "us-2"]).leader("us", "", 11, ["sg-1"])
    made.leader("us", "", 13, ["us-1", "us-2"]).leader("us", "us-1", 13, ["sg-1"])
    made.leader("us", "eu-1", 15, ["us-1"])
    lane = measured(made.history(), "leaders").leaders["us"]
    assert lane.changes == [(1, "us-1"), (13, ""), (15, "eu-1")]
    assert lane.at_fault == "us-1"


def test_leader_at_the_nominal_fault_and_before_any_sample() -> None:
    made = Made().phases().leader("us", "us-1", 11).leader("us", "eu-1", 13).leader("eu", "eu-1", 13)
    leaders = measured(made.history(), "leaders").leaders
    assert (leaders["us"].at_fault, leaders["eu"].at_fault) == ("us-1", None)


def test_amplification() -> None:
    """us-1 and eu-1 each handle 100 messages a second in steady and 300 in the fault; 300
    operations a second end ok."""
    made = Made().phases().load()
    for node in ("us-1", "eu-1"):
        for second in range(1, 62):
            made.total(node, second, 100 * second if second < 12 else 1200 + 300 * (second - 12))
    found = measured(made.history(), "amplification").amplification
    assert found is not None
    assert [found.steady, found.fault, found.ratio] == pytest.approx([2 / 3, 2, 3], rel=0.01)


def test_amplification_of_a_restarted_node_counts_from_zero() -> None:
    made = Made().phases().load(rates={"put": 10}, regions=["us"])
    for second, number in ((13, 1000), (14, 1010), (15, 4), (16, 14)):
        made.total("us-1", second, number)
    found = measured(made.history(), "amplification").amplification
    assert found is not None
    assert found.fault == pytest.approx((10 + 4 + 10) / 30)
    assert (found.steady, found.ratio) == (None, None)


def test_amplification_untold() -> None:
    assert measured(Made().phases().load().history(), "amplification").amplification is None


def test_harness() -> None:
    made = Made().phases().lags(2.0, ["us"]).workers("us", "eu")
    made.operation("us", "put", 20, took_ms=0, outcome="fail", error="shed")
    harness = measured(made.history(), "harness").harness
    assert harness["us"].model_dump() == {
        "loop_lag_p50_ms": 2, "loop_lag_p99_ms": 2, "loop_lag_max_ms": 2, "start_late_p99_ms": 0,
        "shed": 1, "in_flight_max": 7, "complete": True,
    }  # fmt: skip
    assert (harness["eu"].loop_lag_p99_ms, harness["eu"].complete) == (None, True)
    assert (harness["sg"].in_flight_max, harness["sg"].complete) == (0, False)


def test_sleep_is_a_gap_all_regions_share() -> None:
    def slept(*gaps: tuple[float, float]) -> float | None:
        made = Made().phases()
        for region, gap in zip(("us", "eu", "sg"), gaps, strict=False):
            made.lags(1.0, [region], asleep=gap)
        return measured(made.history(), "slept_s").slept_s

    assert slept((0, 0), (0, 0), (0, 0)) == 0.0
    assert slept((20, 30), (20, 30), (0, 0)) == 0.0
    assert slept((20, 30), (20, 30), (20, 30)) == pytest.approx(10)
    assert slept((20, 30), (24, 34), (20, 34)) == pytest.approx(6)
    assert slept((20, 24), (20, 24), (20, 24)) == 0.0
    assert slept((0, 0), (0, 0)) is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param([], None, id="never counted"),
        pytest.param([("us-1", "sg-2", 4, "entered")], None, id="not counted after the heal"),
        pytest.param(
            [("us-1", "sg-2", 4, "entered"), ("us-1", "sg-2", 3, "settled"), ("us-1", "sg-2", 4, "settled")],
            [],
            id="the last count decides",
        ),
        pytest.param(
            [("us-1", "sg-2", 4, "entered"), ("us-1", "sg-2", 3, "settled")], ["us-1–sg-2: 4 → 3"], id="fewer"
        ),
        pytest.param([("us-1", "sg-2", 4, "entered"), ("us-1", "eu-1", 3, "settled")], ["us-1–sg-2: 4 → 0"], id="gone"),
    ],
)
def test_routes(counts: list[tuple[str, str, int, str]], expected: list[str] | None) -> None:
    made = Made().phases()
    for node, peer, count, when in counts:
        made.connection(node, peer, count, when)
    assert measured(made.history(), "routes_missing").routes_missing == expected


def test_a_suspended_machine_is_noticed_although_the_clock_stood_still() -> None:
    made = Made().phases().note("slept", "31.5", second=50)
    for region in ("us", "eu", "sg"):
        made.lags(1.0, [region])
    assert measured(made.history(), "slept_s").slept_s == pytest.approx(31.5)
