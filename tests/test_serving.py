"""The doors that programs listen on."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from zvmcloud.serving import tcp_door, unix_door


async def test_an_answer_of_two_writes_does_not_wait_for_the_clients_acknowledgement() -> None:
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken = writer.get_extra_info("socket")
        told.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with tcp_door("127.0.0.1", 0) as door:
        async with await asyncio.start_server(connected, sock=door):
            _, writer = await asyncio.open_connection(*door.getsockname())
            assert await asyncio.wait_for(told, 10)
            writer.close()


def test_a_port_that_is_taken_is_refused_at_once() -> None:
    with tcp_door("127.0.0.1", 0) as door:
        door.listen()
        with pytest.raises(OSError, match="in use"):
            tcp_door(*door.getsockname())


def test_a_unix_socket_is_its_owners_and_takes_the_place_of_one_that_was_left(tmp_path: Path) -> None:
    unix_door(tmp_path / "door").close()
    with unix_door(tmp_path / "door") as door:
        door.listen()
        assert stat.S_IMODE((tmp_path / "door").stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "door"))


def test_a_path_that_is_too_long_for_a_unix_socket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        unix_door(tmp_path / ("d" * 200))
