"""What goes into images, which of them are removed, and every refusal: without an engine."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docker.errors import APIError, ImageNotFound

from lab import binaries
from lab.binaries import Binary
from lab.errors import BinaryMissing
from lab.programs import cache
from lab.programs.platforms import Platform
from lab.runtimes.docker import building, debian, images, packages, python_base, python_image, registry, scratch, stock
from lab.runtimes.docker.python_base import Base
from lab.runtimes.docker.registry import Found, NoRegistry
from lab.runtimes.docker.stock import DIGEST, IMAGE, VERSION, Recipe
from tests.programs.test_platforms_and_headers import program as elf_file

ROOT = Path(__file__).resolve().parents[2]
HERE = Platform.here()
X86, ARM = Platform("linux", "x86_64"), Platform("linux", "aarch64")
Patch = pytest.MonkeyPatch


def silent(sentence: str) -> None:
    """Nothing is said."""


# -- an engine that holds images and nothing else -----------------------------------------------


class Engine:
    """images: name → (id, labels); in_use: ids that can't be removed."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, dict[str, str]]] = {}
        self.in_use: set[str] = set()
        self.made: list[str] = []
        self.api = self.images = self

    def get(self, name: str) -> Any:
        if name not in self.held:
            raise ImageNotFound("no such image")
        return SimpleNamespace(id=self.held[name][0], labels=self.held[name][1])

    def __call__(self, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        (asked,) = filters["label"]
        key, _, value = asked.partition("=")
        return [
            {"Id": number, "RepoTags": None if name.startswith("<none>") else [name], "Labels": labels}
            for name, (number, labels) in self.held.items()
            if labels.get(key) == value
        ]

    def remove_image(self, name: str) -> None:
        number = self.held[name][0] if name in self.held else name
        if number in self.in_use:
            raise APIError("conflict", response=SimpleNamespace(status_code=409), explanation="in use")
        self.held = {one: held for one, held in self.held.items() if one != name and held[0] != name}

    def make(self, engine: Any, recipe: Recipe, say: Any) -> None:
        self.made.append(recipe.reference)
        self.held[recipe.reference] = (f"id-{recipe.digest[:6]}", recipe.labels)

    def recipe(self, content: str, version: str = "1") -> Recipe:
        return Recipe("it", version, {"content": content}, {"it": content}, self.make)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: Patch) -> Any:
    monkeypatch.setattr(cache, "root", lambda: tmp_path / "bin")
    monkeypatch.setattr(stock, "SPARED_S", 0.0)
    return Engine()


def test_the_same_content_is_made_once(engine: Any) -> None:
    said: list[str] = []
    first = stock.had(engine, engine.recipe("a"), said.append)
    assert stock.had(engine, engine.recipe("a"), said.append) == first
    assert len(engine.made) == 1
    assert said[0] == "building the image of it 1 (a second or two, once)" and len(said) == 2


def test_what_is_there_is_not_waited_for(engine: Any, monkeypatch: Patch) -> None:
    first = stock.had(engine, engine.recipe("a"), silent)
    monkeypatch.setattr(stock, "LOCK_TIMEOUT_S", 0.1)
    with stock._alone("it"):
        assert stock.had(engine, engine.recipe("a"), silent) == first
        with pytest.raises(
            BinaryMissing, match=r"^another process has been building the image of it for 0\.1 s; end it"
        ):
            stock.had(engine, engine.recipe("b"), silent)


def test_changed_content_makes_another_and_removes_the_old(engine: Any) -> None:
    stock.had(engine, engine.recipe("a"), silent)
    stock.had(engine, engine.recipe("b"), silent)
    assert list(engine.held) == [engine.recipe("b").reference]


def spare(case: str, engine: Any, monkeypatch: Patch) -> str:
    """Something that a build may not remove; its name."""
    old = engine.recipe("a")
    stock.had(engine, old, silent)
    number, labels = engine.held[old.reference]
    match case:
        case "in use":
            engine.in_use = {number}
        case "told of just now":
            monkeypatch.setattr(stock, "SPARED_S", 60.0)
        case "of another version":
            stock.had(engine, engine.recipe("a", "2"), silent)
            return engine.recipe("a", "2").reference
        case "without our label":
            engine.held[f"{stock.REPOSITORY}/it:mine"] = ("theirs", {})
            return f"{stock.REPOSITORY}/it:mine"
        case "of another program":
            engine.held[f"{stock.REPOSITORY}/other:1"] = ("other", labels | {IMAGE: "other"})
            return f"{stock.REPOSITORY}/other:1"
        case "named by the user":
            engine.held["mine:1"] = ("kept", labels | {DIGEST: "0" * 64})
            return "mine:1"
    return old.reference


