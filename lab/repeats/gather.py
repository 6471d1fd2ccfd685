"""Runs → what they came to together. Pure functions of the runs' files; no number is made here
but means, intervals, extremes and counts of what the runs' own first screens show."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

from lab import intervals
from lab.measurements import Measurements
from lab.repeats.model import Cut, Fallen, Region, Repeats, Spread, Survivors, Unknown
from lab.report import partial, rows
from lab.report.table import Row
from lab.results import Run

SHARE = (0.0, 1.0)
AMOUNT = (0.0, math.inf)


def groups(runs: Iterable[Run]) -> list[list[Run]]:
    """Runs that differ in their seed only together, by seed; of equal seeds the last one counts.

    Raises Refused where a run's files can't be read.
    """
    found: dict[tuple[str, ...], dict[int, Run]] = defaultdict(dict)
    for run in runs:
        found[*which(run), _fixed(run)][run.seed] = run
    return [[of_seed[seed] for seed in sorted(of_seed)] for _, of_seed in sorted(found.items())]


def which(run: Run) -> tuple[str, str, str, str]:
    """Experiment, topology, leaders_in and arm: what a group has in common."""
    topology = partial.topology(run)
    return (
        str(run.plan.get("experiment", "")),
        topology.name if topology else "",
        str(run.plan.get("leaders_in", "")),
        run.arm,
    )


def asked(run: Run, *without: str) -> dict[str, Any]:
    """What was asked, whoever answered: an experiment edited in the meantime, another topology or runtime
    asks something else; how the question is worded, and what is expected, does not.

    without: more fields of the experiment that are not to count.
    """
    experiment, topology = partial.experiment(run), partial.topology(run)
    left_out = {"question", "source", "expect", *without}
    return {
        "experiment": experiment and experiment.model_dump(mode="json", exclude=left_out),
        "topology": topology and topology.model_dump(mode="json", exclude={"about"}),
        "runtime": run.plan.get("runtime"),
    }


def digest(shared: dict[str, Any]) -> str:
    """Equal for equal content."""
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()


def _fixed(run: Run) -> str:
    """What two runs must share beside their names to differ in their seed only."""
    return digest({**asked(run), "programs": run.plan.get("programs")})


def spread(values: Sequence[float | None], bounds: tuple[float, float] = AMOUNT) -> Spread | None:
    """The values of some runs as one number; None where no run has it."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    interval = intervals.of_mean(known, *bounds)
    return Spread(
        values=list(values),
        count=len(known),
        mean=known[0] if min(known) == max(known) else fmean(known),
        interval=(interval.low, interval.high) if interval else None,
        least=min(known),
        most=max(known),
    )


def together(runs: Sequence[Run]) -> Repeats:
    """What one group of runs came to."""
    experiment, topology, leaders_in, arm = which(runs[0])
    proven = [run for run in runs if word(run) != "unknown"]
    tables = [rows(run) for run in proven]
    done = [partial.measured(run) for run in proven]
    radii = [one.blast_radius for one in done if one.blast_radius]
    return Repeats(
        experiment=experiment,
        topology=topology,
        arm=arm,
        leaders_in=leaders_in,
        seeds=[run.seed for run in proven],
        runs=[run.path.name for run in proven],
        verdicts=dict(Counter(word(run) for run in runs)),
        as_expected=sum(run.verdict.as_expected for run in proven),
        unknown=[Unknown(seed=run.seed, run=run.path.name, why=why(run)) for run in runs if run not in proven],
        regions=_regions(tables),
        survivors=_survivors(tables),
        blast_radius=fallen(done),
        second_wave=dict(Counter(region for radius in radii for region in radius.second_wave)),
        longest_outage_s=spread([longest_outage_s(one) for one in done]),
        collateral_region_seconds=spread(
            [one.blast_radius.collateral_region_seconds if one.blast_radius else None for one in done]
        ),
        writes_lost=spread([one.durability.lost if one.durability else None for one in done]),
    )


def word(run: Run) -> str:
    """A run that was never judged proves nothing either."""
    judged = partial.verdict(run)
    return judged.verdict if judged else "unknown"


