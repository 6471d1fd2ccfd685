"""What can go wrong, as one tree:

SyncStoreError
├── Unavailable     certainly not done: no node of the region could take it
├── Timeout         indefinite: it may have happened
├── WrongRevision   certainly not done: the key has another revision
├── WrongKind       certainly not done: create and update are for registers
├── TooLarge        certainly not done: a key or value beyond the limits
├── Denied          certainly not done: this certificate's role may not do it
├── Storage         certainly not done: this node's disk takes no writes
├── Refused         the command line or configuration asks for what can't be
├── Behind          internal: the session has seen more than this node holds
└── Malformed       internal: bytes that are no frame, entry or record
"""

from __future__ import annotations


class SyncStoreError(Exception):
    """Its text is a sentence: what was expected, what was found, what to do."""


class Unavailable(SyncStoreError):
    pass


class Timeout(SyncStoreError):
    pass


class WrongRevision(SyncStoreError):
    """revision: the one the key has now, "" where it has none."""

    def __init__(self, sentence: str, revision: str = "") -> None:
        super().__init__(sentence)
        self.revision = revision


class WrongKind(SyncStoreError):
    pass


class TooLarge(SyncStoreError):
    pass


class Denied(SyncStoreError):
    pass


class Storage(SyncStoreError):
    pass


class Refused(SyncStoreError):
    pass


class Behind(SyncStoreError):
    pass


class Malformed(SyncStoreError):
    pass
