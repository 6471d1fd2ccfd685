"""How an acceptor without a memory gets one: it copies the registers of enough others, in bounded pieces.

Owns both sides of copying. Knows nothing of rounds.

It is enough that each register is read once from each source, at any time: a source remembers the new
seat (durably) before its first answer, and states it in every later vote, beside which an older vote of
the copier's name does not count; what it had voted before, the copy holds.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.syncstore import register_entries as entries
from lab.syncstore.acceptor import Acceptor
from lab.syncstore.paxos import CopyAsk, CopyPart, Key, Voter
from lab.syncstore.register_seat import Seat

PIECE_BYTES = 256 * 1024


class Source:
    """Answers copiers. A copier's list of registers is made at its first question and kept till its last."""

    def __init__(self, seat: Seat, acceptor: Acceptor, piece: int) -> None:
        """piece: registers in one answer at most."""
        self._seat, self._acceptor, self._piece = seat, acceptor, piece
        self._lists: dict[str, tuple[str, list[Key]]] = {}

    def asked(self, node: str, ask: CopyAsk) -> CopyPart | None:
        """The answer, to be sent when all that was persisted before is durable."""
        if not self._seat.tells:
            return None
        seat, keys = self._lists.get(node, ("", []))
        index = ask.index
        if seat != ask.voter.seat or index == 0:
            index, keys = 0, list(self._acceptor.registers)
            self._lists[node] = (ask.voter.seat, keys)
        part = CopyPart(ask.number, ask.voter.seat, self._seat.voter(), index, len(keys), self._acceptor.floor, [])
        self._fill(part, keys)
        if part.next >= part.total:
            self._lists.pop(node, None)
        return part

    def lost(self, node: str) -> None:
        self._lists.pop(node, None)

    def _fill(self, part: CopyPart, keys: list[Key]) -> None:
        room = PIECE_BYTES
        while part.next < len(keys) and len(part.registers) < self._piece and room > 0:
            copy = self._acceptor.copy(keys[part.next])
            part.next += 1
            if copy is not None:
                part.registers.append(copy)
                room -= 200 + (len(copy.state.value or b"") if copy.state is not None else 0)


class Copier:
    """Asks every whole node for its registers until enough have given all of theirs."""

    def __init__(self, seat: Seat, acceptor: Acceptor, persist: Callable[[entries.Entry], int]) -> None:
        self._seat, self._acceptor, self._persist = seat, acceptor, persist
        self._number = 0
        self._open: dict[str, tuple[int, int]] = {}
        """Per source the number of the present question, and the index it asks for."""
        self._done: dict[str, Voter] = {}

    def restart(self) -> None:
        self._open.clear()
        self._done.clear()

    def ask(self, node: str) -> CopyAsk | None:
        """What to ask this node for now, if anything; asking it twice does no harm."""
        if self._seat.whole or node in self._done or not self._seat.is_whole(node):
            return None
        if node not in self._open:
            self._turn(node, 0)
        number, index = self._open[node]
        return CopyAsk(number, self._seat.voter(), index)

    def _turn(self, node: str, index: int) -> None:
        self._number += 1
        self._open[node] = (self._number, index)

    def answered(self, node: str, part: CopyPart) -> bool:
        """Take a part in. Whether it was the one asked for: then ask on."""
        if self._seat.whole or part.seat != self._seat.seat or part.number != self._open.get(node, (0, 0))[0]:
            return False
        for copy in part.registers:
            if self._acceptor.merge(copy):
                self._persist(entries.Held(copy))
        self._acceptor.raise_floor(part.floor)
        self._turn(node, part.next)
        if part.next >= part.total:
            self._done[node] = part.voter
        return True

    def is_enough(self) -> bool:
        """Whether the seat may become whole."""
        counted = self._seat.agree(self._done)
        for node in self._done.keys() - set(counted):
            del self._done[node]
            self._open.pop(node, None)
        return not self._seat.whole and len(counted) >= self._seat.copies_needed

    def lost(self, node: str) -> None:
        if node not in self._done:
            self._open.pop(node, None)
