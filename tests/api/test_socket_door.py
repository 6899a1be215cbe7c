"""The socket protocol: the unmodified client in socket mode, and requests that arrive in any pieces."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from api.test_recorded_requests import RECORDED
from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.api.connector.calls import CALLS, CallError, request_of
from zvmcloud.api.connector.routes import application
from zvmcloud.api.connector.sockets import HOST, SocketDoor
from zvmcloud.api.connector.tokens import OpenDoor
from zvmcloud.api.program import socket_door
from zvmcloud.manager.node import Node

Call = Callable[..., Any]
SAME_NAME = [call for call in RECORDED if call["api"] in CALLS and "error" not in call]


@pytest.fixture
async def port(node: Node, tmp_path: Path) -> AsyncIterator[int]:
    door = SocketDoor(application(node, OpenDoor(node.settings.connector, tmp_path / "none")))
    yield await door.start(0)
    await door.close()


@pytest.fixture
def call(port: int) -> Call:
    """The unmodified client in socket mode; it blocks, so it runs in a thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from zvmconnector.connector import ZVMConnector
    client = ZVMConnector(ip_addr=HOST, port=port, connection_type="socket")

    async def send(api: str, *args: object, **kwargs: object) -> dict[str, Any]:
        answer: dict[str, Any] = await asyncio.to_thread(client.send_request, api, *args, **kwargs)
        return answer

    return send


async def raw(port: int, *pieces: bytes) -> dict[str, Any] | None:
    reader, writer = await asyncio.open_connection(HOST, port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.005)
    if pieces and not pieces[-1].endswith(b"]"):
        writer.write_eof()
    data = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    answer: dict[str, Any] | None = json.loads(data) if data else None
    return answer


async def test_the_client_creates_starts_and_deletes_a_guest(call: Call, zhcp: FakeZhcp) -> None:
    disks = [{"size": "10", "is_boot_disk": True}, {"size": "1g", "format": "xfs"}]
    made = await call("guest_create", "linux01", 2, 2048, disk_list=disks)
    assert made["overallRC"] == 0, made
    assert [disk["vdev"] for disk in made["output"]] == ["0100", "0101"]
    assert (await call("guest_start", "linux01"))["output"] == ""
    assert zhcp.guests["LINUX01"]["state"] == "on"
    assert (await call("guest_get_power_state", "linux01"))["output"] == "on"
    assert (await call("guest_list"))["output"] == ["LINUX01"]
    assert (await call("vswitch_create", "VSW1", rdev="0600"))["overallRC"] == 0
    assert (await call("guest_create_nic", "linux01", vdev="1000"))["output"] == "1000"
    assert (await call("guest_nic_couple_to_vswitch", "linux01", "1000", "VSW1"))["overallRC"] == 0
    assert zhcp.guests["LINUX01"]["nics"]["1000"]["vswitch"] == "VSW1"
    assert list((await call("guest_inspect_stats", ["linux01"]))["output"]) == ["LINUX01"]
    assert (await call("guest_resize_cpus", "linux01", 3))["overallRC"] == 0
    assert (await call("guest_delete", "linux01"))["overallRC"] == 0
    assert "LINUX01" not in zhcp.guests


async def test_errors_have_the_same_codes_as_over_http(call: Call) -> None:
    missing = await call("guest_start", "nobody")
    assert (missing["overallRC"], missing["modID"], missing["rc"], missing["rs"]) == (404, 10, 404, 1)
    unknown = await call("guest_fly", "linux01")
    assert unknown["overallRC"] == 400
    assert "guest_fly" in unknown["errmsg"]
    assert (await call("guest_start"))["overallRC"] == 400
    assert (await call("guest_list", "too", "many"))["overallRC"] == 400
    assert (await call("guest_create", "x", "many", 512))["overallRC"] == 400


async def test_a_request_larger_than_any_buffer_is_read_to_its_end(call: Call, zhcp: FakeZhcp) -> None:
    comments = [f"comment number {number} {'x' * 40}" for number in range(5000)]
    answer = await call("guest_create", "linux01", 1, 512, disk_list=[], comments=comments)
    assert answer["overallRC"] == 0, answer
    assert zhcp.guests["LINUX01"]["comments"] == comments


async def test_a_request_may_come_byte_by_byte(port: int) -> None:
    request = json.dumps(["guests_get_nic_info", [], {"userid": "a]b"[:1]}]).encode()
    answer = await raw(port, *(request[at : at + 1] for at in range(len(request))))
    assert answer is not None
    assert answer["output"] == []


@pytest.mark.parametrize("request_", [b"[1]", b'["guest_list", {}]', b"{}", b'["guest_list", [], []]', b"nonsense"])
async def test_what_is_no_call_is_answered_with_what_one_is(port: int, request_: bytes) -> None:
    answer = await raw(port, request_)
    assert answer is not None
    assert answer["overallRC"] == 400
    assert "Invalid request" in answer["errmsg"]


async def test_a_client_that_says_nothing_gets_nothing(port: int) -> None:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    assert (await raw(port, b'["guest_list"]')) is not None, "the listener lives on"


# volume_refresh_bootmap is left out: the REST client sends names of its own there.
SAME_BODY = [call for call in SAME_NAME if call["api"] != "volume_refresh_bootmap"]


@pytest.mark.parametrize("call", SAME_BODY, ids=[f"{call['api']}-{at}" for at, call in enumerate(SAME_BODY)])
def test_each_function_becomes_the_request_that_the_rest_client_sends(call: dict[str, Any]) -> None:
    """The recorded calls of the REST client, with the same arguments: same method, path and body."""
    found = request_of(call["api"], call["args"], call["kw"])
    path, _, query = call["url"].partition("?")
    assert (found.method, found.path) == (call["method"], path)
    if found.body is not None and call["body"] is not None:
        assert found.body == _without_nulls(call["body"])
    if query and "template" not in path:
        assert {f"{key}={value}" for key, value in found.query.items()} >= set(query.split("&"))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def test_an_argument_is_not_given_twice() -> None:
    with pytest.raises(CallError, match="twice"):
        request_of("guest_start", ["linux01"], {"userid": "other"})


async def test_the_listener_is_off_unless_the_settings_ask_for_it(tmp_path: Path, zhcp: FakeZhcp) -> None:
    for port, state in ((-1, "off"), (0, "on")):
        found = settings(tmp_path / state, connector={"socket_port": port})
        async with running(zhcp, found) as node:
            opened = await socket_door(node)
            assert (opened is None) == (port < 0)
            if opened is not None:
                door, listening = opened
                answer = await raw(listening, b'["guest_list"]')
                assert answer is not None
                assert answer["output"] == []
                await door.close()
