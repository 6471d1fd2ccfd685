"""Outages: two windows, exact onsets, what is ongoing, what is merely slow."""

from __future__ import annotations

import pytest

from lab.measurements import Outage
from tests.histories import Made, Out, measured


def outages(made: Made, cut: str = "put", kind: str = "availability") -> list[Outage]:
    found = measured(made.phases().history(), "outages").outages
    return [outage for outage in found if (outage.cut, outage.kind) == (cut, kind)]


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        pytest.param(Out("us", 20, 21), [], id="one bad window is none"),
        pytest.param(Out("us", 20.5, 21.5), [(20.5, 21.475)], id="a second across two windows is one"),
        pytest.param(Out("us", 20, 30), [(20, 29.975)], id="onset and end are due times"),
        pytest.param(Out("us", 20.4, 29.6), [(20.4, 29.575)], id="finer than the windows"),
        pytest.param(Out("us", 20, 30, every=20), [], id="5 % below steady is not below it by more"),
        pytest.param(Out("us", 20, 30, every=10), [(20, 29.75)], id="10 % below is"),
        pytest.param(Out("us", 20, 30, ("get_own",)), [], id="another kind"),
    ],
)
def test_availability_outages(out: Out, expected: list[tuple[float, float]]) -> None:
    found = outages(Made().load([out]))
    assert [(o.onset_s, o.end_s) for o in found] == [pytest.approx(span) for span in expected]
    assert all(o.region == "us" and not o.ongoing for o in found)


def test_depth_and_lost_operations() -> None:
    (outage,) = outages(Made().load([Out("us", 20.5, 30, every=2)]))
    assert outage.depth == pytest.approx(0.5)
    assert outage.lost_operations == 190


def test_lone_errors_before_it_are_not_its_onset() -> None:
    made = Made().load([Out("us", 18.2, 18.21), Out("us", 20.5, 25)])
    assert [o.onset_s for o in outages(made)] == [20.5]


@pytest.mark.parametrize(
    ("end_s", "ongoing"),
    [pytest.param(62, True, id="to the end"), pytest.param(60.9, False, id="one good window before it")],
)
def test_ongoing(end_s: float, ongoing: bool) -> None:
    (outage,) = outages(Made().load([Out("us", 50, end_s)]))
    assert outage.ongoing is ongoing


def test_watches_need_two_of_their_wide_windows() -> None:
    assert outages(Made().load([Out("us", 20, 25)]), "watch") == []
    (outage,) = outages(Made().load([Out("us", 21, 29)]), "watch")
    assert (outage.onset_s, outage.end_s) == (21.0, 28.75)


def test_two_outages_apart() -> None:
    found = outages(Made().load([Out("us", 15, 20), Out("us", 25, 30)]))
    assert [(o.onset_s, o.end_s) for o in found] == [(15, 19.975), (25, 29.975)]


def test_every_cut_of_a_dead_region() -> None:
    found = measured(Made().phases().load([Out("sg", 20, 40)]).history(), "outages").outages
    assert {(o.region, o.cut) for o in found} == {
        ("sg", cut) for cut in ("overall", "put", "get_own", "get_others", "watch", "own_keys", "others_keys")
    }


@pytest.mark.parametrize(
    ("took_ms", "expected"),
    [
        pytest.param(240, [], id="50 × steady, but below 250 ms"),
        pytest.param(400, [(20, 29.975)], id="above both"),
    ],
)
def test_latency_outages(took_ms: float, expected: list[tuple[float, float]]) -> None:
    made = Made().load([Out("us", 20, 30, ("put",), took_ms=took_ms)])
    found = outages(made, kind="latency")
    assert [(o.onset_s, o.end_s) for o in found] == expected
    assert all(o.depth == pytest.approx(took_ms) and o.lost_operations == 0 for o in found)
    assert outages(made) == []


def test_latency_must_exceed_five_times_steady() -> None:
    made = Made().load([Out("us", 0, 20, ("put",), took_ms=100), Out("us", 20, 30, ("put",), took_ms=450)])
    assert outages(made, kind="latency") == []


def test_windows_without_a_p99_break_no_latency_outage_and_begin_none() -> None:
    """Slow at 20, mute from 21 to 23, slow at 23: one outage of two windows with a p99."""
    slow = [Out("us", 20, 21, ("put",), took_ms=500), Out("us", 23, 24, ("put",), took_ms=500)]
    mute = Out("us", 21, 23, ("put",))
    (outage,) = outages(Made().load([*slow, mute]), kind="latency")
    assert (outage.onset_s, outage.end_s, outage.lost_operations) == (20, 23.975, 80)
    assert outages(Made().load([slow[0], mute]), kind="latency") == []
