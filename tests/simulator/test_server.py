"""The request server as a peer on a network: framing, slow and broken clients, TLS, asynchronous work, lost replies."""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulator.checks import consistent
from simulator.support import linux
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.system import Timing
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client, Tls
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.errors import SmapiError, TransportError

STATUS = encode_request(f.ImageStatusQuery(target="TCPIP"), "MAINT", "MAINT")


async def exchange(port: int, data: bytes, *, step: int = 0, close: bool = False) -> bytes:
    """Everything the server sends for the bytes, which go in one write or in steps."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for at in range(0, len(data), step or len(data)):
            writer.write(data[at : at + (step or len(data))])
            await writer.drain()
            if step:
                await asyncio.sleep(0)
        if close:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def codes(reply: bytes) -> tuple[int, int]:
    """Return and reason code; checks that the request id stands twice and the length is right."""
    first, length, again, rc, rs = struct.unpack_from(">IIIII", reply)
    assert first == again != 0
    assert length == len(reply) - 8
    return rc, rs


async def test_the_request_id_comes_before_the_work_is_done(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path, timing=Timing(smapi=0.3)) as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.smapi_port)
        writer.write(STATUS)
        async with asyncio.timeout(0.25):
            request_id = await reader.readexactly(4)
        assert (await reader.read(-1))[4:8] == request_id
        writer.close()


@pytest.mark.parametrize("step", [0, 1, 7])
async def test_any_split_of_a_request_is_taken(sim: Simulator, step: int) -> None:
    assert codes(await exchange(sim.smapi_port, STATUS, step=step)) == (0, 0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xff\xff\xff\xff", (900, 36)),
        (b"\x00\x00\x00\x00", (900, 36)),
        (struct.pack(">II", 8, 100) + b"ABCD", (900, 36)),
        (struct.pack(">II", 4, 4), (900, 20)),
        (
            encode_request(f.ImageStatusQuery(target="A"), "MAINT", "MAINT").replace(
                b"Image_Status_Query", b"Image_Stotus_Query"
            ),
            (900, 12),
        ),
        (struct.pack(">I", len(STATUS)) + STATUS[4:] + b"\0\0\0\0", (900, 20)),
        (b"\x00\x00\x00\x10\xffNo_Such_Thing\x00\x00", (900, 12)),
    ],
)
async def test_a_request_that_is_none_gets_its_code(sim: Simulator, data: bytes, expected: tuple[int, int]) -> None:
    assert codes(await exchange(sim.smapi_port, data)) == expected


async def test_a_client_that_stops_in_the_middle_is_cut_off(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path, request_timeout=0.2) as sim:
        assert await exchange(sim.smapi_port, STATUS[:20]) == b""
        assert await exchange(sim.smapi_port, STATUS[:20], close=True) == b""
        assert codes(await exchange(sim.smapi_port, STATUS, close=True)) == (0, 0)


async def test_check_authentication_works_without_a_target(sim: Simulator) -> None:
    with_target = encode_request(f.CheckAuthentication(), "MAINT", "MAINT")
    body = with_target[4:-4]
    assert codes(await exchange(sim.smapi_port, len(body).to_bytes(4, "big") + body)) == (0, 0)
    assert codes(await exchange(sim.smapi_port, with_target)) == (0, 0)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.integers(0, len(STATUS) - 1), st.binary(min_size=1, max_size=8))
async def test_a_mangled_request_never_breaks_the_server(
    sim: Simulator, caplog: pytest.LogCaptureFixture, at: int, noise: bytes
) -> None:
    caplog.set_level(logging.ERROR)
    await exchange(sim.smapi_port, STATUS[:at] + noise + STATUS[at + len(noise) :], close=True)
    assert not caplog.records
    assert codes(await exchange(sim.smapi_port, STATUS)) == (0, 0)


async def test_many_clients_at_once(sim: Simulator) -> None:
    client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT")
    names = [f"LNX{number:05d}" for number in range(100)]
    await asyncio.gather(*(client.call(f.ImageCreateDM(target=name, image_record_array=linux(name))) for name in names))
    assert set(names) <= set((await client.call(f.ImageNameQueryDM(target="MAINT"))).reply.image_name_array)
    consistent(sim.system)


async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    async with Simulator(state=tmp_path / "state", tls=context) as sim:
        keys: dict[str, Any] = {"userid": "MAINT", "password": "MAINT"}
        good = Client("localhost", sim.smapi_port, tls=Tls(ca_file=bundle), **keys)
        assert (await good.call(f.CheckAuthentication())).rc == 0
        with pytest.raises(TransportError):
            await Client("localhost", sim.smapi_port, tls=Tls(), **keys).call(f.CheckAuthentication())


async def test_asynchronous_directory_work_is_followed_to_its_end(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path, asynchronous=True, timing=Timing(directory=0.2)) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT")
        request = f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01"))
        begun = await client.call(request, follow=False)
        assert begun.rc == 592
        number = begun.reply.operation_id
        query = f.QueryAsynchronousOperationDM(target="MAINT", operation_id=number)
        assert "LINUX01" not in sim.system.entries
        assert (await client.call(query)).rs == 104
        await asyncio.sleep(0.6)
        assert "LINUX01" in sim.system.entries
        assert (await client.call(query)).rs == 100
        with pytest.raises(SmapiError) as caught:
            await client.call(request)
        assert (caught.value.rc, caught.value.rs) == (400, 8)


async def test_two_asynchronous_works_for_one_name_leave_one_entry_and_one_failure(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path, asynchronous=True) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT")
        request = f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01"))
        numbers = [(await client.call(request, follow=False)).reply.operation_id for _ in range(2)]
        await asyncio.sleep(0.3)
        states = [sim.system.operations[str(number)].state for number in numbers]
        assert states == ["done", "failed"]
        consistent(sim.system)


async def test_a_lost_reply_can_be_had_again_by_the_same_userid(sim: Simulator) -> None:
    reply = await exchange(sim.smapi_port, STATUS)
    request_id = int.from_bytes(reply[:4], "big")
    recovery = f.ResponseRecovery(target="MAINT", failed_request_id=request_id)
    maint = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT")
    assert (await maint.call(recovery)).reply.response_data == reply[4:]
    with pytest.raises(SmapiError) as caught:
        await Client("127.0.0.1", sim.smapi_port, userid="ZHCP", password="ZHCP").call(recovery)
    assert (caught.value.rc, caught.value.rs) == (4, 4)


async def test_the_journal_tells_every_call_and_no_password(sim: Simulator, tmp_path: Path) -> None:
    client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT")
    await client.call(f.ImagePasswordSetDM(target="ZHCP", image_password="TOPSECRT"))
    text = (tmp_path / "state" / "journal.jsonl").read_text()
    assert '"function":"Image_Password_Set_DM","target":"ZHCP","rc":0,"rs":0' in text
    assert "TOPSECRT" not in text
