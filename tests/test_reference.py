"""Reference runs: small, public, never written into; `lab demo` draws one without starting anything."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import reference
from lab.errors import Refused, UnknownName
from lab.results import Run
from tests.integration.whole import ROOT, home, lab
from tests.test_memory_runs import run_once

COMMITTED = ROOT / "results" / "reference"
MOST_BYTES_ALL = 1_500_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A whole run on the toy backend, with what real ones also leave behind."""
    made = run_once(
        tmp_path_factory.mktemp("toy") / "run", "memory", phases={"steady_s": 4, "fault_s": 16, "recovery_s": 8}
    )
    for name in ("notebook.ipynb", "report.html", "runner.log"):
        (made.path / name).write_text("plotly")
    (made.path / "configuration").mkdir()
    return Run(made.path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def copy(run: Run, to: Path, **changes: Any) -> Run:
    """The run, with some of its files changed."""
    shutil.copytree(run.path, to)
    for name, change in changes.items():
        path = to / {"verdict": "verdict.json", "plan": "plan.json", "history": "history.parquet"}[name]
        change(path)
    return Run(to)


# -- keeping --------------------------------------------------------------------------------------------------


def test_kept_is_what_a_run_is_judged_and_drawn_from(run: Run, here: Path) -> None:
    before = contents(run.path)
    kept = reference.keep(run, "toy")
    assert kept == here / "results" / "reference" / "toy"
    assert sorted(path.name for path in kept.iterdir()) == sorted(reference.FILES)
    assert [path.name for path in kept.parent.iterdir()] == ["toy"], "nothing half made is left"
    assert Run(kept).environment == reference.without_private(run.environment) != run.environment
    for name in set(reference.FILES) - {"environment.json"}:
        assert (kept / name).read_bytes() == (run.path / name).read_bytes()
    assert contents(run.path) == before


def test_keeping_again_replaces(run: Run, here: Path) -> None:
    kept = reference.keep(run, "toy")
    (kept / "left.over").write_text("of an earlier version")
    assert reference.keep(run, "toy") == kept
    assert sorted(path.name for path in kept.iterdir()) == sorted(reference.FILES)


def _unknown(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "verdict": "unknown"}))


def _at_home(path: Path) -> None:
    path.write_text(path.read_text().replace('"memory"', '"memory@/home/ann/bin/store"'))


def _large(path: Path) -> None:
    with path.open("ab") as out:
        out.truncate(reference.MOST_BYTES + 1)


REFUSED = [
    ("unknown", {"verdict": _unknown}, r"proves nothing: .* verdict other than unknown"),
    ("never judged", {"verdict": Path.unlink}, r"proves nothing"),
    ("no history", {"history": Path.unlink}, r"history.parquet is missing; `lab judge"),
    ("a path of its owner", {"plan": _at_home}, r"plan.json tells of this machine \('/home/ann/bin/store'\)"),
    ("too large", {"history": _large}, r"history.parquet has 1,000,001 bytes, .* at most 1,000,000: repeat"),
]


