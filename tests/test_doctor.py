"""Doctor: each look can fail, says what mends it, and decides the exit code; the smoke test is real."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lab import __main__ as command_line
from lab import doctor, machine, reaper, smoke
from lab.errors import Refused, RunBroken
from lab.events import Event, WitnessReading
from lab.machine import Diagnosis
from lab.protocols import Cut, Impairment, Latency
from lab.topology import Link
from tests import virtual_time
from tests.integration.whole import ROOT, environment, home, lab, wait_for

Patch = pytest.MonkeyPatch
Memory = namedtuple("Memory", "total available")
Usage = namedtuple("Usage", "free")


def _raise(error: Exception) -> Callable[..., Any]:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


# -- looks: what is wrong with the machine, which look sees it, what it says, what mends it ---------------


def _files(hard: int) -> Callable[[Patch, Path], None]:
    return lambda patch, _: patch.setattr(machine.resource, "getrlimit", lambda _: (256, hard))


def _old_python(patch: Patch, _: Path) -> None:
    patch.setattr(machine.sys, "version_info", (3, 10, 2))


def _mac(patch: Patch, _: Path) -> None:
    patch.setattr(machine.platform, "system", lambda: "Darwin")


def _one_core(patch: Patch, _: Path) -> None:
    patch.setattr(machine, "_control_group", lambda name: "100000 100000" if name == "cpu.max" else "")


def _small(patch: Patch, _: Path) -> None:
    patch.setattr(machine.psutil, "virtual_memory", lambda: Memory(8 * machine.GIB, 8 * machine.GIB))
    patch.setattr(machine, "_control_group", lambda name: str(2 * machine.GIB) if name == "memory.max" else "")


def _crowded(patch: Patch, _: Path) -> None:
    patch.setattr(machine.psutil, "virtual_memory", lambda: Memory(8 * machine.GIB, machine.GIB))


def _results_a_file(_: Patch, folder: Path) -> None:
    (folder / "results").write_text("a file where a folder should be")


def _disk_full(patch: Patch, _: Path) -> None:
    patch.setattr(machine.shutil, "disk_usage", lambda _: Usage(machine.GIB // 2))


def _disk_nearly_full(patch: Patch, _: Path) -> None:
    patch.setattr(machine.shutil, "disk_usage", lambda _: Usage(2 * machine.GIB))


def _slow_disk(patch: Patch, folder: Path) -> None:
    (folder / "results").mkdir()
    patch.setattr(machine.os, "fsync", lambda _: time.sleep(0.025))


def _blocks_taken(patch: Patch, _: Path) -> None:
    patch.setattr(machine, "PortBlock", _raise(Refused("all port blocks between 20000 and 31999 are taken.")))


def _ports_taken(patch: Patch, _: Path) -> None:
    block = SimpleNamespace(take=_raise(Refused("no free port left among the 600 of this run.")), close=lambda: None)
    patch.setattr(machine, "PortBlock", lambda: block)


def _no_cache(patch: Patch, _: Path) -> None:
    patch.setattr(machine, "PortBlock", _raise(PermissionError(13, "Permission denied", "/nowhere/ports")))


def _low_ephemeral(patch: Patch, _: Path) -> None:
    patch.setattr(machine, "_ephemeral_begin", lambda: 15_000)


def _leftover(patch: Patch, _: Path) -> None:
    patch.setattr(machine.reaper, "marked", lambda: iter([(None, "/runs/dead"), (None, "/runs/dead")]))
    patch.setattr(machine.reaper, "running", lambda _: False)


def _another_run(patch: Patch, _: Path) -> None:
    patch.setattr(machine.reaper, "marked", lambda: iter([(None, "/runs/alive")]))
    patch.setattr(machine.reaper, "running", lambda _: True)


def _asleep(patch: Patch, _: Path) -> None:
    slept = iter([0.0, 7.0])
    patch.setattr(machine, "asleep_s", lambda: next(slept))


def _clock_set(patch: Patch, _: Path) -> None:
    wall = iter([0, 5_000_000_000])
    patch.setattr(machine.time, "time_ns", lambda: next(wall))


def _busy(patch: Patch, _: Path) -> None:
    async def late() -> list[float]:
        return [0.5] * 90 + [34.0] * 10

    patch.setattr(machine, "_lateness_ms", late)


def _remote_engine(patch: Patch, _: Path) -> None:
    patch.setenv("DOCKER_HOST", "ssh://me@elsewhere")


def _dead_engine(patch: Patch, _: Path) -> None:
    patch.setattr(machine.plan, "engine", _raise(Refused("no container engine answers (nobody listens): start it.")))


ILLS = [
    ("old Python", _old_python, "python", "failed", r"expected 3\.11 or newer", r"PYTHON=python3"),
    ("not Linux", _mac, "python", "warning", r"only Linux is tested", r"^$"),
    ("few files", _files(1024), "open_files", "failed", r"at most 1,024, expected 4,096", r"--nofile=16384:16384"),
    ("one core", _one_core, "cores", "warning", r"^1, expected 2 or more", r"rate_per_s: 50"),
    ("small container", _small, "memory", "warning", r"^2\.0 GiB, .*expected 4 GiB", r"^ps -eo rss"),
    ("full memory", _crowded, "memory", "warning", r"1\.0 GiB of it free, expected", r"^ps -eo rss"),
    ("results a file", _results_a_file, "results", "failed", r"results can't be written: ", r"^mv .*results.old$"),
    ("full disk", _disk_full, "results", "failed", r"0\.5 GiB free, expected 4 GiB", r"^du -sh .*results"),
    ("nearly full disk", _disk_nearly_full, "results", "warning", r"2\.0 GiB free, expected", r"^du -sh"),
    ("slow disk", _slow_disk, "fsync", "warning", r"on disk after (2[5-9]|[3-9]\d)\.\d ms.*sync=always", r"^$"),
    ("no results for fsync", _results_a_file, "fsync", "warning", r"not measured: ", r"^$"),
    ("blocks taken", _blocks_taken, "ports", "failed", r"all port blocks .* taken$", r"^\.venv/bin/lab clean$"),
    ("ports taken", _ports_taken, "ports", "failed", r"no free port left", r"^ss -tlnp"),
    ("no cache", _no_cache, "ports", "failed", r"/nowhere/ports: Permission", r"^export XDG_CACHE_HOME="),
    ("low ephemeral ports", _low_ephemeral, "ports", "warning", r"ports from 15000 on", r"ip_local_port_range"),
    ("leftovers", _leftover, "leftovers", "failed", r"2 processes of a killed run .*dead", r"^\.venv/bin/lab clean$"),
    ("another run", _another_run, "leftovers", "failed", r"under way in /runs/alive", r"wait"),
    ("remote engine", _remote_engine, "engine", "warning", r"names a remote engine .*means process", r"^docker info"),
    ("dead engine", _dead_engine, "engine", "warning", r"answers \(nobody listens\): .*process$", r"^docker info"),
    ("suspended", _asleep, "clock", "warning", r"was suspended", r"^systemd-inhibit"),
    ("clock set", _clock_set, "clock", "warning", r"wall and monotonic clock went \d+ ms apart", r"^timedatectl"),
    ("busy", _busy, "busy", "warning", r"34\.0 ms late .*expected ≤ 10 ms: close other programs", r"^ps -eo pcpu"),
]  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: Patch) -> Path:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("spoil", "look", "state", "found", "mend"), [pytest.param(*r[1:], id=r[0]) for r in ILLS])
def test_each_look_sees_what_is_wrong(
    here: Path, monkeypatch: Patch, spoil: Callable[[Patch, Path], None], look: str, state: str, found: str, mend: str
) -> None:
    spoil(monkeypatch, here)
    told: Diagnosis = getattr(machine, look)()
    monkeypatch.undo()
    assert told.state == state, told
    assert _matches(found, told.found) and _matches(mend, told.mend), told


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def test_every_look_has_a_way_to_fail() -> None:
    assert {look.__name__ for look in machine.LOOKS} == {row[2] for row in ILLS}


@pytest.mark.parametrize("hard", [machine.resource.RLIM_INFINITY, 16_384, 4096])
def test_a_low_soft_limit_of_files_is_no_ill(monkeypatch: Patch, hard: int) -> None:
    _files(hard)(monkeypatch, Path())
    assert machine.open_files().state == "fine"


def test_looks_change_nothing(here: Path) -> None:
    assert machine.results().state in ("fine", "warning", "failed")
    machine.fsync()
    assert [path.name for path in here.rglob("*")] == ["results"]


LACKS = [
    ("LAB_BINARIES", lambda folder: {"LAB_BINARIES": str(folder)}, r"^env -u LAB_BINARIES \.venv/bin/lab doctor$"),
    ("not executable", lambda folder: {"TOXIPROXY_SERVER": str(_file(folder))}, r"^chmod \+x /.*server$"),
]


def _file(folder: Path) -> Path:
    path = folder / "server"
    path.write_text("not a program")
    return path


@pytest.mark.parametrize(("variables", "mend"), [pytest.param(*row[1:], id=row[0]) for row in LACKS])
def test_a_program_that_can_not_be_had(
    tmp_path: Path, monkeypatch: Patch, variables: Callable[[Path], dict[str, str]], mend: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, value in variables(tmp_path).items():
        monkeypatch.setenv(name, value)
    told = machine.program("toxiproxy-server", "", lambda _: None)
    assert told.state == "failed" and _matches(mend, told.mend), told


@pytest.mark.parametrize(
    ("why", "mend"),
    [
        ("/c/x is not the file that was put there (sha256 1): delete /c/x-folder and run again.", "rm -r /c/x-folder"),
        ("nats-server 2.15.1 can't be had: no network.", "LAB_BINARIES=/folder/of/programs .venv/bin/lab doctor"),
    ],
)
def test_what_mends_a_program(monkeypatch: Patch, why: str, mend: str) -> None:
    monkeypatch.delenv("LAB_BINARIES", raising=False)
    monkeypatch.setattr(machine.binaries, "find", _raise(machine.BinaryMissing(why)))
    assert machine.program("nats-server", "2.15.1", lambda _: None).mend == mend


# -- the command: words and exit codes -----------------------------------------------------------------------


FINE, WARNED, MISSING = (Diagnosis("memory", s, "so it is", "") for s in ("fine", "warning", "failed"))
BROKEN = Diagnosis("link", "failed", "80 ms there and back, asked for 50 ms", "close other programs")
CODES = [
    ("all fine", [FINE], [Diagnosis("link", "fine", "50 ms")], 0, "can run the lab"),
    ("a warning", [WARNED, FINE], [], 0, "can run the lab"),
    ("something missing", [MISSING, FINE], [BROKEN], 12, "mend what is marked ✗"),
    ("smoke test failed", [FINE], [BROKEN], 11, "the smoke test failed"),
]


@pytest.mark.parametrize(("looks", "smoked", "code", "last"), [pytest.param(*row[1:], id=row[0]) for row in CODES])
@pytest.mark.parametrize("as_json", [False, True])
def test_exit_codes(
    monkeypatch: Patch, looks: list[Diagnosis], smoked: list[Diagnosis], code: int, last: str, as_json: bool
) -> None:
    asked: list[str] = []

    def smoke_test() -> Iterator[Diagnosis]:
        asked.append("smoke")
        yield from smoked

    monkeypatch.setattr(machine, "LOOKS", tuple((lambda told: lambda: told)(look) for look in looks))
    monkeypatch.setattr(machine, "program", lambda name, *_: Diagnosis(name, "fine", "1.0"))
    monkeypatch.setattr(doctor, "smoked", smoke_test)
    done = CliRunner().invoke(command_line.app, ["doctor", *(["--json"] if as_json else [])])
    assert done.exit_code == code, done.output
    assert asked == ([] if MISSING in looks else ["smoke"]), "nothing is started where something is missing"
    if as_json:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines[-1] == {"what": "doctor", "exit_code": code}
        assert [line["state"] for line in lines[: len(looks)]] == [look.state for look in looks]
        assert all(set(line) == {"what", "name", "state", "found", "mend"} for line in lines[:-1])
    else:
        assert last in done.stdout.splitlines()[-1]


def test_lines_are_short_and_commands_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    long = Diagnosis("other runs", "failed", "word " * 40, "command " * 20)
    doctor.tell(Console(width=80), long)
    *said, mend = capsys.readouterr().out.splitlines()
    assert said[0].startswith("✗ other runs       word") and len(said) > 2
    assert all(len(line) <= 80 and line == line.rstrip() for line in said)
    assert mend.strip() == f"→ {long.mend}".strip()


def test_a_machine_that_lacks_two_things(tmp_path: Path) -> None:
    """As a user would see it: nothing is started, and both are named."""
    home(tmp_path)
    (tmp_path / "results").rmdir()
    (tmp_path / "results").write_text("a file where a folder should be")
    (tmp_path / "empty").mkdir()
    lacks = {"LAB_BINARIES": str(tmp_path / "empty"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = lab(tmp_path, "doctor", **lacks)
    assert done.returncode == 12, (done.stdout, done.stderr)
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("✗")]
    assert {"results", "nats-server"} <= set(failed)
    assert f"→ mv {tmp_path}/results {tmp_path}/results.old" in done.stdout
    assert "servers" not in done.stdout and "\x1b" not in done.stdout


# -- the smoke test's child ---------------------------------------------------------------------------------


def _child(monkeypatch: Patch, code: str) -> list[Diagnosis]:
    """What is told of a child that runs this code instead."""

    def started(directory: Path, log: Path) -> subprocess.Popen[str]:
        with log.open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, reaper.MARK: str(directory)},
            )  # fmt: skip

    monkeypatch.setattr(doctor, "_started", started)
    return list(doctor.smoked())


SAY = "import json; print(json.dumps({'name': 'servers', 'state': '%s', 'found': 'so'}), flush=True); "
CHILDREN = [
    ("a step fails", SAY % "failed" + "raise SystemExit(11)", [("servers", "failed", "so")]),
    ("it dies", SAY % "fine" + "1/0", [("servers", "fine", "so"), ("smoke test", "failed", "ZeroDivisionError")]),
    ("it is never begun", "raise SystemExit('no module')", [("smoke test", "failed", "no module")]),
    ("it hangs", "import sys; sys.stdin.read(); sys.exit(11)", [("smoke test", "failed", "code 11")]),
    ("all is fine", SAY % "fine", [("servers", "fine", "so"), ("proxies", "fine", "lead nowhere")]),
    (
        "it leaves something",
        SAY % "fine" + "import subprocess; subprocess.Popen(['sleep', '3'], stdout=-3, stderr=-3)",
        [("servers", "fine", "so"), ("left", "failed", "1 processes are left")],
    ),
]


@pytest.mark.parametrize(("code", "told"), [pytest.param(*row[1:], id=row[0]) for row in CHILDREN])
def test_what_is_told_of_the_child(monkeypatch: Patch, code: str, told: list[tuple[str, str, str]]) -> None:
    monkeypatch.setattr(doctor, "SMOKE_WITHIN_S", 2.0)
    monkeypatch.setattr(doctor, "GONE_WITHIN_S", 0.5)
    found = _child(monkeypatch, code)
    assert [(one.name, one.state) for one in found] == [(name, state) for name, state, _ in told], found
    assert all(words in one.found for one, (*_, words) in zip(found, told, strict=True)), found
    assert all(bool(one.mend) == (one.state == "failed") for one in found), found
    assert {one.name for one in found if one.state == "failed"} <= doctor.SMOKE_STEPS


class Road:
    """A network of two links that may not do as it is told. ills: deaf to harm, one way only, never heals."""

    def __init__(self, ill: str) -> None:
        self.ill, self.harms = ill, dict[Link, Impairment]()

    @asynccontextmanager
    async def harm(self, impairments: Mapping[Link, Impairment], **_: Any) -> AsyncIterator[None]:
        bitten = list(impairments.items())[: {"deaf": 0, "one way": 1}.get(self.ill)]
        self.harms.update(bitten)
        yield
        if self.ill != "never heals":
            self.harms.clear()

    def witness(self, link: Link, record: Callable[[Event], None]) -> Any:
        async def probe(stage: str) -> None:
            await asyncio.sleep(0.05)
            harm = self.harms.get(link)
            answer = "silent" if isinstance(harm, Cut) else "ok"
            delay_ms = 25.0 + (harm.ms if isinstance(harm, Latency) else 0.0)
            record(WitnessReading(at_ns=1, source=link.source, target=link.target, answer=answer, delay_ms=delay_ms))

        async def close() -> None: ...

        return SimpleNamespace(probe=probe, close=close)

    async def verify(self) -> list[str]:
        return []


class Nodes:
    async def states(self) -> dict[str, str]:
        return {}


BITES = [
    ("", r"^bites \(a->b {in_force}, b->a {in_force}\) and heals \(a->b 25 ms, b->a 25 ms\)$", False),
    ("deaf", r"was entered, but its links read a->b 25 ms, b->a 25 ms\.$", True),
    ("one way", r"was entered, but its links read a->b {in_force}, b->a 25 ms\.$", True),
    ("never heals", r"has left, but after 5 s its links read a->b {in_force}, b->a {in_force}\.$", True),
]


@pytest.mark.parametrize(("ill", "said", "fails"), BITES)
@pytest.mark.parametrize(("index", "in_force"), [(0, "225 ms"), (1, "silent")])
def test_a_fault_must_bite_and_heal(
    tmp_path: Path, ill: str, said: str, fails: bool, index: int, in_force: str
) -> None:
    this = smoke.planned(tmp_path)
    deployment: Any = SimpleNamespace(topology=this.topology, network=Road(ill), runtime=Nodes(), backend=None)
    try:
        words = virtual_time.run(smoke._bites_and_heals(deployment, this.faults[index]))
        assert not fails, words
    except RunBroken as broken:
        words = str(broken)
        assert fails, words
    assert _matches(said.replace("{in_force}", in_force), words), words


# -- for real -----------------------------------------------------------------------------------------------


def _alone(within_s: float = 40) -> None:
    """Wait for what other tests left to be gone; skip where somebody else's run is under way."""
    try:
        wait_for("end of other runs", lambda: not any(reaper.marked()), within_s)
    except AssertionError:
        pytest.skip("another run is under way on this machine")


