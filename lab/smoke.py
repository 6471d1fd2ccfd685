"""The smoke test of `lab doctor`: two servers, 50 ms between them, and two faults that bite and heal.

A process of its own (`python -m lab.smoke DIRECTORY`), as a run is: its stdin is its lifeline, a
reaper stands by, and everything it starts carries its mark. It prints a JSON line for each step,
`{"name": …, "state": "fine" | "failed", "found": …}`, and ends at the first that fails.

Its files lie in DIRECTORY/nodes, since that is what the reaper removes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from statistics import median

from lab import files, observe, plan, reaper
from lab.books import Books
from lab.clock import NS_PER_S, now_ns
from lab.deploy import deployed
from lab.errors import LabError, OperationError, RunBroken
from lab.events import Event, Note, WitnessReading
from lab.experiment import Experiment
from lab.nemesis import Nemesis
from lab.plan import Plan, PlannedFault
from lab.protocols import Addresses, Client, Cut, Deployment, Impairment, Latency, RunFiles, Witness
from lab.topology import Link, Topology

RTT_MS, ADDED_MS = 50.0, 200.0
WITHIN_MS = 15.0  # of what a link should take; attesting is stricter, these are single readings
CALLS_WITHIN_S, FAULT_WITHIN_S, HEALED_WITHIN_S, GONE_WITHIN_S = 10.0, 10.0, 5.0, 5.0
ARM = "jetstream-stretched"
TOPOLOGY = {"name": "doctor", "regions": {"a": {"nodes": 1}, "b": {"nodes": 1}}, "rtt_ms": {"a-b": RTT_MS}}
FAULTS = [
    {"latency": {"region": "b", "add_ms": ADDED_MS}, "for_s": 1.5},
    {"partition": {"region": "b", "how": "stall"}, "for_s": 2.0},
]


def planned(directory: Path) -> Plan:
    """The plan of the smoke test; its two files are written into `directory`."""
    topology, experiment = directory / "topology.yaml", directory / "experiment.yaml"
    files.dump(Topology.model_validate(TOPOLOGY), topology)
    said = {"name": "doctor", "topology": str(topology), "leaders_in": "any", "faults": FAULTS}
    files.dump(Experiment.model_validate(said), experiment)
    return plan.make(experiment, arm=ARM, runtime="process")


class Told:
    """Prints the steps; `step` is the one under way, to which a failure belongs."""

    step = "servers"

    def fine(self, found: str, following: str = "") -> None:
        self._say("fine", found)
        self.step = following

    def failed(self, found: str) -> None:
        self._say("failed", found)

    def _say(self, state: str, found: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # nobody listens any longer: what was begun is ended
            print(json.dumps({"name": self.step, "state": state, "found": found}), flush=True)


async def conduct(this: Plan, directory: Path, told: Told) -> None:
    """up → link → client → latency → cut → down. Raises LabError or OperationError at what fails."""
    begun_s = time.monotonic()
    runtime = plan.runtime_of(this, RunFiles(directory))
    async with deployed(this, runtime, plan.network_of(this)) as deployment:
        servers = " and ".join([*this.backend.programs(), plan.TOXIPROXY])
        told.fine(f"{servers} were up after {time.monotonic() - begun_s:.1f} s", "link")
        with Books(directory) as books:
            async with observe.observed(deployment, books):
                rtt_ms = sum(median(books.attested[str(link)]) for link in this.topology.links)
                told.fine(f"{rtt_ms:.1f} ms there and back, asked for {RTT_MS:g} ms", "client")
                told.fine(await _put_and_get(deployment), "latency")
                latency, partition = this.faults
                told.fine(await _bites_and_heals(deployment, latency), "cut")
                told.fine(await _bites_and_heals(deployment, partition), "left")
    await _nothing_left(directory, deployment.addresses)
    told.fine("no process is left, and no port")


# -- steps ----------------------------------------------------------------------------------------


async def _put_and_get(deployment: Deployment) -> str:
    """A record written in one region and read in the other."""
    home, other = deployment.topology.region_names
    writer, reader = _client(deployment, home), _client(deployment, other)
    entry = None
    try:
        async with asyncio.timeout(CALLS_WITHIN_S):
            await asyncio.gather(writer.connect(), reader.connect())
            begun_s = time.monotonic()
            await writer.put(home, "doctor", "well")
            took_ms = (time.monotonic() - begun_s) * 1000
            while entry is None:  # the reader's replica may be a moment behind
                entry = await reader.get(home, "doctor")
    except TimeoutError:
        raise RunBroken(f"a put in {home} and a get in {other} did not end within {CALLS_WITHIN_S:g} s.") from None
    finally:
        await asyncio.gather(writer.close(), reader.close(), return_exceptions=True)
    if entry.value != "well":
        raise RunBroken(f"a get in {other} shows {entry.value!r}, expected 'well' as it was put in {home}.")
    return f"a put in {home} took {took_ms:.0f} ms, and a get in {other} shows it"


def _client(deployment: Deployment, region: str) -> Client:
    spec = deployment.backend.client(deployment.addresses, deployment.topology, region)
    module, _, name = spec.factory.partition(":")
    client: Client = getattr(import_module(module), name)(spec)
    return client


async def _bites_and_heals(deployment: Deployment, fault: PlannedFault) -> str:
    """In force, every witness must read what its link suffers; after the heal, what the link is."""
    read: dict[Link, WitnessReading] = {}
    notes: list[str] = []

    def record(event: Event) -> None:
        if isinstance(event, WitnessReading):
            read[Link(event.source, event.target)] = event
        elif isinstance(event, Note):
            notes.append(event.text)

    nothing: dict[Link, Impairment] = dict.fromkeys(fault.impairments, Latency(0))
    witnesses = [deployment.network.witness(link, record) for link in fault.impairments]
    nemesis, begin_ns = Nemesis(deployment, record), now_ns()
    applied = asyncio.create_task(nemesis.run([fault], begin_ns, begin_ns + int(FAULT_WITHIN_S * NS_PER_S)))
    try:
        while not (nemesis.in_force or applied.done()):
            await asyncio.sleep(0.01)
        await _probe(witnesses)
        in_force = _words(read)
        bit = _reads_as(read, fault.impairments, deployment.topology)
        await applied
        deadline_ns = now_ns() + int(HEALED_WITHIN_S * NS_PER_S)
        await _probe(witnesses)
        while not (healed := _reads_as(read, nothing, deployment.topology)) and now_ns() < deadline_ns:
            await _probe(witnesses)
    finally:
        applied.cancel()
        await asyncio.wait({applied})
        await asyncio.gather(*(witness.close() for witness in witnesses), return_exceptions=True)
    if notes:
        raise RunBroken(f"{'; '.join(notes)}.")
    if not bit:
        raise RunBroken(f"{fault.label} was entered, but its links read {in_force}.")
    if not healed:
        raise RunBroken(f"{fault.label} has left, but after {HEALED_WITHIN_S:g} s its links read {_words(read)}.")
    return f"bites ({in_force}) and heals ({_words(read)})"


async def _probe(witnesses: list[Witness]) -> None:
    await asyncio.gather(*(witness.probe("run") for witness in witnesses))


def _reads_as(read: Mapping[Link, WitnessReading], harms: Mapping[Link, Impairment], topology: Topology) -> bool:
    """Whether every link reads as it should under its harm."""
    for link, harm in harms.items():
        if isinstance(harm, Cut):
            if read[link].answer != "silent":
                return False
        elif isinstance(harm, Latency):
            wanted_ms = topology.one_way_ms(link) + harm.ms
            if read[link].answer != "ok" or abs(read[link].delay_ms - wanted_ms) > WITHIN_MS:
                return False
    return True


def _words(read: Mapping[Link, WitnessReading]) -> str:
    """`a->b 225 ms, b->a 226 ms`; `a->b silent`."""
    return ", ".join(
        f"{link} {f'{reading.delay_ms:.0f} ms' if reading.answer == 'ok' else reading.answer}"
        for link, reading in sorted(read.items())
    )


async def _nothing_left(directory: Path, addresses: Addresses) -> None:
    """Processes may take a moment to be gone."""
    deadline_s = time.monotonic() + GONE_WITHIN_S
    while left := [*_processes(directory), *_listening(addresses)]:
        if time.monotonic() > deadline_s:
            raise RunBroken(f"{GONE_WITHIN_S:g} s after the end these are left: {', '.join(left)}.")
        await asyncio.sleep(0.1)


def _processes(directory: Path) -> list[str]:
    return [f"process {process.pid}" for process, _ in reaper.marked(directory) if process.pid != os.getpid()]


def _listening(addresses: Addresses) -> list[str]:
    """The ports of the deployment that still answer."""
    found = []
    groups = (addresses.listen.values(), addresses.proxies.values(), addresses.witnesses.values())
    for address in [address for group in groups for address in group] + [addresses.toxiproxy]:
        host, _, port = address.rpartition(":")
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                found.append(f"port {port}")
    return found


# -- the process ----------------------------------------------------------------------------------


async def _main(directory: Path, told: Told) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def lifeline() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended by itself
            loop.call_soon_threadsafe(task.cancel)

    threading.Thread(target=lifeline, daemon=True).start()
    try:
        await conduct(planned(directory), directory, told)
    except LabError as error:
        told.failed(str(error).rstrip("."))
        return error.exit_code
    except OperationError as error:
        told.failed(f"the servers answer {error.code}")
        return RunBroken.exit_code
    return 0


def main() -> int:
    marked = Path(sys.argv[1]).resolve()
    directory = marked / "nodes"
    directory.mkdir()
    os.environ[reaper.MARK] = str(marked)
    watcher = reaper.start(marked)
    try:
        return asyncio.run(_main(directory, Told()))
    except asyncio.CancelledError:  # whoever started it is gone, and can't remove this folder any more
        shutil.rmtree(marked, ignore_errors=True)
        return RunBroken.exit_code
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()


if __name__ == "__main__":
    sys.exit(main())
