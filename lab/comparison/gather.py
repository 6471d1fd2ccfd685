"""A question's runs → arms beside each other. Pure; no number is made here but means, intervals,
extremes and differences of what the runs measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab.comparison import controls as control_runs
from lab.comparison import model, numbers, pairing
from lab.comparison.model import Key
from lab.comparison.pairing import Question
from lab.errors import Refused
from lab.repeats import gather
from lab.repeats.model import Spread
from lab.report import partial
from lab.results import Run

Table = dict[Key, float]


@dataclass(frozen=True)
class Compared:
    """The numbers, and the runs they are of: arm → its runs that count, by seed; likewise its controls.
    given: all runs of the question, also those that don't count."""

    data: model.Comparison
    runs: Mapping[str, Sequence[Run]]
    controls: Mapping[str, Sequence[Run]]
    given: Sequence[Run]


def compare(question: Question, candidates: Iterable[Run] = ()) -> Compared:
    """Arms beside each other. candidates: among which runs without a fault are looked for as controls.

    Raises Refused with fewer than two arms.
    """
    if len(question.arms) < 2:
        raise Refused(
            f"only {', '.join(question.arms) or 'no arm'} was asked {question.words}; "
            "a comparison needs runs of two arms, such as `lab run --arm A --arm B` makes."
        )
    seeds, left_out = pairing.pair(question)
    counting = {arm: [run for seed in seeds if (run := of_arm.get(seed))] for arm, of_arm in question.arms.items()}
    runs = {arm: [run for run in of_arm if gather.word(run) != "unknown"] for arm, of_arm in counting.items()}
    controls = control_runs.of_question(question, candidates)
    data = model.Comparison(
        experiment=question.experiment,
        question=_asked(question.runs),
        topology=question.topology,
        leaders_in=question.leaders_in,
        regions=_regions(question.runs),
        seeds=seeds,
        arms={arm: _arm(arm, question, runs[arm], controls.get(arm, [])) for arm in question.arms},
        left_out=left_out,
        numbers=_numbers(runs, controls),
    )
    return Compared(data, runs, controls, question.given)


def _asked(runs: Sequence[Run]) -> str:
    return next((found.question for run in runs if (found := partial.experiment(run))), "")


def _regions(runs: Sequence[Run]) -> dict[str, bool]:
    named = {region for run in runs for region in partial.named(run)}
    return {region: region in named for run in runs for region in partial.regions(run)}


def _arm(arm: str, question: Question, counting: Sequence[Run], controls: Sequence[Run]) -> model.Arm:
    runs = [run for _, run in sorted(question.arms[arm].items())]
    done = [partial.measured(run) for run in counting]
    waves = [region for one in done if one.blast_radius for region in one.blast_radius.second_wave]
    return model.Arm(
        arm=arm,
        programs=pairing.programs(runs[0]),
        runs=[_run(run, counts=run in counting) for run in runs],
        blast_radius=gather.fallen(done),
        second_wave=dict(Counter(waves)),
        controls=[run.place for run in controls],
    )


def _run(run: Run, *, counts: bool) -> model.ArmRun:
    judged = partial.verdict(run)
    return model.ArmRun(
        seed=run.seed,
        run=run.place,
        verdict=judged.verdict if judged else "unknown",
        as_expected=bool(judged and judged.as_expected),
        checkers={name: finding.verdict for name, finding in judged.checkers.items()} if judged else {},
        counts=counts,
    )


def _numbers(runs: Mapping[str, Sequence[Run]], controls: Mapping[str, Sequence[Run]]) -> list[model.Number]:
    tables = {arm: [numbers.of_run(run) for run in of_arm] for arm, of_arm in runs.items()}
    held_against = {arm: [numbers.of_run(run) for run in of_arm] for arm, of_arm in controls.items()}
    keys = dict.fromkeys(key for of_arm in tables.values() for table in of_arm for key in table)
    return [_number(key, tables, held_against) for key in keys]


def _number(key: Key, tables: Mapping[str, Sequence[Table]], controls: Mapping[str, Sequence[Table]]) -> model.Number:
    what, where, cut, phase = key
    values = {arm: [numbers.value(table, key) for table in of_arm] for arm, of_arm in tables.items()}
    first, *others = tables
    return model.Number(
        what=what,
        where=where,
        cut=cut,
        phase=phase,
        arms={arm: gather.spread(found, numbers.bounds(what)) for arm, found in values.items()},
        differences={arm: _difference(what, values[first], values[arm]) for arm in others},
        controls={
            arm: gather.spread([numbers.value(table, key) for table in of_arm], numbers.bounds(what))
            for arm, of_arm in controls.items()
        },
    )


def _difference(what: str, first: Sequence[float | None], other: Sequence[float | None]) -> Spread | None:
    """Seed by seed, `other` minus `first`; None of the seeds where either lacks it."""
    if len(first) != len(other):  # an arm that proved nothing has no numbers at all
        return None
    pairs = zip(first, other, strict=True)
    minus = [b - a if a is not None and b is not None else None for a, b in pairs]
    return gather.spread(minus, numbers.difference_bounds(what))
