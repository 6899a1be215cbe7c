"""The simulator with 10,000 guests, each with a minidisk and an adapter, beside one with 10.

The first start makes directory, disk files and machines; another one is that of a process on that state folder, until
its port answers. Memory is the resident set of that
process. Costs are medians of requests over loopback, one connection each.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.table import Row
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.declare import Request

MANY, FEW = 10_000, 10
CONNECTIONS = 200
REPEATS = 300


def _fill(reply: Connection, state: str, guests: int) -> None:
    began = time.perf_counter()
    from zvmcloud.simulator.clock import ManualClock  # noqa: PLC0415 (only this process needs it)
    from zvmcloud.simulator.filling import open_system  # noqa: PLC0415
    from zvmcloud.simulator.presets import Model, Pool  # noqa: PLC0415

    # One cylinder a guest, and room for what is added.
    clock = ManualClock(time.time())
    system = open_system(Path(state), Model(guests=guests, pools={"POOL1": Pool(volumes=8)}), clock=clock)
    reply.send(time.perf_counter() - began)
    clock.advance(60)
    system.close()


def _serve(reply: Connection, state: str) -> None:
    began = time.perf_counter()
    from zvmcloud.simulator import Simulator  # noqa: PLC0415 (its import is a part of the start)

    async def serve() -> None:
        async with Simulator(state=Path(state)) as simulator:
            reply.send((simulator.smapi_port, time.perf_counter() - began, len(simulator.system.machines)))
            await asyncio.Event().wait()

    asyncio.run(serve())


def _memory(pid: int) -> float:
    """Resident set in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def _once(port: int, wire: bytes) -> float:
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(wire)
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
    if len(received) < 16 or received[12:16] != bytes(4):
        raise RuntimeError(f"refused: {bytes(received).hex()}")
    return time.perf_counter() - began


def _median(port: int, wire: Callable[[int], bytes]) -> float:
    for number in range(20):
        _once(port, wire(number))
    return statistics.median(_once(port, wire(number)) for number in range(20, REPEATS + 20)) * 1000


def _wire(request: Request) -> bytes:  # type: ignore[type-arg]
    return encode_request(request, "MAINT", "MAINT")


def _requests(guests: int) -> dict[str, Callable[[int], bytes]]:
    def name(number: int) -> str:
        return f"L{number % guests + 1:05d}"

    def disk(number: int) -> bytes:
        # Each guest gets a disk in turn, so that every request adds one.
        vdev = f"{0x200 + number // guests:04X}"
        return _wire(
            f.ImageDiskCreateDM(
                target=name(number), image_disk_number=vdev, image_disk_device_type="3390",
                image_disk_allocation_type="AUTOG", allocation_area_name_or_volser="POOL1", allocation_unit_size=1,
                image_disk_size=1, image_disk_mode="MR", image_disk_formatting=0, image_disk_label="",
                read_password="", write_password="", multi_password="",
            )
        )  # fmt: skip

    return {
        "Image_Query_DM": lambda number: _wire(f.ImageQueryDM(target=name(number))),
        "Image_Status_Query of one guest": lambda number: _wire(f.ImageStatusQuery(target=name(number))),
        "Image_Disk_Create_DM": disk,
    }


def _hold(port: int) -> float:
    """Open connections that send half a request; gives the milliseconds that another one's request takes meanwhile."""
    wire = _wire(f.ImageStatusQuery(target="L00001"))
    held = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(CONNECTIONS)]
    try:
        for connection in held:
            connection.sendall(wire[: len(wire) // 2])
        meanwhile = _once(port, wire) * 1000
        for connection in held:
            connection.sendall(wire[len(wire) // 2 :])
        for connection in held:
            received = bytearray()
            while piece := connection.recv(65536):
                received += piece
            if received[12:16] != bytes(4):
                raise RuntimeError("a connection that was held got no answer")
    finally:
        for connection in held:
            connection.close()
    return meanwhile


def _measure(guests: int) -> tuple[dict[str, float], float, float, float, float, float]:
    """Costs in ms; seconds of the first start and of another; MB after it and at the end; ms beside others held."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as state:
        here, there = context.Pipe()
        filler = context.Process(target=_fill, args=(there, state, guests))
        filler.start()
        filler.join()
        if filler.exitcode:
            raise RuntimeError("the system could not be filled")
        filled = here.recv()
        server = context.Process(target=_serve, args=(there, state), daemon=True)
        server.start()
        try:
            if not here.poll(120):
                raise RuntimeError("the simulator did not start")
            port, started, machines = here.recv()
            if machines < guests:
                raise RuntimeError(f"only {machines} machines run")
            pid = server.pid or 0
            memory = _memory(pid)
            costs = {name: _median(port, wire) for name, wire in _requests(guests).items()}
            meanwhile = _hold(port)
            return costs, filled, started, memory, _memory(pid), meanwhile
        finally:
            server.terminate()
            server.join()


def run() -> list[Row]:
    few, *_ = _measure(FEW)
    many, filled, started, memory, at_end, meanwhile = _measure(MANY)
    guests = f"{MANY:,} guests"
    rows = [
        Row(f"{guests}: first start, which makes them", filled, "s", 10.0, "goal", less_is_better=True),
        Row(f"{guests}: start", started, "s", 10.0, "goal", less_is_better=True),
        Row(f"{guests}: memory after the start", memory, "MB", 600.0, "goal", less_is_better=True),
        Row(f"{guests}: memory after the requests", at_end, "MB", 600.0, "goal", less_is_better=True),
    ]
    for name, cost in many.items():
        rows.append(Row(f"{guests}: {name}", cost, "ms", few[name], f"with {FEW} guests", less_is_better=True))
        rows.append(Row(f"{name}: growth", cost / few[name], "times", 1.5, "goal", less_is_better=True))
    text = f"{guests}: a request beside {CONNECTIONS} held connections"
    alone = many["Image_Status_Query of one guest"]
    rows.append(Row(text, meanwhile, "ms", alone, "the same without them", less_is_better=True))
    return rows
