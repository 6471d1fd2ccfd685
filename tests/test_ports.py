"""Two runs on one machine never want the same port, whatever happens to either."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from multiprocessing.connection import Connection

import pytest

from lab.errors import Refused
from lab.runtimes import ports
from lab.runtimes.ports import BLOCK, FIRST, LAST, PortBlock

TAKEN = 30


@pytest.fixture(autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of this test alone: runs beside it neither see nor disturb it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def hold_a_block(pipe: Connection) -> None:
    block = PortBlock()
    pipe.send([block.take() for _ in range(TAKEN)])
    pipe.recv()  # until told, or until the other end is gone


def a_holder() -> tuple[multiprocessing.Process, Connection, list[int]]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=hold_a_block, args=(there,), daemon=True)
    process.start()
    assert here.poll(20)
    return process, here, here.recv()  # type: ignore[return-value]


def test_two_processes_never_overlap() -> None:
    one, one_end, first = a_holder()
    two, two_end, second = a_holder()
    own = PortBlock()
    third = [own.take() for _ in range(TAKEN)]
    own.close()
    assert len({*first, *second, *third}) == 3 * TAKEN
    assert all(FIRST <= port <= LAST for port in [*first, *second, *third])
    for process, end in ((one, one_end), (two, two_end)):
        end.send("enough")
        process.join(10)


def test_a_killed_process_gives_its_block_back() -> None:
    process, _, first = a_holder()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(10)
    block = PortBlock()
    assert block.take() == first[0]
    block.close()


def test_within_one_process_too() -> None:
    one, two = PortBlock(), PortBlock()
    assert abs(one.take() - two.take()) >= BLOCK - 50
    one.close()
    two.close()


def test_a_port_in_use_is_passed_over() -> None:
    block = PortBlock()
    first = block.take()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", first + 1))
        assert block.take() == first + 2
    block.close()


def test_all_ports_lie_outside_the_ephemeral_range() -> None:
    assert LAST < 32_768


def test_a_block_used_up_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "BLOCK", 3)
    block = PortBlock()
    for _ in range(3):
        block.take()
    with pytest.raises(Refused, match="no free port left among the 3 of this run; stop what listens"):
        block.take()
    block.close()


def test_no_block_left_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "LAST", FIRST + BLOCK - 1)
    block = PortBlock()
    with pytest.raises(Refused, match="taken by other runs; wait, or run `lab clean`"):
        PortBlock()
    block.close()
