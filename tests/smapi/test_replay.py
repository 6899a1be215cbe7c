"""Comparing a live server with a recording: equal answers pass, another code or another structure is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from smapi.scripted import ScriptedServer
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import RequestFrame
from zvmcloud.smapi.declare import Answer
from zvmcloud.smapi.recording import Exchange, load
from zvmcloud.smapi.replay import differences, replay

RECORDED = load(Path(__file__).with_name("recorded.jsonl"))
STREAMS = {"Event_Subscribe", "Event_Unsubscribe"}


def parrot(recorded: list[Exchange]) -> ScriptedServer:
    """A server that answers each request with the bytes recorded for it."""
    replies = {exchange.sent: exchange.received for exchange in recorded}

    async def answer(frame: RequestFrame, writer: asyncio.StreamWriter) -> None:
        writer.write(replies[frame.encode()])
        await writer.drain()

    return ScriptedServer(answer)


async def test_a_server_that_answers_as_recorded_differs_in_nothing() -> None:
    wanted = [exchange for exchange in RECORDED if exchange.function not in STREAMS]
    async with parrot(wanted) as server:
        report = await replay(wanted, "127.0.0.1", server.port)
    assert len(report.first) == len(wanted)
    assert [found for found in report.first if not found.same] == []
    assert report.first == report.last


async def test_another_code_and_a_lost_connection_are_told() -> None:
    query = next(exchange for exchange in RECORDED if exchange.function == "Image_Status_Query")
    off = query.received[:16] + (12).to_bytes(4, "big")
    header = query.received[:4] + (12).to_bytes(4, "big") + off[8:20]
    async with parrot([Exchange(query.label, query.function, query.sent, header)]) as server:
        (changed,) = (await replay([query], "127.0.0.1", server.port)).last
    assert not changed.same_codes
    assert changed.got == (0, 12)
    async with parrot([Exchange(query.label, query.function, query.sent, query.received[:10])]) as server:
        (cut,) = (await replay([query], "127.0.0.1", server.port)).last
    assert cut.got == (-1, -1)
    assert not cut.same_structure


async def test_a_request_that_stands_before_what_it_needs_is_answered_as_recorded_in_a_later_round() -> None:
    status = next(exchange for exchange in RECORDED if exchange.function == "Image_Status_Query")
    activate = next(exchange for exchange in RECORDED if exchange.function == "Image_Activate")
    seen: list[str] = []

    async def answer(frame: RequestFrame, writer: asyncio.StreamWriter) -> None:
        off = status.received[:4] + (12).to_bytes(4, "big") + bytes(8) + (12).to_bytes(4, "big")
        ready = "Image_Activate" in seen
        seen.append(frame.function)
        writer.write(activate.received if frame.function == "Image_Activate" else status.received if ready else off)
        await writer.drain()

    async with ScriptedServer(answer) as server:
        report = await replay([status, activate], "127.0.0.1", server.port, rounds=3)
    assert seen == ["Image_Status_Query", "Image_Activate", "Image_Status_Query"]
    assert [found.same for found in report.first] == [False, True]
    assert [(found.label, found.round) for found in report.late] == [(status.label, 2)]


async def test_rounds_end_when_one_helps_nothing_and_the_first_answer_is_told() -> None:
    query = next(exchange for exchange in RECORDED if exchange.function == "Image_Status_Query")
    asked = 0

    async def answer(_: RequestFrame, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        writer.write(query.received[:4] + (12).to_bytes(4, "big") + bytes(8) + (10 + asked).to_bytes(4, "big"))
        await writer.drain()

    async with ScriptedServer(answer) as server:
        report = await replay([query], "127.0.0.1", server.port, rounds=9)
    assert asked == 2
    assert [(found.got, found.round) for found in report.last] == [((0, 11), 1)]


async def test_what_cannot_be_read_is_left_out_with_its_reason() -> None:
    query = next(exchange for exchange in RECORDED if exchange.function == "Image_Status_Query")
    renamed = query.sent.replace(b"Image_Status_Query", b"Image_Status_Quary")
    stream = next(exchange for exchange in RECORDED if exchange.function == "Event_Subscribe")
    strange = [Exchange("Own/1.test", "Own", renamed, query.received), stream]
    async with parrot([query]) as server:
        report = await replay([*strange, query], "127.0.0.1", server.port)
    assert [found.label for found in report.last] == [query.label]
    assert [label for label, _ in report.left_out] == ["Own/1.test", stream.label]
    assert "not declared" in report.left_out[0][1]


def disks(*records: str) -> Answer[f.SystemDiskQueryReply]:
    return Answer(0, 0, f.SystemDiskQueryReply(disk_info_array=records))


@pytest.mark.parametrize(
    ("recorded", "got", "told"),
    [
        (disks("4000 3390-0C OWNED LX4000"), disks("0200 3390-09 FREE 0X0200"), []),
        (disks("4000 3390-0C OWNED LX4000"), disks(), ["disk_info_array: 0 items, recorded 1"]),
        (disks("4000 3390-0C OWNED LX4000"), disks("0200 3390-09"), ["disk_info_array: an item has the form 2 words"]),
        (disks("4000 3390-0C OWNED LX4000"), Answer(0, 0, None), ["data: missing"]),
        (Answer(8, 3002, None, ("KEY=X",)), Answer(8, 3002, None, ()), ["text: missing"]),
    ],
)
def test_structure_is_fields_items_and_their_form_and_not_values(
    recorded: Answer[f.SystemDiskQueryReply], got: Answer[f.SystemDiskQueryReply], told: list[str]
) -> None:
    found = list(differences(recorded, got))
    assert len(found) == len(told)
    for difference, start in zip(found, told, strict=True):
        assert difference.startswith(start)
