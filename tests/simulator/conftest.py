"""A simulated z/VM: over sockets (`sim`, `client`, `agent`), or in memory with a clock in the hand (`system`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from simulator.support import Agent
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.simulator.system import System
from zvmcloud.smapi.client import IMPATIENT, Client


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with Simulator(state=tmp_path / "state") as simulator:
        yield simulator


@pytest.fixture
def client(sim: Simulator) -> Client:
    return Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)


@pytest.fixture
async def agent(sim: Simulator) -> AsyncIterator[Agent]:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.machine_port, limit=1 << 24)
    found = Agent(reader, writer)
    answer = await found.ask(op="logon", userid="ZHCP", password="ZHCP")
    found.devices = Path(str(answer["devices"]))
    yield found
    writer.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def system(tmp_path: Path, clock: ManualClock) -> Iterator[System]:
    opened = open_system(tmp_path / "state", PRESETS["small"], clock=clock)
    yield opened
    opened.close()
