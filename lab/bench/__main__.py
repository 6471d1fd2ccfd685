"""The command: `python -m lab.bench [--rows 1,2] [--quick] [--json FILE]`.

Exit codes: 0 measured, whatever the bars say; 11 a row could not be measured; 12 refused; 2 usage. What is
started carries a mark that this process has from its begin (it starts itself once more for that), and a
reaper stands by: killed in whatever way, nothing stays behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console

from lab import plan, reaper
from lab.bench import about, table
from lab.bench.conduct import NODES, Bench, conduct, titles
from lab.bench.rows import ROWS
from lab.bench.sizes import FULL, QUICK
from lab.errors import EXIT_EXPECTED, EXIT_UNKNOWN, LabError, Refused, told

INTERRUPTED = 130
WIDTH = 100
REAPED_WITHIN_S = 30.0


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """rows: a list of numbers. Ends the process with 2 for what can't be meant."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.bench",
        description="SyncStore side by side with JetStream; about a quarter of an hour. Leave the machine alone "
        "meanwhile. Writes results/bench/<time>/bench.json and bench.md.",
    )
    known = ",".join(map(str, ROWS))
    parser.add_argument(
        "--rows", type=_rows, default=list(ROWS), metavar="LIST", help=f"some of {known} (default: all)"
    )
    parser.add_argument("--quick", action="store_true", help="short and small: whether it works, no numbers to keep")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    return parser.parse_args(arguments)


def _rows(text: str) -> list[int]:
    """Each once, in order."""
    chosen = {one.strip() for one in text.split(",") if one.strip()}
    if unknown := sorted(chosen - set(map(str, ROWS))):
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(unknown)}; there are {', '.join(map(str, ROWS))}")
    return sorted(map(int, chosen)) or list(ROWS)


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    try:
        if reaper.MARK not in os.environ:
            _again(arguments, new_directory(plan.home() / "results" / "bench"))
        return run(options, Path(os.environ[reaper.MARK]))
    except LabError as error:
        sentence, code = told(error)
        print(f"bench: {sentence}", file=sys.stderr)
        return code


def new_directory(root: Path) -> Path:
    """Of this benchmark. Raises Refused."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    try:
        root.mkdir(parents=True, exist_ok=True)
        for name in (stamp, *(f"{stamp}-{number}" for number in range(2, 100))):
            with contextlib.suppress(FileExistsError):
                (root / name).mkdir()
                return (root / name).resolve()
    except OSError as error:
        raise Refused(f"results can't be written below {root}: {error.strerror}; free space there.") from error
    raise Refused(f"{root} already holds a hundred benchmarks of this second; wait a moment.")


def _again(arguments: list[str], directory: Path) -> None:
    """This process anew, with the mark in its environment, where `lab clean` looks for it."""
    environment = {**os.environ, reaper.MARK: str(directory), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    os.execve(sys.executable, [sys.executable, "-m", "lab.bench", *arguments], environment)


def run(options: argparse.Namespace, directory: Path) -> int:
    (directory / NODES).mkdir(exist_ok=True)
    watcher = reaper.start(directory)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            bench = runner.run(_main(options, directory))
    except (KeyboardInterrupt, asyncio.CancelledError):
        kept = directory / "bench.md"
        what = f"the rows measured till then are in {kept}" if kept.is_file() else "no row was measured to its end"
        print(f"bench: interrupted; {what}.", file=sys.stderr)
        return INTERRUPTED
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
        watcher.wait(REAPED_WITHIN_S)
    width = min(WIDTH, Console().width)
    Console(width=width, highlight=False).print(table.shown(bench.lines, titles(), about.sentences(bench.told)))
    print(f"\n{directory}/bench.md and bench.json")
    return EXIT_UNKNOWN if bench.broken else EXIT_EXPECTED


async def _main(options: argparse.Namespace, directory: Path) -> Bench:
    task, began = asyncio.current_task(), time.monotonic()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    return await conduct(options.rows, QUICK if options.quick else FULL, directory, options.json, say)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
