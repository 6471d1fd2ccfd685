"""How far a fault reaches: propagation, blast radius, second wave, recovery."""

from __future__ import annotations

import pytest

from lab.measurements import BlastRadius, Measurements
from tests.histories import Made, Out, measured


def reach(made: Made) -> Measurements:
    return measured(made.phases().history(), "recovery")


def blast(made: Made) -> BlastRadius:
    found = reach(made).blast_radius
    assert found is not None
    return found


def delay(done: Measurements, region: str, fault: int = 0) -> float | None:
    return next(p.delay_s for p in done.propagation if (p.region, p.fault) == (region, fault))


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        pytest.param([], None, id="never"),
        pytest.param([Out("us", 13.2, 30)], 1.2, id="after the fault"),
        pytest.param([Out("us", 11.5, 30)], 0.0, id="caught in flight: due before, delay 0"),
        pytest.param([Out("us", 9.9, 30)], None, id="a deadline before: another cause"),
        pytest.param([Out("us", 5, 9)], None, id="over before the fault"),
        pytest.param([Out("us", 20, 30, ("watch",)), Out("us", 25, 30, ("put",))], 8.0, id="first of any kind"),
    ],
)
def test_propagation(out: list[Out], expected: float | None) -> None:
    assert delay(reach(Made().fault().load(out)), "us") == (None if expected is None else pytest.approx(expected))


def test_propagation_by_kind_and_named() -> None:
    done = reach(Made().fault().load([Out("us", 13, 30, ("put",)), Out("sg", 12, 42)]))
    us, _, sg = done.propagation
    assert us.by_kind == {"put": 1.0, "get_own": None, "get_others": None, "watch": None}
    assert (us.named, sg.named, sg.delay_s) == (False, True, 0.0)


def test_propagation_without_fault_counts_from_the_fault_phase() -> None:
    done = reach(Made().load([Out("us", 15, 20)]))
    assert delay(done, "us", fault=-1) == pytest.approx(3)
    assert not any(p.named for p in done.propagation)


def test_propagation_of_two_faults() -> None:
    made = Made().fault(at_s=12, left_s=15).fault(at_s=30, left_s=35, index=1)
    done = reach(made.load([Out("us", 31, 36)]))
    assert [delay(done, "us", 0), delay(done, "us", 1)] == pytest.approx([19, 1])


def test_an_outage_over_before_the_fault_is_not_its_doing_however_close() -> None:
    done = reach(Made().fault(at_s=12.9).load([Out("us", 11.5, 12.4)]))
    assert done.blast_radius is not None
    assert (delay(done, "us"), done.blast_radius.regions) == (None, [])


@pytest.mark.parametrize(
    ("out", "regions"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([Out("sg", 12, 42)], [], id="only the named region"),
        pytest.param([Out("us", 14, 42, ("put",))], ["us"], id="one kind of one other"),
        pytest.param([Out("us", 14, 42), Out("eu", 14, 42), Out("sg", 12, 42)], ["us", "eu"], id="everyone"),
        pytest.param([Out("us", 11.5, 42)], ["us"], id="in flight when the fault entered"),
        pytest.param([Out("us", 3, 8)], [], id="before the fault is no reach of it"),
        pytest.param([Out("sg", 51, 55)], [], id="the named region less than 10 s after its heal"),
        pytest.param([Out("sg", 53, 57)], ["sg"], id="the named region 11 s after its heal"),
        pytest.param([Out("sg", 12, 42), Out("sg", 54, 58)], ["sg"], id="the named region down again later"),
        pytest.param([Out("us", 46, 50)], ["us"], id="another region after the heal"),
        pytest.param([Out("us", 14, 42, took_ms=1900)], [], id="slow but in time is no part of it"),
    ],
)
def test_blast_radius(out: list[Out], regions: list[str]) -> None:
    assert blast(Made().fault().load(out)).regions == regions


def test_blast_radius_tells_the_kinds() -> None:
    out = [Out("us", 14, 42, ("put", "watch")), Out("eu", 14, 42, ("get_others",))]
    assert blast(Made().fault().load(out)).kinds == {"us": ["put", "watch"], "eu": ["get_others"]}


