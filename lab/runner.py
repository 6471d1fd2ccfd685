"""One run, from the first process to the verdict. `conduct` is the whole procedure.

A process of its own (`python -m lab.runner DIRECTORY`), so that a killed notebook kernel never
leaves harm behind. Its stdin is its lifeline: when that closes, the run heals, is collected,
judged `unknown`, and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from lab import environment, judge, observe, plan, reaper
from lab.books import Books
from lab.clock import NS_PER_S, now_ns, sleep_until
from lab.crew import Crew, Hand, ProcessHand, TaskHand
from lab.deploy import deployed
from lab.errors import EXIT_UNKNOWN, LabError, RunBroken
from lab.events import Connections, Note, Phase
from lab.nemesis import Nemesis
from lab.plan import Plan
from lab.protocols import (
    Backend,
    ComparesReplicas,
    CountsConnections,
    Deployment,
    PlacesLeaders,
    ReadsLogs,
    RunFiles,
)
from lab.task import Task

LEAD_IN_S = 0.5  # from the order to begin to the first operation, so that all workers have heard it
QUIET_WITHIN_S = 10.0
OPEN_FILES = 16_384
ROUTES_WITHIN_S, ROUTES_SEEN = 30.0, 2  # after the heal; in a row


async def conduct(this: Plan, directory: Path, books: Books) -> None:
    """deploy → attest → steady → fault → recovery → settle; everything is down when it returns."""
    runtime = plan.runtime_of(this, RunFiles(directory))
    books.phase("deploy", this.expected_s)
    async with deployed(this, runtime, plan.network_of(this), books.stayed) as deployment:
        try:
            async with _crew(this, deployment, directory, books) as crew, observe.observed(deployment, books):
                books.phase("prepare")
                books.record(Note(at_ns=now_ns(), name="tells", text=" ".join(_tells(this.backend))))
                await crew.all("prepare")
                await _place_leaders(this, deployment)
                if round_it := await _look_for_bypass(deployment, books):
                    raise RunBroken(f"{round_it[0]}. Nothing was harmed yet.")
                await _load(this, deployment, crew, books)
                await _settle(deployment, crew, books)
        finally:
            _keep_logs(deployment, books)


async def _load(this: Plan, deployment: Deployment, crew: Crew, books: Books) -> None:
    """Workers drive, the nemesis harms, and the phases are marked, all on one clock."""
    phases = this.experiment.phases
    steady_ns = now_ns() + int(LEAD_IN_S * NS_PER_S)
    fault_ns = steady_ns + int(phases.steady_s * NS_PER_S)
    recovery_ns = fault_ns + int(phases.fault_s * NS_PER_S)
    settle_ns = recovery_ns + int(phases.recovery_s * NS_PER_S)
    nemesis = Nemesis(deployment, books.record)
    books.in_force = nemesis.in_force

    async def announce() -> None:
        """Each phase is recorded when it begins: one that a broken run never reached isn't in its history."""
        for name, at_ns in (
            ("steady", steady_ns),
            ("fault", fault_ns),
            ("recovery", recovery_ns),
            ("settle", settle_ns),
        ):
            await sleep_until(at_ns)
            books.record(Phase(at_ns=at_ns, phase=name))
            if name != "settle":  # which tells of itself
                books.phase(name, (settle_ns - at_ns) / NS_PER_S)

    async def harm() -> None:
        await sleep_until(fault_ns - NS_PER_S)
        await _count_connections(deployment, books)
        await nemesis.run(this.faults, fault_ns, recovery_ns)
        books.healed_ns = now_ns()
        await _routes_back(deployment, books)

    async with asyncio.TaskGroup() as group:
        group.create_task(announce())
        group.create_task(harm())
        group.create_task(crew.all("load", start_at_ns=steady_ns))
        # the group would wait for the guard, which never ends; it ends when the load is over
        group.create_task(_until(settle_ns, observe.guard(deployment, books)))


async def _settle(deployment: Deployment, crew: Crew, books: Books) -> None:
    """No load: wait for rest, read everything back, compare replicas, look at routes again."""
    books.phase("settle")
    deadline_ns = now_ns() + int(QUIET_WITHIN_S * NS_PER_S)
    while not await deployment.backend.quiet(deployment) and now_ns() < deadline_ns:
        await asyncio.sleep(0.2)
    await crew.all("settle")
    if isinstance(deployment.backend, ComparesReplicas):
        for replica in await deployment.backend.replicas(deployment):
            books.record(replica)
    await _look_for_bypass(deployment, books)
    books.look_at_the_clock()
    books.record(Phase(at_ns=now_ns(), phase="end"))


# -- steps ----------------------------------------------------------------------------------------


def _tells(backend: Backend) -> list[str]:
    """What the history must hold of this backend; where it is absent all the same, the run is unknown."""
    able = {
        "leaders": isinstance(backend, PlacesLeaders),
        "connections": isinstance(backend, CountsConnections),
        "bucket_revisions": backend.bucket_revisions,
    }
    return [name for name, can in able.items() if can]


async def _place_leaders(this: Plan, deployment: Deployment) -> None:
    wanted = this.leaders_wanted()
    if wanted and isinstance(deployment.backend, PlacesLeaders):
        await deployment.backend.place_leaders(deployment, wanted)


