"""The README says what the code says. `python -m tests.test_readme` writes its generated parts."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lab import files, plan, report
from lab.__main__ import app
from lab.backends.jetstream.config import Settings
from lab.bench import about, conduct, table
from lab.experiment import Experiment
from lab.show.names import everything
from lab.show.takes import takes

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
REFERENCE = ROOT / "results" / "reference"


def _definitions() -> str:
    return "\n".join(f"- *{word}*: {text}" for word, text in report.definitions())


def _gates() -> str:
    rows = "\n".join(f"| {name} | {what} | {limit} |" for name, what, limit in report.gates())
    return f"| gate | what it looks at | limit |\n|---|---|---|\n{rows}"


SHOWN = (
    "experiment", "topology", "leaders in", "arm", "seeds", "verdict", "blast radius", "longest outage there",
    "collateral, region-seconds", "acknowledged writes lost, per run",
)  # fmt: skip


def _findings() -> str:
    """The columns of `lab index` that answer the question; the file has them all."""
    found = json.loads((REFERENCE / "findings.json").read_text(encoding="utf-8"))
    places = [found["head"].index(name) for name in SHOWN]
    rows = "\n".join("| " + " | ".join(row[place] for place in places) + " |" for row in found["rows"])
    return f"{found['about']}\n\n| {' | '.join(SHOWN)} |\n|{'---|' * len(SHOWN)}\n{rows}"


def _experiments() -> str:
    rows = [
        f"| `{thing.name}` | {files.load(thing.path, Experiment).question} | {takes(thing)} |"
        for thing in everything()
        if thing.kind == "experiment"
    ]
    return "\n".join(["| experiment | asks | takes |", "|---|---|---|", *rows])


def _topologies() -> str:
    return _told("topology", "topology", "")


def _faults() -> str:
    return _told("fault", "fault", "what it does")


def _told(kind: str, head: str, about: str) -> str:
    rows = [f"| `{name}` | {sentence} |" for what, name, sentence in plan.inventory() if what == kind]
    return "\n".join([f"| {head} | {about} |", "|---|---|", *rows])


def _commands() -> str:
    rows = [
        f"| `lab {command.name or command.callback.__name__}` | {(command.callback.__doc__ or '').splitlines()[0]} |"
        for command in app.registered_commands
        if command.callback
    ]
    return "\n".join(["| command | |", "|---|---|", *rows])


def _bench() -> str:
    """A kept `make bench`: its bench.json, copied to results/reference/."""
    kept = REFERENCE / "bench.json"
    if not kept.is_file():
        return "(no run is kept yet)"
    told = json.loads(kept.read_text(encoding="utf-8"))
    return table.kept(told, conduct.titles(), about.sentences(told["machine"]))


PARTS = {
    "definitions": _definitions,
    "gates": _gates,
    "findings": _findings,
    "experiments": _experiments,
    "topologies": _topologies,
    "faults": _faults,
    "commands": _commands,
    "bench": _bench,
}


@pytest.mark.parametrize("part", PARTS)
def test_generated_parts_are_current(part: str) -> None:
    text = README.read_text(encoding="utf-8")
    found = re.search(f"<!-- {part} -->\n(.*)<!-- /{part} -->", text, re.DOTALL)
    assert found is not None
    assert found[1].strip() == PARTS[part]().strip(), "run: python -m tests.test_readme"


def test_make_targets_and_variables_exist() -> None:
    makefile, text = (path.read_text(encoding="utf-8") for path in (ROOT / "Makefile", README))
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)", text.partition("## How it is built")[0]))
    assert named <= targets
    assert {"experiment", "test", "demo", "nightly", "notebook"} <= named
    variables = set(re.findall(r"^([A-Z_]+) *\?=", makefile, re.MULTILINE))
    assert set(re.findall(r"^\| `([A-Z_]+)`", text, re.MULTILINE)) <= variables
    assert set(re.findall(r"\b([A-Z_]{4,})=", text)) <= {*variables, "LAB_BINARIES", "LAB_HOME"}


def test_ci_calls_the_readmes_test_command() -> None:
    assert "make test\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "make test " in README.read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_example_experiment_is_one() -> None:
    [example] = _blocks("yaml")
    assert Experiment.model_validate(YAML(typ="safe").load(example)).faults[0].kind == "latency"


def test_the_example_fault_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = [block for block in _blocks("python") if block.startswith("# detour.py")]
    [line] = re.findall(r"`(faults: .*)`", example)
    (tmp_path / "detour.py").write_text(example, encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(f"topology: three-regions\n{line}\n", encoding="utf-8")
    monkeypatch.setenv("LAB_HOME", str(ROOT))
    monkeypatch.chdir(tmp_path)
    [fault] = plan.make("./mine.yaml", arm="jetstream-stretched").faults
    assert fault.fault.targets == ("sg",)
    assert {str(link): harm.as_event() for link, harm in fault.impairments.items()} == {"sg->us": {"latency_ms": 300}}


@pytest.mark.parametrize("line", re.findall(r"^make experiment .*$", README.read_text(encoding="utf-8"), re.MULTILINE))
def test_every_make_command_names_what_there_is(line: str) -> None:
    words = shlex.split(line.partition("#")[0])
    given = dict(word.split("=", 1) for word in words[2:])
    for arm in given.get("BACKENDS", "jetstream-stretched syncstore").split():
        for leaders_in in given.get("LEADERS_IN", "").split(","):
            plan.make(
                ROOT / "experiments" / f"{given.get('EXPERIMENT', 'gray-region')}.yaml",
                arm=arm,
                seed=int(given.get("SEED", "1")),
                leaders_in=leaders_in,
                topology=given.get("TOPOLOGY", ""),
            )


def test_named_options_exist() -> None:
    text = README.read_text(encoding="utf-8")
    for option in Settings.__dataclass_fields__:
        assert f"`{option}=" in text


def test_pictures_and_files_it_names_are_there() -> None:
    text = README.read_text(encoding="utf-8")
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert 10_000 < (ROOT / path).stat().st_size < 400_000, path
    for path in re.findall(r"`((?:lab|experiments|topologies|notebooks|results)/[\w/.-]+)`", text):
        assert (ROOT / path).exists() or path in ("experiments/mine.yaml", "results/last.json"), path


def write() -> None:
    text = README.read_text(encoding="utf-8")
    for part, make in PARTS.items():
        body = f"<!-- {part} -->\n{make()}\n<!-- /{part} -->"
        text = re.sub(f"<!-- {part} -->.*<!-- /{part} -->", lambda _, body=body: body, text, flags=re.DOTALL)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
