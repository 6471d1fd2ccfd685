"""A comparison's first screen as tables: what each arm came to, and region × operation with arms one
above the other, so that a column compares them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from lab.comparison import cells, timeline, words
from lab.comparison.gather import Compared
from lab.comparison.model import Comparison, Number
from lab.measurements import KINDS, PHASES
from lab.report import cells as small
from lab.report import partial
from lab.report.words import CUT_LABELS, NOT_MEASURED
from lab.results import Run

CUTS = ("overall", *KINDS)
WHOLE = (
    ("regions<br>that fell", "blast_radius_regions", ""),
    ("collateral<br>region-s", "collateral_region_seconds", ""),
    ("longest outage<br>there, s", "longest_outage_s", ""),
    ("acknowledged<br>writes lost", "writes_lost", ""),
    ("divergent<br>keys", "divergent_keys", ""),
    ("messages per<br>operation in fault", "messages_per_operation", "fault"),
)
# staleness beside availability: it is what isolation is paid with
HEAD = (
    "steady<br>%", "fault<br>%", "recovery<br>%", "stale p50<br>fault, s", "stale max<br>fault, s", "p50<br>fault, ms",
    "p99<br>steady, ms", "p99<br>fault, ms", "longest<br>gap, s", "writes<br>lost", "recovered<br>after, s",
)  # fmt: skip
SIGNS = {"valid": "✓", "invalid": "✗", "unknown": "?"}


def sentences(found: Compared) -> str:
    """A line per arm: its verdict, and what it came to in words."""
    said = []
    for arm, told in found.data.arms.items():
        word = words.worst(told)
        badge = f"<span class='badge {word}'>{SIGNS[word]} {escape(words.verdict(told))}</span>"
        said.append(f"<p>{badge}<b>{escape(arm)}</b> {escape(words.effect(found, arm))}.</p>")
    return "".join(said)


def whole(data: Comparison) -> str:
    """What is known of a run as a whole, a row per arm; then the differences."""
    numbers = [data.number(what, phase=phase) for _, what, phase in WHOLE]
    rows = [cells.row(cells.text(arm) + "".join(cells.own(data, n, arm) for n in numbers)) for arm in data.arms]
    for arm in data.others:
        said = "".join(cells.difference(data, number, arm) for number in numbers)
        rows.append(cells.row(cells.text(words.difference_name(data, arm)) + said, faint=True))
    return cells.table(["arm", *(name for name, _, _ in WHOLE)], rows, left=(0,))


def regions(found: Compared) -> str:
    """Region × operation × arm: availability, latency; of the region as a whole staleness and errors, too."""
    head = ["region", "operation", "arm", cells.DRAWN, *HEAD, "errors"]
    rows = [row for region in found.data.regions for row in _region(found, region)]
    return cells.table(head, rows, left=(0, 1, 2, 3, len(head) - 1))


def _region(found: Compared, region: str) -> Iterator[str]:
    data = found.data
    asides = [*_controls(found, region), *(_differences(data, region, arm) for arm in data.others)]
    for cut in CUTS:
        below = asides if cut == "overall" else []
        for place, arm in enumerate(data.arms):
            begin = ""
            if cut == "overall" and not place:
                height = len(CUTS) * len(data.arms) + len(asides)
                begin = cells.spanning(cells.region(region, data.regions[region]), height)
            if not place:
                begin += cells.spanning(escape(CUT_LABELS[cut]), len(data.arms) + len(below))
            yield cells.row(begin + _cut(found, region, cut, arm), first=cut == "overall" and not place)
        yield from below


def _cut(found: Compared, region: str, cut: str, arm: str) -> str:
    data = found.data
    shown = "".join(cells.own(data, number, arm) if number else "<td></td>" for number in _numbers(data, region, cut))
    if cut == "overall":
        shown += _recovered(data, region, arm) + cells.text(words.errors(data, region, arm))
    return cells.text(arm) + _timeline(found.runs[arm], region, cut) + shown


def _numbers(data: Comparison, region: str, cut: str) -> list[Number | None]:
    """Under `HEAD` but its last; None where a region has the number only as a whole."""
    whole = cut == "overall"
    return [
        *(data.number("availability", region, cut, phase) for phase in PHASES),
        *(data.number(what, region, "", "fault") if whole else None for what in ("staleness_p50_s", "staleness_max_s")),
        data.number("p50_ms", region, cut, "fault"),
        *(data.number("p99_ms", region, cut, phase) for phase in ("steady", "fault")),
        data.number("longest_gap_s", region, cut),
        data.number("writes_lost", region) if whole else None,
    ]


def _recovered(data: Comparison, region: str, arm: str) -> str:
    """How long after the heal; in how many runs it never did, or a watch stayed dead."""
    of, said = len(data.seeds), [words.cell(data.number("recovery_s", region), arm, len(data.seeds))]
    for what, word in (("never_recovered", "never"), ("watches_never_resumed", "watches dead")):
        held = data.number(what, region).arms.get(arm)
        runs = sum(bool(value) for value in held.values) if held else 0
        if runs:
            said.append(word if of == 1 else f"{word} in {runs} of {of}")
    shown = [word for word in said if word != NOT_MEASURED] if len(said) > 1 else said
    return f"<td class='{'hurt' if len(said) > 1 else ''}'>{escape('; '.join(shown))}</td>"


def _controls(found: Compared, region: str) -> Iterator[str]:
    """The same numbers where nothing failed."""
    numbers = [number for number in _numbers(found.data, region, "overall") if number]
    for arm, runs in found.controls.items():
        said = [cells.said_of(words.control_cell(number, arm, len(runs))) for number in numbers]
        begin = cells.text(f"{arm}, no fault") + _timeline(runs, region, "overall")
        yield cells.row(begin + "".join(f"<td>{one}</td>" for one in said) + "<td></td><td></td>", faint=True)


def _differences(data: Comparison, region: str, arm: str) -> str:
    numbers = [number for number in _numbers(data, region, "overall") if number]
    said = "".join(cells.difference(data, number, arm) for number in numbers)
    return cells.row(
        f"{cells.text(words.difference_name(data, arm))}{cells.drawn('')}{said}<td></td><td></td>", faint=True
    )


def _timeline(runs: Sequence[Run], region: str, cut: str) -> str:
    windows = timeline.windows(timeline.seconds(runs, region, cut))
    end_s = max((partial.end_s(run) for run in runs), default=0.0)
    drawn = small.timeline(windows, end_s, partial.fault_span(runs[0]) if runs else None)
    return cells.drawn(drawn)
