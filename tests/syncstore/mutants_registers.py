"""The registers with one rule broken each: what the worlds must be able to notice.

`MUTANTS` names each rule's opposite, the profile (or the schedule) and the seed whose world shows it, and how
to break it. A
mutant lives only inside its `with`; nothing of it reaches the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any
from unittest import mock

from msgspec.structs import replace

from lab.syncstore import paxos, proposer, register_change
from lab.syncstore import register_entries as entries
from lab.syncstore.acceptor import Acceptor, Register
from lab.syncstore.paxos import Accept, Mark, Refused, State, following
from lab.syncstore.proposer import Proposer
from lab.syncstore.register_agreement import Agreement
from lab.syncstore.register_change import Decision, with_later
from lab.syncstore.register_copy import Copier
from lab.syncstore.register_forget import Forgetter
from lab.syncstore.register_queue import Queue
from lab.syncstore.register_round import Purpose, latest
from lab.syncstore.register_seat import Seat
from lab.syncstore.register_seating import Seating
from lab.syncstore.registers import Registers
from lab.syncstore.version import NO_VERSION
from lab.syncstore.wire import Reply

Mutant = Callable[[], AbstractContextManager[Any]]


def _patched(owner: Any, name: str, changed: Any) -> Mutant:
    return lambda: mock.patch.object(owner, name, changed)


def _around(owner: Any, name: str, change: Callable[..., Any]) -> Mutant:
    """change(original, *arguments) takes the method's place."""
    original = getattr(owner, name)

    def changed(*arguments: Any, **named: Any) -> Any:
        return change(original, *arguments, **named)

    return _patched(owner, name, changed)


def _both(*mutants: Mutant) -> Mutant:
    @contextmanager
    def together() -> Iterator[None]:
        with mutants[0]():
            if len(mutants) == 1:
                yield
            else:
                with _both(*mutants[1:])():
                    yield

    return together


# -- whose votes count -----------------------------------------------------------------------------------


def _sit_whole(original: Any, seat: Seat, wanted: str) -> bool:
    cleared = original(seat, wanted)
    if not seat.whole:
        seat._become_whole({})
        seat._confirmed.update(seat.others)
    return bool(cleared)


def _each_start_is_new(original: Any, seat: Seat, wanted: str) -> bool:
    seat.start = Mark(seat.seat, 0) if seat.seat and not seat.count else seat.start
    return bool(original(seat, wanted))


def _keep_broken_copy(original: Any, seat: Seat, wanted: str) -> bool:
    seat.whole = seat.whole or bool(seat.seat)
    return bool(original(seat, wanted))


def _remember_seats_only(original: Any, seat: Seat, node: str, voter: Any) -> Any:
    found = original(seat, node, voter)
    seat.known[node] = Mark(seat.known[node].seat, 0)
    return found


def _found_with_any(original: Any, seat: Seat) -> Any:
    if seat.whole or not any(seat._is_new(node) for node in seat.others):
        return None
    return seat._become_whole({seat.node: seat.disk})


def _copy_for_strangers(seating: Seating, node: str, ask: Any) -> Any:
    return seating._source.asked(node, ask)


def _greet_strangers(original: Any, seating: Seating, now: Any, node: str, greeting: Any) -> None:
    with mock.patch.object(Seat, "hear", lambda *_: True):
        original(seating, now, node, greeting)


def _copy_without_floor(original: Any, copier: Copier, node: str, part: Any) -> Any:
    return original(copier, node, replace(part, floor=paxos.NO_BALLOT))


def _up_whoever(original: Any, registers_: Registers, now: Any, node: str, same: bool) -> None:
    registers_._peers.add(node)
    registers_._proposer.peer_up(node)
    original(registers_, now, node, True)


# -- votes and rounds --------------------------------------------------------------------------------------


def _accept_any(original: Any, acceptor: Acceptor, ask: Accept, mono_ms: float) -> Any:
    answer, position = original(acceptor, ask, mono_ms)
    if isinstance(answer, Refused):
        register = acceptor.registers.setdefault((ask.bucket, ask.key), Register(paxos.NO_BALLOT))
        register.promised = paxos.NO_BALLOT
        return original(acceptor, ask, mono_ms)
    return answer, position


def _lose_promises(original: Any, registers_: Registers, entry: Any) -> int:
    return 0 if isinstance(entry, entries.Promised) else int(original(registers_, entry))


def _vote_at_once(original: Any, registers_: Registers, node: str, position: int, answer: Any) -> None:
    original(registers_, node, 0, answer)


def _without_incarnation(original: Any, proposer_: Proposer, config: Any, incarnation: str, *more: Any) -> None:
    original(proposer_, config, "", *more)
    proposer_._numbers = count(proposer_._port.bits() >> 4)


def _led_by_anyone(register: Register) -> bool:
    return register.ballot is not None and register.promised == following(register.ballot)


