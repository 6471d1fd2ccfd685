"""What can go wrong, and what each kind means for the person who asked.

    LabError                    a sentence: what was expected, what was found, what to do
    ├── Refused                 nothing was started                              exit 12
    │   ├── FileRefused         a file says what it may not say (file and line)
    │   ├── UnknownName         no such topology, region, fault, backend, version …
    │   ├── DoesNotFit          a fault, arm or runtime that can't go with the rest
    │   └── BinaryMissing       a server program can't be had, or isn't what it was
    └── RunBroken               it started, then broke: the run is `unknown`     exit 11
        ├── NodeNotReady        a node did not start, or not in time
        └── NetworkBroken       Toxiproxy died, or did not do what it was told

    OperationError              the outcome of one client call: data, not an accident
    ├── OperationFailed         it certainly did not happen
    └── OperationIndefinite     it may have happened

Owns the tree; knows nothing else of the lab.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from difflib import get_close_matches

EXIT_EXPECTED, EXIT_SURPRISE, EXIT_UNKNOWN, EXIT_REFUSED = 0, 10, 11, 12


class LabError(Exception):
    """A sentence for the user; `exit_code` is what the command line ends with."""

    exit_code = 1


class Refused(LabError):
    """Bad input, found before anything was started."""

    exit_code = EXIT_REFUSED


class FileRefused(Refused):
    """A file holds something it may not hold; the sentence begins with `file:line:`."""


class UnknownName(Refused):
    """A name that nothing answers to."""

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str], hint: str = "") -> UnknownName:
        """The usual sentence: the unknown name, the nearest known one, all known ones."""
        return cls(unknown_name(what, name, known) + (f" {hint}" if hint else ""))


class DoesNotFit(Refused):
    """Parts that exist, but can't be used together."""


class BinaryMissing(Refused):
    """A server program that can't be found, built or trusted."""


class RunBroken(LabError):
    """Something of the lab itself died in mid-run; what was recorded is kept."""

    exit_code = EXIT_UNKNOWN


class NodeNotReady(RunBroken):
    """A node that did not start, or not in time; carries its last log lines."""


class NetworkBroken(RunBroken):
    """Toxiproxy that does not answer, or did not do as told."""


class OperationError(Exception):
    """The outcome of a client call that was not `ok`; `code` is short and countable."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class OperationFailed(OperationError):
    """The operation certainly did not happen."""


class OperationIndefinite(OperationError):
    """The operation may or may not have happened."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """One sentence on a name that is not known, shared by files, arms and options."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown {what} {name!r}{guess}; known: {', '.join(names) or 'none'}."


def told(error: LabError | OSError) -> tuple[str, int]:
    """(sentence, exit code) of what stopped a command, or one of its runs."""
    if isinstance(error, LabError):
        return str(error), error.exit_code
    where = f" ({error.filename})" if error.filename else ""
    code = EXIT_UNKNOWN if error.errno == errno.ENOSPC else EXIT_REFUSED
    return f"the system refuses: {error.strerror}{where}.", code
