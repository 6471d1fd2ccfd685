"""The command line: refusals as one sentence with the right exit code; plans, schemas and lists.

Each command has a LAB_HOME of its own. The long tables are answered in process; the rest are
processes, as a user's would be, and one test holds the two against each other. Wrong files and
damaged runs: `test_wrong_files`, `test_wrong_input`.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from lab import files, plan
from lab.binaries import NEWEST
from tests import in_process
from tests.integration.whole import ROOT, SHORT, code_of, home, lab, nothing_left, underway, verdict_of, wait_for
from tests.test_memory_runs import run_once

OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "GOPROXY": "off", "GOFLAGS": "-mod=mod"}


def saying(old: str, new: str) -> str:
    """The short experiment with one thing changed."""
    assert old in SHORT
    return SHORT.replace(old, new)


RUN = ["run", "short"]


def arm(text: str) -> list[str]:
    return [*RUN, "--arm", text]


REFUSED = [
    # what is wrong, the experiment file, arguments of `lab`, what the sentence must say
    ("experiment", SHORT, ["run", "shrot"], r"unknown experiment 'shrot' \(did you mean 'short'\?\); known: short\."),
    ("experiment file", SHORT, ["run", "./none.yaml"], r"experiment file './none.yaml' does not exist; give"),
    ("topology", saying("pair", "pear"), RUN, r"unknown topology 'pear' \(did you mean 'pair'\?\)"),
    ("topology override", SHORT, [*RUN, "--topology", "pear"], r"unknown topology 'pear' \(did you mean 'pair'\?\)"),
    ("region", saying("region: b", "region: c"), RUN, r"short.yaml:7: unknown region 'c'.*known: a, b\."),
    ("fault", saying("latency", "latancy"), RUN, r"short.yaml:7: unknown fault 'latancy' \(did you mean 'latency'\?\)"),
    (
        "fault that does not fit", saying("latency: {region: b, add_ms: 50}", "pause: {region: b, nodes: [a-1]}"), RUN,
        r"short.yaml:7: fault pause: expected either region or nodes, found both; name one, like region: sg\.",
    ),
    ("fault setting", saying("add_ms", "ad_ms"), RUN, r"short.yaml:7: fault latency: unknown setting 'ad_ms' .*add_ms"),
    ("setting's type", saying("50}", "often}"), RUN, r"fault latency: add_ms.*number.*'often'"),
    ("setting's value", saying("50}", "-50}"), RUN, r"add_ms must be .* between 0 and 60000 ms, found -50"),
    ("workload", saying("{kv:", "{kw:"), RUN, r"unknown workload 'kw'; known: kv\."),
    ("workload setting", saying("keys: 20", "keys: 2"), RUN, r"expected 1 ≤ groups ≤ keys .*keys 2"),
    ("key", saying("phases", "phasen"), RUN, r"short.yaml:5: unknown key 'phasen' \(did you mean 'phases'"),
    ("phase", saying("steady_s: 4", "steady_s: 1"), RUN, r"short.yaml:5: phases.steady_s: .*found 1"),
    ("YAML", saying("{kv:", "{{kv:"), RUN, r"short.yaml:\d+: "),
    ("fault too long", saying("50}", "50}\n    for_s: 9"), RUN, r"short.yaml:7: .*which has 4 s, found .* 9 s"),
    ("checker", saying("isolation,", "isolaton,"), RUN, r"unknown checker 'isolaton' \(did you mean 'isol"),
    ("own checker", saying("isolation,", "./mine.py:x,"), RUN, r"checker file 'mine.py' does not exist; give"),
    ("expectation", SHORT + "expect: {Bad Arm: {}}\n", RUN, r"short.yaml:9: .*'Bad Arm' is not of the form"),
    ("experiment without a name", SHORT, ["run", ""], r"unknown experiment ''; known: short\."),
    ("experiment out of the lab", SHORT, ["run", "../../no/such"], r"experiment file '../../no/such' does not exist"),
    ("backend", SHORT, arm("jetstream"), r"unknown backend 'jetstream' \(did you mean 'jetstream-s"),
    ("arm's form", SHORT, arm("jetstream-stretched@"), r"arm .* is not of the form backend\[@"),
    ("arm option", SHORT, arm("jetstream-stretched+synk=always"), r"unknown setting 'synk' \(did you"),
    ("option value", SHORT, arm("jetstream-stretched+sync=never"), r"sync: .*'default' or 'always'"),
    ("version's form", SHORT, arm("jetstream-stretched@new"), r"version 'new' of nats-server is not"),
    ("version", SHORT, arm("jetstream-stretched@99.99.99"), r"nats-server 99\.99\.99 can't be had: "),
    ("arm path", SHORT, arm("jetstream-stretched@./no/such"), r"no/such .* does not exist"),
    ("runtime", SHORT, [*RUN, "--runtime", "proces"], r"unknown runtime 'proces' \(did you mean 'process'\?\)"),
    ("runtime that does not fit", SHORT, [*RUN, "--runtime", "memory"], r"does not run on runtime 'memory'"),
    ("leaders_in", SHORT, [*RUN, "--leaders-in", "hom"], r"unknown leaders_in 'hom' \(did you mean 'home'\?\)"),
    (
        "leaders_in without a fault", SHORT.replace(SHORT[SHORT.index("faults:") : SHORT.index("hypo")], ""),
        [*RUN, "--leaders-in", "faulted"], r"leaders_in 'faulted' needs faults that name exactly one region",
    ),
    ("negative seed", SHORT, [*RUN, "--seed", "-1"], r"seed must be a whole number from 0 on, found -1"),
    ("huge seed", SHORT, [*RUN, "--seed", str(2**63)], r"seed must be .* found 9223372036854775808"),
    ("folder of runs", SHORT, ["index", "nowhere"], r"nowhere is no folder that can be read; give one that holds runs"),
    ("path of a run", SHORT, ["judge", "topologies"], r"topologies is not a run: expected a directory that"),
    ("path of a report", SHORT, ["report", "nowhere"], r"nowhere is not a run: expected a directory"),
    ("schema", SHORT, ["schema", "toplogy"], r"unknown schema 'toplogy' \(did you mean 'topology'\?\)"),
]  # fmt: skip
USAGE = [
    ("seed not a number", ["run", "short", "--seed", "seven"], "--seed"),
    ("seed of no whole number", ["run", "short", "--seed", "1.5"], "--seed"),
    ("empty seed", ["run", "short", "--seed", ""], "--seed"),
    ("no repeats", ["run", "short", "--repeats", "0"], "repeats"),
    ("too many repeats", ["run", "short", "--repeats", "1001"], "repeats"),
    ("repeats not a number", ["run", "short", "--repeats", "many"], "repeats"),
    ("unknown option", ["run", "short", "--aarm", "x"], "--aarm"),
    ("unknown command", ["rum"], "rum"),
    ("too many arguments", ["judge", "a", "b"], "b"),
    ("no path", ["judge"], "path"),
]


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What was said on stderr: one line, no stack; beside how a binary was looked for."""
    said = "\n".join(line for line in done.stderr.splitlines() if not line.startswith(("looking for", "building")))
    assert said and "\n" not in said, done.stderr
    assert said.endswith("."), said
    return said