def _no_token(original: Any, queue: Queue, now: Any, request: Any, reply: Any) -> None:
    original(queue, now, request, reply)
    if not request.token:
        line = queue.lines[request.bucket, request.key]
        if line.works[-1].request is not None:
            line.works[-1].request = request


def _no_deadline(original: Any, queue: Queue, now: Any, work: Any) -> None:
    work.deadline_ms += 1e6
    original(queue, now, work)


def _surely_not(original: Any, queue: Queue, now: Any, work: Any) -> None:
    work.accept_sent = False
    original(queue, now, work)


# -- records and versions ------------------------------------------------------------------------------------


def _answer_first(original: Any, queue: Queue, work: Any, decision: Decision, state: State) -> None:
    queue._answer(work, decision, False)
    original(queue, work, decision, state)


def _finish_with_new_version(original: Any, proposer_: Proposer, now: Any, work: Any, state: Any) -> Decision:
    decision: Decision = original(proposer_, now, work, state)
    if work.purpose is Purpose.FINISH and state is not None:
        version = proposer_._port.version(now, state.version)
        state = State(state.value, state.expires, *version, state.tokens, state.spent)
        return decision._replace(state=state)
    return decision


def _enter_alone(agreement: Agreement, now: Any, key: Any) -> None:
    register = agreement._acceptor.registers.get(key)
    if register is not None:
        register.state = with_later(register.state, agreement._port.table_record(*key))


def _show_the_table(request: Any, state: Any, record: Any, wall_ms: int, seen: Any) -> Decision:
    entered = with_later(state, record)
    if not register_change.is_present(entered, wall_ms) or entered is None:
        return Decision(None, Reply(request.number))
    reply = Reply(request.number, present=True, value=entered.value or b"", revision=str(entered.version))
    return Decision(None, reply, entered.version)


def _blind_to_the_table(original: Any, request: Any, state: Any, record: Any, wall_ms: int, take: Any) -> Any:
    return original(request, state, None, wall_ms, take)


def _above_nothing(original: Any, request: Any, state: Any, record: Any, wall_ms: int, take: Any) -> Any:
    return original(request, state, record, wall_ms, lambda above: take(NO_VERSION))


def _blind_to_the_session(original: Any, request: Any, *more: Any) -> Any:
    return original(replace(request, seen=None), *more)


# -- tokens ------------------------------------------------------------------------------------------------


def _forget_on_delete(original: Any, request: Any, state: Any, version: Any) -> State:
    changed: State = original(request, state, version)
    return replace(changed, tokens=[], spent=b"") if request.op == "delete" else changed


def _forget_on_entering(original: Any, state: Any, record: Any) -> Any:
    entered = original(state, record)
    return entered if entered is state or entered is None else replace(entered, tokens=[], spent=b"")


def _keep_one(original: Any, request: Any, state: Any, version: Any) -> State:
    changed: State = original(request, state, version)
    return replace(changed, tokens=changed.tokens[-1:], spent=b"")


def _keep_eight(original: Any, request: Any, state: Any, version: Any) -> State:
    changed: State = original(request, state, version)
    return replace(changed, spent=b"")


def _idle_delete(original: Any, request: Any, state: Any, wall_ms: int) -> Any:
    if request.op == "delete" and not register_change.is_present(state, wall_ms):
        return Reply(request.number)
    return original(request, state, wall_ms)


# -- forgetting --------------------------------------------------------------------------------------------


def _drop_without_floor(original: Any, acceptor: Acceptor, key: Any, promised: Any) -> None:
    del acceptor.registers[key]


def _restore_without_floor(original: Any, acceptor: Acceptor, entry: Any) -> None:
    floor = acceptor.floor
    original(acceptor, entry)
    acceptor.floor = floor


def _young(original: Any, forgetter: Forgetter, seat: Any, acceptor: Any, age_ms: float, *more: Any) -> None:
    original(forgetter, seat, acceptor, 20.0, *more)


def _most_will_do(original: Any, forgetter: Forgetter, now: Any) -> None:
    answered = set(forgetter._answers)
    if len(answered) + 1 >= forgetter._seat.quorum:
        held = set(range(len(forgetter._open))).intersection(*forgetter._answers.values())
        for node in forgetter._seat.others:
            forgetter._answers.setdefault(node, held)
    original(forgetter, now)


