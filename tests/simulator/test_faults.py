"""Fault rules: what is told to go wrong goes wrong, on real connections."""

from __future__ import annotations

import asyncio

import pytest

from simulator.support import linux
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.faults import Faults, Rule
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.errors import SmapiError


async def received(sim: Simulator, request: Request) -> bytes:  # type: ignore[type-arg]
    """Everything that comes until the server closes, or for half a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.smapi_port)
    writer.write(encode_request(request, "MAINT", "MAINT"))
    data = bytearray()
    try:
        async with asyncio.timeout(0.5):
            while piece := await reader.read(4096):
                data += piece
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return bytes(data)


QUERY = f.ImageQueryDM(target="ZHCP")
CREATE = f.ImageCreateDM(target="LINUX01", image_record_array=linux("LINUX01"))


async def test_a_refusal_has_its_codes_and_text_and_the_function_does_not_run(sim: Simulator, client: Client) -> None:
    sim.faults.add(Rule(function="Image_Create*", rc=596, rs=2119, count=1))
    sim.faults.add(Rule(function="System_EQID_Query", rc=8, rs=3003, text="UNKNOWN_PARAMETER_OPERAND=1"))
    with pytest.raises(SmapiError) as caught:
        await client.call(CREATE)
    assert (caught.value.rc, caught.value.rs) == (596, 2119)
    with pytest.raises(SmapiError) as caught:
        await client.call(f.SystemEQIDQuery(target="MAINT", eqid_for="ALL"))
    assert caught.value.text == ("UNKNOWN_PARAMETER_OPERAND=1",)
    assert "LINUX01" not in sim.system.entries
    await client.call(CREATE)
    assert "LINUX01" in sim.system.entries


@pytest.mark.parametrize(
    ("action", "size", "done"),
    [
        ("drop-before-id", 0, False),
        ("drop-after-id", 4, False),
        ("drop-after-work", 4, True),
        ("partial", 4 + 10, True),
        ("hang", 4, False),
    ],
)
async def test_a_connection_ends_where_the_rule_says(sim: Simulator, action: str, size: int, done: bool) -> None:
    sim.faults.add(Rule(action=action, bytes=10, count=1))
    assert len(await received(sim, CREATE)) == size
    assert ("LINUX01" in sim.system.entries) == done
    assert len(await received(sim, QUERY)) > 20


async def test_a_delay_holds_the_answer_and_nothing_else(sim: Simulator) -> None:
    sim.faults.add(Rule(action="delay", function="Image_Query_DM", delay=0.2, target="zhcp"))
    loop = asyncio.get_running_loop()
    began = loop.time()
    held = asyncio.create_task(received(sim, QUERY))
    assert len(await received(sim, f.CheckAuthentication())) >= 20
    assert loop.time() - began < 0.15
    assert len(await held) > 20
    assert loop.time() - began >= 0.2


async def test_the_journal_names_the_fault(sim: Simulator) -> None:
    sim.faults.add(Rule(action="drop-after-id", count=1))
    await received(sim, QUERY)
    await received(sim, QUERY)
    first, second = sim.members[0].journal.recent
    assert '"rc":-1,"rs":-1' in first
    assert '"fault":"drop-after-id"' in first
    assert "fault" not in second


def test_a_rule_lets_some_pass_and_stops_after_its_count() -> None:
    faults = Faults()
    faults.add(Rule(skip=2, count=2))
    struck = [faults.strike("Image_Query_DM", "A", "MAINT").action for _ in range(6)]
    assert struck == ["", "", "refuse", "refuse", "", ""]
    assert (faults.rules[0].matched, faults.rules[0].struck) == (6, 2)


def test_the_same_seed_strikes_the_same_requests() -> None:
    def run(seed: int) -> list[str]:
        faults = Faults(seed)
        faults.add(Rule(probability=0.5))
        return [faults.strike("F", "T", "W").action for _ in range(40)]

    assert run(7) == run(7)
    assert run(7) != run(8)
    assert set(run(7)) == {"", "refuse"}


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"action": "explode"}, "action"),
        ({"probability": 1.5}, "probability"),
        ({"delay": -1}, "delay"),
        ({"count": "two"}, "count"),
        ({"count": True}, "count"),
        ({"colour": "red"}, "colour"),
        ({"rc": -1}, "rc"),
    ],
)
def test_a_wrong_rule_names_its_key(data: dict[str, object], key: str) -> None:
    with pytest.raises(ModelError, match=key):
        Rule.of(data)
