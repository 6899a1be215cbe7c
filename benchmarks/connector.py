"""The connector door of `zvm up` on a z/VM without latency: calls per second and latency at concurrency 1 and 8.

Compared with Feilong 1.6.7 on a 2-core machine with a back end without latency (docs/reference/connector.md).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from benchmarks.table import Row

SECONDS = 4.0
FEILONG = {("GET /guests", 1): 1 / 0.0017, ("GET /guests", 8): 637.0, ("POST", 1): 1 / 0.054, ("POST", 8): 31.0}
FEILONG |= {("DELETE", 1): 1 / 0.116, ("DELETE", 8): 10.2}

Send = Callable[[httpx.AsyncClient], Awaitable[dict[str, float]]]


async def _load(url: str, concurrency: int, send: Send) -> dict[str, list[float]]:
    """Latencies in seconds of each kind of call, from `concurrency` clients for SECONDS."""
    spent: dict[str, list[float]] = {}
    deadline = time.perf_counter() + SECONDS

    async def client() -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60) as http:
            while time.perf_counter() < deadline:
                for kind, seconds in (await send(http)).items():
                    spent.setdefault(kind, []).append(seconds)

    await asyncio.gather(*(client() for _ in range(concurrency)))
    return spent


async def _timed(call: Awaitable[httpx.Response]) -> float:
    begin = time.perf_counter()
    answer = await call
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.text}")
    return time.perf_counter() - begin


async def get_guests(http: httpx.AsyncClient) -> dict[str, float]:
    return {"GET /guests": await _timed(http.get("/guests"))}


def create_and_delete() -> Send:
    numbers = itertools.count()

    async def send(http: httpx.AsyncClient) -> dict[str, float]:
        userid = f"B{next(numbers):07d}"
        guest = {"userid": userid, "vcpus": 1, "memory": 512, "disk_list": [{"size": "10", "is_boot_disk": True}]}
        created = await _timed(http.post("/guests", json={"guest": guest}))
        return {"POST": created, "DELETE": await _timed(http.delete(f"/guests/{userid}"))}

    return send


def _rows(url: str) -> list[Row]:
    rows = []
    for concurrency in (1, 8):
        for send in (get_guests, create_and_delete()):
            for kind, latencies in asyncio.run(_load(url, concurrency, send)).items():
                label = {"POST": "POST /guests (one disk)", "DELETE": "DELETE /guests/U"}.get(kind, kind)
                # The rate that this kind alone would have: the clients take turns between the kinds.
                rate = concurrency / statistics.fmean(latencies)
                reference = FEILONG[kind, concurrency]
                rows.append(
                    Row(f"connector: {label}, concurrency {concurrency}", rate, "calls/s", reference, "Feilong")
                )
                ordered = sorted(latencies)
                p99 = ordered[int(len(ordered) * 0.99)] * 1000
                rows.append(Row("    p50", statistics.median(ordered) * 1000, "ms"))
                rows.append(Row("    p99", p99, "ms"))
    return rows


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        words = ["up", "--state", str(state), "--port", "0", "--smapi-port", "0", "--machine-port", "0"]
        program = [sys.executable, "-c", "from zvmcloud.cli.main import main; main()", *words]
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while not (state / "up.json").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("zvm up did not come up")
                time.sleep(0.1)
            return _rows(json.loads((state / "up.json").read_text())["connector"])
        finally:
            process.terminate()
            process.wait(30)