def test_the_smoke_test_passes_here_and_leaves_nothing(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = list(doctor.smoked())
    assert [(one.name, one.state) for one in found] == [
        (name, "fine") for name in ("servers", "link", "client", "latency", "cut", "left", "proxies")
    ], found
    assert list(tmp_path.iterdir()) == []
    assert not [run for _, run in reaper.marked() if run.startswith(str(tmp_path))]


@pytest.mark.parametrize(
    ("victim", "how"),
    [
        ("doctor", signal.SIGKILL),
        pytest.param("smoke", signal.SIGKILL, marks=pytest.mark.slow),
        pytest.param("doctor", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("doctor", signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_killed_in_the_middle_nothing_stays(tmp_path: Path, victim: str, how: signal.Signals) -> None:
    _alone()
    folder = tmp_path / "tmp"
    folder.mkdir()

    def members() -> list[tuple[int, list[str]]]:
        found = []
        for process, run in reaper.marked():
            if run.startswith(str(folder)):
                found.append((process.pid, process.cmdline()))
        return found

    with subprocess.Popen(
        [sys.executable, "-m", "lab", "doctor"],
        cwd=ROOT, env=environment(home(tmp_path / "home"), TMPDIR=str(folder)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            wait_for("two servers", lambda: len(members()) >= 4 or process.poll() is not None, 60)
            assert process.poll() is None, process.communicate()
            target = process.pid
            if victim == "smoke":
                target = next(pid for pid, command in members() if "lab.smoke" in command)
            os.kill(target, how)
            wait_for("end of all processes", lambda: not members(), 20)
            out, err = process.communicate(timeout=30)
        finally:
            if process.poll() is None:
                process.kill()
            for run in {run for _, run in reaper.marked() if run.startswith(str(folder))}:
                reaper.reap(Path(run))  # only where the lab did not do so itself, and the test has failed
    wait_for("end of its folder", lambda: not list(folder.iterdir()), 5)
    if victim == "smoke" or how != signal.SIGKILL:
        assert process.returncode == 11, (out, err)
        assert "Traceback" not in err
