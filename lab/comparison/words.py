"""How a comparison is said: its title, an arm's outcome, a number and a difference. Text, not looks."""

from __future__ import annotations

from collections import Counter

from lab.comparison.gather import Compared
from lab.comparison.model import Arm, Comparison, Number
from lab.comparison.numbers import SHARES
from lab.intervals import FEWEST
from lab.repeats import words
from lab.repeats.model import Spread
from lab.report import sentence
from lab.report.words import CUT_LABELS, NOT_MEASURED, listed


def title(data: Comparison) -> str:
    """`gray-region on three-regions, leaders in home, seeds 1, 2, 3: a beside b`."""
    which = f"{data.experiment} on {data.topology}, leaders in {data.leaders_in}, {_seeds(data.seeds)}"
    first, *others = data.arms
    return f"{which}: {first} beside {listed(others)}"


def _seeds(seeds: list[int]) -> str:
    if not seeds:
        return "no seed that counts"
    return f"seed{'s' if len(seeds) > 1 else ''} {words.seeds_said(seeds)}"


def harm(found: Compared) -> str:
    """What was done, by the first run that counts: `sg slowed by 1–2 s for 30 s (…)`."""
    return next((sentence.harm(run) for runs in found.runs.values() for run in runs), "")


def effect(found: Compared, arm: str) -> str:
    """What an arm came to: of one run its own sentence, of several how often a region fell."""
    runs, told = found.runs[arm], found.data.arms[arm]
    if not runs:
        return "proves nothing"
    if len(runs) == 1:
        return sentence.effect(runs[0])
    waves = ", ".join(f"{region} in {n} of {len(runs)}" for region, n in told.second_wave.items())
    return f"blast radius: {blast(told, len(runs))}" + (f"; second wave after the heal: {waves}" if waves else "")


def blast(told: Arm, of: int) -> str:
    """`us (put, watch); eu (put)`; of several runs `us in 2 of 3 (put 2, watch 1)`; `empty`."""
    said = []
    for region, fell in told.blast_radius.items():
        often = f" in {fell.runs} of {of}" if of > 1 else ""
        kinds = [CUT_LABELS.get(kind, kind) + (f" {n}" if of > 1 else "") for kind, n in fell.kinds.items()]
        said.append(f"{region}{often} ({', '.join(kinds)})")
    return "; ".join(said) or ("empty" if of else NOT_MEASURED)


def fell(told: Arm, of: int) -> str:
    """The blast radius without its kinds: `us, eu`; of several runs `us 3/3, eu 1/3`; `none`."""
    said = [f"{region} {one.runs}/{of}" if of > 1 else region for region, one in told.blast_radius.items()]
    return ", ".join(said) or ("none" if of else NOT_MEASURED)


def verdicts(told: Arm) -> str:
    """`invalid`; of several runs `2 × invalid, 1 × unknown`."""
    found = Counter(run.verdict for run in told.runs)
    return ", ".join(f"{n} × {word}" if len(told.runs) > 1 else word for word, n in found.items())


def verdict(told: Arm) -> str:
    """`invalid (isolation), expected`; of several runs `2 × invalid (isolation), 1 × unknown, 2 of 3 as expected`."""
    expected, said = sum(run.as_expected for run in told.runs), verdicts(told)
    broken = dict.fromkeys(
        name
        for run in told.runs
        if run.verdict == "invalid"
        for name, word in run.checkers.items()
        if word == "invalid"
    )
    if broken:
        said = said.replace("invalid", f"invalid ({', '.join(broken)})")
    if len(told.runs) == 1:
        return said if said == "unknown" else f"{said}, {'expected' if expected else 'not expected'}"
    return f"{said}, {'all' if expected == len(told.runs) else f'{expected} of {len(told.runs)}'} as expected"


def worst(told: Arm) -> str:
    """The one word an arm's runs leave: any invalid, else any unknown, else valid."""
    found = {run.verdict for run in told.runs}
    return next(word for word in ("invalid", "unknown", "valid") if word in found)


def cell(number: Number, arm: str, of: int) -> str:
    """An arm's number, shares in % without the sign."""
    return words.short(number.arms.get(arm), of, _say(number))


def control_cell(number: Number, arm: str, of: int) -> str:
    return words.short(number.controls.get(arm), of, _say(number))


def difference_cell(number: Number, arm: str, of: int) -> str:
    """An arm's number minus the first arm's, in points of % for shares."""
    return words.signed(number.differences.get(arm), of, _say(number))


def _say(number: Number) -> words.Saying | None:
    return words.share if number.what in SHARES else None


def difference_name(data: Comparison, arm: str) -> str:
    """`difference` where only one is meant."""
    return "difference" if len(data.arms) == 2 else f"{arm} − {data.first}"


def sure(spread: Spread | None) -> bool:
    """Whether a difference's interval leaves out 0."""
    return bool(spread and spread.interval and not spread.interval[0] <= 0 <= spread.interval[1])


def errors(data: Comparison, region: str, arm: str, most: int = 3) -> str:
    """`late 588, timeout 12`: errors by code, the most frequent first; of several seeds their mean."""
    if data.number("errors", region).arms.get(arm) is None:
        return NOT_MEASURED
    codes = [(held, one) for one in data.of("errors") if one.where == region and one.cut and (held := one.arms[arm])]
    met = sorted(((held.mean, one.cut) for held, one in codes if held.mean > 0), key=lambda pair: (-pair[0], pair[1]))
    said = [f"{code} {_count(mean)}" for mean, code in met[:most]]
    return ", ".join([*said, *([f"{len(met) - most} more"] if len(met) > most else [])]) or "none"


def _count(mean: float) -> str:
    return f"{mean:,.0f}" if mean >= 10 or mean == int(mean) else f"{mean:.1f}"


def left_out(data: Comparison) -> list[str]:
    """A sentence on each run that no number is made of."""
    return [f"Left out of every number: {one.arm}, seed {one.seed} ({one.run}): {one.why}." for one in data.left_out]


def legend(data: Comparison) -> str:
    """How to read a cell."""
    whence = f"Difference: minus {data.first}"
    if len(data.seeds) < 2:
        return f"{whence}; of one seed it has no interval, and may be chance: REPEATS=3 gives one."
    if len(data.seeds) < FEWEST:
        return f"{whence}, seed by seed. Mean (least–most): two seeds have no interval, REPEATS=3 gives one."
    return f"{whence}, seed by seed. Mean [its 95 % interval over seeds]; {words.ALONE}"
