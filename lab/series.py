"""Planned runs one after another, each made once, whatever becomes of the others.

`conduct` is the loop behind `lab run` and `lab batch`. For a batch a ledger keeps what was
finished, so that one that was killed goes on where it stopped: a run it was in the middle of is
awaited or adopted, or made again where the kill cut it short. Owns the order and what is repeated;
how one run is made is for `batch`, how it is shown is for a `Host`.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from lab import batch, batch_file, files, ledger, outcomes, plan
from lab.batch import Outcome
from lab.batch_file import BatchFile, BatchRun
from lab.errors import DoesNotFit, LabError, Refused
from lab.experiment import Arm
from lab.ledger import Keeps, Ledger
from lab.plan import Plan
from lab.results import write_text

Keep = Callable[[Sequence[Outcome], int], None]


class Host(Protocol):
    """Makes runs and shows them: a terminal, or a test."""

    def announce(self, number: int, of: int, this: Plan, left_s: float) -> None:
        """Run `number` of `of` comes next; all that is left takes about `left_s`."""
        ...

    def execute(self, this: Plan, began: Callable[[Path], None]) -> Outcome:
        """One run, made now. Raises LabError or OSError where it can't be."""
        ...

    def outlast(self, directory: Path) -> None:
        """Wait for the end of a run begun by a process that is gone."""
        ...

    def adopt(self, this: Plan, directory: Path) -> Outcome | None:
        """One such run at its end; None when it must be made again."""
        ...

    def ended(self, outcome: Outcome) -> None: ...
    def failed(self, error: LabError | OSError) -> None: ...


def conduct(planned: Sequence[Plan], host: Host, keeps: Keeps, keep: Keep) -> list[Outcome]:
    """Every planned run that is not finished yet; the outcomes of all, in their order.

    keep: told all outcomes so far and how many are left, before the first run and after each.
    """
    found = {number: outcome for number, this in enumerate(planned) if (outcome := keeps.finished(this))}

    def so_far() -> list[Outcome]:
        return [found[number] for number in sorted(found)]

    keep(so_far(), len(planned) - len(found))
    for directory in keeps.begun():
        host.outlast(directory)  # two runs beside each other spoil each other's numbers
    for number, this in enumerate(planned):
        if number in found:
            continue
        left_s = sum(other.expected_s for place, other in enumerate(planned) if place not in found)
        host.announce(number + 1, len(planned), this, left_s)
        found[number] = _one(this, host, keeps)
        keep(so_far(), len(planned) - len(found))
    return so_far()


def _one(this: Plan, host: Host, keeps: Keeps) -> Outcome:
    """Adopted or made. One that can't be made stops no other, and is tried again by a batch that goes on."""
    begun = keeps.unseen(this)
    try:
        outcome = host.adopt(this, begun) if begun else None
        outcome = outcome or host.execute(this, lambda directory: keeps.began(this, directory))
    except (LabError, OSError) as error:
        host.failed(error)
        return batch.not_made(this, error)
    keeps.ended(this, outcome)
    host.ended(outcome)
    return outcome


@dataclass(frozen=True)
class Batch:
    """A batch file under a seed, every run planned. request: a digest of what was asked, seed aside."""

    name: str
    seed: int
    dated: bool
    request: str
    planned: list[Plan]

    @property
    def folder(self) -> Path:
        return folder() / f"{self.name}-{self.seed}"

    def left(self, kept: Ledger) -> list[Plan]:
        """The runs that are not finished."""
        return [this for this in self.planned if not kept.finished(this)]

    def make_ready(self, say: Callable[[str], None], *, again: bool) -> None:
        """What the runs that are left need. Raises BinaryMissing; starts and writes nothing."""
        batch.make_ready(self.planned if again else self.left(Ledger(self.folder)), say)

    def standing(self, kept: Ledger) -> str:
        """How far the batch got."""
        name, of, left = f"batch {self.name}, seed {self.seed}", len(self.planned), len(self.left(kept))
        if not left:
            return f"{name} is complete: all {of} runs are finished; `--again` makes them anew."
        return f"{name}: {of - left} of {of} runs are finished."

    def keep_table(self, ended: Sequence[Outcome], left: int) -> None:
        """What is known so far, for people, beside the ledger."""
        with contextlib.suppress(OSError):  # the disk may be full: the ledger counts
            write_text(self.folder / "table.md", f"{outcomes.tally(ended, left)}\n\n{outcomes.markdown(ended)}")


def folder() -> Path:
    """Where batches keep what they know."""
    return plan.home() / "results" / "batches"


def asked(
    path: str, *, arms: Sequence[str], runtime: str, seed: int | None, again: bool, now: datetime | None = None
) -> Batch:
    """Everything a batch is to run, resolved; nothing is started or written. Raises Refused.

    arms: instead of the file's; [] leaves them. Without a seed, that of an unfinished batch of the
    same content begun less than a day ago, unless it is to be made `again`; else the UTC date's.
    """
    now = now or datetime.now(UTC)
    where = files.find("batch", path, plan.home() / "experiments", batch_file.is_batch)
    content = batch_file.load(where)
    if arms:
        runs = [run.model_copy(update={"arms": None}) for run in content.runs]
        content = content.model_copy(update={"arms": [Arm.parse(arm).text for arm in arms], "runs": runs})
    request = hashlib.sha256(f"{content.model_dump_json(exclude={'about'})} {runtime}".encode()).hexdigest()[:16]
    found = seed
    if found is None and not again:
        found = ledger.unfinished_seed(folder(), where.stem, request, now)
    if found is None:
        found = int(f"{now:%Y%m%d}")
    return Batch(where.stem, found, seed is None, request, _planned(where, content, runtime, found))


def _planned(where: Path, content: BatchFile, runtime: str, seed: int) -> list[Plan]:
    found: dict[str, Plan] = {}
    for index, run in enumerate(content.runs):
        try:
            for this in _plans(content, run, runtime, seed):
                if found.setdefault(ledger.identity(this), this) is not this:
                    raise DoesNotFit(f"{ledger.words(this)} is in this batch twice; `repeats: 2` runs it on two seeds.")
        except Refused as refused:
            raise type(refused)(f"{where}:{files.line_of(where, 'runs', index)}: {refused}") from None
    return list(found.values())


def _plans(content: BatchFile, run: BatchRun, runtime: str, seed: int) -> list[Plan]:
    return batch.plans(
        run.experiment,
        run.arms or content.arms,
        runtime=runtime,
        seeds=list(batch.seeds(seed, run.repeats or content.repeats)),
        leaders_in=run.leaders_in or [""],
        topology=run.topology,
    )


@contextlib.contextmanager
def opened(this: Batch, *, again: bool) -> Iterator[Ledger]:
    """The batch's ledger, ours alone until it is left. Raises Refused while another process has it."""
    with ledger.alone(folder(), this.name):
        kept = Ledger(this.folder)
        if again:
            kept.begin_anew()
        kept.start(this.request, this.planned, dated=this.dated, now=datetime.now(UTC))
        yield kept
