"""A batch: its runs, and how long they take together."""

from __future__ import annotations

from collections import Counter, defaultdict

from lab import batch_file
from lab.batch import as_seen_from_here
from lab.show.names import Thing, asked_as
from lab.show.paper import Paper
from lab.show.takes import duration, planned


def write(thing: Thing, paper: Paper) -> None:
    content = batch_file.load(thing.path)
    runs = planned(thing)
    paper.title(f"batch {thing.name}", as_seen_from_here(thing.path))
    if content.about:
        paper.say(content.about, indent=0)
    paper.heading("Runs")
    seeds = Counter((this.experiment.name, this.experiment.leaders_in, this.expected_s, this.arm.text) for this in runs)
    arms: dict[str, list[str]] = defaultdict(list)
    for (name, leaders_in, seconds, arm), count in seeds.items():
        many = f"{count} seeds" if count > 1 else "one seed"
        arms[f"{name}, leaders_in {leaders_in}: {many}, {duration(seconds)} each, on"].append(arm)
    for told, names in arms.items():
        paper.say(told)
        for name in names:
            paper.say(name, indent=4)
    paper.heading(f"{len(runs)} runs take about {duration(sum(this.expected_s for this in runs))}")
    paper.command(f".venv/bin/lab batch {asked_as(thing)}")
