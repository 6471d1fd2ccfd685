"""What a wrong file is told: the line, the words, what is known instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from lab import files
from lab.errors import FileRefused, UnknownName
from lab.experiment import Experiment
from lab.topology import Topology

TOPOLOGY = "regions:\n  us: {nodes: 3}\n  eu: {nodes: 3}\nrtt_ms:\n  us-eu: 80\n"
EXPERIMENT = "topology: t\nfaults:\n  - latency: {region: sg}\n    at_s: 0\n    for_s: 30\n"

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
        "faults.0: expected exactly one fault name beside at_s, for_s, found 'latency', 'att_s'.",
    ),
    "settings of a fault that are no mapping": (
        Experiment,
        EXPERIMENT.replace("{region: sg}", "sg"),
        3,
        "faults.0: settings of 'latency' must be a mapping, found 'sg'.",
    ),
    "negative seconds in a fault": (
        Experiment,
        EXPERIMENT.replace("30", "-1"),
        5,
        "faults.0.for_s: Input should be greater than or equal to 0, found -1.",
    ),
    "text for seconds": (
        Experiment,
        EXPERIMENT.replace("at_s: 0", "at_s: soon"),
        4,
        "faults.0.at_s: Input should be a valid number, found 'soon'.",
    ),
    "fault overruns its phase": (
        Experiment,
        EXPERIMENT.replace("at_s: 0", "at_s: 10"),
        2,
        "faults: 'latency' runs from 10 s for 30 s, but the fault phase has 30 s.",
    ),
    "two workloads": (
        Experiment,
        EXPERIMENT + "workload: {kv: {}, rtc: {}}\n",
        6,
        "workload: expected exactly one workload name, found 'kv', 'rtc'.",
    ),
    "no such verdict": (
        Experiment,
        EXPERIMENT + "expect:\n  a:\n    isolation: broken\n",
        8,
        "expect.a.isolation: Input should be 'valid', 'invalid' or 'unknown', found 'broken'.",
    ),
    "no such variant": (
        Experiment,
        EXPERIMENT + "expect:\n  a:\n    isolation:\n      hme: invalid\n",
        9,
        "expect.a.isolation.hme: Input should be 'home', 'faulted', 'elsewhere' or 'any', found 'hme'.",
    ),
    "expectation of what is no arm": (
        Experiment,
        EXPERIMENT + "expect:\n  A B: {isolation: invalid}\n",
        6,
        "expect: arm 'A B' is not of the form backend[@version|@path][+option=value…], "
        "for example jetstream-stretched@2.10.26+sync=always.",
    ),
    "key missing": (Experiment, "faults: []\n", 1, "topology: Field required."),
    "key missing below": (
        Topology,
        TOPOLOGY.replace("eu: {nodes: 3}", "eu: {}"),
        3,
        "regions.eu.nodes: Field required.",
    ),
    "text for a number": (
        Topology,
        TOPOLOGY.replace("nodes: 3}\n  eu", "nodes: three}\n  eu"),
        2,
        "regions.us.nodes: Input should be a valid integer, found 'three'.",
    ),
    "truth for a number": (
        Topology,
        TOPOLOGY.replace("nodes: 3}\n  eu", "nodes: true}\n  eu"),
        2,
        "regions.us.nodes: Input should be a valid integer, found True.",
    ),
    "quoted number": (
        Topology,
        TOPOLOGY.replace("80", "'80'"),
        5,
        "rtt_ms.us-eu: Input should be a valid number, found '80'.",
    ),
    "number for text": (
        Topology,
        TOPOLOGY + "name: 7\n",
        6,
        "name: Input should be a valid string, found 7.",
    ),
    "text for a list": (
        Experiment,
        "topology: t\nfaults: latency\n",
        2,
        "faults: Input should be a valid list, found 'latency'.",
    ),
    "region in capitals": (
        Topology,
        TOPOLOGY.replace("us:", "US:"),
        2,
        "regions.US: String should match pattern '^[a-z][a-z0-9]{0,11}$', found 'US'.",
    ),
    "one region": (
        Topology,
        "regions:\n  us: {nodes: 3}\nrtt_ms: {}\n",
        1,
        "regions: Dictionary should have at least 2 items after validation, not 1.",
    ),
    "pair missing": (
        Topology,
        TOPOLOGY.replace("  eu:", "  sg: {nodes: 1}\n  eu:"),
        5,
        "rtt_ms: the pair 'us-sg' is missing.",
    ),
    "pair of strangers": (
        Topology,
        TOPOLOGY.replace("us-eu", "us-sg"),
        4,
        "rtt_ms: 'us-sg' is not a pair of the regions us, eu; write it like 'us-eu'.",
    ),
    "pair twice": (Topology, TOPOLOGY + "  eu-us: 80\n", 4, "rtt_ms: the pair 'eu-us' is named twice."),
    "key twice": (
        Topology,
        "regions:\n  us: 3\n  us: 2\n",
        3,
        'not YAML: found duplicate key "us" with value "2" (original value: "3").',
    ),
    "bracket left open": (
        Topology,
        "regions: [\n",
        2,
        "not YAML: expected the node content, but found '<stream end>'.",
    ),
    "tab": (
        Topology,
        "name: x\n\tabout: y\n",
        2,
        "not YAML: found character '\\t' that cannot start any token.",
    ),
    "unknown alias": (Topology, "name: *b\n", 1, "not YAML: found undefined alias 'b'."),
    "two documents": (Topology, TOPOLOGY + "---\na: 1\n", 6, "not YAML: but found another document."),
    "a list": (Topology, "- a\n", 1, "expected a mapping of keys, found a list."),
    "a word": (Topology, "us\n", 1, "expected a mapping of keys, found 'us'."),
    "empty": (Topology, "", 1, "expected a mapping of keys, found nothing."),
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
    for path in (binary, tmp_path / "absent.yaml", tmp_path):
        with pytest.raises(FileRefused, match=":1: can't be read: "):
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
    "missing": ({}, "fault slow: region: Field required."),
    "wrong": (
        {"region": "sg", "add_ms": [1, "x"]},
        "fault slow: add_ms.1: Input should be a valid number, unable to parse string as a number, found 'x'.",
    ),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_wrong_settings(case: str) -> None:
    settings, words = SETTINGS[case]
    with pytest.raises(FileRefused) as refusal:
        files.validated(Slow, settings, "fault slow")
    assert str(refusal.value) == words


@pytest.mark.parametrize("folder, model", [("topologies", Topology), ("experiments", Experiment)])
def test_every_file_of_ours_loads(folder: str, model: type[BaseModel]) -> None:
    paths = sorted((Path(__file__).parent.parent / folder).glob("*.yaml"))
    assert paths
    for path in paths:
        if files.read(path).keys() & model.model_fields.keys() & {"regions", "topology"}:
            files.load(path, model)