@pytest.mark.parametrize(
    "case",
    [
        "in use",
        "told of just now",
        "of another version",
        "without our label",
        "of another program",
        "named by the user",
    ],
)
def test_never_removed(case: str, engine: Any, monkeypatch: Patch) -> None:
    name = spare(case, engine, monkeypatch)
    stock.had(engine, engine.recipe("b"), silent)
    assert name in engine.held


def test_what_an_interrupted_build_left_is_removed(engine: Any) -> None:
    engine.held["<none>1"] = ("half", {IMAGE: "it"})
    engine.held["<none>2"] = ("theirs", {"maintainer": "them"})
    stock.had(engine, engine.recipe("a"), silent)
    assert {number for number, _ in engine.held.values()} == {"theirs", f"id-{engine.recipe('a').digest[:6]}"}


def test_a_name_alone_is_not_believed(engine: Any) -> None:
    engine.held[engine.recipe("a").reference] = ("stranger", {IMAGE: "it", VERSION: "1"})
    assert stock.had(engine, engine.recipe("a"), silent) != "stranger"


def test_every_ingredient_and_the_program_count() -> None:
    make = Engine().make
    all_of = {
        Recipe(program, "1", ingredients, {}, make).digest
        for program in ("it", "other")
        for ingredients in ({"a": "1"}, {"a": "2"}, {"b": "1"}, {"a": "1", "b": "1"})
    }
    assert len(all_of) == 8


def test_a_version_that_no_tag_could_hold() -> None:
    reference = Recipe("it", "2.16.0-dev+own/build", {}, {}, Engine().make).reference
    assert reference.startswith("isolation-lab/it:2.16.0-dev-own-build-")


# -- what is sent to the engine -----------------------------------------------------------------


def test_equal_files_make_equal_archives_with_nothing_of_this_host(tmp_path: Path) -> None:
    for name, at_s in (("one", 1e9), ("two", 1.5e9)):
        (tmp_path / name).write_text("same")
        (tmp_path / name).chmod(0o700)
        os.utime(tmp_path / name, (at_s, at_s))
    one, two = (building.context("FROM scratch\n", {"it": tmp_path / name}).getvalue() for name in ("one", "two"))
    assert one == two
    with tarfile.open(fileobj=building.context("FROM scratch\n", {"it": tmp_path / "one"})) as tar:
        assert tar.getnames() == ["Dockerfile", "data", "it"]
        assert (tar.getmember("it").mode, tar.getmember("it").uname) == (0o755, "")


def test_a_scratch_image_runs_its_first_program_as_nobody() -> None:
    assert scratch.dockerfile(["toxiproxy-server", "toxiproxy-cli"]).splitlines() == [
        "FROM scratch",
        "COPY --chown=0:0 toxiproxy-server /toxiproxy-server",
        "COPY --chown=0:0 toxiproxy-cli /toxiproxy-cli",
        "COPY --chown=65534:65534 data /data",
        "WORKDIR /data",
        "USER 65534:65534",
        'ENTRYPOINT ["/toxiproxy-server"]',
    ]


def test_toxiproxys_image_holds_its_tool_and_natss_nothing_else(tmp_path: Path, monkeypatch: Patch) -> None:
    asked: list[tuple[str, str, Platform | None]] = []

    def find(name: str, version: str, say: Any, *, platform: Platform) -> Binary:
        asked.append((name, version, platform))
        (tmp_path / name).write_bytes(elf_file(183, (1,)))
        return Binary(name, "2.11.0", tmp_path / name, name[:3], "cache")

    monkeypatch.setattr(binaries, "find", find)
    made = scratch.recipe(None, "toxiproxy-server", "", ARM, silent)  # type: ignore[arg-type]
    assert asked == [("toxiproxy-server", "", ARM), ("toxiproxy-cli", "2.11.0", ARM)]
    assert made.sha256 == {"toxiproxy-server": "tox", "toxiproxy-cli": "tox"} and made.has_tools
    nats = scratch.recipe(None, "nats-server", "2.11.0", ARM, silent)  # type: ignore[arg-type]
    assert nats.sha256 == {"nats-server": "nat"} and not nats.has_tools


