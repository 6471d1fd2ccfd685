"""Many comparisons as one table for a terminal: a row per arm, below each question."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from lab.comparison import words
from lab.comparison.model import Comparison, Number
from lab.repeats import tables
from lab.report.words import NOT_MEASURED

HEAD = ("arm", "verdict", "regions that fell", "worst available, %", "stalest read, s", "writes lost", "divergent keys")
NOTE = (
    "Available and stalest: in the fault, of the regions that no fault names the worst. "
    "Differences and the rest are in each comparison.json."
)


def text(many: Sequence[Comparison], width: int) -> RenderableType:
    """A row per question and arm, who was left out, how to read it."""
    rows = [row for data in many for row in _rows(data)]
    left = [Text(line, style="yellow") for data in many for line in words.left_out(data)]
    table = tables.table(HEAD, rows, width, whole=1, gap=1, text=HEAD[:3], widest=width // 2)
    return Group(Text("Arms beside each other", style="bold"), table, *left, Text(NOTE, style="dim"))


def _rows(data: Comparison) -> list[list[str]]:
    question = f"{data.experiment}, leaders in {data.leaders_in}"
    return [[question, *("" for _ in HEAD[1:])], *(_row(data, arm) for arm in data.arms)]


def _row(data: Comparison, arm: str) -> list[str]:
    of, told = len(data.seeds), data.arms[arm]
    survivors = [region for region, named in data.regions.items() if not named]
    shares = [data.number("availability", region, "overall", "fault") for region in survivors]
    ages = [data.number("staleness_max_s", region, "", "fault") for region in survivors]
    return [
        f"  {arm}",
        words.verdicts(told),
        words.fell(told, sum(run.counts for run in told.runs)),
        _worst(min, shares, arm, of),
        _worst(max, ages, arm, of),
        words.cell(data.number("writes_lost"), arm, of),
        words.cell(data.number("divergent_keys"), arm, of),
    ]


def _worst(choose: Callable[..., tuple[float, int]], found: Sequence[Number], arm: str, of: int) -> str:
    """The number whose mean is the least, or the most."""
    means = [(held.mean, place) for place, number in enumerate(found) if (held := number.arms.get(arm))]
    return words.cell(found[choose(means)[1]], arm, of) if means else NOT_MEASURED
