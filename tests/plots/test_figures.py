"""Figures of a made-up run: what must be marked is marked, and thin runs do not stumble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest

import lab.plots as plots
from lab.measurements import BlastRadius, CutAvailability, Measurements, Percentiles
from lab.plots import style
from lab.plots.reduce import reduce
from lab.results import Run
from tests.plots import synthetic

NAMES = sorted(plots.FIGURES)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return synthetic.write(tmp_path / "run")


def drawn(name: str, run: Run) -> go.Figure:
    function: Callable[[Run], Any] = getattr(plots, name)
    return function(run)


def words(figure: go.Figure) -> str:
    """All annotations and texts of a figure."""
    texts = [str(annotation.text) for annotation in figure.layout.annotations]
    for trace in figure.data:
        text = trace.text
        texts += [str(text)] if text is None or isinstance(text, str) else [str(part) for part in text]
    return "\n".join(texts)


def test_every_figure_has_its_function_and_its_module() -> None:
    assert set(plots.FIGURES) <= set(plots.__all__)


def test_a_figure_s_function_survives_its_module_s_import(run: Run) -> None:
    for name in NAMES:
        drawn(name, run)
        assert callable(getattr(plots, name))


def test_the_fault_is_shaded_over_all_rows(run: Run) -> None:
    figure = drawn("availability", run)
    shaded = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(shape.x0, shape.x1) for shape in shaded] == [(12.0, 42.0)]
    assert {(shape.yref, shape.y0, shape.y1) for shape in shaded} == {("paper", 0, 1)}


def test_entering_and_leaving_are_lines_with_a_name(run: Run) -> None:
    figure = drawn("availability", run)
    lines = {shape.x0 for shape in figure.layout.shapes if shape.type == "line"}
    assert lines == {12.0, 42.0}
    assert "latency sg entered" in words(figure)


def test_onsets_are_marked_once_in_the_legend(run: Run) -> None:
    onsets = [trace for trace in drawn("availability", run).data if trace.name == "onset of an outage"]
    assert [list(trace.x) for trace in onsets] == [[13.0], [14.0], [12.0]]
    assert [bool(trace.showlegend) for trace in onsets] == [True, False, False]


def test_every_operation_kind_has_a_line_in_every_region_that_measured_it(run: Run) -> None:
    lines = [t for t in drawn("availability", run).data if t.type == "scatter" and t.mode == "lines"]
    assert len(lines) == 14  # five cuts in three regions, without sg's watch
    assert "not measured: watch" in words(drawn("availability", run))


def test_leaders_have_lanes_and_a_time_without_any_shows(run: Run) -> None:
    bars = {t.name: t for t in drawn("availability", run).data if t.type == "bar"}
    assert set(bars) == {"led from us", "led from eu", "led from sg", "no leader"}
    assert list(bars["no leader"].base) == [30.0]
    assert list(bars["no leader"].x) == [3.5]


def test_no_fault_shades_the_nominal_span(tmp_path: Path) -> None:
    done = synthetic.measurements().model_copy(update={"faults": [], "outages": []})
    figure = drawn("availability", synthetic.write(tmp_path / "r", done))
    assert {(s.x0, s.x1) for s in figure.layout.shapes if s.type == "rect"} == {(12.0, 42.0)}


def test_propagation_says_none_only_where_an_outage_could_be_seen(run: Run) -> None:
    matrix = drawn("propagation", run).data[0]
    by_row = {label: list(row) for label, row in zip(matrix.y, matrix.text, strict=True)}
    assert by_row["put"] == ["none", "2.0 s", "0.0 s"]
    assert by_row["watch"] == ["1.0 s", "2.0 s", "–"]


def test_the_map_names_harm_and_blast_radius(run: Run) -> None:
    said = words(drawn("topology_map", run))
    assert "us→sg +1,980 ms" in said
    assert "faulted" in said
    assert "fell:<br>put and watch" in said


def test_the_map_claims_nothing_that_was_not_measured(tmp_path: Path) -> None:
    figure = drawn("topology_map", synthetic.write_plan(tmp_path / "r"))
    names = {trace.name for trace in figure.data}
    assert "kept working" not in names and "whether it fell was not measured" in names


def test_latency_is_logarithmic_and_skips_what_is_none(tmp_path: Path) -> None:
    done = synthetic.measurements()
    done.latency["us"]["put"]["fault"] = Percentiles(count=0, p50_ms=None, p90_ms=None, p99_ms=None, max_ms=None)
    figure = drawn("latency", synthetic.write(tmp_path / "r", done))
    assert figure.layout.yaxis.type == "log"
    assert sum(len(t.y) for t in figure.data if t.name == "p99") == 44


BLANK = CutAvailability(steady=None, fault=None, recovery=None, due=0, ok=0, late=0, longest_gap_s=None, windows=None)
PARTIAL = {
    "nothing measured": Measurements(),
    "no outages": synthetic.measurements().model_copy(
        update={
            "outages": [], "propagation": [],
            "blast_radius": BlastRadius(regions=[], kinds={}, collateral_region_seconds=0, second_wave=[]),
        }
    ),
    "no leaders": synthetic.measurements().model_copy(update={"leaders": {}}),
    "only None": Measurements(availability={"us": {"overall": BLANK}}, leaders={}, phases={}),
    "a fault that never left": synthetic.measurements().model_copy(
        update={"faults": [f.model_copy(update={"left_s": None}) for f in synthetic.measurements().faults]}
    ),
    "thirty faults": synthetic.measurements().model_copy(
        update={
            "faults": [
                f.model_copy(update={"index": i, "entered_s": 12.0 + i, "left_s": 12.5 + i})
                for f in synthetic.measurements().faults
                for i in range(30)
            ]
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("done", PARTIAL.values(), ids=PARTIAL.keys())
def test_thin_measurements_are_drawn_or_explained(name: str, done: Measurements, tmp_path: Path) -> None:
    figure = drawn(name, synthetic.write(tmp_path / "run", done))
    assert figure.data or words(figure)
    assert figure.to_json()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_broke_in_deploy_is_explained(name: str, tmp_path: Path) -> None:
    assert words(drawn(name, synthetic.write_plan(tmp_path / "run")))


def test_regions_differ_in_colour_and_keep_it() -> None:
    regions = [f"r{i}" for i in range(8)]
    assert len({style.colour(regions, region) for region in regions}) == 8
    assert len({style.pattern(regions, region) for region in regions}) == 8


def test_operation_kinds_differ_without_colour() -> None:
    looks = [(dash, width, ink) for _, ink, dash, width in style.CUTS.values()]
    assert len(set(looks)) == len(looks)


def test_reducing_keeps_peaks_ends_and_order() -> None:
    x = [float(i) for i in range(50_000)]
    y = [0.0] * 50_000
    y[31_337], y[7] = 9.0, -4.0
    few_x, few_y = reduce(x, y)
    assert len(few_x) <= 2_000
    assert (few_x[0], few_x[-1]) == (0.0, 49_999.0)
    assert few_x == sorted(few_x)
    assert max(few_y) == 9.0 and min(few_y) == -4.0


def test_short_traces_are_left_alone() -> None:
    assert reduce([1.0, 2.0], [3.0, 4.0]) == ([1.0, 2.0], [3.0, 4.0])
