"""The command line: parses and calls.

Exit codes: 0 as expected, 10 other than expected, 11 unknown, 12 refused; 1 only for a bug of
ours, 2 only for usage.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab.errors import EXIT_UNKNOWN, DoesNotFit, LabError, told

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
console = Console(highlight=False, emoji=False)  # line 100 of a file, `:100:`, is no emoji
errors = Console(stderr=True, highlight=False, emoji=False)

Arms = Annotated[
    list[str] | None, typer.Option("--arm", help="backend[@version|@path][+option=value…]; several: repeat")
]
RunPath = Annotated[Path, typer.Argument(help="a run's directory", readable=False)]  # whether it is, we say
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="also write verdicts as JUnit XML")]
Summary = Annotated[
    Path | None, typer.Option("--summary", metavar="FILE", help="also append a Markdown table, as for GitHub")
]


@app.command("run")
def run_(
    experiment: Annotated[str, typer.Argument(help="a name in experiments/, or a path to a file")] = "gray-region",
    arm: Arms = None,
    runtime: Annotated[str, typer.Option(help="auto, docker, process")] = "auto",
    seed: Annotated[int, typer.Option(help="fixes every random choice")] = 1,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="as many seeds, from --seed on")] = 1,
    leaders_in: Annotated[
        str, typer.Option(help="home, faulted, elsewhere, any; several: comma; empty: as the file says")
    ] = "",
    topology: Annotated[str, typer.Option(help="put the question to this one; empty: as the file says")] = "",
    plan_only: Annotated[bool, typer.Option("--plan", help="say what would be done, and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="progress as JSON lines")] = False,
    junit: Junit = None,
    summary: Summary = None,
) -> None:
    """Run an experiment on each arm; ends with the reports' paths."""
    from lab import batch
    from lab.ci_files import CiFiles
    from lab.ledger import Forgetful
    from lab.many import Many

    planned = batch.plans(
        experiment,
        list(dict.fromkeys(arm or ["jetstream-stretched"])),
        runtime=runtime,
        seeds=list(batch.seeds(seed, repeats)),
        leaders_in=list(dict.fromkeys(filter(None, leaders_in.split(",")))) or [""],
        topology=topology,
    )
    written = CiFiles(junit, summary, f"Isolation Lab: {experiment}")
    written.check()
    many = Many(planned, console, errors, as_json=as_json)
    if plan_only:
        many.say()
        return
    batch.make_ready(planned, _aside)
    raise typer.Exit(many.make(Forgetful(), written, table=len(planned) > 1))


@app.command("batch")
def batch_(
    file: Annotated[str, typer.Argument(help="a name in experiments/, or a path to a batch file")],
    arm: Arms = None,
    runtime: Annotated[str, typer.Option(help="auto, docker, process")] = "auto",
    seed: Annotated[int | None, typer.Option(help="of every first run; left out: made from the UTC date")] = None,
    again: Annotated[bool, typer.Option("--again", help="begin anew, whatever was finished before")] = False,
    plan_only: Annotated[bool, typer.Option("--plan", help="say what would be done, and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="progress as JSON lines")] = False,
    junit: Junit = None,
    summary: Summary = None,
) -> None:
    """Run every experiment of a batch file, one after another; killed, it goes on where it stopped."""
    from lab import series
    from lab.ci_files import CiFiles
    from lab.many import Many

    asked = series.asked(file, arms=arm or [], runtime=runtime, seed=seed, again=again)
    written = CiFiles(junit, summary, f"Isolation Lab: {asked.name}, seed {asked.seed}")
    written.check()
    many = Many(asked.planned, console, errors, as_json=as_json)
    if plan_only:
        many.say()
        return
    asked.make_ready(_aside, again=again)
    with series.opened(asked, again=again) as ledger:
        _aside(asked.standing(ledger))
        try:
            raise typer.Exit(many.make(ledger, written, asked.keep_table, table=True, in_full=False))
        finally:
            if asked.left(ledger):
                _aside(f"{asked.standing(ledger)} The same command goes on from there.")


@app.command()
def report(path: RunPath) -> None:
    """Draw the notebook and page of a finished run again."""
    from lab import api, batch

    run = api.load(path)
    run.check()
    batch.rendered(run)
    console.print(batch.as_seen_from_here(path / "report.html"), soft_wrap=True)


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="runs' directories, or folders that hold runs", readable=False),
    ],
    pages: Annotated[bool, typer.Option("--pages/--no-pages", help="also draw notebook and page")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="a JSON line for each question")] = False,
) -> None:
    """Set finished runs of several arms beside each other, seed by seed."""
    from lab.beside import Beside
    from lab.comparison import named

    found = Beside(console, errors, as_json=as_json).say(named.found(runs, _aside), pages=pages)
    raise typer.Exit(0 if all(one.data.decides for one in found) else EXIT_UNKNOWN)