UNFIT = {
    "a script": (b"#!/bin/sh\n", "is no Linux program: containers here need one for linux-x86_64."),
    "another processor": (elf_file(183, (1,)), "is for aarch64: the container engine runs programs for linux-x86_64."),
    "dynamic": (elf_file(62, (3, 1)), "needs the libraries of a system, .*CGO_ENABLED=0, or say RUNTIME=process."),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_program_that_could_not_start_is_refused(case: str, tmp_path: Path) -> None:
    content, sentence = UNFIT[case]
    (tmp_path / "it").write_bytes(content)
    with pytest.raises(BinaryMissing, match=rf"^nats-server at {tmp_path}/it {sentence}$"):
        scratch.check(Binary("nats-server", "1", tmp_path / "it", "", "path"), X86)


# -- SyncStore's ---------------------------------------------------------------------------------

IMPORTS = """
import importlib, importlib.metadata, pkgutil, re, sys

allowed = set(sys.argv[1].split(","))
homes = importlib.metadata.packages_distributions()
normal = lambda name: re.sub(r"[-_.]+", "-", name).lower()

class Hidden:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in homes and top != "lab" and not allowed & set(map(normal, homes[top])):
            raise ModuleNotFoundError(f"{top} is not in the image", name=name)

before = set(sys.modules)
sys.meta_path.insert(0, Hidden())
import lab.syncstore
for module in pkgutil.walk_packages(lab.syncstore.__path__, "lab.syncstore."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from lab.syncstore.commands.app import main
for command in (["put", "--help"], ["get"], ["status", "--url", "syncstore://127.0.0.1:1"]):
    sys.argv = ["syncstore", *command]
    try:
        main(command)
    except SystemExit:
        pass
tops = {name.partition(".")[0] for name in set(sys.modules) - before}
print("USED", *sorted({normal(homes[top][0]) for top in tops & homes.keys()}))
"""


def used(allowed: set[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IMPORTS, ",".join(allowed)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def test_the_image_holds_what_the_store_imports_and_nothing_more() -> None:
    """All its modules and commands, with every other distribution hidden."""
    table = packages.IMPORTED.keys() | packages.BENEATH.keys()
    done = used(set(table))
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(done.stdout.rpartition("USED ")[2].split()) == table


def test_what_the_store_imports_by_its_own_lines() -> None:
    """Told apart: its own imports, and what those import."""
    homes = importlib.metadata.packages_distributions()
    found = set()
    for path in binaries.STORE.rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]) and (top := words[1].partition(".")[0]) in homes and top != "lab":
                found.add(homes[top][0].lower().replace("_", "-"))
    assert found == packages.IMPORTED.keys() | packages.LEFT_OUT.keys()
    assert set(packages.BENEATH.values()) <= packages.IMPORTED.keys() | packages.BENEATH.keys()


def test_versions_are_the_locked_ones_with_their_hashes_and_without_conditions() -> None:
    requirements = packages.locked(packages.lock())
    for name, text in requirements.items():
        first, *rest = text.splitlines()
        assert first == f"{name}=={importlib.metadata.version(name)} \\"
        assert rest and all(line.strip().startswith("--hash=sha256:") for line in rest)


def test_a_lock_without_one_of_them_is_refused() -> None:
    with pytest.raises(BinaryMissing, match=r"^requirements.lock does not name .*xxhash: run `make lock`\.$"):
        packages.locked("msgspec==1 \\\n    --hash=sha256:00\n")


def test_only_the_stores_modules_are_laid(tmp_path: Path) -> None:
    folder = python_image.sources(tmp_path)
    laid = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert laid == {str(path.relative_to(ROOT / "lab")) for path in (ROOT / "lab" / "syncstore").rglob("*.py")}


def store_recipe(monkeypatch: Patch, base: str = "1", lock: str = "") -> Recipe:
    monkeypatch.setattr(python_base, "had", lambda *_: Base("python:3.11-slim", base, "3.11"))
    monkeypatch.setattr(packages, "lock", lambda: (ROOT / "requirements.lock").read_text(encoding="utf-8") + lock)
    return python_image.recipe(None, "syncstore", "", HERE, silent)  # type: ignore[arg-type]


def test_what_changes_the_stores_image(monkeypatch: Patch, tmp_path: Path) -> None:
    first = store_recipe(monkeypatch)
    assert store_recipe(monkeypatch).digest == first.digest
    assert store_recipe(monkeypatch, base="2").digest != first.digest
    assert store_recipe(monkeypatch, lock="other==1 \\\n    --hash=sha256:00\n").digest == first.digest
    monkeypatch.setitem(packages.BENEATH, "pygments", "nothing")
    assert store_recipe(monkeypatch).digest != first.digest
    monkeypatch.delitem(packages.BENEATH, "pygments")
    own = tmp_path / "syncstore"
    own.mkdir()
    (own / "__init__.py").write_text("")
    monkeypatch.setattr(binaries, "STORE", own)
    changed = store_recipe(monkeypatch)
    assert changed.digest != first.digest and changed.version == first.version
    assert changed.sha256 == {"syncstore": binaries.find("syncstore").sha256}


def test_a_base_is_looked_for_where_nobody_needs_to_be_asked_first(monkeypatch: Patch) -> None:
    asked: list[str] = []
    there: dict[str, str] = {}

    def present(engine: Any, name: str, platform: Platform) -> Found | None:
        return Found(there[name], "") if name in there else None

    def pull(engine: Any, name: str, say: Any, within_s: float) -> None:
        asked.append("registry")
        if "registry" not in there:
            raise NoRegistry("none")
        there[name] = "pulled"

    monkeypatch.setattr(registry, "present", present)
    monkeypatch.setattr(registry, "pull", pull)
    monkeypatch.setattr(stock, "present", lambda engine, recipe: there.get("own", ""))
    monkeypatch.setattr(stock, "had", lambda engine, recipe, say: asked.append("debootstrap") or "made")
    monkeypatch.setattr(debian, "lacking", lambda platform: "")

    def base() -> tuple[str, list[str]]:
        asked.clear()
        return python_base.had(None, HERE, silent).id, list(asked)  # type: ignore[arg-type]

    assert base() == ("made", ["registry", "debootstrap"])
    there["own"] = "ours"
    assert base() == ("ours", [])
    there.clear()
    there["registry"] = "answers"
    assert base() == ("pulled", ["registry"])
    there["own"] = "ours"
    assert base() == ("pulled", []), "what is present of the official one comes first"


LACKING = {
    "not installed": (None, 0, X86, "debootstrap, .*is not installed .*apt-get install debootstrap"),
    "not root": ("/usr/sbin/debootstrap", 1000, X86, "needs root: run `sudo make images` once"),
    "another platform": (
        "/usr/sbin/debootstrap",
        0,
        ARM,
        "make one for linux-x86_64, and the engine needs linux-aarch64",
    ),
}


@pytest.mark.parametrize("case", LACKING)
def test_where_no_base_can_be_had_it_is_said_what_to_do(case: str, monkeypatch: Patch) -> None:
    where, user, platform, words = LACKING[case]
    monkeypatch.setattr(debian.shutil, "which", lambda name: where)
    monkeypatch.setattr(debian.os, "geteuid", lambda: user)
    monkeypatch.setattr(Platform, "here", lambda: X86)
    monkeypatch.setattr(registry, "present", lambda *_: None)
    monkeypatch.setattr(stock, "present", lambda *_: "")

    def pull(*_: Any) -> None:
        raise NoRegistry("no registry answered within 6 s")

    monkeypatch.setattr(registry, "pull", pull)
    with pytest.raises(BinaryMissing, match=words) as refusal:
        python_base.had(None, platform, silent)  # type: ignore[arg-type]
    assert "can't be pulled (no registry answered within 6 s), and " in str(refusal.value)
    assert str(refusal.value).endswith("or say RUNTIME=process.")


def test_a_system_is_packed_without_what_no_server_reads(tmp_path: Path) -> None:
    for name in ("usr/bin/python3", "usr/share/doc/python3/README", "var/cache/apt/archives/x.deb", "proc/1/status"):
        (tmp_path / "system" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "system" / name).write_text("")
    debian.pack(tmp_path / "system", tmp_path / "system.tar")
    with tarfile.open(tmp_path / "system.tar") as tar:
        names = tar.getnames()
    assert "./usr/bin/python3" in names and "./proc" in names
    assert not any("/doc/" in name or name.endswith((".deb", "status")) for name in names)


# -- images by name ------------------------------------------------------------------------------


class Held:
    """An engine with one image, and a registry that answers as told."""

    def __init__(self, lines: list[dict[str, Any]] | None = None, machine: str = "amd64") -> None:
        self.lines, self.asked, self.machine = lines, [], machine
        self.there = False
        self.images = self.api = self

    def get(self, name: str) -> Any:
        if not self.there:
            raise ImageNotFound("none")
        about = {"Os": "linux", "Architecture": self.machine, "RepoDigests": ["nats@sha256:beef"]}
        return SimpleNamespace(id="sha256:1", attrs=about)

    def pull(self, name: str, tag: str | None, **_: Any) -> Any:
        self.asked.append((name, tag))
        if self.lines is None:
            time.sleep(20)
        self.there = not any("error" in line for line in self.lines or [])
        return iter(self.lines or [])

    def info(self) -> dict[str, str]:
        return {"OSType": "linux", "Architecture": "x86_64"}


NAMES = {
    "nats:2.10": ("nats", "2.10"),
    "nats": ("nats", "latest"),
    "localhost:5000/nats": ("localhost:5000/nats", "latest"),
    "localhost:5000/team/nats:2.10": ("localhost:5000/team/nats", "2.10"),
    "nats@sha256:00": ("nats@sha256:00", None),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_image_by_name_is_pulled_with_one_tag_only(name: str) -> None:
    engine, said = Held([{"status": "Pulling from library/nats"}]), list[str]()
    image = images.image_of(engine, "nats-server", f"image:{name}", said.append)  # type: ignore[arg-type]
    assert engine.asked == [NAMES[name]]
    assert (image.reference, image.version, image.id) == (name, name, "sha256:1")
    assert image.sha256 == {"nats-server": "beef"} and not image.has_tools
    assert said == [f"pulling {name}"]


def test_one_that_is_present_is_not_asked_for() -> None:
    engine = Held()
    engine.there = True
    assert images.image_of(engine, "nats-server", "image:nats:2.10").id == "sha256:1"  # type: ignore[arg-type]
    assert engine.asked == []


def test_progress_is_said_in_megabytes() -> None:
    said: list[str] = []
    progress = registry._Progress("nats:2.10", said.append)
    for id_, have in (("a", 4_000_000), ("b", 1_000_000)):
        progress._said_s = 0
        about = {"current": have, "total": 10_000_000}
        progress.hear({"status": "Downloading", "id": id_, "progressDetail": about})
    assert said[-1] == "pulling nats:2.10: 5 of 20 MB"


REFUSED = {
    "silent": (None, "x86_64", "can't be pulled: no registry answered within 0.2 s. Is the name right, and is there"),
    "unknown": (
        [{"error": "manifest unknown"}],
        "x86_64",
        "can't be pulled: the container engine says: manifest unknown.",
    ),
    "for another processor": (
        [{"status": "Pulling"}],
        "arm64",
        "is for linux-aarch64: the container engine runs programs for linux-x86_64; remove it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_sentence_and_in_time(case: str, monkeypatch: Patch) -> None:
    lines, machine, words = REFUSED[case]
    monkeypatch.setattr(registry, "ANSWER_WITHIN_S", 0.2)
    begun_s = time.monotonic()
    with pytest.raises(BinaryMissing, match=words):
        images.image_of(Held(lines, machine), "nats-server", "image:nats:2.10")  # type: ignore[arg-type]
    assert time.monotonic() - begun_s < 10


@pytest.mark.parametrize("name", ["", "nats 2.10", "nats\n"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BinaryMissing, match=r"expected an image's name after `image:`, such as image:nats:2\.10"):
        images.image_of(Held(), "nats-server", f"image:{name}")  # type: ignore[arg-type]


def test_the_platform_is_the_engines() -> None:
    engine = SimpleNamespace(info=lambda: {"OSType": "linux", "Architecture": "aarch64"})
    assert images.platform_of(engine) == ARM  # type: ignore[arg-type]
