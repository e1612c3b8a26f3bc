from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from service.storage.sockets import has_input


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_there_is_input_once_the_other_side_has_said_something(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    assert not has_input(here.fileno())
    there.send(b"x")
    assert has_input(here.fileno())
    here.recv(1)
    assert not has_input(here.fileno())


def test_the_end_of_a_connection_is_input(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    there.close()
    assert has_input(here.fileno())


def test_a_busy_worker_has_descriptors_past_those_that_select_knows(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    here, there = pair
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    high = 1500
    if soft <= high:
        resource.setrlimit(resource.RLIMIT_NOFILE, (high + 1, hard))
    try:
        os.dup2(here.fileno(), high)
        assert not has_input(high)
        there.send(b"x")
        assert has_input(high)
    finally:
        os.close(high)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
