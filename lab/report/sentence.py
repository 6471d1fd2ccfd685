"""The report's one sentence: what was done to whom, who else fell, for how long, the verdict.

A run that proves nothing says which gate failed, with its value, limit and next step.
"""

from __future__ import annotations

from typing import Any

from lab.measurements import FaultBite, Measurements, Outage
from lab.report import partial
from lab.report.words import CUT_WORDS, listed, percent, seconds, spread
from lab.results import Run

NODES_NAMED = 3
NODES_WORDS = {"gone": "taken down", "paused": "frozen"}
TOTAL_DEPTH = 0.9  # an outage as deep as this left nothing worth the name: "could not"


def headline(run: Run) -> str:
    """One sentence that decides; for an `unknown` run why it decides nothing."""
    judged = partial.verdict(run)
    if judged is None:
        return _unjudged(run)
    if judged.verdict == "unknown":
        why = judged.why[0].rstrip(".") if judged.why else "no checker said why"
        more = f" (and {len(judged.why) - 1} more)" if len(judged.why) > 1 else ""
        return f"This run proves nothing: {why}{more}; verdict unknown."
    expected = "expected" if judged.as_expected else "not expected"
    return f"{harm(run)}; {effect(run)}; verdict {judged.verdict} ({expected})."


def effect(run: Run) -> str:
    """`us could not put for 29 s; sg itself could do nothing for 30 s; blast radius {us}`."""
    return "; ".join([*_fallen(run), _radius(run), *_lost(partial.measured(run))])


def _unjudged(run: Run) -> str:
    notes = [text for name, text in partial.notes(run) if name in ("broken", "interrupted")]
    why = f": {notes[0].rstrip('.')}" if notes else ""
    return f"This run was never judged{why}; `lab judge {run.path}` judges what it left."


def harm(run: Run) -> str:
    """All faults in words, `no fault` without any."""
    found = partial.faults(run)
    if not found:
        return "no fault"
    # a flapping link enters dozens of times; what it does each time is said once
    said = list(dict.fromkeys(harm_sentence(fault, run) for fault in found))
    times = f" ({len(found)} times)" if len(said) == 1 < len(found) else ""
    return "; ".join(said[:3]) + times + (f" and {len(said) - 3} more faults" if len(said) > 3 else "")


def harm_sentence(fault: FaultBite, run: Run) -> str:
    """`sg slowed by 1–2 s for 30 s (each of its links +1025…+1980 ms)`."""
    said, detail = _harm_words(fault, run)
    return f"{_who(fault, run) or 'the backend'} {said} {_lasted(fault)}{detail}"


def _who(fault: FaultBite, run: Run) -> str:
    """The regions named; the nodes, where those are not all of them."""
    topology = partial.topology(run)
    all_of = {node.name for region in fault.targets for node in topology.nodes_of(region)} if topology else set()
    if fault.nodes and set(fault.nodes) != all_of and len(fault.nodes) <= NODES_NAMED:
        return listed(list(fault.nodes))
    return listed(fault.targets) or listed(sorted({end for link in fault.links for end in link.split("->")}))


def _lasted(fault: FaultBite) -> str:
    if fault.left_s is None:
        return "and never healed"
    if len(fault.pulses) > 1:
        each_s = [end - begin for begin, end in fault.pulses if end is not None]
        return f"for {seconds(sum(each_s) / len(each_s))} each within {seconds(fault.left_s - fault.entered_s)}"
    return f"for {seconds(fault.left_s - fault.entered_s)}"


def _harm_words(fault: FaultBite, run: Run) -> tuple[str, str]:
    """What was done, and the detail in brackets, told from the links rather than the fault's name."""
    added = [float(harm["latency_ms"]) for harm in fault.links.values() if "latency_ms" in harm]
    cuts = sorted({str(harm["cut"]) for harm in fault.links.values() if "cut" in harm})
    rates = [float(harm["rate_kbps"]) for harm in fault.links.values() if "rate_kbps" in harm]
    which = _which_links(fault, run)
    often = f" {len(fault.pulses)} times" if len(fault.pulses) > 1 else ""
    if fault.nodes:
        return NODES_WORDS.get(
            next(iter(fault.nodes.values())), "harmed"
        ) + often, f" ({len(fault.nodes)} node{'s' * (len(fault.nodes) > 1)})"
    if cuts:
        return _one_way(fault) + often, f" ({which} {' and '.join(cuts)})"
    if added:
        return f"slowed by {_between(min(added), max(added))}", f" ({which} {spread(added)})"
    if rates:
        return f"throttled to {min(rates):g} KB/s", f" ({which})"
    return f"under {fault.fault}{often}", ""


