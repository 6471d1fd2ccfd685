"""Whose votes count: an acceptor's seat, what it remembers of the others', and when it may vote.

Owns seats, marks, founding and greetings. Knows nothing of single registers.

An acceptor's memory must never have a hole that a quorum could fall into. So
- every start of a process takes a new *seat*, which says with what it *starts*: the mark its log ended at;
- everyone remembers the others' marks, states them in each vote, and drops votes whose start lies below a
  mark stated beside them: another, newer memory of that name exists or was lost (a disk was restored);
- a seat votes once so many others that they are a quorum with it have stated what they remember of it, and it
  is not behind that. One without a vote leaves no trace: the next start begins with what it began with, or
  an old disk would pass for the newest memory after being started twice while nobody could be asked;
- a new disk, and one that finds itself behind, is not *whole*: it votes once it has copied the registers
  of enough whole others (`register_copy`), or, at a region's very first start, once every other node says
  that it is new as well, or was founded together with this disk.
"""

from __future__ import annotations

from collections.abc import Callable

from lab.syncstore import register_entries as entries
from lab.syncstore.paxos import Greeting, Mark, Voter
from lab.syncstore.version import LATEST_MS, incarnation

NO_MARK = Mark("", 0)


class Seat:
    """persist: takes an entry, gives the position that must be durable for it."""

    def __init__(self, node: str, nodes: tuple[str, ...], persist: Callable[[entries.Entry], int]) -> None:
        self.node = node
        self.others = tuple(one for one in nodes if one != node)
        self.quorum = len(nodes) // 2 + 1
        self.copies_needed = len(nodes) - self.quorum + 1
        """A quorum that this node was part of has a member among any so many others."""
        self.seat = ""
        self.disk = ""
        self.whole = False
        self.retired = False
        """Another process has this node's name now: this one votes no more."""
        self._confirmed: set[str] = set()
        """Others that remember nothing newer of this node than this seat began with."""
        self.start = NO_MARK
        self.count = 0
        """Votes made in this seat; `durable_count` of them are on the disk."""
        self.durable_count = 0
        self.known: dict[str, Mark] = {}
        self._persist = persist
        self._founders: dict[str, str] = {}
        self._heard: dict[str, Greeting] = {}
        self._noted: dict[str, Mark] = {}
        """Marks of others as the log has them."""

    @property
    def votes(self) -> bool:
        return self.tells and self.is_confirmed

    @property
    def tells(self) -> bool:
        """Whether others may copy its registers: what it says of its start, they judge."""
        return self.whole and not self.retired

    @property
    def is_confirmed(self) -> bool:
        return len(self._confirmed) >= self.quorum - 1

    # -- taking a seat -----------------------------------------------------------------------------

    def restore(self, entry: entries.Entry) -> bool:
        """Whether what was restored before this entry is void."""
        if isinstance(entry, entries.Seated) and entry.seat > self.seat:
            self.seat, self.disk, self.start, self.count = entry.seat, entry.disk, entry.start, 0
            if entry.cleared:
                self.whole, self._founders = False, {}
            return entry.cleared
        if isinstance(entry, entries.Whole) and entry.seat == self.seat:
            self.whole, self._founders = True, entry.founders
        elif isinstance(entry, entries.Reached) and entry.mark.seat == self.seat:
            self.count = max(self.count, entry.mark.votes)
        elif isinstance(entry, entries.Remembered):
            self.known[entry.node] = self._noted[entry.node] = max(entry.mark, self.known.get(entry.node, NO_MARK))
        elif isinstance(entry, entries.Promised | entries.Voted):
            self.count = max(self.count, entry.count)
        return False

    def take(self, wanted: str) -> bool:
        """A new seat for a process that starts with what was restored. wanted: the process's incarnation.
        Returns whether what was restored must be cleared: it was a copy that never got whole."""
        last, reached = self.seat, Mark(self.seat, self.count) if self.count else self.start
        wanted = max(wanted, incarnation(0, int(wanted[12:], 16), above=last[:28]) if last else wanted)
        if self.whole:
            self._sit(wanted, self.disk, reached, cleared=False)
            return False
        self._sit(wanted, self.disk or wanted, Mark(wanted, 0), cleared=True)
        if not self.others:
            self._become_whole({})
        return True

    def must_leave(self, mark: Mark | None) -> bool:
        """Whether another node's memory of this one shows that this seat is not its newest memory."""
        if not self._is_behind(mark) or mark is None or self.retired:
            return False
        if int(mark.seat[:12], 16) > LATEST_MS:
            return False  # that was never a seat of this node: none begins after the year 2200
        if self.whole and self.count and mark.seat > self.seat:
            self.retired = True
            return False
        return True

    def _is_behind(self, mark: Mark | None) -> bool:
        return mark is not None and mark.seat != self.seat and mark > self.start

    def confirm(self, node: str, mark: Mark | None) -> None:
        """A whole other node has stated what it remembers of this one."""
        if node in self.others and not self._is_behind(mark):
            self._confirmed.add(node)

    def leave(self, mark: Mark, wall_ms: int, bits: int) -> None:
        """Give up this seat and its memory for a new one. The registers are cleared by the caller."""
        above = max(mark.seat, self.seat)
        seat = incarnation(wall_ms, bits, above=above)
        self._sit(seat, seat, Mark(seat, 0), cleared=True)

    def _sit(self, seat: str, disk: str, start: Mark, *, cleared: bool) -> None:
        self.seat, self.disk, self.start, self.count, self.durable_count = seat, disk, start, 0, 0
        self._confirmed.clear()
        if cleared:
            self.whole, self._founders = False, {}
        self._persist(entries.Seated(seat, disk, start, cleared))

    def _become_whole(self, founders: dict[str, str]) -> int:
        self.whole, self._founders = True, founders
        return self._persist(entries.Whole(self.seat, founders))

    def copied(self) -> int:
        """Enough others' registers are here. Returns the position that must be durable before it votes."""
        return self._become_whole({})

    # -- what is told and heard ----------------------------------------------------------------------

    def voter(self, count: int | None = None) -> Voter:
        """count: of the vote this is for; else what is durable. Encode it at once: it is not a copy."""
        return Voter(self.seat, self.start, self.durable_count if count is None else count, self.known)

    def hear(self, node: str, voter: Voter) -> bool:
        """Remember how far another node has got. False: this is not its newest memory, don't count it."""
        mark = self.known.get(node)
        if mark is not None:
            if mark[0] == voter.seat:
                if voter.count > mark[1]:
                    self.known[node] = Mark(voter.seat, voter.count)
                return True
            if voter.is_stale(mark):
                return False
        self.known[node] = voter.mark
        self.note(node)
        return True

    def note(self, node: str) -> None:
        """Have the log remember it as well: at once for a new seat, now and then for its count."""
        mark = self.known.get(node)
        if mark is not None and self._noted.get(node) != mark:
            self._noted[node] = mark
            self._persist(entries.Remembered(node, mark))

    def agree(self, voters: dict[str, Voter]) -> list[str]:
        """The nodes among these whose votes count beside one another's."""
        return [
            node
            for node, voter in voters.items()
            if not any(voter.is_stale(other.known.get(node)) for other in voters.values())
        ]

    def greeting(self, *, ask: bool) -> Greeting:
        return Greeting(self.voter(), self.disk, self.whole, self._founders, ask)

    def greeted(self, node: str, greeting: Greeting) -> None:
        self._heard[node] = greeting

    def lost(self, node: str) -> None:
        self._heard.pop(node, None)

    def is_whole(self, node: str) -> bool:
        heard = self._heard.get(node)
        return heard is not None and heard.whole

    def found(self) -> int | None:
        """Begin whole with nothing, when every other node was new while this disk was. Else None."""
        if self.whole or not all(self._is_new(node) for node in self.others):
            return None
        self._confirmed.update(self.others)
        return self._become_whole({self.node: self.disk, **{node: one.disk for node, one in self._heard.items()}})

    def _is_new(self, node: str) -> bool:
        heard = self._heard.get(node)
        return heard is not None and (not heard.whole or heard.founders.get(self.node) == self.disk)

    def snapshot(self) -> list[entries.Entry]:
        parts: list[entries.Entry] = [entries.Seated(self.seat, self.disk, self.start, not self.whole)]
        if self.whole:
            parts.append(entries.Whole(self.seat, self._founders))
        parts.append(entries.Reached(Mark(self.seat, self.count)))
        parts.extend(entries.Remembered(node, mark) for node, mark in self.known.items())
        return parts
