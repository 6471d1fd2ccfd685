"""What another region wrote enters its register, however often a round for it fails."""

from __future__ import annotations

from lab.syncstore.acceptor import Acceptor
from lab.syncstore.config import Limits
from lab.syncstore.paxos import Ballot, Key, Prepare
from lab.syncstore.ports import Moment
from lab.syncstore.record import Record
from lab.syncstore.register_agreement import Agreement
from lab.syncstore.register_round import Purpose
from lab.syncstore.register_seat import Seat
from lab.syncstore.register_timers import Timers

KEY: Key = ("global/register/kv", "k")
LIMITS = Limits()


class Table:
    """Holds one record, made by another region."""

    def table_record(self, bucket: str, key: str) -> Record | None:
        return Record(1, bucket, key, b"theirs", 5, 0, 0, "eu/eu-1/" + "0" * 28, "eu/eu-1/" + "0" * 28)


def test_a_round_that_left_only_promises_is_run_again() -> None:
    """Found in the lab: 13 keys of 1,344 were absent in a region that came back under load."""
    seat = Seat("n1", ("n1",), lambda entry: 1)
    acceptor, timers = Acceptor(seat, lambda entry: 1), Timers()
    tended: list[Purpose] = []
    agreement = Agreement(
        "n1", LIMITS, acceptor, Table(), timers, lambda now, purpose, key: tended.append(purpose), lambda: ["n1"]
    )
    acceptor.prepare(Prepare(1, *KEY, Ballot(1, "n1", "0" * 28), None))
    assert acceptor.registers[KEY].ballot is None
    agreement.look_later(Moment(0.0, 10), KEY)
    for step in range(100):
        now = Moment(step * 100.0, 10)
        agreement.wake(now)
        timers.run(now)
    assert tended and set(tended) == {Purpose.ENTER}


def _second(table: Table, keys: list[Key], done: dict[Key, float]) -> list[tuple[float, Key]]:
    """What the second of two nodes tends, and when; done: when the first one has let a key in."""
    now = Moment(0.0, 10)
    timers, tended = Timers(), list[tuple[float, Key]]()
    seat = Seat("n1", ("n1", "n2"), lambda entry: 1)
    agreement = Agreement(
        "n1", LIMITS, Acceptor(seat, lambda entry: 1), table, timers,
        lambda at, purpose, key: tended.append((at.mono_ms, key)), lambda: ["n1", "n2"],
    )  # fmt: skip
    agreement._rank = lambda about: 1  # type: ignore[method-assign]
    missing = agreement._missing
    agreement._missing = lambda key: None if now.mono_ms >= done.get(key, 1e9) else missing(key)  # type: ignore[method-assign]
    for key in keys:
        agreement.foreign(now, key)
    for step in range(100):
        now = Moment(step * 100.0, 10)
        timers.run(now)
    return tended


def test_the_second_node_leaves_the_first_one_alone_as_long_as_it_gets_on() -> None:
    keys = [("global/register/kv", f"k{number}") for number in range(8)]
    slowly = {key: 900.0 * (place + 1) for place, key in enumerate(keys)}
    assert _second(Table(), keys, slowly) == []


def test_the_second_node_lets_in_what_the_first_one_does_not() -> None:
    tended = _second(Table(), [KEY], {})
    assert tended and tended[0][0] <= LIMITS.finish_after_ms + 3 * LIMITS.enter_together_ms


def _lots(keys: int) -> list[int]:
    """How many of so many keys one node lets in at a time."""
    now, timers, tended = Moment(0.0, 10), Timers(), list[float]()
    agreement = Agreement(
        "n1", LIMITS, Acceptor(Seat("n1", ("n1",), lambda entry: 1), lambda entry: 1), Table(), timers,
        lambda at, purpose, key: tended.append(at.mono_ms), lambda: ["n1"],
    )  # fmt: skip
    for number in range(keys):
        agreement.foreign(now, ("global/register/kv", f"k{number}"))
    for step in range(300):
        timers.run(Moment(step * LIMITS.enter_together_ms, 10))
    assert len(tended) == keys
    return [tended.count(at_ms) for at_ms in dict.fromkeys(tended)]


def test_a_few_enter_at_a_time_and_more_where_many_wait() -> None:
    assert _lots(20) == [8, 8, 4]
    assert _lots(1000)[:2] == [50, 47]
    assert max(_lots(5000)) == LIMITS.enter_at_most
