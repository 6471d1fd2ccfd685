"""What clients ask of a node, and what it answers.

Owns every operation on a bucket of kind lww, the reads of any table, watches and the waits of reads.
Registers' own operations are passed on. An operation waits for nodes of its own region at most.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from lab.syncstore.acks import Waiting
from lab.syncstore.core import EVICTED, RETURNED, STATES, Core
from lab.syncstore.errors import Malformed
from lab.syncstore.links import Link
from lab.syncstore.record import GLOBAL, KEY_BYTES, LWW, REGISTER, VALUE_BYTES, Record, bucket_parts
from lab.syncstore.replica import Replica
from lab.syncstore.tombstones import absent
from lab.syncstore.version import COUNTER_LIMIT, LATEST_MS, parts
from lab.syncstore.watches import OWED, Watcher, seen
from lab.syncstore.wire import Fetch, Fetched, Reply, Request, Seen, array_of, encode, encode_record, records_of

KEYS_BYTES = 256 * 1024
MORE = "more"
"""A reply's info when there are more keys: ask again with revision=the last one."""
CHANGES = ("put", "delete", "create", "update")
DATA = (*CHANGES, "get", "keys", "watch")
WAITING_AT_MOST = 20_000
WRITES_WAITING_AT_MOST = 100_000
OWED_AT_MOST = 256
"""Of what a watcher was shown elsewhere, so many incarnations are remembered for it."""
ISSUED = ""
"""A token's entry that is no origin's: the wall time at which the node made it."""
REGION_STATES = ("serving", "draining", "drained", "evicted")


@dataclass(eq=False)
class Reader:
    """A read that waits: until a second node holds what it shows, or until this node holds what the
    session has seen."""

    link: int
    request: Request
    since_ms: float
    fetch: int = 0


@dataclass(eq=False)
class Resumer:
    """A watch that goes on here once this node holds what the watcher has seen."""

    watcher: Watcher
    token: dict[str, int]
    since_ms: float


