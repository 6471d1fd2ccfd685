"""A node's votes about its region's registers: what it has promised and accepted.

Owns the registers' acceptor state and the floor. Knows nothing of who may vote, of how rounds are run, or
of the table. It answers at once; whoever sends the answer waits until `position` is durable.

A register that was deleted long ago is dropped; from then on an unknown register counts as promised to
the *floor*, the highest promise ever dropped, so that no message from before can bring anything back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.syncstore import register_entries as entries
from lab.syncstore.paxos import (
    NO_BALLOT,
    Accept,
    Accepted,
    Ballot,
    Copy,
    Key,
    Prepare,
    Query,
    Refused,
    State,
    Told,
    following,
)
from lab.syncstore.register_seat import Seat


class Register:
    """promised: no ballot below it is voted for. position: of its latest entry in the log. won: this node's
    proposer won the round of `ballot`, so it needs no promise for the following one. accepted_ms: when."""

    __slots__ = ("accepted_ms", "ballot", "position", "promised", "state", "won")

    def __init__(self, promised: Ballot, ballot: Ballot | None = None, state: State | None = None) -> None:
        self.promised, self.ballot, self.state = promised, ballot, state
        self.position = 0
        self.won = False
        self.accepted_ms = 0.0


class Acceptor:
    """persist: takes an entry, gives the position that must be durable for it."""

    def __init__(self, seat: Seat, persist: Callable[[entries.Entry], int]) -> None:
        self.registers: dict[Key, Register] = {}
        self.floor = NO_BALLOT
        self._seat, self._persist = seat, persist

    # -- votes ---------------------------------------------------------------------------------------

    def query(self, ask: Query) -> tuple[Told, int]:
        register = self.registers.get((ask.bucket, ask.key))
        voter = self._seat.voter()
        if register is None:
            return Told(ask.number, voter, None, None), 0
        state = None if register.ballot == ask.have else register.state
        return Told(ask.number, voter, register.ballot, state), register.position

    def prepare(self, ask: Prepare) -> tuple[Told | Refused, int]:
        key = (ask.bucket, ask.key)
        register = self.registers.get(key)
        promised = register.promised if register is not None else self.floor
        if ask.ballot < promised:
            return Refused(ask.number, promised), 0
        if register is None:
            register = self.registers[key] = Register(NO_BALLOT)
        if register.promised != ask.ballot:
            self._seat.count += 1
            register.promised = ask.ballot
            register.position = self._persist(entries.Promised(self._seat.count, ask.bucket, ask.key, ask.ballot))
        state = None if register.ballot == ask.have else register.state
        return Told(ask.number, self._seat.voter(self._seat.count), register.ballot, state), register.position

    def accept(self, ask: Accept, mono_ms: float) -> tuple[Accepted | Refused, int]:
        key = (ask.bucket, ask.key)
        register = self.registers.get(key)
        if register is None or register.ballot != ask.ballot:
            promised = register.promised if register is not None else self.floor
            if ask.ballot < promised:
                return Refused(ask.number, promised), 0
            if register is None:
                register = self.registers[key] = Register(NO_BALLOT)
            self._take(register, ask, mono_ms)
        return Accepted(ask.number, self._seat.voter(self._seat.count)), register.position

    def _take(self, register: Register, ask: Accept, mono_ms: float) -> None:
        self._seat.count += 1
        register.promised, register.ballot, register.state = following(ask.ballot), ask.ballot, ask.state
        register.won = False
        register.accepted_ms = mono_ms
        entry = entries.Voted(self._seat.count, ask.bucket, ask.key, ask.ballot, ask.state)
        register.position = self._persist(entry)

    # -- forgetting ------------------------------------------------------------------------------------

    def holds(self, key: Key, ballot: Ballot) -> bool:
        """Whether what was accepted at this ballot is here, or was and is forgotten."""
        register = self.registers.get(key)
        return register.ballot == ballot if register is not None else ballot < self.floor

    def forget(self, key: Key, ballot: Ballot) -> bool:
        """Whether the register is gone: it stays while someone is about to change it."""
        register = self.registers.get(key)
        if register is None:
            return ballot < self.floor
        if register.ballot != ballot or register.promised != following(ballot):
            return False
        self._drop(key, register.promised)
        self._persist(entries.Dropped(*key, ballot, self.floor))
        return True

    def _drop(self, key: Key, promised: Ballot) -> None:
        del self.registers[key]
        self.floor = max(self.floor, promised)

    def fold(self, key: Key) -> None:
        """Drop what was only ever promised: below the floor it counts as promised all the same."""
        register = self.registers.get(key)
        if register is not None and register.ballot is None:
            self._drop(key, register.promised)
            self._persist(entries.Dropped(*key, NO_BALLOT, self.floor))

    # -- copies and the disk -----------------------------------------------------------------------------

    def copy(self, key: Key) -> Copy | None:
        register = self.registers.get(key)
        if register is None:
            return None
        return Copy(*key, register.promised, register.ballot, register.state)

    def merge(self, copy: Copy) -> bool:
        """Hold what either holds: the highest promise, the highest accepted ballot. Whether anything is new."""
        register = self.registers.get((copy.bucket, copy.key))
        if register is None:
            register = self.registers[copy.bucket, copy.key] = Register(NO_BALLOT)
        changed = False
        if copy.ballot is not None and (register.ballot is None or copy.ballot > register.ballot):
            register.ballot, register.state = copy.ballot, copy.state
            register.promised = max(register.promised, following(copy.ballot))
            changed = True
        if copy.promised > register.promised:
            register.promised = copy.promised
            changed = True
        return changed

    def raise_floor(self, floor: Ballot) -> None:
        if floor > self.floor:
            self.floor = floor
            self._persist(entries.Floor(floor))

    def clear(self) -> None:
        self.registers.clear()
        self.floor = NO_BALLOT

    def restore(self, entry: entries.Entry) -> None:
        if isinstance(entry, entries.Voted):
            self.merge(Copy(entry.bucket, entry.key, following(entry.ballot), entry.ballot, entry.state))
        elif isinstance(entry, entries.Promised):
            self.merge(Copy(entry.bucket, entry.key, entry.ballot, None, None))
        elif isinstance(entry, entries.Held):
            self.merge(entry.copy)
        elif isinstance(entry, entries.Floor):
            self.floor = max(self.floor, entry.floor)
        elif isinstance(entry, entries.Dropped):
            register = self.registers.get((entry.bucket, entry.key))
            if register is not None and (register.ballot is None or register.ballot <= entry.ballot):
                del self.registers[entry.bucket, entry.key]
            self.floor = max(self.floor, entry.floor)

    def snapshot(self) -> Iterator[entries.Entry]:
        """May be taken in slices while votes go on: those votes follow it in the log."""
        yield entries.Floor(self.floor)
        for key in list(self.registers):
            copy = self.copy(key)
            if copy is not None:
                yield entries.Held(copy)
