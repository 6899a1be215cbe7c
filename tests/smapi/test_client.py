"""The client over real sockets: answers, refusals, lost connections, asynchronous work, TLS."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from smapi.scripted import ScriptedServer, accepts_and_closes, accepts_and_hangs, answers, closes_at_once
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.blocking import BlockingClient
from zvmcloud.smapi.client import Client, Patience, Tls
from zvmcloud.smapi.connection import EventFrame, RequestFrame, ServerConnection
from zvmcloud.smapi.errors import (
    ConnectError,
    ConnectionLost,
    InsecureError,
    ParameterError,
    ReplyTimeout,
    SmapiError,
)
from zvmcloud.smapi.registry import REGISTRY

HURRIED = Patience(
    connect_timeout=2,
    reply_timeout=2,
    connect_pauses=(0, 0.01),
    request_pauses=(0, 0.01, 0.01),
    recovery_pauses=(0, 0.01),
    poll_interval=0.01,
)
QUERY = f.ImageQueryDM(target="LINUX01")
RECORDS = f.ImageQueryDMReply(image_record_array=("USER LINUX01 ...", "MDISK 0100 3390"))
RECORD_BYTES = REGISTRY["Image_Query_DM"].encode_reply(RECORDS)
DELETE = f.ImageDeleteDM(target="LINUX01")


def client(server: ScriptedServer, patience: Patience = HURRIED, tls: Tls | None = None) -> Client:
    return Client("127.0.0.1", server.port, userid="MAINT", password="hunter2", patience=patience, tls=tls)


async def test_a_reply_comes_back_typed() -> None:
    async with ScriptedServer(answers(0, 0, RECORD_BYTES)) as server:
        answer = await client(server).call(QUERY)
    assert answer.reply == RECORDS
    assert answer.request_id == 77
    assert server.frames[0].userid == "MAINT"
    assert server.frames[0].target == "LINUX01"


async def test_a_refusal_says_function_codes_meaning_and_whether_to_retry() -> None:
    async with ScriptedServer(answers(400, 12)) as server:
        with pytest.raises(SmapiError) as caught:
            await client(server).call(QUERY)
    error = caught.value
    assert (error.function, error.target, error.rc, error.rs) == ("Image_Query_DM", "LINUX01", 400, 12)
    assert "lock" in error.meaning.lower()
    assert error.retryable
    assert "hunter2" not in str(error)


async def test_an_expected_refusal_can_be_allowed() -> None:
    async with ScriptedServer(answers(200, 8)) as server:
        answer = await client(server).call(f.ImageActivate(target="LINUX01"), allow=((200, 8),))
    assert (answer.rc, answer.rs, answer.data) == (200, 8, None)


async def test_error_text_is_kept() -> None:
    function = REGISTRY["Network_IP_Interface_Modify"]
    text = function.encode_error(8, 12, ["DTCIFC2612E Unknown interface: ETH99"])
    request = f.NetworkIPInterfaceModify(target="MAINT", tcpip_stack="TCPIP", interface_id="eth99", permanent="YES")
    async with ScriptedServer(answers(8, 12, text)) as server:
        with pytest.raises(SmapiError, match="DTCIFC2612E"):
            await client(server).call(request)


async def test_a_value_out_of_limits_is_refused_before_anything_is_sent() -> None:
    async with ScriptedServer(answers(0, 0)) as server:
        with pytest.raises(ParameterError, match="image_disk_number"):
            await client(server).call(f.ImageDiskDelete(target="LINUX01", image_disk_number="NOTHEX"))
    assert server.frames == []


async def test_a_query_lost_before_it_was_accepted_is_sent_again() -> None:
    async with ScriptedServer(closes_at_once, closes_at_once, answers(0, 0, RECORD_BYTES)) as server:
        answer = await client(server).call(QUERY)
    assert answer.reply == RECORDS
    assert [frame.function for frame in server.frames] == ["Image_Query_DM"] * 3


async def test_a_query_that_is_never_accepted_is_reported_after_the_last_attempt() -> None:
    async with ScriptedServer(closes_at_once) as server:
        with pytest.raises(ConnectionLost) as caught:
            await client(server).call(QUERY)
    assert not caught.value.accepted
    assert len(server.frames) == 3


async def test_a_change_lost_before_it_was_accepted_is_not_repeated() -> None:
    """The request id may have been lost on the way back: repeating could make our own success look like a conflict."""
    async with ScriptedServer(closes_at_once, answers(0, 0, b"\xff\xff\xff\xff")) as server:
        with pytest.raises(ConnectionLost) as caught:
            await client(server).call(DELETE)
    assert not caught.value.accepted
    assert len(server.frames) == 1


async def test_a_server_that_does_not_read_is_given_up() -> None:
    import asyncio

    async def deaf(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    patience = dataclasses.replace(HURRIED, reply_timeout=0.2, recovery_pauses=())
    large = f.ImageReplaceDM(target="LINUX01", image_record_array=("x" * 72,) * 200_000)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ReplyTimeout):
        await Client("127.0.0.1", port, userid="MAINT", password="x", patience=patience).call(large)
    server.close()


async def test_a_subscription_that_is_not_accepted_is_an_error() -> None:
    async with ScriptedServer(closes_at_once) as server:
        with pytest.raises(ConnectionLost):
            [event async for event in client(server).events(target="MAINT")]


async def test_a_reply_lost_after_acceptance_is_recovered() -> None:
    whole = ServerConnection.reply(77, 0, 0, RECORD_BYTES)
    async with ScriptedServer(accepts_and_closes, answers(0, 0, whole, request_id=78)) as server:
        answer = await client(server).call(QUERY)
    assert answer.reply == RECORDS
    assert [frame.function for frame in server.frames] == ["Image_Query_DM", "Response_Recovery"]


async def test_a_query_whose_reply_cannot_be_recovered_is_sent_again() -> None:
    async with ScriptedServer(accepts_and_closes, answers(4, 4), answers(0, 0, RECORD_BYTES)) as server:
        answer = await client(server).call(QUERY)
    assert answer.reply == RECORDS


async def test_a_change_whose_reply_cannot_be_recovered_is_never_repeated_blindly() -> None:
    async with ScriptedServer(accepts_and_closes, answers(4, 4)) as server:
        with pytest.raises(ConnectionLost) as caught:
            await client(server).call(DELETE)
    assert caught.value.accepted
    assert [frame.function for frame in server.frames] == ["Image_Delete_DM", "Response_Recovery"]


async def test_a_silent_server_is_given_up() -> None:
    patience = dataclasses.replace(HURRIED, reply_timeout=0.1, recovery_pauses=())
    async with ScriptedServer(accepts_and_hangs) as server:
        with pytest.raises(ReplyTimeout, match=r"within 0\.1 s"):
            await client(server, patience).call(DELETE)


async def test_a_refused_connection_is_tried_again_and_then_reported() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(ConnectError, match=f"127.0.0.1:{port}: cannot connect"):
        await Client("127.0.0.1", port, userid="MAINT", password="x", patience=HURRIED).call(QUERY)


OPERATION_9 = REGISTRY["Image_Delete_DM"].encode_reply(f.ImageDeleteDMReply(operation_id=9))


async def test_asynchronous_work_is_followed_to_its_end() -> None:
    async with ScriptedServer(
        answers(592, 0, OPERATION_9), answers(0, 104), answers(0, 104), answers(0, 100)
    ) as server:
        answer = await client(server).call(DELETE)
    assert (answer.rc, answer.rs) == (0, 0)
    polls = [frame for frame in server.frames if frame.function == "Query_Asynchronous_Operation_DM"]
    assert [frame.parameters for frame in polls] == [b"\0\0\0\x09"] * 3


async def test_asynchronous_work_that_fails_is_an_error_of_the_function_that_began_it() -> None:
    async with ScriptedServer(answers(592, 0, OPERATION_9), answers(0, 108)) as server:
        with pytest.raises(SmapiError) as caught:
            await client(server).call(DELETE)
    assert caught.value.function == "Image_Delete_DM"


async def test_the_operation_of_other_functions_is_their_reason_code() -> None:
    async with ScriptedServer(answers(592, 33), answers(0, 100)) as server:
        await client(server).call(f.ImageLockDM(target="LINUX01"))
    assert server.frames[1].parameters == b"\0\0\0\x21"


async def test_asynchronous_work_can_be_left_alone() -> None:
    async with ScriptedServer(answers(592, 0, OPERATION_9)) as server:
        answer = await client(server).call(DELETE, follow=False)
    assert (answer.rc, answer.reply.operation_id) == (592, 9)


async def test_events_are_streamed_until_the_server_closes() -> None:
    async def streams(_frame: object, writer: object) -> None:
        writer.write(ServerConnection.accepted(5) + ServerConnection.event(1, b"one"))  # type: ignore[attr-defined]
        writer.write(ServerConnection.event(1, b"two"))  # type: ignore[attr-defined]
        await writer.drain()  # type: ignore[attr-defined]

    async with ScriptedServer(streams) as server:
        seen = [event async for event in client(server).events(target="MAINT")]
    assert seen == [EventFrame(1, b"one"), EventFrame(1, b"two")]


async def test_events_that_gather_come_all_and_in_their_order() -> None:
    async def streams(_frame: RequestFrame, writer: asyncio.StreamWriter) -> None:
        writer.write(ServerConnection.accepted(5))
        for number in range(20):
            writer.write(ServerConnection.event(1, b"%d" % number))
            await asyncio.sleep(0.005)

    async with ScriptedServer(streams) as server:
        seen = [event.data async for event in client(server).events(target="MAINT", gather=0.03)]
    assert seen == [b"%d" % number for number in range(20)]


async def test_nothing_is_sent_before_who_asks_is_ready() -> None:
    async def ready() -> None:
        connected.set()
        await go.wait()

    async def not_ready() -> None:
        raise OSError("the disk is full")

    connected, go = asyncio.Event(), asyncio.Event()
    async with ScriptedServer(answers(0, 0, RECORD_BYTES)) as server:
        asked = asyncio.create_task(client(server).call(QUERY, sending=ready))
        await connected.wait()
        await asyncio.sleep(0.05)
        assert server.frames == []
        go.set()
        assert (await asked).reply == RECORDS
        with pytest.raises(OSError, match="the disk is full"):
            await client(server).call(QUERY, sending=not_ready)
        assert len(server.frames) == 1


@pytest.fixture
async def tls_server(tmp_path: Path) -> AsyncIterator[tuple[ScriptedServer, Path]]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    async with ScriptedServer(answers(0, 0, RECORD_BYTES), tls=context) as server:
        yield server, trusted


async def test_tls_with_a_trusted_certificate(tls_server: tuple[ScriptedServer, Path]) -> None:
    server, trusted = tls_server
    answer = await client(server, tls=Tls(ca_file=trusted)).call(QUERY)
    assert answer.reply == RECORDS


async def test_tls_refuses_an_unknown_certificate_unless_told_otherwise(
    tls_server: tuple[ScriptedServer, Path],
) -> None:
    server, _ = tls_server
    with pytest.raises(InsecureError, match="TLS failed"):
        await client(server, tls=Tls()).call(QUERY)
    assert server.frames == []
    answer = await client(server, tls=Tls(verify=False)).call(QUERY)
    assert answer.reply == RECORDS


async def test_the_blocking_client_answers_without_an_event_loop() -> None:
    import asyncio

    def use(port: int) -> tuple[str, ...]:
        with BlockingClient("127.0.0.1", port, userid="MAINT", password="x", patience=HURRIED) as blocking:
            return blocking.call(QUERY).reply.image_record_array

    async with ScriptedServer(answers(0, 0, RECORD_BYTES)) as server:
        assert await asyncio.to_thread(use, server.port) == RECORDS.image_record_array