@app.command()
def judge(path: RunPath) -> None:
    """Judge an old run with today's definitions."""
    from lab import judge as judging
    from lab import reaper
    from lab import report as reports
    from lab.results import Run

    Run.at(path).check_writable()
    if reaper.running(path):
        raise DoesNotFit(f"the run in {path} is still under way; it is judged at its end.")

    run = judging.judge(path)
    console.print(reports.text(run, console.width))
    verdict = run.verdict
    for name, finding in verdict.checkers.items():
        console.print(
            f"{name}: {finding.verdict} (expected {finding.expected}). {' '.join(finding.why)}",
            soft_wrap=True,
        )
    if verdict.verdict == "unknown":
        raise typer.Exit(EXIT_UNKNOWN)
    raise typer.Exit(0 if verdict.as_expected else 10)


@app.command()
def index(
    folder: Annotated[
        Path | None, typer.Argument(help="where to look for runs; results/ if left out", readable=False)
    ] = None,
    save: Annotated[Path | None, typer.Option(help="also write the table to this JSON file")] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="as Markdown, with region × operation where seeds were repeated")
    ] = False,
) -> None:
    """All runs as one table, seeds of one experiment together."""
    from lab import index as indexing
    from lab import plan, reference
    from lab.results import write_json

    runs = indexing.runs(folder) if folder else reference.made_here(indexing.runs(plan.home() / "results"))
    found, left_out = indexing.readable(runs)
    for sentence in left_out:
        _aside(sentence)
    rows = indexing.table(found)
    if as_markdown:
        print(indexing.markdown(found))
    elif rows:
        console.print(indexing.text(rows, console.width))
    else:
        _aside("no judged run is there yet; `lab run` makes one.")
    if save:
        write_json(save, indexing.as_data(rows, indexing.about(found)))


@app.command("list")
def list_() -> None:
    """What there is: experiments, topologies, backends, faults; and how long experiments take."""
    from lab import show

    show.listing(console.width).print_to(console)


@app.command("show")
def show_(
    name: Annotated[str, typer.Argument(help="a name of `lab list`, kind/name, a measure, or a path to a YAML file")],
) -> None:
    """Tell what a thing means: an experiment with its line of time, a fault with its settings, …"""
    from lab import show

    for number, thing in enumerate(show.meant(name)):
        if number:
            console.print()
        show.page_of(thing, console.width).print_to(console)


@app.command()
def schema(
    name: Annotated[
        str, typer.Argument(help="topology, experiment, batch, measurements, verdict, repeats or comparison")
    ],
) -> None:
    """Print the JSON Schema of a file users write or read."""
    from lab.schemas import schema_of

    print(json.dumps(schema_of(name), indent=1, sort_keys=True))


@app.command()
def demo() -> None:
    """Draw a run that git keeps, as if it had just been made here; starts no server."""
    from lab import batch, judge, reference, report

    run = reference.copied()
    console.print(f"Drawing a run made before, on {run.arm}: seconds, no server is started …", soft_wrap=True)
    run = judge.judge(run.path)
    batch.rendered(run)
    console.print(report.text(run, console.width))
    for name in ("notebook.ipynb", "report.html"):
        console.print(f"{name.split('.')[0]}: {batch.as_seen_from_here(run.path / name)}", soft_wrap=True)


