"""The same clock, seed and calls give the same bytes on the wire."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from simulator.support import linux
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
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


RECORDING = Path(__file__).parents[1] / "smapi" / "recorded.jsonl"
CP_COMMANDS = (
    "QUERY NAMES",
    "QUERY DASD ALL",
    "QUERY VIRTUAL ALL",
    "QUERY SSI",
    "INDICATE LOAD",
    "QUERY FRAMES",
    "QUERY MDISK",
)


async def script(state: Path) -> list[str]:
    """Every recorded request, then CP commands, on the system of the recordings; gives what comes back."""
    clock = ManualClock(1_700_000_000.0)
    sent = []
    async with Simulator(state=state, model=PRESETS["recorded71"], clock=clock, seed=7) as simulator:
        simulator.faults.add(Rule(action="partial", probability=0.1, bytes=20))
        for number, line in enumerate(RECORDING.read_text().splitlines(), 1):
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.smapi_port)
            writer.write(bytes.fromhex(json.loads(line)["send_hex"]))
            answer = asyncio.ensure_future(reader.read(-1))
            await asyncio.wait([answer], timeout=2.0)
            # What waits for something gets it, and the next request comes at the same time in every run.
            clock.advance(1_700_000_000.0 + 100 * number - clock.now())
            await asyncio.wait([answer], timeout=0.5)
            # A subscription to events stays open.
            sent.append(answer.result().hex() if answer.done() else "open")
            answer.cancel()
            writer.close()
        sent += ["|".join(execute(simulator.system, "OPERATOR", command).lines) for command in CP_COMMANDS]
    return sent


def test_two_processes_say_the_same(tmp_path: Path) -> None:
    """With different hash seeds, so that nothing depends on the order of a set."""
    outputs = []
    for number in (1, 2):
        environment = {**os.environ, "PYTHONHASHSEED": str(number), "PYTHONPATH": str(Path(__file__).parents[1])}
        command = [sys.executable, __file__, str(tmp_path / str(number))]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
        outputs.append(json.loads(done.stdout))
    assert len(outputs[0]) > 130
    assert outputs[0] == outputs[1]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(script(Path(sys.argv[1])))))
