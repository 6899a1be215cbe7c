"""The event stream and the notifications of changed entries, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from simulator.support import linux
from zvmcloud.simulator import Simulator
from zvmcloud.smapi import ebcdic
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.connection import EventFrame
from zvmcloud.smapi.errors import SmapiError
from zvmcloud.smapi.events import (
    SMAPI_EVENT,
    VMEVENT,
    DefinitionDone,
    DirectoryChanged,
    UserEvent,
    VmEvent,
    decode_smapi_event,
    decode_vmevents,
)

ALL = "ALL"


class Stream:
    """A subscription that collects its records."""

    def __init__(self) -> None:
        self.records: asyncio.Queue[EventFrame] = asyncio.Queue()

    async def next(self) -> EventFrame:
        return await asyncio.wait_for(self.records.get(), 5)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


@asynccontextmanager
async def subscribed(sim: Simulator, client: Client, match: str = "") -> AsyncIterator[Stream]:
    stream = Stream()

    async def read() -> None:
        async for record in client.events(match, "MAINT"):
            stream.records.put_nowait(record)

    before = len(sim.system.events._subscribers)
    task = asyncio.create_task(read())
    await until(lambda: len(sim.system.events._subscribers) > before)
    yield stream
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def create(client: Client, name: str) -> None:
    await client.call(f.ImageCreateDM(target=name, image_record_array=linux(name)))


async def test_a_logon_is_two_bundled_events_and_a_logoff_is_one(sim: Simulator, client: Client) -> None:
    await create(client, "LINUX01")
    async with subscribed(sim, client) as stream:
        await client.call(f.ImageActivate(target="LINUX01"))
        record = await stream.next()
        assert record.data_type == VMEVENT
        assert decode_vmevents(record.data) == [VmEvent(0, 0, ("LINUX01",)), VmEvent(0, 5, ("LINUX01",))]
        await client.call(f.ImageDeactivate(target="LINUX01", force_time="IMMED"))
        assert decode_vmevents((await stream.next()).data) == [VmEvent(0, 1, ("LINUX01",))]
        await client.call(f.ImageActivate(target="LINUX01"))
        await stream.next()
        await client.call(f.ImageRecycle(target="LINUX01"))
        kinds = [
            event.event_type for event in decode_vmevents((await stream.next()).data) if isinstance(event, VmEvent)
        ]
        assert kinds == [1, 0, 5]


async def test_a_refused_call_is_no_event_and_a_match_key_leaves_others_out(sim: Simulator, client: Client) -> None:
    await create(client, "LINUX01")
    await create(client, "LINUX02")
    async with subscribed(sim, client, "LINUX01 OTHER*") as stream:
        with pytest.raises(SmapiError):
            await client.call(f.ImageActivate(target="NOBODY"))
        await client.call(f.ImageActivate(target="LINUX02"))
        await client.call(f.ImageActivate(target="LINUX01"))
        first = decode_vmevents((await stream.next()).data)[0]
        assert isinstance(first, VmEvent)
        assert first.userid == "LINUX01"
        await client.call(f.EventStreamAdd(event_info=(16777216).to_bytes(4, "big") + b"mine"))
        assert decode_smapi_event((await stream.next()).data) == UserEvent(16777216, b"mine")
    with pytest.raises(SmapiError) as caught:
        await client.call(f.EventStreamAdd(event_info=(500).to_bytes(4, "big")))
    assert (caught.value.rc, caught.value.rs) == (24, 519)


async def test_changed_entries_and_finished_definitions_are_smapi_events(sim: Simulator, client: Client) -> None:
    async with subscribed(sim, client) as stream:
        await create(client, "LINUX01")
        record = await stream.next()
        assert record.data_type == SMAPI_EVENT
        assert decode_smapi_event(record.data) == DirectoryChanged("LINUX01", "ADD")
        await client.call(f.ImageLockDM(target="LINUX01"))
        await client.call(f.ImageReplaceDM(target="LINUX01", image_record_array=(*linux("LINUX01"), "SHARE ABS 3%")))
        assert decode_smapi_event((await stream.next()).data) == DirectoryChanged("LINUX01", "REPLACE")
        await client.call(f.ImageDefinitionAsyncUpdates(enabled="YES"))
        update = f.ImageDefinitionUpdateDM(
            target="LINUX01", definition_update_directory_keyword_parameter_list=("IPL=VDEV=CMS",)
        )
        await client.call(update)
        both = [decode_smapi_event((await stream.next()).data) for _ in range(2)]
        done = next(event for event in both if isinstance(event, DefinitionDone))
        assert (done.rc, done.rs) == (0, 0)
        assert done.request_id
        await client.call(f.ImageDefinitionAsyncUpdates(enabled="NO"))
        await client.call(f.ImageDeleteDM(target="LINUX01"))
        assert decode_smapi_event((await stream.next()).data) == DirectoryChanged("LINUX01", "PURGE")
    with pytest.raises(SmapiError) as caught:
        await client.call(f.ImageDefinitionAsyncUpdates())
    assert (caught.value.rc, caught.value.rs) == (8, 3004)


async def test_unsubscribing_ends_the_callers_stream(sim: Simulator, client: Client) -> None:
    async def read() -> int:
        return len([record async for record in client.events(target="MAINT")])

    task = asyncio.create_task(read())
    await until(lambda: bool(sim.system.events._subscribers))
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.smapi_port)
    name, user = b"Event_Unsubscribe", b"MAINT"
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (name, user, user, user))
    writer.write(len(parts).to_bytes(4, "big") + parts)
    assert len(await asyncio.wait_for(reader.read(), 5)) == 4
    writer.close()
    assert await asyncio.wait_for(task, 5) == 0
    assert not sim.system.events._subscribers


async def test_a_match_key_shorter_than_it_says_ends_the_stream_with_8_13(sim: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.smapi_port)
    name, user = b"Event_Subscribe", b"MAINT"
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (name, user, user, user)) + b"\0\0\0\x09LINUX"
    writer.write(len(parts).to_bytes(4, "big") + parts)
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert answer[4:8] == (12).to_bytes(4, "big")
    assert answer[:4] == answer[8:12]
    assert answer[12:] == (8).to_bytes(4, "big") + (13).to_bytes(4, "big")


# -- notifications ----------------------------------------------------------------------------------------------------


class Receiver(asyncio.DatagramProtocol):
    """Where notifications arrive, by TCP or UDP."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.messages.put_nowait(data)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.messages.put_nowait(await reader.read())
        writer.close()

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.messages.get(), 5)


