"""`lab show` and `lab list`: everything that can be named is told, truly, in 80 columns."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from ruamel.yaml import YAML

from lab import files, plan, show
from lab.backends import BACKENDS
from lab.errors import DoesNotFit, FileRefused, UnknownName
from lab.experiment import Arm, Experiment
from lab.faults import FAULTS
from lab.measures import MEASURES
from lab.protocols import RunFiles
from lab.runtimes.process import ProcessRuntime
from lab.show import docs, names, samples, takes, timeline, topologies
from lab.topology import Topology
from tests.integration.whole import PAIR, ROOT, SHORT, home, lab

WIDTH = 80
THINGS = list(names.everything())
COMMANDS = ("  make ", "  .venv/", "  faults:", "    - ", "      ", "  workload:", "  jetstream-")


def told(name: str, width: int = WIDTH) -> list[str]:
    return [line for thing in show.meant(name) for line, _ in show.page_of(thing, width).lines]


def text(name: str) -> str:
    """In one line, as if nothing had been wrapped."""
    return " ".join(" ".join(told(name)).split())


# -- names --------------------------------------------------------------------------------------------------


def test_everything_that_is_listed_can_be_shown() -> None:
    listed = {(what, name) for what, name, _ in plan.inventory()} | {("measure", name) for name in MEASURES}
    assert listed == {(thing.kind, thing.name) for thing in THINGS}
    for kind, name in listed:
        [thing] = show.meant(f"{kind}/{name}")
        assert (thing.kind, thing.name) == (kind, name)


def test_a_name_of_two_things_means_both() -> None:
    assert [thing.kind for thing in show.meant("latency")] == ["fault", "measure"]
    assert [thing.kind for thing in show.meant("durability")] == ["checker", "measure"]
    assert [thing.kind for thing in show.meant("fault/latency")] == ["fault"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("latncy", r"^unknown name 'latncy' \(did you mean 'latency'\?\); known: .*gray-region"),
        ("fault/latncy", r"^unknown fault 'latncy' \(did you mean 'latency'\?\); known: [a-z, _]*\.$"),
        ("fault/gray-region", r"^unknown fault 'gray-region'"),
        ("falt/latency", r"^unknown kind 'falt' \(did you mean 'fault'\?\)"),
        ("memory", r"^unknown name 'memory'"),
        ("./none.yaml", r"^YAML file './none.yaml' does not exist; give"),
    ],
)
def test_unknown_names(name: str, sentence: str) -> None:
    with pytest.raises(UnknownName, match=sentence):
        show.meant(name)


PATHS = [
    ("experiment", (ROOT / "experiments" / "gray-region.yaml").read_text()),
    ("topology", PAIR),
    ("batch", "about: All of it.\nruns: [{experiment: no-fault}]\n"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content"), PATHS)
def test_a_path_is_what_its_file_says(tmp_path: Path, kind: str, content: str) -> None:
    (tmp_path / "mine.yaml").write_text(content)
    lines = told(str(tmp_path / "mine.yaml"))
    assert lines[0].startswith(f"{kind} mine ")
    assert str(tmp_path / "mine.yaml") in lines[0]
    assert any("/mine.yaml" in line for line in lines[1:]) or kind == "topology", "the command runs this very file"


def test_a_file_with_a_mistake_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SHORT.replace("phases", "phasen"))
    with pytest.raises(FileRefused, match=r"mine.yaml:5: unknown key 'phasen'"):
        told(str(tmp_path / "mine.yaml"))


def test_a_broken_neighbour_spoils_no_other_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_HOME", str(home(tmp_path)))
    (tmp_path / "experiments" / "broken.yaml").write_text("question: {{")
    assert "short" in text("fault/latency")
    assert "short" in text("topology/pair")


# -- pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: f"{thing.kind}/{thing.name}")
@pytest.mark.parametrize("width", [WIDTH, 120, 50])
def test_pages_fit(thing: show.Thing, width: int) -> None:
    lines = [line for line, _ in show.page_of(thing, width).lines]
    assert lines[0].startswith(f"{thing.kind} {thing.name}")
    assert all(line == line.rstrip() for line in lines)
    if width == WIDTH:
        wide = [line for line in lines if len(line) > WIDTH and not line.startswith(COMMANDS)]
        assert wide == []


def test_an_experiment_tells_all_that_it_does() -> None:
    told_of = text("gray-region")
    for words in (
        "experiments/gray-region.yaml",
        "When Singapore is alive but slow, who else can no longer work?",
        "Source: the March 2023 outage",
        "us · 80 200 us-1 us-2 us-3",
        "latency of sg, 12 s to 42 s: region sg, add_ms [1000, 2000]",
        "Every link from and to `region` gets slower by `add_ms`, in each direction.",
        "drawn once per link from the seed",
        "home: each bucket is led in its own region",
        "rate_per_s 100",
        "isolation the blast radius is empty",
        "durability no acknowledged write is lost after settle",
        "jetstream-stretched isolation invalid everything else valid",
        "make experiment EXPERIMENT=gray-region",
        ".venv/bin/lab run gray-region --arm jetstream-stretched",
    ):
        assert words in told_of, words


def test_an_expectation_that_depends_on_leaders(tmp_path: Path) -> None:
    expect = "expect:\n  jetstream-stretched: {isolation: {home: valid, faulted: invalid}}\n"
    (tmp_path / "mine.yaml").write_text((ROOT / "experiments/no-fault.yaml").read_text() + expect)
    said = text(str(tmp_path / "mine.yaml"))
    assert "isolation valid with leaders_in home, invalid with leaders_in faulted" in said
    assert "None: a control." in said


def test_what_a_kind_of_fault_means_is_said_once(tmp_path: Path) -> None:
    content = (ROOT / "experiments/region-partition.yaml").read_text()
    twice = content.replace("    for_s: 30\n", "    for_s: 8\n  - partition: {region: eu, how: refuse}\n    at_s: 10\n")
    (tmp_path / "mine.yaml").write_text(twice)
    lines = "\n".join(told(str(tmp_path / "mine.yaml")))
    assert "partition of sg, 12 s to 20 s: region sg, how stall" in lines
    assert "partition of eu, 22 s to 42 s: region eu, how refuse" in lines
    assert lines.count("No byte passes between") == 1


def test_a_backend_tells_its_options_with_their_meanings_and_defaults() -> None:
    said = text("jetstream-stretched")
    assert "sync default | always; left out: default `default` fsyncs every two minutes, `always` before" in said
    assert "direct on | off; left out: on whether any replica may answer reads." in said


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "memory"])
def test_example_arms_are_arms(name: str) -> None:
    lines = told(f"backend/{name}")
    arms = [line.strip() for line in lines[lines.index("Arms, for example") + 1 :] if line]
    assert len(arms) >= 2 and len(set(arms)) == len(arms)
    for arm in arms:
        assert Arm.parse(arm).backend == name
        plan.make(str(ROOT / "experiments/no-fault.yaml"), arm=arm)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("used", [True, False], ids=["as used", "made up"])
def test_example_faults_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, used: bool) -> None:
    if not used:
        monkeypatch.setattr(samples, "experiments", lambda: iter([]))
    lines = samples.of_fault(kind, docs.loaded(FAULTS[kind]))
    held: dict[str, Any] = YAML(typ="safe").load("\n".join(lines))
    content = {"topology": "three-regions", "phases": {"fault_s": 60}, **held}
    files.dump(Experiment.model_validate(content), tmp_path / "mine.yaml")
    try:
        this = plan.make(tmp_path / "mine.yaml", arm="jetstream-stretched")
    except DoesNotFit:
        pytest.fail(f"{lines} does not fit")
    assert this.faults[0].kind == kind


@pytest.mark.parametrize("path", sorted((ROOT / "topologies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_ports_told_are_those_a_run_takes(path: Path, tmp_path: Path) -> None:
    topology = files.load(path, Topology)
    backend = docs.loaded(BACKENDS["jetstream-stretched"])("", {})

    async def taken() -> int:
        runtime = ProcessRuntime(RunFiles(tmp_path), {})
        found = await runtime.open(topology, backend)
        await runtime.close()
        return len(found.listen) + len(found.proxies) + len(found.witnesses) + 1

    needed = topologies.ports_needed(topology, backend)
    assert needed == asyncio.run(taken())
    assert f"jetstream-stretched {len(topology.nodes)} {needed}" in text(f"topology/{path.stem}")


# -- how long -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thing", [one for one in THINGS if one.kind == "experiment"], ids=lambda thing: thing.name)
def test_what_a_run_takes_is_what_its_plan_expects(thing: show.Thing) -> None:
    expected_s = plan.make(thing.path, arm="jetstream-stretched").expected_s
    assert takes.takes(thing) == takes.duration(expected_s)


def test_a_batch_takes_as_long_as_all_its_runs(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(
        "arms: [jetstream-stretched, jetstream-stretched+sync=always]\nrepeats: 3\n"
        "runs: [{experiment: gray-region, leaders_in: [home, faulted]}, {experiment: no-fault, repeats: 1}]\n"
    )
    said = "\n".join(told(str(tmp_path / "all.yaml")))
    each_s = plan.make(str(ROOT / "experiments/gray-region.yaml"), arm="jetstream-stretched").expected_s
    assert f"14 runs take about {takes.duration(14 * each_s)}" in said
    assert "gray-region, leaders_in faulted: 3 seeds" in said
    assert "no-fault, leaders_in home: one seed" in said


@pytest.mark.parametrize(
    ("seconds", "words"), [(99.4, "99 s"), (119, "119 s"), (120, "2 min"), (3540, "59 min"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, words: str) -> None:
    assert takes.duration(seconds) == words


# -- the line of time -----------------------------------------------------------------------------------------

PHASES = [("steady", 10.0), ("fault", 20.0), ("recovery", 10.0)]
LINES = [
    (
        "one fault", PHASES, [("latency of sg", [(10, 30)])], 54,
        ["              0         10                 30     40 s",
         "              |--steady-|------fault-------|-recovery|",
         "latency of sg           ###################"],
    ),
    (
        "pulses, and one too short to see", PHASES, [("flap of a", [(10, 15), (20, 25)]), ("x", [(30, 30.1)])], 51,
        ["          0         10                  30     40 s",
         "          |--steady-|-------fault-------|-recovery|",
         "flap of a           #####     #####",
         "        x                               #"],
    ),
    ("no fault", PHASES[:2], [], 33, [" 0         10                30 s", " |--steady-|-------fault--------|"]),
    (
        "a phase too short for its name", [("steady", 2.0), ("fault", 38.0)], [], 43,
        [" 0 2                                   40 s", " |-|----------------fault-----------------|"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("phases", "faults", "width", "lines"), [pytest.param(*row[1:], id=row[0]) for row in LINES])
def test_lines_of_time(phases: Any, faults: Any, width: int, lines: list[str]) -> None:
    drawn = timeline.drawn(phases, faults, width)
    assert [line.rstrip() for line in drawn] == drawn
    assert drawn == lines, "\n".join(["", *drawn])


@pytest.mark.parametrize("width", range(40, 121))
def test_bars_lie_where_their_times_are(width: int) -> None:
    phases, fault = [("steady", 12.0), ("fault", 30.0), ("recovery", 20.0)], (17.0, 33.0)
    _, named, bar = timeline.drawn(phases, [("f", [fault])], width)
    begin, end, room = named.index("|"), named.rindex("|"), named.rindex("|") - named.index("|")
    assert end < width
    assert bar.index("#") - begin == pytest.approx(fault[0] / 62 * room, abs=0.51)
    assert bar.rindex("#") + 1 - begin == pytest.approx(fault[1] / 62 * room, abs=0.51)


def test_a_long_label_leaves_room_for_the_line() -> None:
    lines = timeline.drawn(PHASES, [("restart of us-1, us-2, us-3, eu-1", [(10, 20)])], 60)
    assert lines[2].startswith("restart of us-1, us-2… ")
    assert lines[2].count("#") > 5


# -- docstrings ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """What `much` does. It also
    does more. much: how much of it, at
    least one.

    kind: one of two (as it is). places: where; one or more.

    - a list
    - of two
    """

    much: float | tuple[float, float]
    kind: Literal["a", "b"] = "a"
    places: tuple[str, ...] = ()
    quiet: bool = False


def test_settings_are_read_from_where_they_stand() -> None:
    assert docs.about(Sample) == ["What `much` does. It also does more.", "- a list", "- of two"]
    assert [(one.name, one.kind, one.default, one.meaning) for one in docs.settings(Sample)] == [
        ("much", "number or [number, number]", "", "how much of it, at least one."),
        ("kind", "a | b", "a", "one of two (as it is)."),
        ("places", "list of text", "empty", "where; one or more."),
        ("quiet", "true | false", "false", ""),
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"region": "sg", "add_ms": [1000.0, 2000.0]}, "{region: sg, add_ms: [1000, 2000]}"),
        ({"on": "007", "empty": "null"}, '{on: "007", empty: "null"}'),
        ({"a": "x: y", "b": True, "c": 0.25, "d": None}, '{a: "x: y", b: true, c: 0.25, d: null}'),
    ],
)
def test_values_are_written_as_yaml_reads_them(value: Any, words: str) -> None:
    assert docs.flow(value) == words
    assert YAML(typ="safe", pure=True).load(words) == value


# -- the commands ----------------------------------------------------------------------------------------------


def test_lab_show(tmp_path: Path) -> None:
    both = lab(ROOT, "show", "latency", COLUMNS="80")
    assert both.returncode == 0, both.stderr
    assert re.search(r"^fault latency .*^measure latency ", both.stdout, re.DOTALL | re.MULTILINE)
    assert "\x1b" not in both.stdout
    unknown = lab(ROOT, "show", "latncy")
    assert (unknown.returncode, unknown.stdout) == (12, "")
    assert unknown.stderr.startswith("unknown name 'latncy' (did you mean 'latency'?)")


def test_lab_list_tells_how_long_experiments_take(tmp_path: Path) -> None:
    done = lab(home(tmp_path), "list", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    rows = [line.split(maxsplit=4) for line in done.stdout.splitlines()]
    taken = plan.AROUND_S.values()
    assert ["experiment", "short", f"{12 + sum(taken)}", "s", "What is left of a run that dies?"] in rows
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
