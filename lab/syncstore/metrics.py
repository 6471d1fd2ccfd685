"""What a node tells Prometheus, in prometheus_client's own words.

Owns names, units and helps. Takes what `/status` shows; knows nothing of how that came about. A
number of the engine's that is not described here is shown all the same, under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from lab.syncstore.node.histogram import BOUNDS_MS, Histogram

PREFIX = "syncstore_"
COUNTERS = {
    "divergence": "Hash buckets that differed although the vectors said equal: must stay 0, a repair is a bug found.",
    "repairs": "Records exchanged because of a divergence.",
    "degraded": "Writes acknowledged without a second node's word.",
    "superseded": "Registers written in two regions at once: one region's value was replaced.",
    "forced_conflict": "Two regions that evicted each other met: what a delete had seen may have returned.",
    "future_versions": "Records adopted whose version was more than 500 ms ahead of this clock.",
    "restored_disk": "A peer knew more of this node's writes than its disk did: an old disk was restored.",
    "members_differ": "HELLOs of other regions that were started with other members than this node.",
    "deltas_taken": "Deltas merged.",
    "deltas_refused": "Deltas that did not fit what is held here.",
    "resets_taken": "Resets: a peer's whole state replaced this one's.",
    "gaps": "Streams that did not begin where this node was.",
    "dials": "Calls to other nodes.",
    "dials_failed": "Calls that nobody answered.",
    "malformed": "Frames that made no sense: each cost its connection.",
    "unknown_frames": "Frames of a newer protocol, ignored.",
}

_GAUGES = {
    "clients": "Clients connected, as the engine sees it.",
    "watches": "Watches open.",
    "waiting_reads": "Reads that wait until they may be answered.",
}
_SCOPE = {
    "records": "Keys held, tombstones included.",
    "tombstones": "Deletes and expired keys that are still remembered.",
    "ring_bytes": "Recent writes kept for peers that come back soon.",
}
_PEER = ["region", "node", "purpose"]
_LINK = {
    "heard_ms_ago": "Since the last frame of it.",
    "credit_bytes": "What may be sent to it.",
    "inbox_bytes": "What it sent and what waits here.",
    "unsent_bytes": "What was sent to it and what its socket has not taken.",
}
_GAPS = {
    "behind_us": "Writes held here that it had not stated to hold.",
    "ahead_of_us": "Writes it stated to hold that aren't here.",
}


def exposed(status: Mapping[str, Any], sync: Histogram | None, lag: Histogram) -> tuple[str, bytes]:
    """(content type, text). status: as `/status` shows it."""
    registry = CollectorRegistry()
    registry.register(Told(status, sync, lag))
    ProcessCollector(registry=registry)
    return CONTENT_TYPE_LATEST, generate_latest(registry)


class Told(Collector):
    """One reading."""

    def __init__(self, status: Mapping[str, Any], sync: Histogram | None, lag: Histogram) -> None:
        self._status, self._sync, self._lag = status, sync, lag

    def collect(self) -> Iterator[Metric]:
        status = self._status
        yield _gauge("ready", "1: holds what its peers held when it started.", status["ready"])
        yield _counter("bugs", "Exceptions of our own; the node's log tells where.", status["bugs"])
        yield _histogram(
            "loop_lag_seconds", "How late the event loop is: what every request waits in addition.", self._lag
        )
        yield from _connections(status["connections"])
        if self._sync is not None:
            yield _histogram(
                "log_sync_seconds", "How long the disk took to make a group of writes durable.", self._sync
            )
            yield from _log(status["log"], status["snapshots"])
        for name, value in status.get("counters", {}).items():
            yield _counter(_name(name), COUNTERS.get(name, "Counted by the engine."), value)
        yield from _engine(status.get("engine", {}))


def _connections(told: Mapping[str, Any]) -> Iterator[Metric]:
    yield _labelled(GaugeMetricFamily, "connections", "Open connections.", "purpose", told["open"])
    counts = told["counts"]
    ended = {name.removeprefix("closed: "): value for name, value in counts.items() if name.startswith("closed: ")}
    yield _labelled(CounterMetricFamily, "connections_closed", "Connections that ended, and why.", "reason", ended)
    others = {name: value for name, value in counts.items() if not name.startswith("closed: ")}
    yield _labelled(CounterMetricFamily, "connection_events", "Other events of connections.", "event", others)
    yield _gauge(
        "foreign_waiting_bytes", "Frames of other regions that wait for their slice.", told["foreign_waiting_bytes"]
    )


def _log(told: Mapping[str, Any], snapshots: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("log_failing", "1: the disk takes no writes.", bool(told["failing"]))
    yield _counter("log_sync_failures", "Syncs that failed.", told["sync_failures"])
    yield _gauge("log_pending_bytes", "Entries in memory that aren't known to be durable.", told["pending_bytes"])
    yield _gauge(
        "log_since_snapshot_bytes", "Entries that a restart reads after the snapshot.", told["bytes_since_snapshot"]
    )
    yield _counter("log_durable_bytes", "Bytes of entries ever made durable on this disk.", told["durable_position"])
    yield _counter("snapshots", "Snapshots put in force since the start.", snapshots["taken"])
    yield _counter("snapshot_failures", "Snapshots that could not be written.", snapshots["failures"])


def _engine(told: Mapping[str, Any]) -> Iterator[Metric]:
    """What `lab.syncstore.status` tells."""
    if not told:
        return
    for name in ("clients", "watches", "waiting_reads"):
        if name in told:
            yield _gauge(f"engine_{name}", _GAUGES[name], told[name])
    yield _gauge(
        "alarms", "Things an operator should look at; `/status` says what they are.", len(told.get("alarms", ()))
    )
    yield _labelled(
        GaugeMetricFamily, "hears", "1: this node hears that region.", "region", dict.fromkeys(told.get("hears", ()), 1)
    )
    for name, help_ in _SCOPE.items():
        values = {scope: one[name] for scope, one in told.get("scopes", {}).items() if name in one}
        yield _labelled(GaugeMetricFamily, name, help_, "scope", values)
    yield from _peers(told.get("peers", ()))


def _peers(peers: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    """Of two links to one node (both dialled), the worse counts."""
    plain = {
        name: GaugeMetricFamily(f"{PREFIX}peer_{name.replace('heard_ms_ago', 'silent_seconds')}", help_, labels=_PEER)
        for name, help_ in _LINK.items()
    }
    gaps = {
        name: GaugeMetricFamily(f"{PREFIX}peer_{name}_writes", help_, labels=[*_PEER, "scope"])
        for name, help_ in _GAPS.items()
    }
    worst: dict[tuple[str, ...], float] = {}
    for peer in peers:
        labels = (str(peer["region"]), str(peer["node"]), str(peer["purpose"]))
        for name in plain:
            alone = (name, *labels)
            worst[alone] = max(worst.get(alone, 0.0), float(peer.get(name, 0)))
        for name in gaps:
            for scope, gap in peer.get(name, {}).items():
                of_scope = (name, *labels, str(scope))
                worst[of_scope] = max(worst.get(of_scope, 0.0), float(gap))
    for (name, *values), value in worst.items():
        (plain | gaps)[name].add_metric(values, value / 1000 if name == "heard_ms_ago" else value)
    yield from plain.values()
    yield from gaps.values()


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help_, value=float(value))


def _counter(name: str, help_: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, help_, value=float(value))


def _labelled(family: Any, name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    metric: Metric = family(PREFIX + name, help_, labels=[label])
    for key, value in values.items():
        metric.add_metric([key], value)  # type: ignore[attr-defined]
    return metric


def _histogram(name: str, help_: str, histogram: Histogram) -> Metric:
    """Bounds become seconds, counts become cumulative, as Prometheus wants them."""
    total, buckets = 0, []
    for bound, count in zip([*(f"{one / 1000:g}" for one in BOUNDS_MS), "+Inf"], list(histogram.counts), strict=True):
        total += count
        buckets.append((bound, total))
    return HistogramMetricFamily(PREFIX + name, help_, buckets=buckets, sum_value=histogram.sum_ms / 1000)


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_").removesuffix("_total")