@asynccontextmanager
async def listening(protocol: int) -> AsyncIterator[tuple[Receiver, int]]:
    receiver = Receiver()
    if protocol == 1:
        server = await asyncio.start_server(receiver.connected, "127.0.0.1", 0)
        yield receiver, server.sockets[0].getsockname()[1]
        server.close()
    else:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: receiver, local_addr=("127.0.0.1", 0))
        yield receiver, transport.get_extra_info("sockname")[1]
        transport.close()


def enable(target: str, protocol: int, port: int, encoding: int = 1, data: str = "", kind: int = 1) -> object:
    return f.AsynchronousNotificationEnableDM(
        target=target,
        entity_type=1,
        subscription_type=kind,
        communication_type=protocol,
        port_number=port,
        ip_address="127.0.0.1",
        encoding=encoding,
        subscriber_data=data,
    )


def wire(*texts: str, page: str = "") -> bytes:
    parts = [ebcdic.encode(text, page) if page else text.encode() for text in texts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize(("encoding", "page"), [(1, ""), (2, ebcdic.CP924)])
async def test_a_subscriber_is_told_what_happened_to_an_entry(
    client: Client, protocol: int, encoding: int, page: str
) -> None:
    async with listening(protocol) as (receiver, port):
        await client.call(enable(ALL, protocol, port, encoding, "mine"))  # type: ignore[arg-type]
        await create(client, "LINUX01")
        assert await receiver.next() == wire("LINUX01", "ADD", "mine", page=page)
        await client.call(f.ImageIPLSetDM(target="LINUX01", saved_system="CMS"))
        assert await receiver.next() == wire("LINUX01", "IPL", "mine", page=page)
        await client.call(f.ImageDeleteDM(target="LINUX01"))
        assert await receiver.next() == wire("LINUX01", "PURGE", "mine", page=page)


async def test_an_excluded_userid_is_left_out_of_all(client: Client) -> None:
    async with listening(2) as (receiver, port):
        await create(client, "LINUX01")
        await client.call(enable(ALL, 2, port))  # type: ignore[arg-type]
        await client.call(enable("LINUX01", 2, port, kind=2))  # type: ignore[arg-type]
        await client.call(f.ImageIPLSetDM(target="LINUX01", saved_system="CMS"))
        await create(client, "LINUX02")
        assert await receiver.next() == wire("LINUX02", "ADD", "")


async def test_subscriptions_are_listed_and_ended(client: Client) -> None:
    query = f.AsynchronousNotificationQueryDM(target="MAINT", entity_type=1, port_number=0)
    assert (await client.call(query)).rs == 28
    await client.call(enable("MAINT", 1, 5000, 2, "subdata"))  # type: ignore[arg-type]
    with pytest.raises(SmapiError) as caught:
        await client.call(enable("MAINT", 1, 5000, 2, "subdata"))  # type: ignore[arg-type]
    assert (caught.value.rc, caught.value.rs) == (428, 4)
    with pytest.raises(SmapiError) as caught:
        await client.call(enable("NOBODY", 1, 5000))  # type: ignore[arg-type]
    assert (caught.value.rc, caught.value.rs) == (400, 4)
    (item,) = (await client.call(query)).reply.notification_array
    assert (item.userid, item.port_number, item.encoding) == ("MAINT", 5000, 2)
    data = item.subscriber_data.encode("iso8859-15")
    assert (len(data), data[:1], ebcdic.decode(data)) == (66, b"\x6f", "?subdata?".ljust(66))
    other = f.AsynchronousNotificationQueryDM(target="MAINT", entity_type=1, port_number=7)
    with pytest.raises(SmapiError) as caught:
        await client.call(other)
    assert (caught.value.rc, caught.value.rs) == (428, 8)
    end = f.AsynchronousNotificationDisableDM(
        target="MAINT", entity_type=1, port_number=5000, ip_address="127.0.0.1", subscriber_data="*"
    )
    await client.call(end)
    with pytest.raises(SmapiError) as caught:
        await client.call(end)
    assert (caught.value.rc, caught.value.rs) == (428, 8)
