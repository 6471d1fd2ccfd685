"""The command line: parses and calls.

Exit codes: 0 as expected, 10 other than expected, 11 unknown, 12 refused; 1 only for a bug of
ours, 2 only for usage.
"""

from __future__ import annotations

import errno
import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lab.errors import EXIT_REFUSED, EXIT_UNKNOWN, DoesNotFit, LabError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Arms = Annotated[
    list[str] | None, typer.Option("--arm", help="backend[@version|@path][+option=value…]; several: repeat")
]


@app.command("run")
def run_(
    experiment: Annotated[str, typer.Argument(help="a name in experiments/, or a path to a file")] = "gray-region",
    arm: Arms = None,
    runtime: Annotated[str, typer.Option(help="auto, process")] = "auto",
    seed: Annotated[int, typer.Option(help="fixes every random choice")] = 1,
    repeats: Annotated[int, typer.Option(min=1, max=1000, help="as many seeds, from --seed on")] = 1,
    leaders_in: Annotated[
        str, typer.Option(help="home, faulted, elsewhere, any; several: comma; empty: as the file says")
    ] = "",
    plan_only: Annotated[bool, typer.Option("--plan", help="say what would be done, and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="progress as JSON lines")] = False,
) -> None:
    """Run an experiment on each arm; ends with the reports' paths."""
    from lab import batch, report
    from lab.results import Run
    from lab.screen import Screen

    planned = batch.plans(
        experiment,
        arm or ["jetstream-stretched"],
        runtime=runtime,
        seeds=list(batch.seeds(seed, repeats)),
        leaders_in=leaders_in.split(",") if leaders_in else [""],
    )
    outcomes: list[batch.Outcome] = []
    for this in planned:
        if not as_json:
            console.print("\n".join(this.sentences()))
        if plan_only:
            if as_json:
                print(json.dumps(this.as_json(), sort_keys=True))
            continue
        with Screen(console, this.expected_s, as_json=as_json) as screen:
            outcome = batch.execute(this, screen.update, screen.say)
        outcomes.append(outcome)
        if not as_json:
            run = Run(Path(outcome.path))
            console.print()
            console.print(report.text(run, console.width))
            for name in ("notebook.ipynb", "report.html"):
                if (run.path / name).exists():
                    console.print(f"{name.split('.')[0]}: {batch.as_seen_from_here(run.path / name)}", soft_wrap=True)
            console.print()
    if plan_only:
        return
    code = batch.exit_code([outcome.exit_code for outcome in outcomes])
    batch.save(outcomes, code)
    if as_json:
        print(json.dumps({"what": "outcomes", "exit_code": code, "runs": [vars(one) for one in outcomes]}))
    elif len(outcomes) > 1:
        console.print(_outcomes(outcomes))
    raise typer.Exit(code)


@app.command()
def report(path: Annotated[Path, typer.Argument(help="a run's directory")]) -> None:
    """Draw the notebook and page of a finished run again."""
    from lab import api, batch

    batch.rendered(api.load(path))
    console.print(batch.as_seen_from_here(path / "report.html"), soft_wrap=True)


@app.command()
def judge(path: Annotated[Path, typer.Argument(help="a run's directory")]) -> None:
    """Judge an old run with today's definitions."""
    from lab import judge as judging
    from lab import reaper
    from lab import report as reports

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
    folder: Annotated[Path | None, typer.Argument(help="where to look for runs; results/ if left out")] = None,
    save: Annotated[Path | None, typer.Option(help="also write the table to this JSON file")] = None,
) -> None:
    """All runs as one table, seeds of one experiment together."""
    from lab import index as indexing
    from lab import plan
    from lab.results import write_json

    found = indexing.runs(folder or plan.home() / "results")
    rows = indexing.table(found)
    table = Table(*indexing.HEAD, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if save:
        write_json(save, indexing.as_data(rows, indexing.about(found)))


@app.command("list")
def list_() -> None:
    """What there is: experiments, topologies, backends, faults."""
    from lab import plan

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for row in plan.inventory():
        table.add_row(*row)
    console.print(table)


@app.command()
def schema(
    name: Annotated[str, typer.Argument(help="topology, experiment, measurements or verdict")],
) -> None:
    """Print the JSON Schema of a file users write or read."""
    from lab.schemas import schema_of

    print(json.dumps(schema_of(name), indent=1, sort_keys=True))


@app.command()
def clean() -> None:
    """End what killed runs left behind; runs that are under way are spared."""
    from lab import reaper

    console.print(f"{reaper.clean()} leftover processes ended.")


def _outcomes(outcomes: list[Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("experiment", "arm", "seed", "leaders in", "verdict", "expected"):
        table.add_column(name)
    for one in outcomes:
        expected = "as expected" if one.as_expected else "no"
        table.add_row(one.experiment, one.arm, str(one.seed), one.leaders_in, one.verdict, expected)
    return table


class _Interrupted(BaseException):
    """Ctrl-C or SIGTERM. Not KeyboardInterrupt, of which typer makes an exit code of its own."""


def _interrupt(*_: object) -> None:
    raise _Interrupted


def main() -> None:
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _interrupt)
    try:
        app()
    except LabError as error:
        errors.print(str(error), style="bold red", soft_wrap=True, markup=False)
        sys.exit(error.exit_code)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        errors.print(f"the system refuses: {error.strerror}{where}.", style="bold red", soft_wrap=True, markup=False)
        sys.exit(EXIT_UNKNOWN if error.errno == errno.ENOSPC else EXIT_REFUSED)
    except _Interrupted:
        from lab import reaper

        left = any(reaper.marked())
        said = "something of a run is still there: `lab clean` ends it." if left else "everything was healed and ended."
        errors.print(f"interrupted; {said}", markup=False)
        sys.exit(EXIT_UNKNOWN)


if __name__ == "__main__":
    main()