@app.command()
def keep(
    path: Annotated[Path, typer.Argument(help="a finished run's directory")],
    name: Annotated[str, typer.Argument(help="what `lab demo` shows is named demo")] = "demo",
) -> None:
    """Make a run a reference that git keeps: without logs, configuration, renderings and private facts."""
    from lab import api, batch, reference

    console.print(batch.as_seen_from_here(reference.keep(api.load(path), name)), soft_wrap=True)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="a JSON line for each check")] = False) -> None:
    """Tell within half a minute whether this machine can run the lab, and what mends what is missing."""
    from dataclasses import asdict

    from lab import doctor as doctors

    found = []
    for one in doctors.examine(lambda sentence: errors.print(sentence, soft_wrap=True, markup=False)):
        found.append(one)
        if as_json:
            print(json.dumps({"what": "check", **asdict(one)}), flush=True)
        else:
            doctors.tell(console, one)
    code = doctors.exit_code(found)
    if as_json:
        print(json.dumps({"what": "doctor", "exit_code": code}), flush=True)
    else:
        console.print(doctors.conclusion(code), soft_wrap=True)
    raise typer.Exit(code)


@app.command()
def images(
    program: Annotated[
        list[str] | None,
        typer.Argument(metavar="PROGRAM[@VERSION]...", help="nats-server@2.10.26, syncstore …; all if left out"),
    ] = None,
) -> None:
    """Make the container images that runs on the docker runtime need; where they are there, say so."""
    from lab import images as making

    for image in making.ready(program or making.PROGRAMS, _aside):
        console.print(making.line(image), soft_wrap=True)


@app.command()
def export(
    experiment: Annotated[str, typer.Argument(help="a name in experiments/, or a path to a file")],
    as_compose: Annotated[bool, typer.Option("--compose", help="a compose file, for one machine")] = False,
    as_stack: Annotated[
        bool, typer.Option("--stack", help="a Swarm stack, nodes placed by the label region=…")
    ] = False,
    arm: Annotated[str, typer.Option(help="backend[@version|@image:…][+option=value…]")] = "jetstream-stretched",
    topology: Annotated[str, typer.Option(help="put the question to this one; empty: as the file says")] = "",
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="exports/EXPERIMENT-BACKEND-KIND if left out")
    ] = None,
    local_images: Annotated[
        bool, typer.Option("--local-images", help="those that `lab images` makes, instead of official ones")
    ] = False,
    one_node: Annotated[bool, typer.Option("--one-node", help="a stack without placement by label")] = False,
) -> None:
    """Write an experiment's topology as a folder that starts without the lab, and how to harm it by hand."""
    from lab import batch, plan
    from lab.export import images as choosing
    from lab.export import model, write

    if as_compose == as_stack or (one_node and not as_stack):
        raise typer.BadParameter("say either --compose or --stack; --one-node goes with --stack.")
    planned = plan.make(experiment, arm=arm, runtime="process", topology=topology)  # as far as links and nodes go
    kind = "compose" if as_compose else "stack"
    folder = to or plan.home() / "exports" / f"{planned.experiment.name}-{planned.arm.slug}-{kind}"
    write.check(folder)
    found = model.described(planned, choosing.local(planned, _aside) if local_images else choosing.official(planned))
    write.write(folder, write.as_compose(found) if as_compose else write.as_stack(found, one_node=one_node))
    console.print(batch.as_seen_from_here(folder / write.HOW), soft_wrap=True)


@app.command()
def clean() -> None:
    """End what killed runs left behind; runs that are under way are spared."""
    from lab import reaper

    ended = reaper.clean()
    console.print(f"{ended.processes} leftover processes ended.")
    if ended.containers or ended.networks:
        console.print(f"{ended.containers} leftover containers and {ended.networks} networks removed.")


def _aside(sentence: str) -> None:
    """A sentence that is no result, so not on stdout."""
    errors.print(sentence, soft_wrap=True, markup=False)


class _Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Not KeyboardInterrupt, of which typer makes an exit code of its own."""


def _interrupt(*_: object) -> None:
    raise _Interrupted


def main() -> None:
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _interrupt)
    try:
        app()
    except (LabError, OSError) as error:
        sentence, code = told(error)
        errors.print(sentence, style="bold red", soft_wrap=True, markup=False)
        sys.exit(code)
    except _Interrupted:
        from lab import reaper

        left = any(reaper.marked())
        said = "something of a run is still there: `lab clean` ends it." if left else "everything was healed and ended."
        errors.print(f"interrupted; {said}", markup=False)
        sys.exit(EXIT_UNKNOWN)


if __name__ == "__main__":
    main()
