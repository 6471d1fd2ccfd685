"""The files a CI reads: refused before anything runs, true at every moment, within GitHub's limit."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab import ci_files
from lab.ci_files import CiFiles
from lab.errors import Refused
from tests.test_outcomes import FOUR, outcome


def cases(path: Path) -> int:
    return int(ElementTree.parse(path).getroot().attrib["tests"])


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    CiFiles(tmp_path / "j.xml", tmp_path / "s.md").check()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "s.md").write_text("before")
    CiFiles(tmp_path / "j.xml", tmp_path / "s.md").check()
    assert (tmp_path / "s.md").read_text() == "before"


@pytest.mark.parametrize(
    ("junit", "summary", "sentence"),
    [
        ("none/j.xml", None, r"^--junit .*j\.xml can't be written: No such file or directory; name a file that can"),
        ("file/j.xml", None, r"^--junit .* can't be written: Not a directory"),
        ("folder", None, r"^--junit .*folder can't be written: expected a file; name another\.$"),
        (None, "none/s.md", r"^--summary .*none/s\.md can't be written: No such file or directory"),
        (None, "folder", r"^--summary .*folder can't be written: Is a directory"),
    ],
)  # fmt: skip
def test_what_can_not_be_written_is_refused(
    tmp_path: Path, junit: str | None, summary: str | None, sentence: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    files = CiFiles(tmp_path / junit if junit else None, tmp_path / summary if summary else None)
    with pytest.raises(Refused, match=sentence):
        files.check()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_device_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    with pytest.raises(Refused, match="expected a file"):
        CiFiles(tmp_path / "link", None).check()


def test_xml_is_written_after_every_run_and_the_summary_once(tmp_path: Path) -> None:
    files = CiFiles(tmp_path / "j.xml", tmp_path / "s.md", "Nightly")
    for count in range(5):
        files.keep(FOUR[:count], 4 - count)
        assert cases(tmp_path / "j.xml") == count + (count < 4), "what is not made yet is a case of its own"
    assert not (tmp_path / "s.md").exists()
    files.close()
    text = (tmp_path / "s.md").read_text()
    assert text.startswith("\n### Nightly\n\n4 runs: 1 as expected, ")
    assert text.count("| gray-region |") == 4


def test_the_summary_is_appended_and_xml_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s.md").write_text("a step before")
    (tmp_path / "j.xml").write_text("an old file, longer than the new one" * 99)
    for _ in range(2):
        files = CiFiles(tmp_path / "j.xml", tmp_path / "s.md", "Nightly")
        files.keep(FOUR, 0)
        files.close()
    text = (tmp_path / "s.md").read_text()
    assert text.startswith("a step before\n### Nightly\n") and text.count("### Nightly") == 2
    assert cases(tmp_path / "j.xml") == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j.xml", "s.md"]


def test_an_interruption_says_how_many_were_not_made(tmp_path: Path) -> None:
    files = CiFiles(None, tmp_path / "s.md", "Nightly")
    files.keep(FOUR[:1], 3)
    files.close()
    assert "4 runs: 1 as expected; 3 not made." in (tmp_path / "s.md").read_text()


def test_a_full_disk_stops_no_run_but_is_said_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    files = CiFiles(tmp_path / "folder" / "j.xml", None)
    files.check()
    (tmp_path / "folder").rmdir()
    files.keep(FOUR, 0)
    with pytest.raises(OSError, match="No such file"):
        files.close()


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.xml").symlink_to(tmp_path / "j.xml")
    files = CiFiles(tmp_path / "link.xml", None)
    files.check()
    files.close()
    assert (tmp_path / "link.xml").is_symlink() and (tmp_path / "j.xml").is_file()


def test_the_summary_keeps_to_64_kib(tmp_path: Path) -> None:
    many = [outcome("invalid", seed=seed, surprise="→ " * 200) for seed in range(1000)]
    text = ci_files.summary("Nightly", many, 0)
    assert 60 * 1024 < len(text.encode()) <= 64 * 1024
    assert text.endswith("runs left out: there was no room for more.\n")