def nothing_made(folder: Path) -> bool:
    return list((folder / "results").rglob("*")) == []


@pytest.mark.parametrize(
    ("experiment", "arguments", "sentence"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED]
)
def test_refused_in_one_sentence(tmp_path: Path, experiment: str, arguments: list[str], sentence: str) -> None:
    done = in_process.lab(home(tmp_path, experiment), *arguments, **OFFLINE)
    assert done.returncode == 12, (done.stdout, done.stderr)
    assert re.search(sentence, one_sentence(done))
    assert nothing_made(tmp_path)


@pytest.mark.parametrize(("arguments", "word"), [pytest.param(*row[1:], id=row[0]) for row in USAGE])
def test_usage_is_2(tmp_path: Path, arguments: list[str], word: str) -> None:
    done = in_process.lab(home(tmp_path), *arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert word in done.stderr and "Traceback" not in done.stderr
    assert nothing_made(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["run", "shrot"], ["run", "short", "--seed", "x"], ["run", "short", "--plan"], []]
)
def test_a_process_answers_as_is_answered_in_process(tmp_path: Path, arguments: list[str]) -> None:
    process, here = lab(home(tmp_path), *arguments), in_process.lab(tmp_path, *arguments)
    same = re.compile(r"python -m (pytest\.)?lab")  # what usage calls the program
    told = [(one.returncode, same.sub("lab", one.stdout), same.sub("lab", one.stderr)) for one in (process, here)]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("def mine(:\n", r"checker file .*mine.py.*: line 1", id="not Python"),
        pytest.param("import no_such_library_at_all\n", r"checker file .*mine.py.*no_such_library", id="can't import"),
        pytest.param("def other(): ...\n", r"checker 'mine' is not in .*mine.py", id="no such name"),
    ],
)
def test_own_checker_that_can_not_be_loaded(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    done = lab(home(tmp_path, saying("isolation,", f"{tmp_path}/mine.py:mine,")), "run", "short")
    assert done.returncode == 12, done.stderr
    assert re.search(sentence, one_sentence(done))
    assert nothing_made(tmp_path)


def _wrong_digest(folder: Path) -> dict[str, str]:
    cache = folder / "cache"
    place = (
        cache / "isolation-lab/bin/nats-server" / NEWEST["nats-server"] / f"{sys.platform}-{platform.machine().lower()}"
    )
    place.mkdir(parents=True)
    (place / "nats-server").write_text("#!/bin/sh\necho nats-server: v2.15.1\n")
    (place / "nats-server").chmod(0o755)
    (place / "nats-server.sha256").write_text(f"{'0' * 64}  nats-server\n")
    return {"XDG_CACHE_HOME": str(cache)}


def _nowhere(folder: Path) -> dict[str, str]:
    (folder / "empty").mkdir()
    return {"LAB_BINARIES": str(folder / "empty"), "XDG_CACHE_HOME": str(folder / "cache")}


def _no_folder(folder: Path) -> dict[str, str]:
    return {"LAB_BINARIES": str(folder / "none"), "XDG_CACHE_HOME": str(folder / "cache")}


def _other_version(folder: Path) -> dict[str, str]:
    (folder / f"nats-server-{NEWEST['nats-server']}").write_text("#!/bin/sh\necho nats-server: v2.1.1\n")
    (folder / f"nats-server-{NEWEST['nats-server']}").chmod(0o755)
    return {"LAB_BINARIES": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (_wrong_digest, r"is not the file that was put there \(sha256 .*: delete .* and run again"),
        (_nowhere, r"is neither in LAB_BINARIES .* nor in the cache .*put the file nats-server-"),
        (_no_folder, r"LAB_BINARIES names .*none', which is no folder; make it, or unset it"),
        (_other_version, r"is version 2\.1\.1, expected .*; put nats-server-"),
    ],
)
def test_binaries_that_can_not_be_had(tmp_path: Path, prepare: Callable[[Path], dict[str, str]], sentence: str) -> None:
    done = lab(home(tmp_path), "run", "short", **OFFLINE, **prepare(tmp_path))
    assert done.returncode == 12, done.stderr
    assert re.search(sentence, one_sentence(done))
    assert nothing_made(tmp_path)


