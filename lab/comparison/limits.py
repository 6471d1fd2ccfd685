"""What a comparison can't say, in sentences, so that nobody reads more into it than was measured."""

from __future__ import annotations

from lab.comparison import words
from lab.comparison.gather import Compared
from lab.comparison.model import Comparison
from lab.intervals import FEWEST
from lab.report.words import listed
from lab.results import Run

# what a reader looks for, and the number that tells whether it was measured at all
LOOKED_FOR = {
    "availability": "availability",
    "latency": "p99_ms",
    "blast radius": "blast_radius_regions",
    "acknowledged writes lost": "writes_lost",
    "divergent keys": "divergent_keys",
    "staleness of reads": "staleness_max_s",
    "replication lag": "lag_p50_ms",
    "messages per operation": "messages_per_operation",
}


def limits(found: Compared) -> list[str]:
    """Every limit that applies, the gravest first."""
    data = found.data
    return [
        *words.left_out(data),
        *_few(data),
        *_unmeasured(data),
        *_places(found),
        *_controls(found),
        "Arms ran one after another on the same machine, so they share its speed, not its moments.",
        "Latency is of operations that ended ok: an arm that fails soon looks fast. Read it beside availability.",
        "Availability says nothing of the age of answers: an isolated store pays there. Read it beside staleness.",
        "An arm is one backend with one set of options; other options may answer otherwise.",
        "What each single run can't say stands at the end of its own report.html.",
    ]


def _few(data: Comparison) -> list[str]:
    seeds = len(data.seeds)
    if seeds >= FEWEST:
        return [f"Intervals are over {seeds} seeds on this machine; a rare event that none of them met is in none."]
    return [f"{seeds or 'No'} seed{'s' * (seeds != 1)} gave no interval: a difference may be chance; use REPEATS=5."]


def _unmeasured(data: Comparison) -> list[str]:
    said = []
    for arm, told in data.arms.items():
        missing = [name for name, what in LOOKED_FOR.items() if all(n.arms.get(arm) is None for n in data.of(what))]
        if missing and any(run.counts for run in told.runs):
            said.append(f"Not measured on {arm}: {', '.join(missing)}.")
    return said


def _places(found: Compared) -> list[str]:
    """Whether the runs were made by one lab on one machine, by their own environment.json."""
    runs = [run for of_arm in found.runs.values() for run in of_arm]
    hosts, labs = {_host(run) for run in runs}, {_revision(run) for run in runs}
    said = ["The runs were made on different machines: their numbers differ for that, too."] if len(hosts) > 1 else []
    if len(labs) > 1:
        said.append(f"The runs were made by different versions of the lab ({', '.join(sorted(labs))}).")
    return said


def _controls(found: Compared) -> list[str]:
    if not any(found.data.regions.values()):
        return []
    lacking = [arm for arm in found.data.arms if arm not in found.controls]
    if lacking:
        return [f"No run without a fault is there to hold {listed(lacking)} against: EXPERIMENT=no-fault makes one."]
    made_by = {_revision(run) for runs in found.runs.values() for run in runs}
    others = {_revision(run) for runs in found.controls.values() for run in runs} - made_by
    return [f"Controls were made by another version of the lab ({', '.join(sorted(others))})."] if others else []


def _host(run: Run) -> str:
    host = run.environment.get("host", {})
    return f"{host.get('cores')} {host.get('memory_mib')} {host.get('machine')}"


def _revision(run: Run) -> str:
    return str(run.environment.get("git") or "unknown")
