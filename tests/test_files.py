"""What a wrong file is told: the line, the words, what is known instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lab import batch_file, files
from lab.batch_file import BatchFile
from lab.errors import FileRefused, UnknownName
from lab.experiment import Experiment
from lab.topology import Topology

TOPOLOGY = "regions:\n  us: {nodes: 3}\n  eu: {nodes: 3}\nrtt_ms:\n  us-eu: 80\n"
EXPERIMENT = "topology: t\nfaults:\n  - latency: {region: sg}\n    at_s: 0\n    for_s: 30\n"

DIGITS = "; write digits alone, as in 90: no quotes, unit or colon."
NO_KEYS = "expected a mapping of keys (`key: value`), "
LEAST = "; write at least `regions: …` and `rtt_ms: …`."
EXPERIMENT_KEYS = ", ".join(sorted(Experiment.model_fields))

WRONG: dict[str, tuple[type[BaseModel], str, int, str]] = {
    "unknown key": (
        Topology,
        TOPOLOGY + "regionz: 1\n",
        6,
        "unknown key 'regionz' (did you mean 'regions'?); known: about, name, regions, rtt_ms.",
    ),
    "unknown key of a region": (
        Topology,
        TOPOLOGY.replace("{nodes: 3}", "\n    nodes: 3\n    node: 4", 1),
        4,
        "unknown key 'node' (did you mean 'nodes'?); known: nodes.",
    ),
    "unknown key of phases": (
        Experiment,
        EXPERIMENT + "phases:\n  steady_s: 12\n  fualt_s: 3\n",
        8,
        "unknown key 'fualt_s' (did you mean 'fault_s'?); known: fault_s, recovery_s, steady_s.",
    ),
    "unknown key of an experiment": (
        Experiment,
        EXPERIMENT + "colour: 1\n",
        6,
        f"unknown key 'colour'; known: {EXPERIMENT_KEYS}.",
    ),
    "a number for a key": (
        Experiment,
        EXPERIMENT + "1: 2\n",
        6,
        f"unknown key '1'; known: {EXPERIMENT_KEYS}.",
    ),
    "misspelt setting beside a fault": (
        Experiment,
        EXPERIMENT.replace("at_s", "att_s"),
        3,
        "faults.0: expected exactly one fault name beside at_s, for_s, found 'latency', 'att_s'; "
        "begin each with `- ` of its own, and indent its settings below it.",
    ),
    "settings of a fault that are no mapping": (
        Experiment,
        EXPERIMENT.replace("{region: sg}", "sg"),
        3,
        "faults.0: expected settings of 'latency' as `{key: value}`, found 'sg'.",
    ),
    "negative seconds in a fault": (
        Experiment,
        EXPERIMENT.replace("30", "-1"),
        5,
        "faults.0.for_s: expected more than 0, found -1.",
    ),
    "text for seconds": (
        Experiment,
        EXPERIMENT.replace("at_s: 0", "at_s: soon"),
        4,
        f"faults.0.at_s: expected a number, found 'soon'{DIGITS}",
    ),
    "fault overruns its phase": (
        Experiment,
        EXPERIMENT.replace("at_s: 0", "at_s: 10"),
        3,
        "faults.0: expected 'latency' to end with the fault phase, which has 30 s, found it from 10 s for 30 s; "
        "shorten it, or make phases.fault_s longer.",
    ),
    "two workloads": (
        Experiment,
        EXPERIMENT + "workload: {kv: {}, rtc: {}}\n",
        6,
        "workload: expected exactly one workload name, found 'kv', 'rtc'; keep one.",
    ),
    "no such verdict": (
        Experiment,
        EXPERIMENT + "expect:\n  a:\n    isolation: broken\n",
        8,
        "expect.a.isolation: expected 'valid', 'invalid', 'unknown' or 'either', found 'broken'.",
    ),
    "no such variant": (
        Experiment,
        EXPERIMENT + "expect:\n  a:\n    isolation:\n      hme: invalid\n",
        9,
        "expect.a.isolation.hme: expected 'home', 'faulted', 'elsewhere' or 'any', found 'hme' (did you mean 'home'?).",
    ),
    "expectation of what is no arm": (
        Experiment,
        EXPERIMENT + "expect:\n  A B: {isolation: invalid}\n",
        6,
        "expect: arm 'A B' is not of the form backend[@version|@path][+option=value…], "
        "for example jetstream-stretched@2.10.26+sync=always.",
    ),
    "key missing": (
        Experiment,
        "faults: []\n",
        1,
        "expected the key 'topology', found none; add `topology: …` (A name in topologies/, or a path to a file).",
    ),
    "key missing below": (
        Topology,
        TOPOLOGY.replace("eu: {nodes: 3}", "eu: {}"),
        3,
        "regions.eu: expected the key 'nodes', found none; add `nodes: …` (How many nodes the region runs).",
    ),
    "text for a number": (
        Topology,
        TOPOLOGY.replace("nodes: 3}\n  eu", "nodes: three}\n  eu"),
        2,
        f"regions.us.nodes: expected a whole number, found 'three'{DIGITS}",
    ),
    "truth for a number": (
        Topology,
        TOPOLOGY.replace("nodes: 3}\n  eu", "nodes: true}\n  eu"),
        2,
        "regions.us.nodes: expected a whole number, found true.",
    ),
    "quoted number": (
        Topology,
        TOPOLOGY.replace("80", "'80'"),
        5,
        f"rtt_ms.us-eu: expected a number, found '80'{DIGITS}",
    ),
    "number for text": (
        Topology,
        TOPOLOGY + "name: 7\n",
        6,
        "name: expected text, found 7; put it in quotes.",
    ),
    "text for a list": (
        Experiment,
        "topology: t\nfaults: latency\n",
        2,
        "faults: expected a list, found 'latency'; begin each entry's line with `- `.",
    ),
    "region in capitals": (
        Topology,
        TOPOLOGY.replace("us:", "US:"),
        2,
        "regions.US: expected a small letter and up to 11 small letters or digits, found 'US'.",
    ),
    "one region": (
        Topology,
        "regions:\n  us: {nodes: 3}\nrtt_ms: {}\n",
        1,
        "regions: expected at least 2 entries, found 1.",
    ),
    "pair missing": (
        Topology,
        TOPOLOGY.replace("  eu:", "  sg: {nodes: 1}\n  eu:"),
        5,
        "rtt_ms: expected every pair of regions, found none for us and sg; "
        "add `us-sg: …`, their round-trip time in ms.",
    ),
    "pair of strangers": (
        Topology,
        TOPOLOGY.replace("us-eu", "us-sg"),
        5,
        "rtt_ms.us-sg: expected a pair of the regions us, eu, found 'us-sg'; write it like 'us-eu'.",
    ),
    "pair twice": (
        Topology,
        TOPOLOGY + "  eu-us: 80\n",
        6,
        "rtt_ms.eu-us: expected each pair once, found 'eu-us' again; remove one of the two.",
    ),
    "key twice": (
        Topology,
        "regions:\n  us: 3\n  us: 2\n",
        3,
        "expected each key once, found 'us' again; remove one of the two, or join what they hold.",
    ),
    "bracket left open": (
        Topology,
        "regions: [\n",
        2,
        "expected a value, found the end of the file; write one, and close what was opened.",
    ),
    "tab": (
        Topology,
        "name: x\n\tabout: y\n",
        2,
        "expected spaces, found a tab; indent and separate with spaces only.",
    ),
    "unknown alias": (
        Topology,
        "name: *b\n",
        1,
        "expected &b before *b, found none; put the text in quotes if the star belongs to it.",
    ),
    "two documents": (
        Topology,
        TOPOLOGY + "---\na: 1\n",
        6,
        "expected one document, found a second one behind `---`; keep one of them.",
    ),
    "a list": (Topology, "- a\n", 1, f"{NO_KEYS}found a list{LEAST}"),
    "a word": (Topology, "us\n", 1, f"{NO_KEYS}found 'us'{LEAST}"),
    "empty": (Topology, "", 1, f"{NO_KEYS}found nothing{LEAST}"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_file(case: str, tmp_path: Path) -> None:
    model, text, line, words = WRONG[case]
    path = tmp_path / "f.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileRefused) as refusal:
        files.load(path, model)
    assert str(refusal.value) == f"{path}:{line}: {words}"


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileRefused, match=r"b\.yaml:1: expected UTF-8 text, found the byte 0xff, which is none; save"):
        files.load(binary, Topology)
    for path in (tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(FileRefused, match=r":1: expected a file that can be read, found: .*; give a file"):
            files.load(path, Topology)


def test_no_is_a_region_as_in_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "north.yaml"
    path.write_text("regions:\n  no: {nodes: 1}\n  on: {nodes: 1}\nrtt_ms: {no-on: 5}\n", encoding="utf-8")
    topology = files.load(path, Topology)
    assert topology.region_names == ("no", "on") and topology.name == "north"


def test_a_name_in_the_file_wins_over_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(TOPOLOGY + "name: mine\n", encoding="utf-8")
    assert files.load(path, Topology).name == "mine"


def test_what_is_dumped_loads_equal(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    for model, text in ((Topology, TOPOLOGY), (Experiment, EXPERIMENT + "workload: {kv: {rate_per_s: 5}}\n")):
        path.write_text(text, encoding="utf-8")
        value = files.load(path, model)
        files.dump(value, path)
        assert files.load(path, model) == value


def test_find_takes_a_name_or_a_path(tmp_path: Path) -> None:
    path = tmp_path / "three.yaml"
    path.write_text(TOPOLOGY, encoding="utf-8")
    assert files.find("topology", "three", tmp_path) == path
    assert files.find("topology", str(path), tmp_path / "elsewhere") == path
    with pytest.raises(UnknownName) as refusal:
        files.find("topology", "there", tmp_path)
    assert str(refusal.value) == "unknown topology 'there' (did you mean 'three'?); known: three."
    with pytest.raises(UnknownName, match=r"topology file '\./no\.yaml' does not exist; give an existing file"):
        files.find("topology", "./no.yaml", tmp_path)


@dataclass(frozen=True)
class Slow:
    region: str
    add_ms: tuple[float, float] = (0, 0)


def test_settings_become_their_dataclass() -> None:
    assert files.validated(Slow, {"region": "sg", "add_ms": [1, 2]}, "fault slow") == Slow("sg", (1, 2))


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": (
        {"regoin": 1},
        "fault slow: unknown setting 'regoin' (did you mean 'region'?); known: add_ms, region.",
    ),
    "missing": ({}, "fault slow: expected the setting 'region', found none; add `region: …`."),
    "wrong": (
        {"region": "sg", "add_ms": [1, "x"]},
        f"fault slow: add_ms.1: expected a number, found 'x'{DIGITS}",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_wrong_settings(case: str) -> None:
    settings, words = SETTINGS[case]
    with pytest.raises(FileRefused) as refusal:
        files.validated(Slow, settings, "fault slow")
    assert str(refusal.value) == words


@dataclass(frozen=True)
class Spread:
    add_ms: float | tuple[float, float]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("50", f"expected a number or a list, found '50'{DIGITS}"),
        (True, "expected a number or a list, found true."),
        ({"a": 1}, "expected a number or a list, found a mapping."),
    ],
)
def test_settings_are_what_they_say_not_what_can_be_made_of_them(value: object, sentence: str) -> None:
    with pytest.raises(FileRefused) as refusal:
        files.validated(Spread, {"add_ms": value}, "fault slow")
    assert str(refusal.value) == f"fault slow: add_ms: {sentence}"


def test_what_is_refused_later_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(EXPERIMENT, encoding="utf-8")
    with pytest.raises(UnknownName) as refusal, files.placed(path, "faults", 0):
        raise UnknownName("unknown region 'sg'.")
    assert str(refusal.value) == f"{path}:3: unknown region 'sg'."
    with pytest.raises(UnknownName, match=r"^no$"), files.placed(None, "faults", 0):
        raise UnknownName("no")


@pytest.mark.parametrize("folder, model", [("topologies", Topology), ("experiments", Experiment)])
def test_every_file_of_ours_loads(folder: str, model: type[BaseModel]) -> None:
    paths = sorted((Path(__file__).parent.parent / folder).glob("*.yaml"))
    assert paths
    for path in paths:
        files.load(path, BatchFile if batch_file.is_batch(path) else model)