def test_results_that_can_not_be_written(tmp_path: Path) -> None:
    home(tmp_path)
    (tmp_path / "results").rmdir()
    (tmp_path / "results").write_text("a file where a folder should be")
    done = lab(tmp_path, "run", "short")
    assert done.returncode == 12, done.stderr
    assert re.search(r"results can't be written below .*results: .*; free space or choose", one_sentence(done))


# -- what is only said ------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True])
def test_a_plan_says_the_same_twice_and_makes_nothing(tmp_path: Path, as_json: bool) -> None:
    arguments = ["run", "short", "--plan", "--repeats", "2", *(["--json"] if as_json else [])]
    first, second = (lab(home(tmp_path), *arguments) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    assert first.stderr == ""
    assert nothing_made(tmp_path)
    if as_json:
        told = [json.loads(line) for line in first.stdout.splitlines()]
        assert [one["seed"] for one in told] == [1, 2]
    else:
        assert "4 s steady, 4 s fault (latency of b at +0 s), 4 s recovery: about" in first.stdout


def test_equal_seeds_give_equal_plans(tmp_path: Path) -> None:
    texts = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        (tmp_path / name).mkdir()
        plan.make(str(ROOT / "experiments/gray-region.yaml"), arm="jetstream-stretched", seed=seed).save(
            tmp_path / name
        )
        texts.append((tmp_path / name / "plan.json").read_bytes())
    assert texts[0] == texts[1] != texts[2]


def test_list_names_everything_that_is_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab", "list"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    rows = {tuple(line.split()[:2]) for line in done.stdout.splitlines() if len(line.split()) > 1}
    for folder, what in (("experiments", "experiment"), ("topologies", "topology")):
        for path in (ROOT / folder).glob("*.yaml"):
            if "runs" not in (files.read(path) or {}):  # a batch is a list of runs
                assert (what, path.stem) in rows
    assert {("fault", "latency"), ("fault", "partition"), ("backend", "jetstream-stretched")} <= rows


# -- schemas -----------------------------------------------------------------------------------------------


def schema(name: str) -> Any:
    done = lab(ROOT, "schema", name)
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(value)
    return value


@pytest.mark.parametrize(("name", "folder"), [("topology", "topologies"), ("experiment", "experiments")])
def test_schemas_accept_the_files_we_ship_and_refuse_others(name: str, folder: str) -> None:
    published = schema(name)
    for path in sorted((ROOT / folder).glob("*.yaml")):
        data = json.loads(json.dumps(files.read(path)))
        if "runs" in data:
            continue
        jsonschema.validate(data, published)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**data, "no_such_key": 1}, published)


