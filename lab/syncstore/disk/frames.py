"""The bytes of a segment or snapshot file: a header, then frames. Pure: bytes in, bytes out.

    header  magic 8, position u64, salt 16, crc u32
    entry   length u32, crc u32, payload
    mark    2³²−1, crc u32, salt 16, position u64, durable u64
    end     2³²−2, crc u32, number of entries u64

Big-endian. Every CRC-32 begins with the file's salt and covers the frame's *position*: the bytes of
entries (heads included, nothing else) before it. So a frame counts in its own place only, whatever
old blocks a power cut leaves in a file.

A mark begins each group that is written together, and says up to where all was durable by then. One
that is found behind a damaged place, and calls that place durable, proves that it is no torn tail. The
salt makes marks findable where the lengths before them can't be trusted; nobody outside can forge one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO
from zlib import crc32

PAYLOAD_BYTES = 8 * 2**20
"""The longest payload of an entry or chunk."""
HEAD = struct.Struct(">II")
PLACE = struct.Struct(">QI")
HEAD_BYTES = HEAD.size
SALT_BYTES = 16

SEGMENT, SNAPSHOT = b"SYNCLOG1", b"SYNCSNP1"

_HEADER = struct.Struct(f">8sQ{SALT_BYTES}s")
HEADER_BYTES = _HEADER.size + 4
_MARK, _END = 2**32 - 1, 2**32 - 2
_MARKED = struct.Struct(f">{SALT_BYTES}sQQ")
_COUNT = struct.Struct(">Q")
_SEARCHED_BYTES = 2**20


def header(magic: bytes, position: int, salt: bytes) -> bytes:
    fields = _HEADER.pack(magic, position, salt)
    return fields + crc32(fields).to_bytes(4, "big")


def read_header(magic: bytes, content: bytes) -> tuple[int, bytes] | None:
    """(position, salt), or None where it is no such header, or a damaged one."""
    if len(content) < HEADER_BYTES or crc32(content[: _HEADER.size]) != int.from_bytes(content[_HEADER.size :], "big"):
        return None
    found, position, salt = _HEADER.unpack_from(content)
    return (position, salt) if found == magic else None


def entry(seed: int, position: int, payload: bytes) -> bytes:
    """seed: the CRC of the file's salt. The payload is 1 to PAYLOAD_BYTES long."""
    length = len(payload)
    return HEAD.pack(length, crc32(payload, crc32(PLACE.pack(position, length), seed))) + payload


def mark(salt: bytes, position: int, durable: int) -> bytes:
    return _special(crc32(salt), position, _MARK, _MARKED.pack(salt, position, durable))


def end(seed: int, position: int, count: int) -> bytes:
    return _special(seed, position, _END, _COUNT.pack(count))


def said_behind(file: BinaryIO, salt: bytes) -> tuple[int, int]:
    """Of the rest of a file: the most that any mark says was durable (0 where there is none), and the bytes
    up to the last that is no zero, since what is filled ahead was never written."""
    most, kept, read, used = 0, b"", 0, 0
    while more := file.read(_SEARCHED_BYTES):
        written = len(more.rstrip(b"\0"))
        used = read + written if written else used
        read += len(more)
        text = kept + more
        found = text.find(salt)
        while found >= 0:
            most = max(most, _durable_of_mark(text[max(0, found - HEAD_BYTES) : found + _MARKED.size], salt))
            found = text.find(salt, found + 1)
        kept = text[-(HEAD_BYTES + _MARKED.size - 1) :]
    return most, used


class Walk:
    """The payloads of one file, in order, and why they ended.

    position: where the last whole entry ends. durable: what the last mark said. offset: where in
    the file the walk ended. damage: "" where the file ends after a whole frame. count: entries
    seen. ended: the `end` frame was seen.
    """

    def __init__(self, file: BinaryIO, salt: bytes, position: int) -> None:
        self._file, self._seed, self.salt = file, crc32(salt), salt
        self.position, self.durable, self.offset = position, 0, HEADER_BYTES
        self.count, self.damage, self.ended = 0, "", False

    def payloads(self) -> Iterator[bytes]:
        """Those up to the first damage. Raises OSError."""
        read, seed = self._file.read, self._seed
        while head := read(HEAD_BYTES):
            if len(head) < HEAD_BYTES:
                self.damage = "the file ends within the head of an entry"
                return
            length, crc = HEAD.unpack(head)
            if length >= _END:
                if self._special(length, crc):
                    continue
                return
            if not 0 < length <= PAYLOAD_BYTES:
                self.damage = f"an entry can't be {length} bytes long"
                return
            payload = read(length)
            if crc32(payload, crc32(PLACE.pack(self.position, length), seed)) != crc:
                self.damage = _DAMAGED if len(payload) == length else "the file ends within an entry"
                return
            self.position += HEAD_BYTES + length
            self.offset += HEAD_BYTES + length
            self.count += 1
            yield payload

    def _special(self, length: int, crc: int) -> bool:
        """Take a mark (True: go on) or the end."""
        form = _MARKED if length == _MARK else _COUNT
        body = self._file.read(form.size)
        if len(body) < form.size or crc32(body, crc32(PLACE.pack(self.position, length), self._seed)) != crc:
            self.damage = _DAMAGED
            return False
        self.offset += HEAD_BYTES + form.size
        if length == _MARK:
            self.durable = form.unpack(body)[2]
            return True
        self.ended = form.unpack(body)[0] == self.count
        if not self.ended or self._file.read(1):
            self.damage = "the file does not end where it says"
        return False


def _special(seed: int, position: int, length: int, body: bytes) -> bytes:
    return HEAD.pack(length, crc32(body, crc32(PLACE.pack(position, length), seed))) + body


def _durable_of_mark(text: bytes, salt: bytes) -> int:
    """What a mark of these very bytes says; 0 where they are none."""
    if len(text) < HEAD_BYTES + _MARKED.size:
        return 0
    _, position, durable = _MARKED.unpack_from(text, HEAD_BYTES)
    return int(durable) if text == mark(salt, position, durable) else 0


_DAMAGED = "an entry does not match its checksum"
