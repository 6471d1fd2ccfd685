"""The files a CI reads: JUnit XML, and a summary that GitHub shows above the log.

Refused before anything runs where they can't be written. The XML is made anew after every run,
whole or not at all; the summary is appended once, at the end, also when that is an interruption.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import junit, outcomes
from lab.batch import Outcome
from lab.errors import Refused
from lab.results import write_text

SUMMARY_BYTES = 64 * 1024


class CiFiles:
    """Both files, either of which may be left out. title: heads the summary."""

    def __init__(self, junit_file: Path | None, summary_file: Path | None, title: str = "") -> None:
        self._junit = junit_file.resolve() if junit_file else None  # a link stays one
        self._summary, self.title = summary_file, title
        self._outcomes: Sequence[Outcome] = ()
        self._left = 0

    def check(self) -> None:
        """Raise Refused where one of the files can't be written. Leaves no trace."""
        if self._junit:
            if self._junit.exists() and not self._junit.is_file():
                raise Refused(f"--junit {self._junit} can't be written: expected a file; name another.")
            with _written("--junit", self._junit):
                _touch(self._junit.with_name(f".{self._junit.name}.part"))
        if self._summary:
            with _written("--summary", self._summary):
                _touch(self._summary)

    def keep(self, ended: Sequence[Outcome], left: int) -> None:
        """What is known so far. A disk that is full now may have room when the runs are over."""
        self._outcomes, self._left = ended, left
        with contextlib.suppress(OSError):
            self._write_junit()

    def close(self) -> None:
        """Both files as they stay. Raises OSError."""
        self._write_junit()
        if self._summary:
            with self._summary.open("a", encoding="utf-8") as out:
                out.write(summary(self.title, self._outcomes, self._left))

    def _write_junit(self) -> None:
        if self._junit:
            write_text(self._junit, junit.xml(self._outcomes, self._left))


def summary(title: str, ended: Sequence[Outcome], left: int) -> str:
    """A heading, a sentence and the table, in at most 64 KiB of UTF-8."""
    head = f"\n### {title}\n\n{outcomes.tally(ended, left)}\n\n"
    return head + outcomes.markdown(ended, SUMMARY_BYTES - len(head.encode()))


@contextlib.contextmanager
def _written(option: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{option} {path} can't be written: {error.strerror}; name a file that can be.") from None


def _touch(path: Path) -> None:
    """Open for writing, and leave no file that was not there before."""
    was_there = path.exists()
    path.open("a", encoding="utf-8").close()
    if not was_there:
        path.unlink()
