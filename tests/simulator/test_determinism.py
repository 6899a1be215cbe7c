"""The same clock, seed and calls give the same bytes on the wire."""

from __future__ import annotations

import asyncio
from pathlib import Path

from simulator.support import linux
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.faults import Rule
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.declare import Request

CALLS: tuple[Request, ...] = (  # type: ignore[type-arg]
    f.ImageCreateDM(target="LINUX01", image_record_array=(*linux("LINUX01"), "MDISK 0100 3390 AUTOG 5 POOL1 MR")),
    f.VirtualNetworkVswitchCreateExtended(target="MAINT", switch_name="VSW1"),
    f.ImageActivate(target="LINUX01"),
    f.ImageQueryActivateTime(target="LINUX01", date_format_indicator=4),
    f.ImageActiveConfigurationQuery(target="LINUX01"),
    f.VirtualNetworkAdapterQueryExtended(target="LINUX01", image_device_number="*"),
    f.VirtualNetworkVswitchQuery(target="MAINT", switch_name="*"),
    f.SystemInfoQuery(target="MAINT"),
    f.SystemImagePerformanceQuery(target="*"),
    f.ImageConsoleGet(target="LINUX01"),
    f.SystemRDRFileQuery(target="MAINT"),
    f.QueryAllDM(target="MAINT"),
)


async def wire(state: Path, seed: int) -> list[bytes]:
    """What a run sends."""
    clock = ManualClock(1_700_000_000.0)
    sent = []
    async with Simulator(state=state, model=PRESETS["lpar"], clock=clock, seed=seed) as simulator:
        simulator.faults.add(Rule(action="partial", function="*Query*", probability=0.3, bytes=30))
        for request in CALLS:
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.smapi_port)
            writer.write(encode_request(request, "MAINT", "MAINT"))
            sent.append(await reader.read(-1))
            writer.close()
            clock.advance(10.0)
    return sent


async def test_runs_can_be_repeated(tmp_path: Path) -> None:
    first, second = await wire(tmp_path / "a", 3), await wire(tmp_path / "b", 3)
    assert first == second
    assert any(len(piece) == 34 for piece in first)
    assert await wire(tmp_path / "c", 4) != first
