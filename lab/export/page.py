"""HOWTO.md: how to start, look, use, harm, heal and stop, as commands to type. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import combinations

from lab.backends.jetstream.layout import replicas, tag
from lab.export.model import Export
from lab.export.words import Words
from lab.network.toxiproxy.toxics import carriers, toxic_of
from lab.plan import PlannedFault


def page(export: Export, words: Words) -> str:
    """The whole text."""
    parts = [
        f"# {export.name}: {len(export.nodes)} nodes in {len(export.regions)} regions",
        _about(export),
        "## Start",
        words.before(),
        sh(words.start()),
        "A Toxiproxy in each region is the only way to the others. It has its delays a few seconds after the start.",
        "## Look",
        sh([*words.look(), *words.road(export.regions[0], ["list", f"inspect {next(iter(export.roads[0].proxies))}"])]),
        "## Use",
        *_use(export, words),
        "## Harm and heal",
        *_harms(export, words),
        "## Stop",
        sh(words.stop()),
        words.after(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def sh(lines: Sequence[str]) -> str:
    return "\n".join(["```sh", *lines, "```"])


def _about(export: Export) -> str:
    topology = export.plan.topology
    rtts = "\n".join(f"| {a} – {b} | {topology.rtt(a, b):g} ms |" for a, b in combinations(topology.regions, 2))
    local = (
        " Only the lab's engine has them; `docker save IMAGE | ssh MACHINE docker load` brings one to others."
        if export.images.local
        else ""
    )
    images = sorted({*export.images.programs.values(), export.images.road, export.images.python})
    return (
        f"{export.plan.experiment.question}\n\n"
        f"Written by `lab export` for {export.plan.arm.text} on the topology {topology.name}; the lab is not needed to "
        f"use it. Images: {', '.join(f'`{one}`' for one in images)}.{local}\n\n"
        f"| regions | round trip |\n|---|---|\n{rtts}"
    )


def _use(export: Export, words: Words) -> list[str]:
    """A key written in one region and read in the next."""
    here, there = export.regions[:2]
    one, other = f"{here}-1", f"{there}-1"
    if "nats-server" in export.images.programs:
        count = len(replicas(here, export.plan.topology))
        return [
            f"A bucket that is at home in {here}, a key written there and read in {there}, with NATS's own `nats`:",
            sh(
                [
                    words.nats(one, f"kv add {here} --replicas={count} --tags={tag(here)}"),
                    words.nats(one, f"kv put {here} k v"),
                    words.nats(other, f"kv get {here} k --raw"),
                ]
            ),
        ]

    def store(node: str, command: str) -> str:
        url = f"syncstore://{node}:{export.ports[node]['client']}"
        return words.within(node, f"python3 -m lab.syncstore {command} --url {url}")

    return [
        f"A key written in {here} and, a moment later, read in {there}:",
        sh([store(one, "put global k v"), store(other, "get global k")]),
    ]


def _harms(export: Export, words: Words) -> list[str]:
    faults = export.plan.faults
    if not faults:
        return ["The experiment harms nothing."]
    parts = [words.where()]
    for number, fault in enumerate(faults, 1):
        parts += [f"### {fault.label}", _told(fault)]
        links, nodes = bool(fault.impairments), bool(fault.nodes)
        if not (links or nodes):
            parts.append("There is nothing to type: this one is made by the lab alone.")
            continue
        parts.append("Harm:")
        parts += _on_roads(export, words, fault, number, _add)
        parts += [sh([words.harmed(name, state) for name, state in fault.nodes.items()])] if nodes else []
        parts.append("Heal:")
        if loosened := _on_roads(export, words, fault, number, _loosen):
            parts += ["First everything that was held back is let through, or what removes it waits for it in vain:"]
            parts += [*loosened, "Then, a second later:"]
        parts += _on_roads(export, words, fault, number, _remove)
        parts += [sh([words.healed(name, state) for name, state in fault.nodes.items()])] if nodes else []
    return parts


def _told(fault: PlannedFault) -> str:
    settings = ", ".join(f"{key}: {json.dumps(value)}" for key, value in fault.settings.items())
    times = len(fault.pulses)
    begin_s, end_s = fault.pulses[0]
    how_long = f"{times} times, each for {end_s - begin_s:g} s" if times > 1 else f"for {end_s - begin_s:g} s"
    return (
        f"In the experiment: `{fault.kind}: {{{settings}}}`, {how_long}. The lab does each in one instant; typed, it "
        "takes as long as the commands take."
    )


Made = tuple[str, dict[str, int]] | None
"""What Toxiproxy has for an impairment: type and attributes; None where the proxy is switched off."""
Command = Callable[[str, str, Made, str], str]
"""(proxy, stream, what is made of it, its name) → arguments of toxiproxy-cli, "" for none."""


def _add(proxy: str, stream: str, made: Made, name: str) -> str:
    if made is None:
        return f"toggle {proxy}"
    kind, attributes = made
    given = " ".join(f"-a {key}={value}" for key, value in attributes.items())
    return f"toxic add -t {kind} {given} -n {name} --{stream} {proxy}"


def _loosen(proxy: str, stream: str, made: Made, name: str) -> str:
    """See `ToxiproxyNetwork._loosen`."""
    return f"toxic update -n {name} --toxicity 0 {proxy}" if made and made[0] == "bandwidth" else ""


def _remove(proxy: str, stream: str, made: Made, name: str) -> str:
    return f"toggle {proxy}" if made is None else f"toxic remove -n {name} {proxy}"


def _on_roads(export: Export, words: Words, fault: PlannedFault, number: int, command: Command) -> list[str]:
    """A block for each road that has to do with it."""
    region_of = {node.name: node.region for node in export.plan.topology.nodes}
    blocks = []
    for road in export.roads:
        keys = [name.replace(".", "/") for name in road.proxies]
        lines: list[str] = []
        for link, impairment in fault.impairments.items():
            made = toxic_of(impairment)
            for proxy, stream in carriers(keys, link, region_of):
                lines.append(command(proxy, stream, made, f"harm{number}_{stream}"))
        lines = sorted(
            set(filter(None, lines)), key=_by_proxy
        )  # a pair is refused once, in whichever direction it is asked for
        if lines:
            blocks.append(sh(words.road(road.region, lines)))
    return blocks


def _by_proxy(line: str) -> tuple[str, str]:
    return line.rpartition(" ")[2], line
