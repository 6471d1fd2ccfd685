"""The first screen: its sentences as a table, its escaping, and that what's missing is never 0."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab import report
from lab.events import Note
from lab.history import History
from lab.measurements import KINDS, BlastRadius, Durability, FaultBite, Measurements
from lab.results import Run
from lab.verdict import Finding, Verdict, conclude
from tests.plots import synthetic

BASE = synthetic.measurements()
NOBODY = BlastRadius(regions=[], kinds={}, collateral_region_seconds=0.0, second_wave=[])
FINE = conclude(["isolation"], {"evidence": Finding(verdict="valid"), "isolation": Finding(verdict="valid")})
LAG = "loop lag p99 34 ms > 10 ms in eu: try rate_per_s: 50"
THIN = synthetic.verdict(evidence=Finding(verdict="unknown", why=[LAG]))
CUT = {link: {"cut": "stall"} for link in synthetic.LINKS}


def measured(**changes: Any) -> Measurements:
    return BASE.model_copy(update=changes)


def fault(**changes: Any) -> list[FaultBite]:
    return [BASE.faults[0].model_copy(update=changes)]


def quiet(**changes: Any) -> Measurements:
    return measured(outages=[], blast_radius=NOBODY, **changes)


HEADLINES: dict[str, tuple[Measurements, Verdict, str]] = {
    "gray region, expected": (
        BASE,
        synthetic.verdict(),
        "sg slowed by 1–2 s for 30 s (each of its links +1025…+1980 ms); us could not watch for 29 s; "
        "eu could not put or watch for 28 s; sg itself could not put or get others' for 33 s; "
        "blast radius {us, eu}; verdict invalid (expected).",
    ),
    "gray region, nobody else": (
        quiet(),
        FINE,
        "sg slowed by 1–2 s for 30 s (each of its links +1025…+1980 ms); us and eu kept working; "
        "blast radius empty; verdict valid (expected).",
    ),
    "a shallow outage is no 'could not'": (
        measured(
            outages=[BASE.outages[0].model_copy(update={"depth": 0.4})],
            blast_radius=NOBODY.model_copy(update={"regions": ["us"]}),
            faults=fault(links={"us->sg": {"latency_ms": 80.0}}),
        ),
        synthetic.verdict(),
        "sg slowed by 80 ms for 30 s (us→sg +80 ms); us lost up to 40 % of watch for 29 s; "
        "blast radius {us}; verdict invalid (expected).",
    ),
    "nothing worked": (
        measured(
            outages=[BASE.outages[0].model_copy(update={"cut": cut}) for cut in KINDS],
            blast_radius=NOBODY.model_copy(update={"regions": ["us"]}),
            faults=fault(links={"us->sg": {"latency_ms": 200.0}, "sg->us": {"latency_ms": 800.0}}),
        ),
        synthetic.verdict(),
        "sg slowed by 200–800 ms for 30 s (us→sg, sg→us +200…+800 ms); us could do nothing for 29 s; "
        "blast radius {us}; verdict invalid (expected).",
    ),
    "partition": (
        quiet(faults=fault(fault="partition", links=CUT)),
        FINE,
        "sg cut off for 30 s (each of its links stall); us and eu kept working; blast radius empty; "
        "verdict valid (expected).",
    ),
    "throttled": (
        quiet(faults=fault(fault="rate", links={"us->sg": {"rate_kbps": 64}})),
        FINE,
        "sg throttled to 64 KB/s for 30 s (us→sg); us and eu kept working; blast radius empty; "
        "verdict valid (expected).",
    ),
    "no links, never healed": (
        quiet(faults=fault(fault="pause", links={}, left_s=None)),
        FINE,
        "sg under pause and never healed; us and eu kept working; blast radius empty; verdict valid (expected).",
    ),
    "flapping is said once": (
        quiet(faults=fault(links=CUT) * 9),
        FINE,
        "sg cut off for 30 s (each of its links stall) (9 times); us and eu kept working; "
        "blast radius empty; verdict valid (expected).",
    ),
    "one direction only, deaf": (
        quiet(faults=fault(fault="deaf", links={link: CUT[link] for link in ("us->sg", "eu->sg")})),
        FINE,
        "sg deafened (nothing reaches it) for 30 s (every link one way stall); us and eu kept working; "
        "blast radius empty; verdict valid (expected).",
    ),
    "one direction only, mute": (
        quiet(faults=fault(fault="mute", links={link: CUT[link] for link in ("sg->us", "sg->eu")})),
        FINE,
        "sg muted (nothing it sends arrives) for 30 s (every link one way stall); us and eu kept working; "
        "blast radius empty; verdict valid (expected).",
    ),
    "pulses": (
        quiet(faults=fault(fault="flap", links=CUT, pulses=[(12, 16), (20, 24), (28, 32)])),
        FINE,
        "sg cut off 3 times for 4 s each within 30 s (each of its links stall); us and eu kept working; "
        "blast radius empty; verdict valid (expected).",
    ),
    "pulses of what harms no link": (
        quiet(faults=fault(fault="burn", links={}, targets=[], pulses=[(12, 14), (20, 22)])),
        FINE,
        "the backend under burn 2 times for 2 s each within 30 s; us, eu and sg kept working; blast radius empty; "
        "verdict valid (expected).",
    ),
    "nodes": (
        quiet(faults=fault(fault="restart", links={}, nodes=dict.fromkeys(("sg-1", "sg-2", "sg-3"), "gone"))),
        FINE,
        "sg taken down for 30 s (3 nodes); us and eu kept working; blast radius empty; verdict valid (expected).",
    ),
    "one node of a region": (
        quiet(faults=fault(fault="restart", links={}, nodes={"sg-2": "gone"})),
        FINE,
        "sg-2 taken down for 30 s (1 node); us and eu kept working; blast radius empty; verdict valid (expected).",
    ),
    "many nodes": (
        quiet(faults=fault(fault="pause", links={}, nodes={f"sg-{n}": "paused" for n in range(5)})),
        FINE,
        "sg frozen for 30 s (5 nodes); us and eu kept working; blast radius empty; verdict valid (expected).",
    ),
    "no fault": (
        quiet(faults=[]),
        FINE,
        "no fault; us, eu and sg kept working; blast radius empty; verdict valid (expected).",
    ),
    "lost writes": (
        quiet(
            durability=Durability(acknowledged=9, tested=9, lost=2, lost_by_region={"us": 2}, examples=[], unread=0),
            faults=[],
        ),
        synthetic.verdict(durability=Finding(verdict="invalid")),
        "no fault; us, eu and sg kept working; blast radius empty; 2 acknowledged writes lost; "
        "verdict invalid (not expected).",
    ),
    "thin evidence names gate, value, limit and next step": (
        BASE,
        THIN,
        "This run proves nothing: loop lag p99 34 ms > 10 ms in eu: try rate_per_s: 50; verdict unknown.",
    ),
    "blast radius not measured": (
        measured(outages=[], blast_radius=None, faults=[]),
        FINE,
        "no fault; us, eu and sg kept working; blast radius not measured; verdict valid (expected).",
    ),
}


@pytest.mark.parametrize(("done", "judged", "sentence"), HEADLINES.values(), ids=HEADLINES.keys())
def test_headline(done: Measurements, judged: Verdict, sentence: str, tmp_path: Path) -> None:
    assert report.headline(synthetic.write(tmp_path, done, judged)) == sentence


def broken(directory: Path, note: str) -> Run:
    """A run that died in deploy with one note, before steady."""
    run = synthetic.write_plan(directory)
    events = [Note(at_ns=1, name="broken", text=note)]
    History.of(events, [], synthetic.topology(), synthetic.experiment()).save(directory)
    return run


def test_a_run_never_judged_says_why_and_what_to_do(tmp_path: Path) -> None:
    run = broken(tmp_path, "node us-1 did not start.")
    assert report.headline(run) == (
        f"This run was never judged: node us-1 did not start; `lab judge {tmp_path}` judges what it left."
    )
    assert "Nothing was measured." in report.html(run)
    assert any("node us-1 did not start" in line for line in report.limits(run))
    assert report.log_lines(run) == []


def test_rows_cover_every_region_and_operation_in_order(tmp_path: Path) -> None:
    rows = report.rows(synthetic.write(tmp_path))
    assert [(row["region"], row["cut"]) for row in rows[:6]] == [
        ("us", "overall"), ("us", "put"), ("us", "get_own"), ("us", "get_others"), ("us", "watch"),
        ("eu", "overall"),
    ]  # fmt: skip
    eu = rows[5]
    assert (eu["outages"], eu["longest_outage_s"], eu["propagation_s"]) == (1, 28.0, 2.0)
    assert eu["errors"] == {"timeout": 1700, "no responders": 31}
    assert (rows[0]["staleness_p50_s"], rows[0]["staleness_max_s"]) == (0.1, 2.4)


def test_what_was_not_measured_is_none_and_a_dash_never_0(tmp_path: Path) -> None:
    run = synthetic.write(tmp_path, measured(durability=None, recovery={}, staleness={}))
    watch = report.rows(run)[-1]
    assert {watch[key] for key in ("steady", "fault", "outages", "longest_outage_s", "propagation_s")} == {None}
    assert {row["writes_lost"] for row in report.rows(run) if row["cut"] == "overall"} == {None}
    last_row = re.findall(r"<tr>.*?</tr>", report.html(run))[-1]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", last_row)
    assert cells[2] == "<span class='faint' title='not measured'>–</span>"
    assert "0" not in "".join(re.sub(r"<[^>]*>", "", cell) for cell in cells[1:6])


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    evil = "<script>alert('x')</script>"
    run = synthetic.write(
        tmp_path,
        measured(errors={"us": {evil: 3}}, faults=fault(fault=evil, seen=False, why=[evil])),
        synthetic.verdict(durability=Finding(verdict="invalid", why=[evil])),
    )
    synthetic.write_plan(tmp_path, arm=evil, name=evil)
    for page in (report.html(run), report.logs_html(run), report.limits_html(run)):
        assert "<script" not in page
    assert "&lt;script&gt;" in report.html(run)


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    page = report.html(synthetic.write(tmp_path))
    assert not re.search(r"https?://|src=|@import|url\(", page)


def test_the_page_has_what_decides(tmp_path: Path) -> None:
    page = report.html(synthetic.write(tmp_path))
    for said in (
        "✗ invalid",
        "Did the fault bite?",
        "1,533 ms",
        "collateral 14.2 region-seconds",
        "timeout 1,700",
    ):
        assert said.replace("1,533", "1,523") in page
    assert page._repr_html_() == page


def test_log_lines_are_those_near_the_onset_that_tell_something(tmp_path: Path) -> None:
    lines = report.log_lines(synthetic.write(tmp_path))
    assert [(line.second, line.node) for line in lines] == [(12.4, "eu-1"), (13.0, "us-2"), (14.1, "sg-1")]
    assert "no heartbeat &lt;for&gt; 2s" in report.logs_html(synthetic.write(tmp_path))


COMMANDS = {
    "plain": (
        "syncstore",
        "gray-region",
        "make experiment EXPERIMENT=gray-region BACKENDS=syncstore LEADERS_IN=home SEED=1 RUNTIME=process",
    ),
    "options and paths with spaces": (
        "jetstream-stretched@2.10.26+sync=always",
        "./my files/a$b.yaml",
        "make experiment EXPERIMENT='./my files/a$b.yaml' BACKENDS=jetstream-stretched@2.10.26+sync=always "
        "LEADERS_IN=home SEED=1 RUNTIME=process",
    ),
}


@pytest.mark.parametrize(("arm", "name", "command"), COMMANDS.values(), ids=COMMANDS.keys())
def test_the_command_that_repeats_it(arm: str, name: str, command: str, tmp_path: Path) -> None:
    assert report.command(synthetic.write_plan(tmp_path, arm=arm, name=name)) == command


LIMITS = {
    "one seed": (BASE, "One run with seed 1 has no interval"),
    "thin cut": (BASE, "Too few operations to see an outage of watch in sg"),
    "wide windows": (BASE, "watch in windows of 5 s"),
    "divergence unknown": (BASE, "Not measured: whether replicas agree."),
    "leaders": (BASE, "leaders_in=home"),
    "process runtime": (BASE, "processes on loopback"),
    "ended nodes": (measured(faults=fault(links={}, nodes={"sg-1": "gone"})), "page cache held"),
    "unseen fault": (measured(faults=fault(seen=False)), "No witness saw the fault latency sg"),
}


@pytest.mark.parametrize(("done", "part"), LIMITS.values(), ids=LIMITS.keys())
def test_limits(done: Measurements, part: str, tmp_path: Path) -> None:
    assert any(part in line for line in report.limits(synthetic.write(tmp_path, done)))


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_s_screen_fits_its_width(width: int, tmp_path: Path) -> None:
    console = Console(width=width, record=True, force_terminal=False, file=StringIO())
    console.print(report.text(synthetic.write(tmp_path), width))
    shown = console.export_text()
    assert max(map(len, shown.splitlines())) <= width
    assert "73.8 %" in shown and "Blast radius: us (watch); eu (put, watch)" in shown
    assert ("get others'   " in shown) == (width == 120)
