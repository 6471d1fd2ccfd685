"""The session's decisions, without sockets: tables of what an answer means, and random days of a client."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.syncstore.calls import Call
from lab.syncstore.errors import (
    Denied,
    Refused,
    Storage,
    SyncStoreError,
    Timeout,
    TooLarge,
    Unavailable,
    WrongKind,
    WrongRevision,
)
from lab.syncstore.recent import Recent
from lab.syncstore.retries import BURST, SHARE, SPARE, Budget, backoff_ms, is_safe, needs_token
from lab.syncstore.routes import AVOID_MAX_MS, Routes
from lab.syncstore.session import PROBED, SILENT_MS, STALLED_MS, Session
from lab.syncstore.wire import Reply, Request, Seen

LWW, REGISTER = "global/lww/rooms", "global/register/locks"
NODES = ("a", "b", "c")
ORIGIN = "sg/a/0123456789ab0000000000000000"


def seen(time: int) -> Seen:
    return Seen(time, 0, ORIGIN, ORIGIN, time)


@dataclass
class Recorder:
    """A runner that only writes down."""

    sent: list[tuple[str, Request]] = field(default_factory=list)
    probes: list[tuple[str, Request]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    errors: list[SyncStoreError] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    ends: dict[int, object] = field(default_factory=dict)

    def send(self, node: str, request: Request) -> None:
        sent = self.probes if request.bucket == PROBED[0] else self.sent
        sent.append((node, Request(*(getattr(request, name) for name in request.__struct_fields__))))

    def done(self, call: Call, reply: Reply) -> None:
        self.replies.append(reply)
        self._end(call, reply)

    def failed(self, call: Call, error: SyncStoreError) -> None:
        self.errors.append(error)
        self._end(call, error)

    def drop(self, node: str, why: str) -> None:
        self.dropped.append(node)

    def _end(self, call: Call, how: object) -> None:
        assert call.waiter not in self.ends, "a call ended twice"
        self.ends[call.waiter] = how

    @property
    def nodes(self) -> list[str]:
        return [node for node, _ in self.sent]


@dataclass
class Day:
    """A session whose every node is connected, and the last request it sent."""

    retry: bool = True
    nodes: tuple[str, ...] = NODES
    runner: Recorder = field(default_factory=Recorder)
    now: float = 1000.0
    started: int = 0

    def __post_init__(self) -> None:
        bits = Random(1)
        self.session = Session(self.nodes, self.runner, lambda: bits.getrandbits(64), retry=self.retry)
        for node in self.nodes:
            self.session.opened(node, self.now)

    def start(self, op: str = "put", bucket: str = LWW, key: str = "k", **more: object) -> Call:
        self.started += 1
        return self.session.start(op, bucket, key, self.now, waiter=self.started, **more)  # type: ignore[arg-type]

    def answer(self, error: str = "", **more: object) -> None:
        node, request = self.runner.sent[-1]
        self.session.answered(node, Reply(request.number, error, **more), self.now)  # type: ignore[arg-type]

    def pass_ms(self, ms: float) -> None:
        """Time goes by, and the session is woken when it wants to be."""
        until = self.now + ms
        while self.session.next_wake_ms <= until:
            self.now = max(self.now, self.session.next_wake_ms)
            self.session.wake(self.now)
        self.now = until

    def sign_of_life(self) -> None:
        for node in self.nodes:
            self.session.heard(node, self.now)


# -- one answer ------------------------------------------------------------------------------------

ANSWERS = [
    ("WrongRevision", WrongRevision, 1),
    ("WrongKind", WrongKind, 1),
    ("TooLarge", TooLarge, 1),
    ("Denied", Denied, 1),
    ("Refused", Refused, 1),
    ("Storage", Storage, 3),
    ("Behind", Unavailable, 3),
]


@pytest.mark.parametrize(("name", "kind", "nodes_asked"), ANSWERS)
def test_what_an_error_means_and_how_many_nodes_are_asked(name: str, kind: type, nodes_asked: int) -> None:
    day = Day()
    day.start("get")
    for _ in range(nodes_asked):
        assert not day.runner.errors
        day.answer(name)
        day.sign_of_life()
        day.pass_ms(60)
    assert [type(error) for error in day.runner.errors] == [kind]
    assert sorted(day.runner.nodes) == sorted(NODES[:nodes_asked])


@pytest.mark.parametrize("name", ["Unavailable", "Timeout", "SomethingNew"])
def test_what_may_pass_is_tried_until_the_deadline(name: str) -> None:
    day = Day()
    day.start("put", timeout_ms=2000)
    for _ in range(200):
        if day.runner.errors:
            break
        if day.session.in_flight and len(day.runner.sent) > len(day.runner.replies):
            day.answer(name)
        day.sign_of_life()
        day.pass_ms(20)
    assert type(day.runner.errors[0]) is (Unavailable if name == "Unavailable" else Timeout)
    assert 2 < len(day.runner.sent) <= 1 + SPARE
    assert set(day.runner.nodes) == set(NODES)


def test_an_answer_with_the_present_revision_gives_it_on() -> None:
    day = Day()
    day.start("update", REGISTER, revision="1.0." + ORIGIN)
    day.answer("WrongRevision", revision="2.0." + ORIGIN)
    assert isinstance(day.runner.errors[0], WrongRevision)
    assert day.runner.errors[0].revision == "2.0." + ORIGIN


def test_an_answer_nobody_waits_for_and_one_of_the_wrong_node_are_ignored() -> None:
    day = Day()
    day.start()
    number = day.runner.sent[0][1].number
    day.session.answered("b", Reply(number), day.now)
    day.session.answered("a", Reply(number + 7), day.now)
    assert not day.runner.replies
    day.answer()
    day.session.answered("a", Reply(number), day.now)
    assert len(day.runner.replies) == 1


# -- a connection breaks ---------------------------------------------------------------------------

LOSSES = [
    ("put", LWW, True, "tried again"),
    ("delete", LWW, True, "tried again"),
    ("get", LWW, True, "tried again"),
    ("keys", LWW, True, "tried again"),
    ("put", REGISTER, True, "tried again"),
    ("create", REGISTER, True, "tried again"),
    ("update", REGISTER, True, "tried again"),
    ("put", LWW, False, "Timeout"),
    ("create", REGISTER, False, "Timeout"),
]


@pytest.mark.parametrize(("op", "bucket", "retry", "then"), LOSSES)
def test_what_was_sent_and_lost(op: str, bucket: str, retry: bool, then: str) -> None:
    day = Day(retry=retry)
    day.start(op, bucket)
    day.session.lost("a", day.now, "it broke")
    if then == "tried again":
        assert day.runner.nodes == ["a", "b"], "at once, since another node is there"
        assert day.runner.sent[0][1].token == day.runner.sent[1][1].token
        assert day.runner.sent[0][1].number != day.runner.sent[1][1].number
        day.answer(revision="1.0." + ORIGIN)
        assert day.runner.replies
    else:
        assert [type(error).__name__ for error in day.runner.errors] == [then]


def test_only_register_writes_and_create_and_update_carry_a_token() -> None:
    day = Day()
    for op, bucket in [("put", LWW), ("get", REGISTER), ("put", REGISTER), ("delete", REGISTER), ("create", LWW)]:
        day.start(op, bucket)
    tokens = [request.token for _, request in day.runner.sent]
    assert [len(token) for token in tokens] == [0, 0, 16, 16, 16]
    assert len(set(tokens[2:])) == 3


TOKEN = b"t" * 16
SAFE = [
    ("get", REGISTER, b"", True, True),
    ("keys", LWW, b"", True, True),
    ("put", LWW, b"", True, False),
    ("delete", LWW, b"", True, False),
    ("drain", "", b"", True, False),
    ("put", REGISTER, b"", False, False),
    ("update", REGISTER, b"", False, False),
    ("put", REGISTER, TOKEN, True, False),
    ("delete", REGISTER, TOKEN, True, False),
    ("create", REGISTER, TOKEN, True, False),
    ("update", REGISTER, TOKEN, True, True),
]


@pytest.mark.parametrize(("op", "bucket", "token", "after", "beside"), SAFE)
def test_what_is_safe_after_a_try_and_beside_one(op: str, bucket: str, token: bytes, after: bool, beside: bool) -> None:
    request = Request(1, op, bucket, "k", token=token)
    assert (is_safe(request, beside=False), is_safe(request, beside=True)) == (after, beside)


@pytest.mark.parametrize(("op", "then"), [("put", Timeout), ("create", Timeout), ("get", None), ("update", None)])
def test_a_connection_we_ended_leaves_a_node_that_may_still_act(op: str, then: type | None) -> None:
    day = Day()
    day.start(op, REGISTER if op != "put" else LWW)
    day.session.lost("a", day.now, "silent", alive=True)
    assert [type(error) for error in day.runner.errors] == ([then] if then else [])
    assert len(day.runner.sent) == (1 if then else 2)


def test_a_put_at_a_silent_node_is_not_put_elsewhere_but_the_next_one_goes_there() -> None:
    day = Day()
    day.start("put", timeout_ms=1500)
    day.pass_ms(SILENT_MS + 150)
    day.start("put", timeout_ms=1500)
    assert day.runner.nodes == ["a", "b"]
    day.answer()
    day.pass_ms(1000)
    assert type(day.runner.errors[0]) is Timeout


@pytest.mark.parametrize(("retry", "then"), [(True, "b"), (False, "Unavailable")])
def test_what_never_left_is_no_retry_and_never_in_doubt(retry: bool, then: str) -> None:
    day = Day(retry=retry)
    day.start("create", REGISTER)
    day.session.lost("a", day.now, "it broke", unsent={day.runner.sent[0][1].number})
    if retry:
        assert day.runner.nodes == ["a", "b"]
        assert day.session.budget.spent == 0
        day.answer("WrongRevision", revision="x")
    assert type(day.runner.errors[0]) is (WrongRevision if retry else Unavailable)


@pytest.mark.parametrize("op", ["create", "update"])
def test_wrong_revision_after_a_lost_try_is_no_certainty(op: str) -> None:
    day = Day()
    day.start(op, REGISTER)
    day.session.lost("a", day.now, "it broke")
    day.answer("WrongRevision", revision="x")
    assert type(day.runner.errors[0]) is Timeout
    assert "may have happened" in str(day.runner.errors[0])


@pytest.mark.parametrize("how", ["lost", "silent"])
def test_a_doubt_outlives_every_later_certainty(how: str) -> None:
    day = Day()
    day.start("update", REGISTER, timeout_ms=3000)
    if how == "lost":
        day.session.lost("a", day.now, "it broke")
    else:
        day.pass_ms(SILENT_MS + 150)
    day.sign_of_life()
    day.answer("Unavailable")
    day.pass_ms(60)
    while day.session.budget.take(0):
        pass
    day.answer("Unavailable")
    assert type(day.runner.errors[0]) is Timeout
    assert "may have happened" in str(day.runner.errors[0])


def test_reads_have_nothing_that_could_have_happened() -> None:
    day = Day()
    day.start("get")
    day.session.lost("a", day.now, "it broke")
    for _ in range(2):
        day.answer("Behind")
    assert type(day.runner.errors[0]) is Unavailable


# -- no node, no answer, no time -------------------------------------------------------------------


def test_a_call_waits_for_a_node_and_then_goes() -> None:
    day = Day(nodes=("a",))
    day.session.lost("a", day.now, "gone")
    day.start("put", value=b"v", timeout_ms=1000)
    day.pass_ms(400)
    assert not day.runner.sent
    day.session.opened("a", day.now)
    assert [(node, request.timeout_ms) for node, request in day.runner.sent] == [("a", 600)]


def test_a_call_that_no_node_could_take_is_certainly_not_done() -> None:
    day = Day(nodes=("a",))
    day.session.lost("a", day.now, "gone")
    day.start("put", timeout_ms=1000)
    day.pass_ms(1100)
    assert type(day.runner.errors[0]) is Unavailable
    assert "a: gone" in str(day.runner.errors[0])


def test_without_retries_a_call_without_a_node_fails_at_once() -> None:
    day = Day(nodes=("a",), retry=False)
    day.session.lost("a", day.now, "gone")
    with pytest.raises(Unavailable, match="nothing was sent"):
        day.start("put")
    assert day.session.in_flight == 0


def test_no_answer_is_a_timeout_at_the_deadline() -> None:
    day = Day(retry=False)
    day.start("put", timeout_ms=300)
    day.pass_ms(295)
    assert not day.runner.errors
    day.pass_ms(20)
    assert type(day.runner.errors[0]) is Timeout
    assert day.session.in_flight == 0


def test_more_calls_than_may_be_in_flight_are_refused_in_a_sentence() -> None:
    session = Session(NODES, Recorder(), lambda: 7, in_flight_max=3)
    session.opened("a", 0)
    for _ in range(3):
        session.start("put", LWW, "k", 0)
    with pytest.raises(Unavailable, match="3 calls are in flight already"):
        session.start("put", LWW, "k", 0)


def test_a_silent_node_is_passed_over_then_dropped() -> None:
    day = Day()
    day.start("get", timeout_ms=5000)
    day.pass_ms(SILENT_MS - 50)
    assert day.runner.nodes == ["a"]
    day.session.heard("b", day.now)
    day.pass_ms(200)
    assert day.runner.nodes == ["a", "b"], "tried elsewhere"
    day.answer()
    day.start("put")
    assert day.runner.nodes[-1] == "b"
    day.start("get", key="watch this")
    day.pass_ms(2500)
    assert "a" in day.runner.dropped


def test_silence_is_noticed_through_calls_that_are_shorter_than_it() -> None:
    day = Day(retry=False)
    for _ in range(60):
        day.start("get", timeout_ms=100)
        day.pass_ms(50)
        if day.runner.nodes[-1] == "b":
            day.session.heard("b", day.now)
    assert day.runner.nodes[:10] == ["a"] * 10
    assert "b" in day.runner.nodes[10:15]
    assert "a" in day.runner.dropped


def test_a_node_that_leaves_one_call_unanswered_keeps_its_connection() -> None:
    day = Day()
    day.start("get", timeout_ms=100)
    day.pass_ms(50)
    day.sign_of_life()
    day.pass_ms(100)
    assert [node for node, _ in day.runner.probes] == ["a"]
    day.session.heard("a", day.now + 5)
    day.pass_ms(10_000)
    assert not day.runner.dropped


def test_with_one_node_a_silent_one_may_still_answer() -> None:
    day = Day(nodes=("a",))
    day.start("put", timeout_ms=5000)
    day.pass_ms(1500)
    assert len(day.runner.sent) == 1
    day.answer()
    assert day.runner.replies


def test_a_probe_without_any_sign_of_life_drops_the_node() -> None:
    day = Day()
    day.session.probe("a", day.now)
    day.session.probe("a", day.now + 1)
    assert len(day.runner.probes) == 1
    day.pass_ms(1000)
    assert not day.runner.dropped
    day.pass_ms(1500)
    assert "a" in day.runner.dropped
    assert not day.runner.errors
    day.session.lost("a", day.now, "dropped")
    assert day.session.next_wake_ms > day.now + 10_000 or not day.session.in_flight


def test_a_probe_answered_in_any_way_is_forgotten() -> None:
    day = Day()
    day.session.probe("a", day.now)
    day.session.heard("a", day.now + 50)
    day.pass_ms(5000)
    assert not day.runner.dropped


def test_who_slept_reads_its_answers_before_it_gives_up() -> None:
    day = Day()
    day.start("put", timeout_ms=300)
    day.now += 300 + STALLED_MS + 1000
    day.session.wake(day.now)
    assert not day.runner.errors
    day.answer()
    assert day.runner.replies
    assert not day.runner.dropped


def test_a_loop_that_is_always_late_still_keeps_deadlines() -> None:
    day = Day()
    day.start("put", timeout_ms=300)
    for _ in range(2):
        day.now = day.session.next_wake_ms + STALLED_MS + 1000
        day.session.wake(day.now)
    assert [type(error) for error in day.runner.errors] == [Timeout]


def test_no_retry_after_a_minute() -> None:
    day = Day()
    day.start("create", REGISTER, timeout_ms=200_000)
    day.now += 60_001
    day.session.lost("a", day.now, "it broke")
    assert type(day.runner.errors[0]) is Timeout
    assert day.runner.nodes == ["a"]


def test_no_retry_after_a_minute_even_if_no_node_was_there_before() -> None:
    day = Day(nodes=("a",))
    day.start("create", REGISTER, timeout_ms=200_000)
    day.now += 59_000
    day.session.lost("a", day.now, "it broke")
    day.pass_ms(2000)
    day.session.opened("a", day.now)
    assert len(day.runner.sent) == 1
    assert type(day.runner.errors[0]) is Timeout


def test_what_was_never_sent_may_wait_for_longer_than_a_minute() -> None:
    day = Day(nodes=("a",))
    day.session.lost("a", day.now, "it broke")
    day.start("create", REGISTER, timeout_ms=200_000)
    day.pass_ms(70_000)
    day.session.opened("a", day.now)
    assert [request.timeout_ms for _, request in day.runner.sent] == [60_000]


def test_closing_tells_every_caller() -> None:
    day = Day()
    day.start("put")
    day.session.close("closed")
    day.session.lost("a", day.now, "gone")
    assert type(day.runner.errors[0]) is Timeout
    assert len(day.runner.errors) == 1


# -- the budget ------------------------------------------------------------------------------------


def test_retries_stay_within_a_tenth_when_every_answer_is_an_error() -> None:
    day = Day()
    for _ in range(2000):
        day.start("put", timeout_ms=50)
        for _ in range(4):
            if day.session.in_flight:
                day.answer("Unavailable")
            day.pass_ms(15)
    assert day.session.in_flight == 0
    assert day.session.budget.spent <= SPARE + SHARE * 2000
    assert len(day.runner.sent) <= 1.1 * 2000 + SPARE
    assert day.session.budget.spent > 100


def test_no_more_than_a_burst_is_saved_up() -> None:
    budget = Budget()
    taken = sum(budget.take(1_000_000) for _ in range(BURST + 500))
    assert taken == BURST
    assert not budget.take(1_000_009)
    assert budget.take(1_000_011)


@given(st.integers(1, 60), st.integers(0, 2**64 - 1))
def test_back_off_is_anywhere_up_to_its_most(tries: int, bits: int) -> None:
    assert 0 <= backoff_ms(tries, bits) < 1000


# -- which node ------------------------------------------------------------------------------------


def test_a_node_that_did_badly_is_passed_over_for_longer_each_time_then_forgiven() -> None:
    routes = Routes(("a", "b"))
    for node in ("a", "b"):
        routes.opened(node, 0)
    now, spans = 0.0, []
    for _ in range(8):
        assert routes.choose(now) == "a"
        routes.did_badly("a", now, "slow")
        began = now
        while routes.choose(now) == "b":
            now += 1
        spans.append(now - began)
    assert spans == sorted(spans)
    assert spans[0] == 250
    assert spans[-1] == AVOID_MAX_MS
    routes.did_badly("a", now + 40_000, "slow")
    assert routes.choose(now + 40_251) == "a"


def test_many_bad_answers_at_once_are_one_strike() -> None:
    routes = Routes(("a", "b"))
    routes.opened("a", 0)
    routes.opened("b", 0)
    for _ in range(500):
        routes.did_badly("a", 0, "no")
    assert routes.choose(250) == "a"


def test_when_all_did_badly_one_is_used_all_the_same() -> None:
    routes = Routes(NODES)
    for node in NODES:
        routes.opened(node, 0)
        routes.did_badly(node, 0, "no")
    assert routes.choose(1) == "a"
    assert routes.choose(1, ("a",)) == "b"


# -- what was seen ---------------------------------------------------------------------------------


def test_the_newest_version_seen_goes_with_every_request_of_its_key() -> None:
    day = Day()
    day.start("put")
    day.answer(seen=seen(7))
    day.start("get")
    assert day.runner.sent[-1][1].seen == seen(7)
    day.answer(seen=seen(5))
    day.start("get", key="other")
    assert day.runner.sent[-1][1].seen is None
    day.start("get")
    assert day.runner.sent[-1][1].seen == seen(7)


def test_a_retry_knows_what_was_seen_meanwhile() -> None:
    day = Day()
    day.start("get")
    day.session.seen.learn(LWW, "k", seen(9))
    day.session.lost("a", day.now, "it broke")
    assert day.runner.sent[-1][1].seen == seen(9)


def test_the_last_keys_are_remembered_and_memory_is_bounded() -> None:
    recent: Recent[int, int] = Recent(100)
    for number in range(1000):
        recent.put(number, number)
        assert all(recent.get(one) == one for one in range(max(0, number - 99), number + 1))
        assert len(recent) <= 200
    recent.drop(999)
    assert recent.get(999) is None


# -- random days -----------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["start", "start", "start", "ok", "ok", "error", "lost", "opened", "heard", "pass", "sleep", "unsent"]
        ),
        st.integers(0, 999),
    ),
    max_size=120,
)
OPS = [("put", LWW), ("get", LWW), ("put", REGISTER), ("create", REGISTER), ("update", REGISTER), ("delete", LWW)]
ERRORS = ["Unavailable", "Timeout", "Behind", "Storage", "WrongRevision", "Denied", "Novel"]
DEFINITE = (Unavailable, WrongRevision, WrongKind, TooLarge, Denied, Storage, Refused)


class RandomDay:
    """Plays events, and keeps its own books of what each request came to."""

    def __init__(self, retry: bool) -> None:
        self.day = Day(retry=retry)
        self.session, self.runner = self.day.session, self.day.runner
        self.calls: dict[int, tuple[str, str, str, float, float]] = {}
        self.open = set(NODES)
        self.fate: dict[int, str] = {}
        """Request number → what became of it: answered, refused, unsent; nothing: in doubt."""
        self.newest: dict[tuple[str, str], int] = {}
        self.checked = 0
        self.version = 0
        self.started = 0

    def play(self, what: str, pick: int) -> None:
        getattr(self, f"_{what}")(pick)
        self._check_what_was_sent()

    def _start(self, pick: int) -> None:
        op, bucket = OPS[pick % len(OPS)]
        key = f"{len(self.calls)}"
        self.calls[self.started + 1] = (op, bucket, key, self.day.now, self.day.now + 100 + pick * 3)
        try:
            self.session.start(
                op, bucket, f"k{pick % 3}", self.day.now, timeout_ms=100 + pick * 3, waiter=self.started + 1
            )
            self.started += 1
        except Unavailable:
            del self.calls[self.started + 1]

    def _pending(self) -> list[tuple[str, Request]]:
        return [(n, r) for n, r in self.runner.sent if r.number not in self.fate and n in self.open]

    def _answer(self, pick: int, error: str) -> None:
        pending = self._pending()
        if not pending:
            return
        node, request = pending[pick % len(pending)]
        self.version += 1
        self.fate[request.number] = "answered" if not error else "refused"
        if error in ("Timeout", "Novel"):
            del self.fate[request.number]
            self.fate[request.number] = "in doubt"
        reply = Reply(request.number, error, seen=None if error else seen(self.version))
        before = len(self.runner.replies)
        self.session.answered(node, reply, self.day.now)
        if len(self.runner.replies) > before and not error:
            name = (request.bucket, request.key)
            self.newest[name] = max(self.newest.get(name, 0), self.version)

    def _ok(self, pick: int) -> None:
        self._answer(pick, "")

    def _error(self, pick: int) -> None:
        self._answer(pick // 7, ERRORS[pick % len(ERRORS)])

    def _lost(self, pick: int, unsent: bool = False) -> None:
        node, alive = NODES[pick % 3], pick % 5 == 0
        if node in self.open:
            self.open.discard(node)
            numbers = {r.number for n, r in self._sent_to(node)} if unsent else set()
            self.fate.update(dict.fromkeys(numbers, "unsent"))
            self.session.lost(node, self.day.now, "it broke", numbers, alive=alive)

    def _sent_to(self, node: str) -> list[tuple[str, Request]]:
        return [(n, r) for n, r in self.runner.sent if n == node and r.number not in self.fate]

    def _unsent(self, pick: int) -> None:
        self._lost(pick, unsent=True)

    def _opened(self, pick: int) -> None:
        node = NODES[pick % 3]
        if node not in self.open:
            self.open.add(node)
            for _, request in self._sent_to(node):
                self.fate[request.number] = "in doubt"
            self.session.opened(node, self.day.now)

    def _heard(self, pick: int) -> None:
        self.session.heard(NODES[pick % 3], self.day.now)

    def _pass(self, pick: int) -> None:
        self.day.pass_ms(pick)

    def _sleep(self, pick: int) -> None:
        self.day.now += 10 * pick
        if self.session.next_wake_ms <= self.day.now:
            self.session.wake(self.day.now)

    def _check_what_was_sent(self) -> None:
        for node, request in self.runner.sent[self.checked :]:
            assert node in self.open, "sent to a node that isn't connected"
            known = self.newest.get((request.bucket, request.key))
            assert known is None or (request.seen is not None and request.seen.time >= known)
            if needs_token(request.op, request.bucket):
                assert len(request.token) == 16
        self.checked = len(self.runner.sent)

    def check_at_the_end(self) -> None:
        self.day.pass_ms(10_000)
        self.day.pass_ms(1)
        assert len(self.runner.ends) == self.started, "a call without an end"
        sent = len(self.runner.sent)
        unsent = sum(fate == "unsent" for fate in self.fate.values())
        assert sent - unsent <= 1.1 * self.started + SPARE
        self._check_doubts()

    def _check_doubts(self) -> None:
        """What failed for certain has no request that may have happened. Requests of one call share token or place."""
        for waiter, how in self.runner.ends.items():
            op = self.calls[waiter][0]
            if op == "get" or not isinstance(how, DEFINITE):
                continue
            numbers = self.numbers.get(waiter, [])
            doubtful = [one for one in numbers if self.fate.get(one, "in doubt") == "in doubt"]
            assert not doubtful, f"{op}: {how!r} although {doubtful} may have happened"

    @property
    def numbers(self) -> dict[int, list[int]]:
        return self._numbers

    def follow(self) -> None:
        """Note which request belongs to which call, by looking over the session's shoulder."""
        self._numbers: dict[int, list[int]] = {}
        send = self.runner.send

        def sent(node: str, request: Request) -> None:
            send(node, request)
            call = self.session._calls.get(request.number)
            if request.bucket == PROBED[0]:
                return
            assert call is not None
            self._numbers.setdefault(call.waiter, []).append(request.number)

        self.runner.send = sent  # type: ignore[method-assign]


@settings(max_examples=300, deadline=None)
@given(EVENTS, st.booleans())
def test_on_no_day_is_a_doubt_sold_as_certain_or_the_budget_broken(events: list[tuple[str, int]], retry: bool) -> None:
    random_day = RandomDay(retry)
    random_day.follow()
    for what, pick in events:
        random_day.play(what, pick)
    random_day.check_at_the_end()


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_without_retries_no_request_is_repeated(events: list[tuple[str, int]]) -> None:
    random_day = RandomDay(retry=False)
    random_day.follow()
    for what, pick in events:
        random_day.play(what, pick)
    random_day.check_at_the_end()
    assert len(random_day.runner.sent) == random_day.started
