"""Availability, latency, errors and phases of loads that can be counted by hand."""

from __future__ import annotations

import pytest

from lab.measurements import CUTS, CutAvailability
from tests.histories import Made, Out, at, measured


def cell(made: Made, region: str = "us", cut: str = "overall") -> CutAvailability:
    return measured(made.phases().history(), "availability").availability[region][cut]


def test_all_well() -> None:
    overall = cell(Made().load())
    assert (overall.steady, overall.fault, overall.recovery) == (1.0, 1.0, 1.0)
    assert (overall.due, overall.ok, overall.late) == (6200, 6200, 0)
    assert overall.windows is not None
    assert (overall.windows.width_s, len(overall.windows.values)) == (1, 62)


@pytest.mark.parametrize(
    ("cut", "width", "windows", "due"),
    [
        pytest.param("overall", 1, 62, 100, id="overall"),
        pytest.param("put", 1, 62, 40, id="put"),
        pytest.param("get_others", 1, 62, 26, id="get_others"),
        pytest.param("watch", 5, 12, 20, id="watches are rare, so their windows are wider"),
        pytest.param("own_keys", 1, 62, 74, id="own keys: put, get own, watch"),
        pytest.param("others_keys", 1, 62, 26, id="others' keys"),
    ],
)
def test_windows_per_cut(cut: str, width: int, windows: int, due: int) -> None:
    found = cell(Made().load(), cut=cut).windows
    assert found is not None
    assert (found.width_s, len(found.values), set(found.due)) == (width, windows, {due})


def test_steady_leaves_out_its_first_two_seconds() -> None:
    assert cell(Made().load([Out("us", 0, 2)])).steady == 1.0
    assert cell(Made().load([Out("us", 0, 3)])).steady == pytest.approx(0.9)


def test_coordinated_omission_late_start_counts_from_the_intended_one() -> None:
    """A client stuck for 3 s answers each call 5 ms after sending it; its users waited all the same."""
    made = Made().load(regions=["eu", "sg"])
    for number in range(62 * 40):
        due_s = number / 40
        waited_s = max(0.0, 23 - due_s) if due_s >= 20 else 0.0
        made.operation("us", "put", due_s, took_ms=waited_s * 1000 + 5, started_ns=at(due_s + waited_s))
    put = cell(made, cut="put")
    assert put.late == 41  # due in [20, 21]: more than 2 s before their answer
    assert put.ok == 62 * 40 - 41
    assert put.longest_gap_s == pytest.approx(42 * 0.025)


@pytest.mark.parametrize(
    ("took_ms", "late"),
    [pytest.param(2000, False, id="on the deadline"), pytest.param(2000.001, True, id="after it")],
)
def test_deadline(took_ms: float, late: bool) -> None:
    put = cell(Made().load([Out("us", 20, 21, ("put",), took_ms=took_ms)]), cut="put")
    assert put.late == (40 if late else 0)


def test_deadline_of_the_workload() -> None:
    made = Made(workload={"kv": {"deadline_s": 0.5}})
    assert cell(made.load([Out("us", 20, 21, ("put",), took_ms=600)]), cut="put").late == 40


def test_preload_and_settle_are_no_load() -> None:
    made = Made().load(rates={"put": 40})
    made.put("us", "k0", "0", "v", -3, phase="preload").read_back("us", "us", "k0", "0", "v", second=30)
    assert cell(made).due == 62 * 40


def test_operations_still_open_when_the_fault_enters_are_not_steady() -> None:
    """Due at 11.5–12 s and caught in flight at 12 s: that is the fault's doing, not steady's."""
    made = Made().fault(at_s=12).load([Out("us", 11.5, 42)])
    assert cell(made).steady == 1.0
    assert cell(Made().load([Out("us", 11.5, 42)])).steady == pytest.approx(0.95)


def test_too_thin_to_tell() -> None:
    thin = cell(Made(steady_s=4, fault_s=4, recovery_s=2).load(rates={"put": 1}), cut="put")
    assert (thin.steady, thin.windows, thin.due, thin.ok) == (None, None, 10, 10)
    nothing = cell(Made().load(rates={"put": 40}), cut="watch")
    assert (nothing.due, nothing.longest_gap_s, nothing.windows) == (0, None, None)


def test_every_region_and_cut_is_there() -> None:
    found = measured(Made().phases().load(regions=["us"]).history(), "availability").availability
    assert {region: tuple(cuts) for region, cuts in found.items()} == dict.fromkeys(("us", "eu", "sg"), CUTS)
    assert found["sg"]["overall"].due == 0


def test_latency_counts_what_ended_ok() -> None:
    made = Made().phases().load([Out("us", 20, 22, ("put",)), Out("us", 30, 36, ("put",), took_ms=105)])
    done = measured(made.history(), "latency")
    put = done.latency["us"]["put"]["fault"]
    assert put.count == 30 * 40 - 80
    assert put.p50_ms == pytest.approx(5)
    assert [put.p99_ms, put.max_ms] == pytest.approx([105, 105])
    assert done.latency["us"]["put"]["steady"].count == 400
    assert done.latency["eu"]["overall"]["fault"].p99_ms == pytest.approx(5)


def test_latency_of_nothing() -> None:
    done = measured(Made().phases().load(regions=["us"]).history(), "latency")
    assert done.latency["sg"]["put"]["steady"].model_dump(exclude={"count"}) == dict.fromkeys(
        ("p50_ms", "p90_ms", "p99_ms", "max_ms")
    )


def test_errors_by_code() -> None:
    made = Made().phases().load([Out("us", 20, 21, ("put",)), Out("us", 21, 22, ("watch",), took_ms=2500)])
    made.operation("us", "put", 30, took_ms=0.1, outcome="fail", error="shed", started_ns=0)
    made.operation("us", "put", 31, took_ms=None)
    found = measured(made.history(), "errors").errors
    assert found == {"us": {"timeout": 40, "late": 4, "info": 1, "shed": 1}, "eu": {}, "sg": {}}


def test_phases_in_seconds() -> None:
    assert measured(Made().phases().history(), "phases").phases == {
        "steady": (0, 12), "fault": (12, 42), "recovery": (42, 62), "settle": (62, 70), "load": (0, 62),
    }  # fmt: skip