def _one_way(fault: FaultBite) -> str:
    """In which direction a cut was."""
    return {"to": "deafened (nothing reaches it)", "from": "muted (nothing it sends arrives)"}.get(
        _direction(fault), "cut off"
    )


def _direction(fault: FaultBite) -> str:
    """`to` or `from` where every harmed link ends, or begins, in a region the fault names; else ""."""
    sources, targets = ([link.split("->")[end] in fault.targets for link in fault.links] for end in (0, 1))
    if all(targets) and not any(sources):
        return "to"
    return "from" if all(sources) and not any(targets) else ""


def _between(low_ms: float, high_ms: float) -> str:
    """`80 ms`, `200–800 ms`, `1.4 s`, `1–2 s`: as rough as a headline may be."""
    if high_ms < 1000:
        low, high, unit = f"{low_ms:.0f}", f"{high_ms:.0f}", "ms"
    else:
        digits = 0 if high_ms - low_ms >= 500 else 1
        low, high, unit = f"{low_ms / 1000:.{digits}f}", f"{high_ms / 1000:.{digits}f}", "s"
    return f"{low} {unit}" if low == high else f"{low}–{high} {unit}"


def _which_links(fault: FaultBite, run: Run) -> str:
    topology = partial.topology(run)
    own = {str(link) for region in fault.targets for link in topology.links_of(region)} if topology else set()
    if len(fault.targets) == 1 and set(fault.links) == own:
        return "each of its links"
    if _direction(fault) and 1 < len(fault.links) == len(own) // 2:
        return "every link one way"
    shown = list(fault.links)[:3]
    return ", ".join(link.replace("->", "→") for link in shown) + (" …" if len(fault.links) > 3 else "")


def _fallen(run: Run) -> list[str]:
    """What the others lost, then what the named regions lost themselves."""
    done, named = partial.measured(run), partial.named(run)
    outages = [o for o in done.outages if o.kind == "availability" and o.cut in CUT_WORDS]
    order = sorted(partial.regions(run), key=lambda region: region in named)
    fallen = []
    for region in order:
        own = [o for o in outages if o.region == region]
        if own:
            fallen.append(f"{region}{' itself' if region in named else ''} {_losses(own)}")
    others = [region for region in partial.regions(run) if region not in named]
    if not any(o.region in others for o in outages) and done.availability:
        fallen.insert(0, f"{listed(others)} kept working")
    return fallen


def _losses(own: list[Outage]) -> str:
    total = [o for o in own if o.depth >= TOTAL_DEPTH]
    if total:
        kinds = [word for cut, word in CUT_WORDS.items() if any(o.cut == cut for o in total)]
        lost = "could do nothing" if len(kinds) == len(CUT_WORDS) else f"could not {listed(kinds, 'or')}"
        return f"{lost} for {_longest(total)}"
    kinds = [word for cut, word in CUT_WORDS.items() if any(o.cut == cut for o in own)]
    return f"lost up to {percent(max(o.depth for o in own))} of {listed(kinds)} for {_longest(own)}"


def _longest(outages: list[Outage]) -> str:
    return seconds(max(o.end_s - o.onset_s for o in outages))


def _radius(run: Run) -> str:
    radius = partial.measured(run).blast_radius
    if radius is None:
        return "blast radius not measured"
    return f"blast radius {{{', '.join(radius.regions)}}}" if radius.regions else "blast radius empty"


def _lost(done: Measurements) -> list[str]:
    lost: Any = done.durability.lost if done.durability else None
    divergent = done.divergence.divergent if done.divergence else None
    said = [f"{lost:,} acknowledged writes lost"] if lost else []
    return said + ([f"{divergent:,} replicas disagree"] if divergent else [])
