"""AF_IUCV: addresses, SMAPI over it, and the agents in guests; the kernel's part is a pair of sockets."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from zvmcloud.simulator.embed import Simulator
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client
from zvmcloud.smapi.errors import ConnectError
from zvmcloud.zhcp import settings
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.linux import iucv
from zvmcloud.zhcp.linux.machine import LinuxMachine
from zvmcloud.zhcp.machine import CpAnswer, GuestUnreachableError
from zvmcloud.zhcp.program import machine_of
from zvmcloud.zhcp.smapi_port import SmapiPort


def test_an_address_has_32_bytes_with_blank_padded_names() -> None:
    where = iucv.address("vsmreqiu", "DMSRSRQU")
    assert len(where) == 32
    assert int.from_bytes(where[:2], sys.byteorder) == 32
    assert where[2:8] == bytes(6)
    assert where[8:] == b"        VSMREQIUDMSRSRQU"
    assert iucv.address("zhcp", "OPNCLOUD")[16:] == b"ZHCP    OPNCLOUD"
    with pytest.raises(ValueError, match="8 characters"):
        iucv.address("TOOLONGNAME", "X")


async def test_smapi_over_iucv_knows_the_caller_without_a_password(tmp_path: Path) -> None:
    dialled: list[bytes] = []
    async with Simulator(state=tmp_path, trusted_userid="ZHCP") as simulator:

        def connector(where: bytes) -> socket.socket:
            dialled.append(where)
            return socket.create_connection(("127.0.0.1", simulator.members[0].trusted_port))

        client = Client("", userid="", password="", opener=iucv.opener("VSMREQIU", "DMSRSRQU", connector))
        answer = await client.call(f.ImageQueryDM(target="ZHCP"))
        assert answer.reply.image_record_array[0].startswith("USER ZHCP")
    assert dialled == [iucv.address("VSMREQIU", "DMSRSRQU")]


async def test_where_the_kernel_has_no_iucv_the_client_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iucv, "AF_IUCV", 4711)
    with pytest.raises(OSError, match="family") as caught:
        iucv.connect(iucv.address("VSMREQIU", "DMSRSRQU"))
    assert caught.value.errno == errno.EAFNOSUPPORT
    client = Client("", userid="", password="", patience=IMPATIENT, opener=iucv.opener("VSMREQIU", "DMSRSRQU"))
    with pytest.raises(ConnectError, match="family"):
        await client.call(f.QueryAPIFunctionalLevel(target="ZHCP"))


def test_the_kernels_connect_is_called_with_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "door")
    monkeypatch.setattr(iucv, "AF_IUCV", socket.AF_UNIX)
    where = int(socket.AF_UNIX).to_bytes(2, sys.byteorder) + path.encode() + b"\0"
    with pytest.raises(FileNotFoundError):
        iucv.connect(where)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        with iucv.connect(where) as ours, door.accept()[0] as theirs:
            ours.sendall(b"here")
            assert theirs.recv(4) == b"here"


def test_settings_choose_the_transport_and_the_machine(tmp_path: Path) -> None:
    found = settings.read({"smapi": {"transport": "iucv"}, "machine": {"kind": "linux"}}, tmp_path)
    assert isinstance(machine_of(found), LinuxMachine)
    assert SmapiPort.of(found).health.healthy
    for wrong in ({"smapi": {"transport": "udp"}}, {"machine": {"kind": "qemu"}}):
        with pytest.raises(settings.SettingsError, match=r"udp|qemu"):
            settings.read(wrong, tmp_path)
    with pytest.raises(settings.SettingsError, match=r"smapi\.tls"):
        settings.read({"smapi": {"transport": "iucv", "tls": True}}, tmp_path)


# -- the agent in a guest


class GuestAgent:
    """The server of a guest: takes one request, sends the pieces of its answer."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.request = b""
        self.threads: list[threading.Thread] = []

    def connector(self, _where: bytes) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.threads.append(threading.Thread(target=self._serve, args=(theirs,)))
        self.threads[-1].start()
        return ours

    def _serve(self, theirs: socket.socket) -> None:
        with theirs:
            self.request = theirs.recv(2048)
            for piece in self.pieces:
                theirs.sendall(piece)


@pytest.fixture
def agents() -> Iterator[list[GuestAgent]]:
    made: list[GuestAgent] = []
    yield made
    for agent in made:
        for thread in agent.threads:
            thread.join(5)


async def test_a_command_runs_in_a_guest_and_its_output_comes_in_pieces(agents: list[GuestAgent]) -> None:
    agents.append(agent := GuestAgent(b"Linux ", b"s390x\niucvcmd", b"rc=0\n\0"))
    agents.append(failing := GuestAgent(b"no\niucvcmdrc=8\n"))
    linux = LinuxMachine(cp=lambda _: CpAnswer(0, ("ZHCP     AT ZVM1",)), connector=agent.connector)
    answer = await linux.guest("LINUX01", "uname -sm")
    assert (answer.rc, answer.output) == (0, "Linux s390x\n")
    assert agent.request == b"ZHCP 0.0.0.0 uname -sm\0"
    assert (await iucv.guest_command("LINUX01", "ZHCP", "false", failing.connector)).rc == 8


async def test_a_guest_that_does_not_know_us_says_so(agents: list[GuestAgent]) -> None:
    agents.append(agent := GuestAgent(b"UNAUTHORIZED_ERROR: userid ZHCP#13"))
    answer = await iucv.guest_command("LINUX01", "ZHCP", "pwd", agent.connector)
    assert answer.rc == 1
    assert "UNAUTHORIZED" in answer.output


async def test_a_guest_that_is_down_is_unreachable(agents: list[GuestAgent]) -> None:
    def refused(_: bytes) -> socket.socket:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    with pytest.raises(GuestUnreachableError, match="LINUX01: Network"):
        await iucv.guest_command("LINUX01", "ZHCP", "pwd", refused)
    agents.append(agent := GuestAgent(b"half"))
    with pytest.raises(GuestUnreachableError, match="ended before"):
        await iucv.guest_command("LINUX01", "ZHCP", "pwd", agent.connector)


async def test_a_command_that_does_not_fit_into_a_message_is_not_sent(agents: list[GuestAgent]) -> None:
    agents.append(agent := GuestAgent())
    with pytest.raises(AgentError, match="at most"):
        await iucv.guest_command("LINUX01", "ZHCP", "x" * 1020, agent.connector)
    assert agent.threads == []
