"""The pool of FCP devices: whatever guests ask for in whatever order, no device is with two and none is lost."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manager.fake_zhcp import FakeZhcp
from manager.support import running
from manager.support import settings as node_settings
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.fcp import TemplateChange
from zvmcloud.manager.fcp_rows import change_connections
from zvmcloud.manager.node import Node

GUESTS = ("A", "B", "C", "D", "E")
ACTIONS = st.tuples(
    st.sampled_from(["reserve", "unreserve", "connect", "disconnect", "together"]), st.sampled_from(GUESTS)
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manager's state with a template of two paths of four devices."""
    state = tmp_path_factory.mktemp("fcp") / "state"

    async def make() -> None:
        async with running(FakeZhcp(), node_settings(state)) as node:
            change = TemplateChange(name="t", devices="1a00-1a03;1b00-1b03", host_default=True)
            await node.fcp.create("ZVM1", change)

    asyncio.run(make())
    return state


async def do(node: Node, action: str, guest: str) -> None:
    with suppress(ManagerError):
        if action == "reserve":
            await node.fcp.reserve("ZVM1", guest)
        elif action == "unreserve":
            await node.fcp.unreserve("ZVM1", guest)
        elif action == "together":
            await asyncio.gather(*(do(node, "reserve", name) for name in GUESTS))
        else:
            mine = [device.fcp for device in await node.fcp.of_guest("ZVM1", guest)]
            async with node.core.database.write() as connection:
                await change_connections(connection, "ZVM1", guest, mine, 1 if action == "connect" else -1)


@settings(max_examples=15)
@given(actions=st.lists(ACTIONS, min_size=1, max_size=14))
def test_a_device_is_never_with_two_guests_and_none_leaks(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[str, str]]
) -> None:
    state = tmp_path_factory.mktemp("run") / "state"
    shutil.copytree(prepared, state)

    async def play() -> None:
        async with running(FakeZhcp(), node_settings(state)) as node:
            for action, guest in actions:
                await do(node, action, guest)
                (template,) = await node.fcp.templates("ZVM1")
                for path in template.paths:
                    owners = [device.assigner for device in path if device.assigner]
                    assert len(owners) == len(set(owners)), "a guest has one device of a path"
                for device in template.devices:
                    assert device.connections >= 0
                    assert bool(device.assigner) == (device.reserved or device.connections > 0)
                    assert bool(device.template) == bool(device.assigner)
            for guest in GUESTS:
                while any(device.connections for device in await node.fcp.of_guest("ZVM1", guest)):
                    await do(node, "disconnect", guest)
                await node.fcp.unreserve("ZVM1", guest)
            (template,) = await node.fcp.templates("ZVM1")
            assert all(device.available for device in template.devices), "all came back"

    asyncio.run(play())
