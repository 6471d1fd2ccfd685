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