async def _look_for_bypass(deployment: Deployment, books: Books) -> list[str]:
    found = await deployment.runtime.crossings()
    for sentence in found:
        books.record(Note(at_ns=now_ns(), name="bypass", text=sentence))
    return found


async def _count_connections(deployment: Deployment, books: Books) -> None:
    """What every pair of nodes holds before the fault."""
    if isinstance(deployment.backend, CountsConnections):
        books.connections = await deployment.backend.connections(deployment)
        _record_connections(books, books.connections, "entered")


async def _routes_back(deployment: Deployment, books: Books) -> None:
    """As many connections per pair as before the fault, at the latest 30 s after the heal; seen twice
    in a row, since both ends dial, and one of two that met is closed again."""
    if not isinstance(deployment.backend, CountsConnections):
        return
    counts: dict[tuple[str, str], int] = {}
    in_a_row = 0
    while now_ns() < books.healed_ns + int(ROUTES_WITHIN_S * NS_PER_S):
        counts = await deployment.backend.connections(deployment)
        back = all(counts.get(pair, 0) >= count for pair, count in books.connections.items())
        in_a_row = in_a_row + 1 if back else 0
        if in_a_row == ROUTES_SEEN:
            break
        await asyncio.sleep(1)
    _record_connections(books, counts, "settled")


def _record_connections(books: Books, counts: dict[tuple[str, str], int], when: str) -> None:
    at_ns = now_ns()
    for (node, peer), count in counts.items():
        books.record(Connections(at_ns=at_ns, node=node, peer=peer, count=count, when=when))


def _keep_logs(deployment: Deployment, books: Books) -> None:
    """The telling lines of every node's log, placed on the run's clock."""
    if isinstance(deployment.backend, ReadsLogs):
        for node in deployment.topology.nodes:
            lines = deployment.runtime.logs(node.name)
            for sample in deployment.backend.notable(node.name, node.region, lines, books.pair):
                books.sample(sample)


async def _until(at_ns: int, forever: Coroutine[Any, Any, None]) -> None:
    """Run something that never ends until an instant; its own errors come through."""
    task = asyncio.create_task(forever)
    await asyncio.wait({task}, timeout=max(0.0, (at_ns - now_ns()) / NS_PER_S))
    if task.done():
        task.result()
    task.cancel()
    await asyncio.wait({task})


def _crew(this: Plan, deployment: Deployment, directory: Path, books: Books) -> Crew:
    """One worker a region; as tasks where the whole run is in memory."""
    topology, hands = this.topology, list[Hand]()
    (directory / "logs").mkdir(exist_ok=True)
    for region in topology.regions:
        task = Task(
            region=region,
            regions=list(topology.regions),
            seed=this.seed,
            load_s=this.experiment.phases.load_s,
            client=deployment.backend.client(deployment.addresses, topology, region),
            workload=(plan.workload_factory(this.experiment), dict(this.experiment.workload.settings)),
            events=str(directory / f"events-{region}.jsonl"),
        )
        log = directory / "logs" / f"worker-{region}.log"
        hands.append(TaskHand(task, books.heard) if this.runtime == "memory" else ProcessHand(task, books.heard, log))
    return Crew(hands)


# -- the process ----------------------------------------------------------------------------------


async def run(this: Plan, directory: Path) -> None:
    """Conduct, collect, judge; whatever breaks is written down, and the run is `unknown`."""
    environment.begin(this, directory)
    broken: BaseException | None = None
    with Books(directory) as books:
        try:
            await conduct(this, directory, books)
        except BaseExceptionGroup as group:
            broken = _first(group)
        except BaseException as error:  # a bug of ours too: what was recorded is judged before it is raised
            broken = error
        if broken is not None:
            books.broke(broken)
    environment.end(directory)
    books.progress("judge")
    await asyncio.to_thread(_finish, directory)
    books.progress("done", broken=str(broken) if broken is not None else "")
    if broken is not None and not isinstance(broken, (LabError, OSError, asyncio.CancelledError)):
        raise broken


def _finish(directory: Path) -> None:
    judge.collect(directory)
    judge.judge(directory)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error a task group died of."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _main(directory: Path) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        if not task.cancelling():
            task.cancel()

    def lifeline() -> None:
        while os.read(sys.stdin.fileno(), 4096):  # not sys.stdin: its lock would abort the interpreter's end
            pass
        with contextlib.suppress(RuntimeError):  # the loop is closed: the run has ended by itself
            loop.call_soon_threadsafe(interrupt)

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupt)
    threading.Thread(target=lifeline, daemon=True).start()
    work = asyncio.ensure_future(run(Plan.load(directory), directory))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        work.cancel()  # once: what follows the interruption runs to its end
        await asyncio.wait({work})
        work.result()


def _raise_file_limit() -> None:
    """Nodes inherit the limit; Toxiproxy alone holds two descriptors per connection it carries."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    directory = Path(sys.argv[1]).resolve()
    os.environ[reaper.MARK] = str(directory)
    _raise_file_limit()
    watcher = reaper.start(directory)
    try:
        asyncio.run(_main(directory))
    except LabError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{directory} can't be written: {error.strerror}; what was recorded is kept.", file=sys.stderr)
        return EXIT_UNKNOWN
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