def test_schemas_accept_what_runs_write(tmp_path: Path) -> None:
    run = run_once(tmp_path, "memory")
    for name in ("measurements", "verdict"):
        jsonschema.validate(json.loads((run.path / f"{name}.json").read_text()), schema(name))


# -- what breaks in mid-run ----------------------------------------------------------------------------------


def test_toxiproxy_dies_in_mid_run(tmp_path: Path) -> None:
    with underway(home(tmp_path)) as run:
        run.reach("fault")
        ports = run.ports()
        os.kill(run.one("toxiproxy-server"), signal.SIGKILL)
        out, err = run.process.communicate(timeout=60)
        assert run.process.returncode == 11, (out, err)
        verdict = verdict_of(run.directory)
        assert verdict["verdict"] == "unknown"
        assert any("Toxiproxy died in mid-run" in why for why in verdict["why"]), verdict["why"]
        assert "Toxiproxy died in mid-run" in out
        assert (run.directory / "history.parquet").stat().st_size > 10_000
        nothing_left(run, ports)


def test_a_node_that_does_not_start_says_why(tmp_path: Path) -> None:
    script = tmp_path / "nats"
    script.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo nats-server: v2.15.1 && exit 0\necho "no such luck today"\nexit 1\n'
    )
    script.chmod(0o755)
    begun_s = time.monotonic()
    done = lab(home(tmp_path), "run", "short", "--arm", f"jetstream-stretched@{script}")
    assert done.returncode == 11, (done.stdout, done.stderr)
    assert time.monotonic() - begun_s < 60, "nobody waits for what can't come"
    assert "Traceback" not in done.stderr + done.stdout
    assert re.search(r"node [ab]-1 ended while starting; its last words: no such luck today", done.stdout)
    [directory] = tmp_path.glob("results/short/*/*")
    assert verdict_of(directory)["verdict"] == "unknown"
    assert not (directory / "nodes").exists()


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    """A LAB_HOME whose results/ is a file system of that size."""
    home(tmp_path)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(tmp_path / "results")]
    try:
        done = subprocess.run(mount, capture_output=True, check=False, text=True)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"a small file system can't be mounted here: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path / "results")], check=True)


def fill(folder: Path) -> None:
    """Leave no byte free."""
    with (folder / "filler").open("wb", buffering=0) as out, contextlib.suppress(OSError):
        for size in (65_536, 4_096, 1):
            with contextlib.suppress(OSError):
                while out.write(b"x" * size) == size:
                    pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("small_disk", "phase"), [("64k", ""), ("8m", "prepare"), ("8m", "fault")], indirect=["small_disk"]
)
def test_a_disk_that_fills_up_in_mid_run(small_disk: Path, phase: str) -> None:
    with underway(small_disk) as run:
        if phase:
            run.reach(phase)
            fill(small_disk / "results")
        out, err = run.process.communicate(timeout=150)
        assert run.process.returncode == 11, (out, err)
        assert "Traceback" not in out + err
        assert re.search(r"^the report can't be written to .*: No space left on device\.$", err, re.MULTILINE), (
            out,
            err,
        )
        wait_for("end of all processes", lambda: not run.members(), 15)
    if phase == "fault":  # with room again, what was recorded can be judged
        (small_disk / "results" / "filler").unlink()
        assert lab(small_disk, "judge", str(run.directory)).returncode == 11
        assert verdict_of(run.directory)["verdict"] == "unknown"


@pytest.mark.slow
@pytest.mark.parametrize("small_disk", ["1m"], indirect=True)
def test_a_disk_too_small_for_the_report_leaves_the_verdict(small_disk: Path) -> None:
    with underway(small_disk) as run:
        out, err = run.process.communicate(timeout=150)
        verdict = verdict_of(run.directory)
        assert run.process.returncode == code_of(verdict), (out, err)
        assert re.search(r"^the report can't be written to .*: No space left on device\.$", err, re.MULTILINE), (
            out,
            err,
        )
        assert not (run.directory / "report.html").exists()
        wait_for("end of all processes", lambda: not run.members(), 15)