class Requests:
    def __init__(self, core: Core, status: Callable[[], dict[str, object]]) -> None:
        self.core = core
        self._status = status
        self.readers: list[Reader] = []
        self.resumers: list[Resumer] = []
        self._fetches = 0
        self._fetched: dict[int, Record | None] = {}
        self.registers: Callable[[Link, Request], None] | None = None
        self._kinds: dict[str, str] = {}
        for replica in core.replicas.values():
            replica.on_ended = self._ended

    def asked(self, link: Link, request: Request) -> None:
        core = self.core
        kind = self._kinds.get(request.bucket)
        if request.op == "put" and kind == LWW:
            small = 0 < len(request.key) <= KEY_BYTES // 4 and len(request.value) <= VALUE_BYTES
            if small and not request.expires and not link.roles and _is_version(request.seen):
                self._write(link, request, request.value)
                return
        error = self._refusal(link, request, kind)
        if error is not None:
            core.reply(link.number, error)
            return
        operation = request.op
        if kind is None and operation in DATA:
            kind = bucket_parts(request.bucket)[1]
        if kind == REGISTER and (operation in CHANGES or (operation == "get" and not request.stale_ok)):
            self._to_registers(link, request)
        elif operation == "put":
            self._write(link, request, request.value)
        elif operation == "delete":
            self._write(link, request, None)
        elif operation == "get":
            self._get(link, request)
        elif operation == "keys":
            self._keys(link, request)
        elif operation == "watch":
            self._watch(link, request)
        elif operation == "unwatch":
            self._unwatch(link.number, int(request.key))
            core.reply(link.number, Reply(request.number))
        elif operation == "status":
            self._tell_status(link, request)
        else:
            self._region_state(link, request)

    def _to_registers(self, link: Link, request: Request) -> None:
        if self.registers is None:
            self.core.reply(link.number, Reply(request.number, "Unavailable", "registers are not served here"))
        else:
            self.registers(link, request)

    # -- what can't be ---------------------------------------------------------------------------

    def _refusal(self, link: Link, request: Request, kind: str | None) -> Reply | None:
        number, operation = request.number, request.op
        if operation in ("drain", "evict", "serve"):
            if link.roles and "admin" not in link.roles:
                return Reply(number, "Denied", f"{operation} needs a certificate of role admin")
            return None
        if operation in ("status", "unwatch"):
            known = operation == "status" or _is_number(request.key)
            return None if known else Reply(number, "Refused", "expected the number of a watch as the key")
        if operation not in DATA:
            return Reply(number, "Refused", f"no such operation: {operation[:40]!r}")
        if link.roles and not link.roles & {"client", "admin"}:
            return Reply(number, "Denied", "data needs a certificate of role client")
        if kind is None:
            try:
                kind = bucket_parts(request.bucket)[1]
            except ValueError as error:
                return Reply(number, "Refused", str(error))
            if len(self._kinds) < 65536 and request.bucket != STATES:  # that one is never written the short way
                self._kinds[request.bucket] = kind
        if request.bucket == STATES and operation not in ("get", "keys", "watch"):
            return Reply(number, "Denied", "regions' states are changed by drain and evict alone")
        return self._wrong_size(request, kind)

    def _wrong_size(self, request: Request, kind: str) -> Reply | None:
        number, operation = request.number, request.op
        if operation in ("create", "update") and kind == LWW:
            return Reply(number, "WrongKind", f"{operation} needs a bucket of kind register; this one is lww")
        size = len(request.key.encode(errors="replace"))
        if size > KEY_BYTES:
            return Reply(number, "TooLarge", f"a key of {size} bytes is above {KEY_BYTES}")
        if len(request.value) > VALUE_BYTES:
            return Reply(number, "TooLarge", f"a value of {len(request.value)} bytes is above {VALUE_BYTES}")
        if not request.key and operation not in ("keys", "watch"):
            return Reply(number, "Refused", "expected a key, found none")
        if not _is_version(request.seen):
            return Reply(number, "Refused", "what the session says it has seen is no version")
        if not 0 <= request.expires <= LATEST_MS:
            return Reply(number, "Refused", f"expected an expiry before the year 2200, found {request.expires}")
        return None

    # -- writes ----------------------------------------------------------------------------------

    def _write(self, link: Link, request: Request, value: bytes | None) -> None:
        core = self.core
        if core.storage:
            core.reply(link.number, Reply(request.number, "Storage", core.storage))
            return
        replica = core.replicas[request.bucket.partition("/")[0]]
        if len(core.acks[replica.scope]) >= WRITES_WAITING_AT_MOST:
            core.reply(link.number, Reply(request.number, "Unavailable", "too many writes wait for the disk here"))
            return
        present = replica.table.get(request.bucket, request.key)
        saw = request.seen
        if core.now.wall_ms > LATEST_MS:
            core.reply(link.number, Reply(request.number, "Refused", "this node's clock is beyond the year 2200"))
            return
        if saw is None:
            time, counter = core.new_version(present)
        else:
            time, counter = core.new_version(present, (saw.time, saw.counter))
        if time > LATEST_MS:  # no other node would take it
            core.reply(link.number, Reply(request.number, "Refused", "this key's versions are used up"))
            return
        record = Record(
            0, request.bucket, request.key, value, time, counter, request.expires if value is not None else 0
        )
        core.write(record, Waiting(record, core.now.mono_ms, link.number, request.number))

    def _region_state(self, link: Link, request: Request) -> None:
        states = {"drain": b"draining", "evict": b"evicted", "serve": b"serving"}
        value = request.value or states[request.op]
        if request.key not in self.core.config.members or value.decode(errors="replace") not in REGION_STATES:
            known = ", ".join(self.core.config.members)
            self.core.reply(link.number, Reply(request.number, "Refused", f"no such region or state; regions: {known}"))
            return
        if value.decode() != EVICTED and self.core.state_of(request.key) == EVICTED:
            self._returned(request.key)
        self._write(link, Request(request.number, "put", STATES, request.key, value), value)

    def _returned(self, region: str) -> None:
        """What the region's nodes get by a reset alone; before its new state, so that nobody sees that without."""
        core, key = self.core, region + RETURNED
        time, counter = core.new_version(core.replicas[GLOBAL].table.get(STATES, key))
        record = Record(0, STATES, key, b"", time, counter)
        core.write(record, Waiting(record, core.now.mono_ms))

    # -- reads -----------------------------------------------------------------------------------

    def _get(self, link: Link, request: Request) -> None:
        reply = self._answer(request)
        if reply is not None:
            self.core.reply(link.number, reply)
        elif len(self.readers) >= WAITING_AT_MOST:
            self.core.reply(link.number, Reply(request.number, "Unavailable", "too many reads wait here"))
        else:
            reader = Reader(link.number, request, self.core.now.mono_ms)
            self.readers.append(reader)
            if not self._has_seen(request):
                self._fetch(reader)

    def _replica(self, request: Request) -> Replica:
        return self.core.replicas[request.bucket.partition("/")[0]]

    def _has_seen(self, request: Request) -> bool:
        """Whether this node holds what the session has seen of the key."""
        saw = request.seen
        if saw is None:
            return True
        replica = self._replica(request)
        present = replica.table.get(request.bucket, request.key)
        if present is not None and present.version >= (saw.time, saw.counter, saw.maker):
            return True
        if replica.vector.covers_seen(saw.origin, saw.sequence):
            return True
        return replica.has_made_up_for(self.core.config.region, saw.origin, saw.sequence)

    def _answer(self, request: Request, *, late: bool = False) -> Reply | None:
        """None: not yet. late: it has waited long enough."""
        replica = self._replica(request)
        if not self._has_seen(request):
            return Reply(request.number, "Behind", "this node lacks what the session has seen") if late else None
        record = replica.table.get(request.bucket, request.key)
        secured = record is None or self.core.acks[replica.scope].secured(record)
        if not secured and not late and self.core.peers():
            return None
        return self._told(request, record, degraded=not secured)

    def _told(self, request: Request, record: Record | None, *, degraded: bool) -> Reply:
        if record is None:
            return Reply(request.number)
        if absent(record, self.core.now.wall_ms):
            return Reply(request.number, seen=seen(record), degraded=degraded)
        return Reply(
            request.number,
            present=True,
            value=record.value or b"",
            revision=str(record.version),
            seen=seen(record),
            degraded=degraded,
            expires=record.expires,
        )

    def settle_readers(self) -> None:
        """Answer the reads that can be answered now."""
        if self.readers:
            waiting, self.readers = self.readers, []
            self.readers.extend(one for one in waiting if not self._settled(one))
        if self.resumers:
            self.resumers = [one for one in self.resumers if not self._resumed(one)]

    def _settled(self, reader: Reader) -> bool:
        late = self.core.now.mono_ms - reader.since_ms >= self.core.config.limits.behind_ms
        reply = self._answer(reader.request, late=late)
        fetched = self._fetched.pop(reader.fetch, None) if reader.fetch else None
        if (reply is None or reply.error) and fetched is not None:
            saw = reader.request.seen
            if saw is not None and fetched.version >= (saw.time, saw.counter, saw.maker):
                # One peer told of it; that a second node holds it nobody said.
                reply = self._told(reader.request, fetched, degraded=True)
        if reply is None:
            return False
        self.core.reply(reader.link, reply)
        return True

    def _fetch(self, reader: Reader) -> None:
        self._fetches += 1
        reader.fetch = self._fetches
        body = encode(Fetch(reader.fetch, reader.request.bucket, reader.request.key))
        for link in self.core.peers():
            self.core.outlet.send(link.number, body)

    def fetch(self, link: Link, message: Fetch) -> None:
        """A peer asks what this node holds of a key."""
        replica = self.core.replicas[bucket_parts(message.bucket)[0]]
        record = replica.table.get(message.bucket, message.key)
        records = [] if record is None else [encode_record(record)]
        origin = "" if record is None else record.origin
        body = encode(Fetched(message.number, origin, array_of(records), replica.vector))
        self.core.outlet.send(link.number, body)

    def fetched(self, message: Fetched, scope_of: Callable[[int], str]) -> None:
        asked = next((one.request for one in self.readers if one.fetch == message.number), None)
        if message.origin and asked is not None:
            records = records_of(message.records, message.origin, scope_of(message.number))
            if len(records) != 1 or (records[0].bucket, records[0].key) != (asked.bucket, asked.key):
                raise Malformed("expected the record that was asked for")
            record = records[0]
            held = self._fetched.get(message.number)
            if held is None or record.version > held.version:
                self._fetched[message.number] = record
                self.settle_readers()

    def scope_of_fetch(self, number: int) -> str:
        for one in self.readers:
            if one.fetch == number:
                return one.request.bucket.partition("/")[0]
        return GLOBAL

    def _keys(self, link: Link, request: Request) -> None:
        shelf = self._replica(request).table.shelves.get(request.bucket)
        keys: list[str] = []
        size, more = 0, ""
        wall_ms = self.core.now.wall_ms
        for record in shelf.with_prefix(request.key, request.revision) if shelf is not None else ():
            if absent(record, wall_ms):
                continue
            if size > KEYS_BYTES:
                more = MORE
                break
            keys.append(record.key)
            size += len(record.key) + 8
        self.core.reply(link.number, Reply(request.number, keys=keys, info=more))

    def _tell_status(self, link: Link, request: Request) -> None:
        self.core.reply(link.number, Reply(request.number, info=json.dumps(self._status())))

    # -- watches ---------------------------------------------------------------------------------

    def _watch(self, link: Link, request: Request) -> None:
        replica = self._replica(request)
        secured = self.core.acks[replica.scope].secured
        watcher = Watcher(link.number, request.number, request.bucket, request.key, secured)
        if not request.resume:
            self._begin(watcher)
        elif not all(one == ISSUED or _is_origin(one.removeprefix(OWED)) for one in request.resume):
            self._begin(watcher, {})
        else:
            resumer = _resumer(watcher, request.resume, self.core.now.mono_ms)
            if not self._resumed(resumer):
                self.resumers.append(resumer)

    def _unwatch(self, link: int, number: int) -> None:
        self.core.watches.end(link, number)
        self.resumers = [one for one in self.resumers if (one.watcher.link, one.watcher.number) != (link, number)]

    def _begin(self, watcher: Watcher, shown: dict[str, int] | None = None) -> None:
        """shown: origin → sequence, what the watcher was shown before; None: nothing."""
        replica = self.core.replicas[watcher.bucket.partition("/")[0]]
        shelf = replica.table.shelves.get(watcher.bucket)
        snapshot = list(shelf.with_prefix(watcher.prefix)) if shelf is not None else []
        watcher.begin(iter(snapshot), compacted=shown is not None, lost=replica.lost(shown or {}))
        _owe(watcher, replica, shown or {})
        self.core.watches.add(watcher)

    def begin_anew(self, scope: str) -> None:
        """After a reset: what was shown may be no more; every watch gets a fresh snapshot."""
        given_up = self.core.replicas[scope].given_up.entries
        for watcher in self._watchers(scope):
            self._begin(watcher, _joined(given_up, watcher.owed))

    def _ended(self, scope: str) -> None:
        """Incarnations were closed: what was shown of them elsewhere and was not here by then, is lost."""
        replica = self.core.replicas[scope]
        for watcher in self._watchers(scope):
            if replica.lost(watcher.owed):
                self._begin(watcher, watcher.owed)
            else:
                _owe(watcher, replica, watcher.owed)

    def _watchers(self, scope: str) -> list[Watcher]:
        return [one for one in self.core.watches.all() if one.bucket.startswith(f"{scope}/")]

    def _resumed(self, resumer: Resumer) -> bool:
        """Go on from a token, or begin anew where that can't be."""
        core, watcher = self.core, resumer.watcher
        if watcher.link not in core.links:
            return True
        replica = core.replicas[watcher.bucket.partition("/")[0]]
        token = {origin: entry for origin, entry in resumer.token.items() if origin != ISSUED}
        shown = _joined(token, watcher.owed)
        covered = not replica.lacks(token)
        forgotten = {**replica.floor.vector.entries, **replica.dropped_of_closed}
        known = all(token.get(origin, 0) >= entry for origin, entry in forgotten.items()) and not replica.lost(shown)
        issued_ms = resumer.token.get(ISSUED, 0)
        expired_since = 0 < replica.floor.expired >= issued_ms
        older = bool(replica.floor.vector.closed) and issued_ms < core.began_wall_ms
        if covered and known and not (expired_since or older):
            core.watches.add(watcher)
            watcher.go_on(self._missed(replica, watcher, token), core.now.wall_ms)
            return True
        if covered or core.now.mono_ms - resumer.since_ms >= core.config.limits.ready_after_ms:
            self._begin(watcher, shown)
            return True
        return False

    def _missed(self, replica: Replica, watcher: Watcher, token: dict[str, int]) -> list[Record]:
        missed = [
            record
            for origin, index in replica.table.indexes.items()
            for record in index.above(token.get(origin, 0))
            if record.bucket == watcher.bucket and record.key.startswith(watcher.prefix)
        ]
        # What it was shown before may have expired while it was away.
        shelf = replica.table.shelves.get(watcher.bucket)
        held = shelf.with_prefix(watcher.prefix) if shelf is not None else ()
        return missed + [one for one in held if one.expires and absent(one, self.core.now.wall_ms)]

    def pump(self, link_has_room: Callable[[int], bool]) -> None:
        """Send watchers what they have still to be shown."""
        core = self.core
        if not core.watches.due:
            return
        tokens: dict[str, dict[str, int]] = {}
        for watcher in list(core.watches.due):
            scope = watcher.bucket.partition("/")[0]
            token = tokens.get(scope)
            if token is None:
                token = tokens[scope] = {**core.acks[scope].shown(), ISSUED: core.now.wall_ms}
            if watcher.owed:
                _owe(watcher, core.replicas[scope], watcher.owed)
            while link_has_room(watcher.link):
                frame = watcher.next(core.now.wall_ms, token)
                if frame is None:
                    core.watches.due.pop(watcher, None)
                    break
                core.outlet.send(watcher.link, encode(frame))

    def closed(self, link: Link) -> None:
        for one in self.readers:
            if one.link == link.number:
                self._fetched.pop(one.fetch, None)
        self.readers = [one for one in self.readers if one.link != link.number]
        self.resumers = [one for one in self.resumers if one.watcher.link != link.number]

    def next_ms(self) -> float:
        """When the first waiting read is late."""
        if not self.readers and not self.resumers:
            return float("inf")
        firsts = [one.since_ms for one in self.readers[:1]]
        firsts += [one.since_ms + self.core.config.limits.ready_after_ms for one in self.resumers]
        return min(firsts) + self.core.config.limits.behind_ms


def _is_version(saw: Seen | None) -> bool:
    return saw is None or (0 <= saw.time <= LATEST_MS and 0 <= saw.counter < COUNTER_LIMIT)


def _resumer(watcher: Watcher, token: dict[str, int], now_ms: float) -> Resumer:
    watcher.owed = {one.removeprefix(OWED): entry for one, entry in token.items() if one.startswith(OWED)}
    return Resumer(watcher, {one: entry for one, entry in token.items() if not one.startswith(OWED)}, now_ms)


def _owe(watcher: Watcher, replica: Replica, shown: dict[str, int]) -> None:
    """Remember what of it is not here yet."""
    watcher.owed = dict(islice(replica.lacks(shown).items(), OWED_AT_MOST))


def _joined(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """What either was shown."""
    return one | {origin: max(entry, one.get(origin, 0)) for origin, entry in other.items()}


def _is_origin(text: str) -> bool:
    try:
        return bool(parts(text))
    except ValueError:
        return False


def _is_number(text: str) -> bool:
    return len(text) < 20 and text.isascii() and text.isdecimal()