def why(run: Run) -> list[str]:
    judged = partial.verdict(run)
    return judged.why if judged else ["the run died before it was judged"]


def _regions(tables: Sequence[list[Row]]) -> dict[str, Region]:
    names = dict.fromkeys(row["region"] for table in tables for row in table)
    return {name: _region([[row for row in table if row["region"] == name] for table in tables]) for name in names}


def _region(tables: Sequence[list[Row]]) -> Region:
    """tables: per run, the rows of one region."""
    cuts = dict.fromkeys(row["cut"] for table in tables for row in table)
    whole = [_row(table, "overall") for table in tables]
    lost = [row["writes_lost"] for row in whole if row.get("writes_lost") is not None]
    return Region(
        named=any(row.get("named") for row in whole),
        cuts={cut: _cut([_row(table, cut) for table in tables]) for cut in cuts},
        recovery_s=_of(whole, "recovery_s"),
        runs_never_recovered=sum(bool(row.get("never_recovered")) for row in whole),
        staleness_p50_s=_of(whole, "staleness_p50_s"),
        staleness_max_s=_of(whole, "staleness_max_s"),
        writes_lost=sum(lost) if lost else None,
    )


def _row(table: Sequence[Row], cut: str) -> Row:
    """A region's row of one cut; {} in a run that did not get so far."""
    return next((row for row in table if row["cut"] == cut), {})


def _cut(found: Sequence[Row]) -> Cut:
    """found: per run, the row of one region and cut."""
    measured = [row for row in found if row.get("outages") is not None]
    hit = [row if row.get("outages") else {} for row in found]
    return Cut(
        steady=_of(found, "steady", SHARE),
        fault=_of(found, "fault", SHARE),
        recovery=_of(found, "recovery", SHARE),
        runs_with_outage=sum(bool(row) for row in hit),
        runs_measured=len(measured),
        longest_outage_s=_of(hit, "longest_outage_s"),
        out_after_s=_of(hit, "propagation_s"),
        longest_gap_s=_of(found, "longest_gap_s"),
        p99_steady_ms=_of(found, "p99_steady_ms"),
        p99_fault_ms=_of(found, "p99_fault_ms"),
    )


def _of(found: Sequence[Row], key: str, bounds: tuple[float, float] = AMOUNT) -> Spread | None:
    return spread([row.get(key) for row in found], bounds)


def _survivors(tables: Sequence[list[Row]]) -> Survivors:
    others = [[row for row in table if row["cut"] == "overall" and not row["named"]] for table in tables]
    return Survivors(
        availability_in_fault=spread([_chosen(min, whole, "fault") for whole in others], SHARE),
        out_after_s=spread([_chosen(min, whole, "propagation_s") for whole in others]),
        recovery_s=spread([_last_back_s(whole) for whole in others]),
        staleness_p50_s=spread([_chosen(max, whole, "staleness_p50_s") for whole in others]),
    )


def _chosen(choose: Callable[[list[float]], float], found: Sequence[Row], key: str) -> float | None:
    known = [row[key] for row in found if row[key] is not None]
    return choose(known) if known else None


def _last_back_s(found: Sequence[Row]) -> float | None:
    """Nobody is the last one back where one never came back."""
    return None if any(row["never_recovered"] for row in found) else _chosen(max, found, "recovery_s")


def fallen(done: Sequence[Measurements]) -> dict[str, Fallen]:
    """Region → in how many runs it was in the blast radius, and by which kinds."""
    radii = [one.blast_radius for one in done if one.blast_radius]
    return {
        region: Fallen(
            runs=sum(region in radius.regions for radius in radii),
            kinds=dict(Counter(kind for radius in radii for kind in radius.kinds.get(region, []))),
        )
        for region in dict.fromkeys(region for radius in radii for region in radius.regions)
    }


def longest_outage_s(one: Measurements) -> float:
    """The longest availability outage of a region in the blast radius; 0 when it is empty."""
    fell = one.blast_radius.kinds if one.blast_radius else {}
    spans = [o.end_s - o.onset_s for o in one.outages if o.kind == "availability" and o.cut in fell.get(o.region, [])]
    return max(spans, default=0.0)
