"""Applies the planned faults on schedule, writes down when each bit and when it let go, and
always heals: leaving a fault runs to its end even when the run is cancelled in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from lab.books import read_nodes
from lab.clock import NS_PER_S, now_ns, sleep_until
from lab.errors import NetworkBroken
from lab.events import Event, FaultMark, Note
from lab.plan import PlannedFault
from lab.protocols import Deployment


class Nemesis:
    """`in_force` names the faults that are biting now, for whoever watches."""

    def __init__(self, deployment: Deployment, record: Callable[[Event], None]) -> None:
        self._deployment, self._record = deployment, record
        self.in_force: list[str] = []

    async def run(self, faults: Sequence[PlannedFault], begin_ns: int, end_ns: int) -> None:
        """All faults, each at its own time; every heal begins by `end_ns`, or as soon as its fault is in force."""
        async with asyncio.TaskGroup() as group:
            for index, fault in enumerate(faults):
                group.create_task(self._one(index, fault, begin_ns, end_ns))

    async def _one(self, index: int, planned: PlannedFault, begin_ns: int, end_ns: int) -> None:
        for pulse, (enter_s, leave_s) in enumerate(planned.pulses):
            enter_ns, leave_ns = (begin_ns + int((planned.at_s + s) * NS_PER_S) for s in (enter_s, leave_s))
            await sleep_until(enter_ns)
            await self._pulse(index, pulse, planned, min(leave_ns, end_ns))

    async def _pulse(self, index: int, pulse: int, planned: PlannedFault, leave_ns: int) -> None:
        def mark(state: str) -> None:
            self._record(
                FaultMark(
                    at_ns=now_ns(),
                    index=index,
                    fault=planned.kind,
                    state=state,
                    targets=list(planned.fault.targets),
                    links={str(link): harm.as_event() for link, harm in planned.impairments.items()},
                    nodes=dict(planned.nodes),
                    pulse=pulse,
                )
            )

        mark("entering")
        try:
            async with planned.fault.apply(self._deployment, planned.impairments):
                mark("entered")
                await read_nodes(self._deployment.runtime, self._record)
                await self._read_back(planned)
                self.in_force.append(planned.label)
                try:
                    await sleep_until(leave_ns)
                finally:
                    self.in_force.remove(planned.label)
                    mark("leaving")
        except NetworkBroken as error:
            self._record(Note(at_ns=now_ns(), name="broken", text=f"{planned.label} did not heal: {error}"))
            raise
        except BaseException:  # cancelled in the middle, and healed on the way out
            mark("left")
            raise
        mark("left")
        await read_nodes(self._deployment.runtime, self._record)
        await self._read_back(planned)

    async def _read_back(self, planned: PlannedFault) -> None:
        """Every proxy must now bear exactly what it should; faults that overlap get a moment."""
        problems: list[str] = []
        for _ in range(3):
            problems = await self._deployment.network.verify()
            if not problems:
                return
            await asyncio.sleep(0.2)
        text = f"the network is not as told around {planned.label}: {'; '.join(problems[:5])}"
        self._record(Note(at_ns=now_ns(), name="broken", text=text))
