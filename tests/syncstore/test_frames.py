"""The bytes of the log's files."""

from __future__ import annotations

from io import BytesIO

import pytest

from lab.syncstore.disk import frames


@pytest.mark.parametrize("chunk_bytes", range(41, 120, 13))
def test_a_mark_is_found_wherever_it_lies_and_no_other_bytes_are(
    monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(frames, "_SEARCHED_BYTES", chunk_bytes)
    salt = bytes(range(16))
    mark = frames.mark(salt, 1000, 900)
    for before in range(150):
        assert frames.said_behind(BytesIO(bytes(before) + mark + b"behind"), salt)[0] == 900
    forged = mark[:8] + salt + bytes(7) + b"\1" + mark[-8:]
    assert frames.said_behind(BytesIO(salt + forged + salt + mark[:-1]), salt)[0] == 0


def test_a_frame_counts_in_its_own_place_and_file_only() -> None:
    salt, seed = b"s" * 16, frames.crc32(b"s" * 16)
    content = frames.entry(seed, 7, b"first") + frames.entry(seed, 20, b"second")
    walk = frames.Walk(BytesIO(content), salt, 7)
    assert list(walk.payloads()) == [b"first", b"second"] and not walk.damage and walk.position == 34
    for other_salt, position in ((salt, 6), (b"t" * 16, 7)):
        walk = frames.Walk(BytesIO(content), other_salt, position)
        assert list(walk.payloads()) == [] and "checksum" in walk.damage