@pytest.mark.parametrize(("changes", "sentence"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_can_not_be_a_reference(run: Run, here: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        reference.keep(copy(run, here / "run", **changes), "toy")
    assert list(here.glob("results/reference/*")) == []


@pytest.mark.parametrize("name", ["", "../evil", "Toy", "a/b", "-x", "x" * 41])
def test_a_reference_is_named_plainly(run: Run, here: Path, name: str) -> None:
    with pytest.raises(Refused, match="a reference is named by small letters"):
        reference.keep(run, name)
    assert not (here / "results").exists()


# -- what is private -------------------------------------------------------------------------------------------

FACTS = {
    "python": "3.11.7", "packages": {"polars": "2"}, "git": "abc", "user": "ann", "hostname": "anns-laptop",
    "host": {
        "system": "Linux 6.18.0-company-v5", "machine": "x86_64", "cores": 8, "memory_mib": 16_000, "load_1m": 0.5,
        "name": "anns-laptop",
    },
    "binaries": {"nats-server": {"version": "2.15.1", "sha256": "00"}},
    "clock_pairs_ns": [[1_700_000_000_000_000_000, 5_000], [1_700_000_000_000_002_000, 7_000]],
}  # fmt: skip


def test_only_what_places_the_numbers_is_kept() -> None:
    assert reference.without_private(FACTS) == {
        "python": "3.11.7", "packages": {"polars": "2"}, "git": "abc",
        "host": {"system": "Linux", "machine": "x86_64", "cores": 8, "memory_mib": 16_000, "load_1m": 0.5},
        "binaries": {"nats-server": {"version": "2.15.1", "sha256": "00"}},
        "clock_pairs_ns": [[0, 5_000], [2_000, 7_000]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("store_dir /home/ann/lab/data is full", "/home/ann/lab/data"),
        ('"arm": "jetstream-stretched@/opt/nats"', "/opt/nats"),
        ("node ./nats/server and a/b/c", ""),
        ("see https://example.org/a/b", ""),
        ("dial tcp 127.0.0.1:20027: refused, GET 127.0.0.1:8222/jsz/all", ""),
        ("us/eu", ""),
        ("greetings from anns-laptop.", "anns-laptop"),
        ("anns-laptop-2 is not it? it is", "anns-laptop"),
        ("anns-laptops", ""),
        ("by annabel", "annabel"),
    ],
)
def test_what_tells_of_a_machine(monkeypatch: pytest.MonkeyPatch, text: str, found: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "anns-laptop")
    monkeypatch.setattr(getpass, "getuser", lambda: "annabel")
    assert reference.private(text) == found


def test_short_names_are_words_like_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "us")
    monkeypatch.setattr(getpass, "getuser", lambda: "root")
    assert reference.private("us, the root of all") == ""


# -- what git keeps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", sorted(p for p in COMMITTED.iterdir() if p.is_dir()), ids=lambda path: path.name)
def test_committed_references_are_small_and_public(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir() if path.suffix not in (".ipynb", ".html")) == sorted(
        reference.FILES
    )
    for name in reference.FILES:
        assert (folder / name).stat().st_size <= reference.MOST_BYTES
        for text in reference._texts(folder / name):
            assert not reference.PATH.search(text), name
    assert sum((folder / name).stat().st_size for name in reference.FILES) <= MOST_BYTES_ALL
    run = Run.at(folder)
    assert run.environment == reference.without_private(run.environment) | {
        "clock_pairs_ns": run.environment["clock_pairs_ns"]
    }
    assert run.environment["clock_pairs_ns"][0][0] == 0, "wall time is a date"
    assert run.verdict.verdict != "unknown"


def test_git_keeps_no_renderings_and_no_logs() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    ask = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "results"]
    kept = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "results/reference/demo/history.parquet" in kept, "let through by .gitignore"
    for name in kept:
        assert name == "results/README.md" or name.startswith("results/reference/"), name
        assert Path(name).suffix in (".json", ".yaml", ".parquet", ".md", ".png"), name
        assert (ROOT / name).stat().st_size <= reference.MOST_BYTES
        assert b"plotly.js" not in (ROOT / name).read_bytes().lower(), name


# -- showing -----------------------------------------------------------------------------------------------------


def test_demo_draws_the_reference_and_leaves_it_alone(tmp_path: Path) -> None:
    folder = home(tmp_path)
    shutil.copytree(
        COMMITTED / "demo", folder / "results/reference/demo", ignore=shutil.ignore_patterns("*.ipynb", "*.html")
    )
    before = contents(folder / "results/reference/demo")
    (folder / "results/demo/an-arm").mkdir(parents=True)  # an experiment may be called demo
    done = lab(folder, "demo")
    assert done.returncode == 0, (done.stdout, done.stderr)
    drawn = folder / "results/demo"
    assert contents(folder / "results/reference/demo") == before
    assert sorted(path.name for path in drawn.iterdir()) == sorted(
        [*reference.FILES, "notebook.ipynb", "report.html", "an-arm"]
    )
    word = json.loads((COMMITTED / "demo/verdict.json").read_text())["verdict"]
    assert json.loads((drawn / "verdict.json").read_text())["verdict"] == word, "today's definitions say the same"
    assert f"verdict {word}" in done.stdout
    assert str(drawn / "report.html") in done.stdout and str(drawn / "notebook.ipynb") in done.stdout
    page = (drawn / "report.html").read_text()
    assert page.count("Plotly.newPlot(") == 4
    assert "output_error" not in page.replace(".output_error", "")


def test_keep_then_copy(run: Run, here: Path) -> None:
    """As documented: `lab keep RUN NAME`."""
    done = lab(home(here), "keep", str(run.path), "toy")
    assert (done.returncode, done.stdout.strip()) == (0, str(here / "results/reference/toy")), done.stderr
    assert reference.copied("toy").verdict.verdict == run.verdict.verdict


def test_copies_are_not_counted_among_the_runs_made_here(run: Run, here: Path) -> None:
    reference.keep(run, "toy")
    copied, kept = reference.copied("toy"), Run(here / "results/reference/toy")
    own = [Run(here / "results/toy/memory/20261123T101500Z-s1"), Run(here / "results/mine")]
    assert reference.made_here([kept, *own, copied]) == own


def test_an_unknown_reference_is_refused(here: Path) -> None:
    with pytest.raises(UnknownName, match=r"unknown reference 'demo'; known: none\."):
        reference.copied("demo")
