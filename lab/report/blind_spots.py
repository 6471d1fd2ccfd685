"""What a run can't say, in sentences, so that nobody reads more into it than was measured."""

from __future__ import annotations

from lab.measurements import Measurements
from lab.report import partial
from lab.report.table import CUTS
from lab.report.words import CUT_LABELS, listed
from lab.results import Run


def limits(run: Run) -> list[str]:
    """Every limit that applies to this run, the gravest first."""
    done = partial.measured(run)
    return [
        *_broken(run),
        *_unseen(run),
        *_too_few(done),
        *_coarse(done),
        *_unmeasured(done),
        f"One run with seed {run.seed} has no interval: a difference to another run may be chance; "
        "repeat it with REPEATS=5.",
        *_leaders(run, done),
        *_page_cache(done),
        "All regions ran on one machine and one clock: no clock skew, no disk of their own, no packet loss.",
        *_runtime(run),
        "A link's added delay is stated per chunk; a connection that sends more than 1,024 chunks per delay "
        "is slower than stated.",
    ]


def _broken(run: Run) -> list[str]:
    ended = [] if run.judged else ["The run was never judged: nothing was checked against its evidence."]
    said = [
        f"The run was disturbed ({name}): {text.rstrip('.')}."
        for name, text in partial.notes(run)
        if name in ("broken", "interrupted", "bypass")
    ]
    return ended + said[:5]


def _unseen(run: Run) -> list[str]:
    return [
        f"No witness saw the fault {fault.fault} {', '.join(fault.targets)}: whether it bit is not known."
        for fault in partial.measured(run).faults
        if not fault.seen
    ]


def _too_few(done: Measurements) -> list[str]:
    """Regions with the same thin cuts share a sentence."""
    cuts: dict[str, list[str]] = {}
    for region, found in done.availability.items():
        for cut in CUTS:
            if cut not in found or found[cut].windows is None:
                cuts.setdefault(CUT_LABELS[cut], []).append(region)
    return [
        f"Too few operations to see an outage of {label} in {listed(regions)}: raise rate_per_s."
        for label, regions in cuts.items()
    ]


def _coarse(done: Measurements) -> list[str]:
    wide: dict[str, int] = {}
    for found in done.availability.values():
        for cut in CUTS:
            windows = found[cut].windows if cut in found else None
            if windows is not None and windows.width_s > 1:
                wide[CUT_LABELS[cut]] = max(windows.width_s, wide.get(CUT_LABELS[cut], 0))
    if not wide:
        return []
    widths = listed([f"{label} in windows of {width} s" for label, width in wide.items()])
    return [f"Thin traffic is judged coarsely ({widths}): an outage counts from two windows on."]


def _unmeasured(done: Measurements) -> list[str]:
    durability = done.durability
    known = {
        "availability": bool(done.availability),
        "blast radius": done.blast_radius is not None,
        "acknowledged writes lost": durability is not None and durability.lost is not None,
        "whether replicas agree": done.divergence is not None and done.divergence.divergent is not None,
        "messages per operation": done.amplification is not None and done.amplification.ratio is not None,
        "staleness of reads": bool(done.staleness),
        "whether routes were restored": done.routes_missing is not None,
        "whether the machine slept": done.slept_s is not None,
    }
    missing = [name for name, told in known.items() if not told]
    return [f"Not measured: {', '.join(missing)}."] if missing else []


def _leaders(run: Run, done: Measurements) -> list[str]:
    asked = run.plan.get("leaders_in") or getattr(partial.experiment(run), "leaders_in", "")
    if not done.leaders or not asked:
        return []
    return [f"Leaders were placed by leaders_in={asked}; elsewhere, the same fault can do more or less."]


def _page_cache(done: Measurements) -> list[str]:
    if not any("gone" in fault.nodes.values() for fault in done.faults):
        return []
    return ["Ended nodes lost nothing that the system's page cache held; a machine that loses power can lose more."]


def _runtime(run: Run) -> list[str]:
    match partial.runtime(run):
        case "process":
            return ["Nodes ran as processes on loopback, not in containers: they shared CPU and page cache."]
        case "docker":
            return [
                "Nodes ran in containers of one engine: a network of their own for each region, but one kernel, "
                "one page cache, and CPU that all share."
            ]
        case _:
            return []