MUTANTS: dict[str, tuple[str, int, Mutant]] = {
    "votes of older incarnations are counted": ("ghost", 1, _patched(paxos.Voter, "is_stale", lambda *_: False)),
    "a blank acceptor votes at once": ("blank", 35, _around(Seat, "take", _sit_whole)),
    "one other's registers are copied": (
        "copies", 8, _patched(Copier, "is_enough", lambda self: not self._seat.whole and bool(self._done)),
    ),
    "a copy that broke off counts": ("copies", 71, _around(Seat, "take", _keep_broken_copy)),
    "copies come from whoever is new as well": ("copies5", 121, _around(Seat, "found", _found_with_any)),
    "an old disk is not noticed": ("old disks", 59, _around(Seat, "hear", _remember_seats_only)),
    "an old disk passes for new once it was started twice": (
        "twice", 0, _around(Seat, "take", _each_start_is_new),
    ),
    "a seat votes before anyone has stated what it remembers": (
        "twice", 0, _patched(Seat, "is_confirmed", property(lambda self: True)),
    ),
    "who gives copies forgets the copier": ("ghost", 1, _both(
        _patched(Seating, "copy_asked", _copy_for_strangers), _around(Seating, "greeted", _greet_strangers)),
    ),
    "copies come without the floor": ("late, new disk", 0, _around(Copier, "answered", _copy_without_floor)),
    "nodes of another membership vote": ("torn", 2, _around(Registers, "peer_up", _up_whoever)),
    "accepts below a promise": ("partitions3", 28, _around(Acceptor, "accept", _accept_any)),
    "promises are not kept on the disk": ("crash duel", 43, _around(Registers, "_persist", _lose_promises)),
    "votes before they are durable": ("crash duel", 401, _around(Registers, "_answer", _vote_at_once)),
    "ballots without an incarnation": ("twin", 0, _around(Proposer, "__init__", _without_incarnation)),
    "the first of a quorum's values is taken": (
        "crashes", 28, _patched(proposer, "latest", lambda answers: answers[0]),
    ),
    "reads without a quorum's agreement": (
        "crash duel", 114, _patched(proposer, "chosen", lambda answers, quorum: latest(answers)),
    ),
    "replies speak of what a minority accepted": (
        "partitions3", 14, _patched(proposer, "is_chosen", lambda *_: True),
    ),
    "whoever knows a ballot takes the next": ("calm", 1, _patched(proposer, "_leads", _led_by_anyone)),
    "requests without a token are run twice": ("duel", 25, _around(Queue, "call", _no_token)),
    "requests never end": ("stuck", 0, _around(Queue, "submit", _no_deadline)),
    "Unavailable though an accept was sent": ("doubt", 0, _around(Queue, "_fail", _surely_not)),
    "acknowledged before the record is written": ("calm", 0, _around(Queue, "_record", _answer_first)),
    "an accepted value is never finished": ("quiet", 0, _patched(Agreement, "_look", lambda *_: None)),
    "finished with another version": ("crashes", 38, _around(Proposer, "_decide", _finish_with_new_version)),
    "foreign records enter without a round": ("foreign", 68, _patched(Agreement, "foreign", _enter_alone)),
    "gets show foreign records at once": ("foreign", 61, _patched(register_change, "_read", _show_the_table)),
    "foreign records never enter": ("quiet", 0, _both(
        _patched(Agreement, "foreign", lambda *_: None), _patched(Agreement, "_look", lambda *_: None)),
    ),
    "versions not above the table's": ("foreign", 1, _around(register_change, "decide", _blind_to_the_table)),
    "versions not above the accepted one's": ("pauses", 0, _around(register_change, "decide", _above_nothing)),
    "what the session saw does not count": ("foreign", 0, _around(register_change, "decide", _blind_to_the_session)),
    "tokens are dropped on delete": ("pauses", 1, _around(register_change, "_changed", _forget_on_delete)),
    "tokens are dropped when a record enters": (
        "foreign", 59, _both(
            _around(register_change, "with_later", _forget_on_entering),
            _around(proposer, "with_later", _forget_on_entering)),
    ),
    "one token is kept": ("pauses", 1, _around(register_change, "_changed", _keep_one)),
    "spent tokens are dropped": ("hot", 258, _around(register_change, "_changed", _keep_eight)),
    "a delete that finds nothing leaves nothing": ("pauses", 360, _around(register_change, "_refusal", _idle_delete)),
    "forgotten ballots have no floor": ("late, old disk", 0, _around(Acceptor, "_drop", _drop_without_floor)),
    "the floor is lost with the process": ("late, old disk", 0, _around(Acceptor, "restore", _restore_without_floor)),
    "forgotten at once": ("again", 0, _around(Forgetter, "__init__", _young)),
    "forgotten when most hold it": ("forget", 228, _around(Forgetter, "_look", _most_will_do)),
    "forgotten whoever holds it": ("forget", 7, _patched(Acceptor, "holds", lambda *_: True)),
    "forgotten though a table lacks the tombstone": (
        "unrecorded", 0, _patched(Forgetter, "_is_recorded", lambda *_: True),
    ),
    "tallies count older incarnations": ("tally", 0, _patched(Forgetter, "_all_count", lambda *_: True)),
}  # fmt: skip