def test_collateral_is_the_area_of_the_overall_cut() -> None:
    """us can't put (40 of 100 operations) for 10 s, eu can do nothing for 4 s; sg was named."""
    out = [Out("us", 20, 30, ("put",)), Out("eu", 20, 24), Out("sg", 12, 42)]
    assert blast(Made().fault().load(out)).collateral_region_seconds == pytest.approx(0.4 * 10 + 4)


def test_no_fault_has_a_blast_radius_too() -> None:
    assert blast(Made().load([Out("sg", 20, 30)])).regions == ["sg"]
    assert blast(Made().load([Out("sg", 2.5, 6)])).regions == []


def test_a_fault_without_targets_excuses_nobody() -> None:
    assert blast(Made().fault("none", targets=[]).load([Out("sg", 20, 30)])).regions == ["sg"]


def test_a_fault_that_never_left_excuses_its_region_to_the_end() -> None:
    assert blast(Made().fault(left_s=None).load([Out("sg", 55, 60)])).regions == []


def test_an_earlier_fault_does_not_excuse_a_region_named_later() -> None:
    made = Made().fault(targets=["eu"], at_s=12, left_s=15).fault(at_s=35, left_s=42, index=1)
    assert blast(made.load([Out("sg", 20, 25), Out("eu", 20, 24)])).regions == ["sg"]


def test_too_few_operations_to_tell() -> None:
    done = measured(Made().fault().phases().load(regions=["us", "eu"]).history(), "blast_radius")
    assert done.blast_radius is None


@pytest.mark.parametrize(
    ("out", "second_wave"),
    [
        pytest.param([Out("us", 14, 50)], [], id="began before the heal"),
        pytest.param([Out("us", 43, 50)], ["us"], id="began after it"),
        pytest.param([Out("us", 41.9, 50)], ["us"], id="caught in flight by the heal"),
        pytest.param([Out("us", 41.7, 50)], [], id="due longer before it than the longest round trip"),
        pytest.param([Out("sg", 43, 50)], [], id="the named region"),
        pytest.param([Out("us", 14, 30), Out("us", 44, 50)], ["us"], id="fell twice"),
    ],
)
def test_second_wave(out: list[Out], second_wave: list[str]) -> None:
    assert blast(Made().fault().load(out)).second_wave == second_wave


@pytest.mark.parametrize(
    ("out", "seconds", "never"),
    [
        pytest.param([], 0.0, False, id="never out"),
        pytest.param([Out("us", 14, 41)], 0.0, False, id="back before the heal"),
        pytest.param([Out("us", 14, 50, ("put",))], 7.975, False, id="one kind lasted"),
        pytest.param([Out("us", 14, 44), Out("us", 50, 55)], 12.975, False, id="the last one counts"),
        pytest.param([Out("us", 14, 62)], None, True, id="still out"),
    ],
)
def test_recovery(out: list[Out], seconds: float | None, never: bool) -> None:
    found = reach(Made().fault().load(out)).recovery["us"]
    assert found.never is never
    assert found.seconds == (None if seconds is None else pytest.approx(seconds))


def test_recovery_without_fault() -> None:
    assert reach(Made().load([Out("us", 20, 30)])).recovery["us"].seconds == 0.0
    assert reach(Made().load([Out("us", 50, 62)])).recovery["us"].never is True


def test_recovery_without_heal() -> None:
    found = reach(Made().fault(left_s=None).load()).recovery["us"]
    assert (found.seconds, found.never) == (None, False)


@pytest.mark.parametrize(
    ("seen_s", "upto_s", "expected"),
    [
        pytest.param([5, 43], None, [], id="resumed"),
        pytest.param([5, 41.9], None, ["us"], id="nothing since the heal"),
        pytest.param([], None, [], id="never worked: not the fault's doing"),
        pytest.param([5], 42.4, [], id="only 16 writes after the heal: no proof"),
    ],
)
def test_never_resumed(seen_s: list[float], upto_s: float | None, expected: list[str]) -> None:
    made = Made().fault().load(upto_s=upto_s)
    for second in seen_s:
        made.visible("eu", "us", "k0", "00000000", second)
    assert reach(made).recovery["eu"].never_resumed == expected
