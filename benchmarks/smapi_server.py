"""The simulator's SMAPI port over loopback: one connection per request, as SMAPI demands.

The load generator speaks raw sockets so that it does not become what is measured. Beside the figure stands a bare TCP
server in the same language that reads a request and sends a reply of the same sizes: what connections alone cost.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.table import Row
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.declare import Request

SECONDS = 3.0
THREADS = 4


def requests_per_second(port: int, wire: bytes, seconds: float = SECONDS) -> float:
    """Requests answered in a second by `THREADS` clients, each with a new connection for every request."""
    counts = [0] * THREADS
    deadline = time.perf_counter() + seconds

    def load(number: int) -> None:
        while time.perf_counter() < deadline:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(wire)
                received = bytearray()
                while piece := connection.recv(65536):
                    received += piece
            if len(received) < 20:
                raise RuntimeError(f"a reply of {len(received)} bytes")
            counts[number] += 1

    begin = time.perf_counter()
    workers = [threading.Thread(target=load, args=(number,)) for number in range(THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - begin)


def _bare_server(reply: Connection) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(bytes(4))
        writer.write(bytes(80))
        await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        reply.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def _simulator(reply: Connection, state: str) -> None:
    from zvmcloud.simulator import Simulator  # noqa: PLC0415 (only this process needs it)

    async def serve() -> None:
        async with Simulator(state=Path(state)) as simulator:
            reply.send(simulator.smapi_port)
            await asyncio.Event().wait()

    asyncio.run(serve())


def _processor_seconds(pid: int | None) -> float:
    """Processor time that a process has used (Linux: man 5 proc_pid_stat, fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure(
    target: object, arguments: tuple[object, ...], requests: dict[str, bytes]
) -> dict[str, tuple[float, float]]:
    """For each request: how many a second, and how many seconds of processor time the server spends on one."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=target, args=(there, *arguments), daemon=True)  # type: ignore[arg-type]
    process.start()
    try:
        if not here.poll(60):
            raise RuntimeError("the server did not start")
        port = here.recv()
        measured = {}
        for name, wire in requests.items():
            before = _processor_seconds(process.pid)
            rate = requests_per_second(port, wire)
            used = _processor_seconds(process.pid) - before
            measured[name] = rate, used / (rate * SECONDS)
        return measured
    finally:
        process.terminate()
        process.join()


def run() -> list[Row]:
    def wire(request: Request) -> bytes:  # type: ignore[type-arg]
        return encode_request(request, "MAINT", "MAINT")

    requests = {
        "Image_Status_Query": wire(f.ImageStatusQuery(target="MAINT")),
        "Image_Query_DM": wire(f.ImageQueryDM(target="ZHCP")),
    }
    bare = _measure(_bare_server, (), {"bare": requests["Image_Query_DM"]})["bare"][0]
    with tempfile.TemporaryDirectory() as folder:
        measured = _measure(_simulator, (folder,), requests)
    rows = [
        Row(f"simulator: {name}, one connection each", value, "requests/s", 1500, "goal")
        for name, (value, _) in measured.items()
    ]
    # What one core could answer, whatever else the machine does: the clients above want processors too.
    rows += [
        Row(f"simulator: {name}, for a second of its processor time", 1 / used, "requests/s", 1500, "goal")
        for name, (_, used) in measured.items()
    ]
    slowest = min(value for value, _ in measured.values())
    rows.append(Row("simulator: the slower of both", slowest, "requests/s", bare, "a bare asyncio server, no SMAPI"))
    return rows
