"""Figures of arms: all arms are there, their faults shaded, nothing thin makes them stumble."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest

import lab.plots as plots
from lab.comparison import timeline
from lab.comparison.gather import Compared
from lab.plots import style
from tests.comparison import made
from tests.comparison.made import A, B

NAMES = sorted(plots.ARMS_FIGURES)


@pytest.fixture
def found(tmp_path: Path) -> Compared:
    return made.compared(made.pairs(tmp_path))


def drawn(name: str, found: Compared) -> go.Figure:
    figure: go.Figure = getattr(plots, name)(found)
    return figure


def test_every_figure_has_its_function() -> None:
    assert set(NAMES) <= set(plots.__all__)


def test_availability_has_a_row_per_region_and_arm_with_its_own_fault(found: Compared) -> None:
    figure = drawn("arms_availability", found)
    names = [note.text for note in figure.layout.annotations if note.text.startswith("<b>")]
    assert names == [f"<b>{A}</b>", f"<b>{B}</b>"] * 2
    shaded = [shape for shape in figure.layout.shapes if shape.type == "rect"]
    assert [(shape.yref, shape.x0, shape.x1) for shape in shaded] == [
        (f"{axis} domain", begin, 42.0) for axis, begin in (("y", 12.0), ("y2", 13.0), ("y3", 12.0), ("y4", 13.0))
    ]
    assert any(note.text == "latency sg entered" for note in figure.layout.annotations)
    assert {axis.range for axis in (figure.layout.xaxis, figure.layout.xaxis4)} == {(0, 62)}


def test_a_line_is_the_mean_of_the_seeds_in_every_second(tmp_path: Path) -> None:
    dips = {1: (1.0, 0.5), 2: (1.0, 0.1)}
    runs = [made.run(tmp_path, arm, seed, windows=dips[seed]) for seed in dips for arm in (A, B)]
    found = made.compared(runs)
    seconds = timeline.seconds(found.runs[A], "us", "overall")
    assert len(seconds) == 40, "windows of 20 s"
    assert [(one.mean, one.least, one.most) for one in (seconds[19], seconds[20])] == [
        (1.0, 1.0, 1.0), (pytest.approx(0.3), 0.1, 0.5),
    ]  # fmt: skip
    band, line = drawn("arms_availability", found).data[:2]
    assert (max(line.y), min(line.y)) == (1.0, pytest.approx(0.3))
    assert (max(band.y), min(band.y)) == (1.0, 0.1)
    assert timeline.seconds(found.runs[A], "us", "watch") == []


def test_latency_shows_p99_with_a_stem_to_p50(found: Compared) -> None:
    traces = {(trace.name, trace.yaxis): trace for trace in drawn("arms_latency", found).data}
    whole = traces[A, "y"]
    assert list(whole.x[1]) == ["steady", "fault", "recov."] and set(whole.x[0]) == {"us"}
    assert list(whole.y) == [2501.0, 5002.0, 5002.0]
    assert list(whole.error_y.arrayminus) == [1250.5, 2501.0, 2501.0]
    assert traces[B, "y2"].y[1] == 5.0, "put"
    assert [trace.showlegend for trace in traces.values()] == [True, True, False, False]


def test_staleness_shows_the_oldest_and_the_median(found: Compared) -> None:
    traces = {trace.name: trace for trace in drawn("arms_staleness", found).data}
    assert list(traces[f"{B}, oldest"].y) == [15.0, 30.0, 30.0]
    assert list(traces[f"{B}, median"].y) == [1.5, 3.0, 3.0]
    assert list(traces[f"{A}, oldest"].y) == [1.0, 2.0, 2.0]


def test_arms_differ_in_more_than_colour() -> None:
    arms = list("abcdef")
    signs = [style.arm_signs(arms, arm) for arm in arms]
    for place in range(3):
        assert len({sign[place] for sign in signs}) == len(arms)
    assert not {sign[0] for sign in signs} & set(style.REGION_COLOURS)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_proven_is_a_sentence(name: str, tmp_path: Path) -> None:
    figure = drawn(name, made.compared([made.run(tmp_path, arm, 1, verdict="unknown") for arm in (A, B)]))
    assert len(figure.data) == 0
    assert any("in runs that count" in note.text for note in figure.layout.annotations)
