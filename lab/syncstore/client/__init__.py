"""The client of SyncStore, for asyncio (uvloop or not).

from lab.syncstore.client import connect

async with connect(["syncstore://127.0.0.1:7100"]) as client:
    rooms = client.bucket("rooms")
    await rooms.put("sg/1", b"open")
"""

from lab.syncstore.client.client import Bucket, Client, connect
from lab.syncstore.client.results import Entry, Written
from lab.syncstore.client.watch import Watch
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
from lab.syncstore.watched import Event

__all__ = [
    "Bucket",
    "Client",
    "Denied",
    "Entry",
    "Event",
    "Refused",
    "Storage",
    "SyncStoreError",
    "Timeout",
    "TooLarge",
    "Unavailable",
    "Watch",
    "Written",
    "WrongKind",
    "WrongRevision",
    "connect",
]
