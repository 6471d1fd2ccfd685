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
    assert (one.take() - FIRST) // BLOCK != (two.take() - FIRST) // BLOCK
    one.close()
    two.close()


def test_a_port_in_use_is_passed_over() -> None:
    before = PortBlock()
    first, second = before.take(), before.take()
    before.close()
    with socket.create_server(("127.0.0.1", first)):
        block = PortBlock()
        assert block.take() == second
        block.close()


def test_what_a_closed_connection_left_behind_is_no_obstacle() -> None:
    """Runs in quick succession would use up their block: TIME_WAIT lasts a minute."""
    block = PortBlock()
    port = block.take()
    block.close()
    with socket.create_server(("127.0.0.1", port)) as server:
        far = socket.create_connection(("127.0.0.1", port))
        near, _ = server.accept()
        near.close()  # who closes first keeps the port in TIME_WAIT
        far.close()
    again = PortBlock()
    assert again.take() == port
    again.close()


def test_all_ports_lie_outside_the_ephemeral_range() -> None:
    assert LAST < 32_768


def test_a_block_used_up_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "BLOCK", 3)
    monkeypatch.setattr(ports, "_bindable", lambda port: True)
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
