"""The inventory of 20 systems with 500 guests each, and lists of what is in it.

Three kinds of processes: the fleet (20 simulated z/VM systems of zero latency and their agents, together in one
process: 40 processes would measure this machine), the manager as it is installed, and this one, which asks over
loopback with one kept connection. The first inventory is from the manager's first line of output until every system
was looked at; the manager's own guests are all 10,000, so that drift is measured for each. For 100,000 rows, 90,000
more are written into its database. Memory is the manager's resident set.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import httpx
import sqlalchemy as sa

from benchmarks.fleet import HEADERS, fleet, manager
from benchmarks.table import Row
from zvmcloud.manager.database import Database
from zvmcloud.manager.inventory.tables import seen_guests
from zvmcloud.manager.tables import guests

SYSTEMS, GUESTS, ROWS = 20, 500, 100_000
REQUESTS = 500
Names = Sequence[str]


async def _rows(folder: Path, names: Names, numbers: range, *, seen: bool) -> None:
    database = await Database.open(f"sqlite:///{folder}/manager/manager.sqlite")
    now = time.time()
    try:
        async with database.write() as connection:
            for name in names:
                userids = [f"{'X' if seen else 'L'}{number:05d}" for number in numbers]
                ours = [
                    {"system": name, "userid": userid, "id": str(uuid.uuid4()), "created": now, "comments": {}}
                    for userid in userids
                ]
                await connection.execute(sa.insert(guests), ours)
                if seen:
                    facts = {"kind": "USER", "digest": "0" * 64, "state": "off", "vcpus": 1, "max_cpus": 1}
                    facts |= {"memory_mb": 1024, "max_memory_mb": 1024, "disk_mb": 1, "profile": "", "ipl": ""}
                    facts |= {"first": now, "changed": now}
                    found = [{"system": name, "userid": userid, **facts} for userid in userids]
                    await connection.execute(sa.insert(seen_guests), found)
    finally:
        await database.close()


def _p99(client: httpx.Client, path: str, names: Names) -> float:
    """Milliseconds of pages of 100 of one system each, walked by their cursors."""
    took: list[float] = []
    at = 0
    cursor = ""
    for number in range(REQUESTS + 20):
        query = {"system": names[at % len(names)], "limit": "100", "cursor": cursor}
        began = time.perf_counter()
        answer = client.get(path, params=query)
        if number >= 20:
            took.append((time.perf_counter() - began) * 1000)
        answer.raise_for_status()
        cursor = answer.json()["next"] or ""
        at += not cursor
    return sorted(took)[math.ceil(len(took) * 0.99) - 1]


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1000


def _until_seen(client: httpx.Client, deadline: float) -> None:
    while client.get("/v1/ready").json()["agents_well"] < SYSTEMS:
        if time.perf_counter() > deadline:
            raise RuntimeError("not every system was looked at")
        time.sleep(0.1)


def _goal(what: str, value: float, unit: str, goal: float) -> Row:
    return Row(what, value, unit, goal, "goal", less_is_better=True)


def _measure(folder: Path, names: Names) -> list[Row]:
    rows: list[Row] = []
    headers = HEADERS
    with (
        manager(folder, names, 300) as (url, pid, began),
        httpx.Client(base_url=url, headers=headers, timeout=60) as client,
    ):
        _until_seen(client, began + 300)
        first = time.perf_counter() - began
        rows.append(_goal(f"{SYSTEMS} systems x {GUESTS} guests: first inventory", first, "s", 60.0))
        seen = client.get("/v1/inventory/guests", params={"foreign": False, "system": names[0], "limit": 1000}).json()
        if len(seen["items"]) != GUESTS:
            raise RuntimeError(f"{len(seen['items'])} guests of {names[0]} were seen")
        at = time.perf_counter()
        for name in names:
            client.post(f"/v1/systems/{name}/look").raise_for_status()
        rows.append(Row("a look at all of them again, one by one, nothing changed", time.perf_counter() - at, "s"))
        rows.extend(
            _goal(f"GET {path}, 10,000 guests: p99", _p99(client, path, names), "ms", 50.0)
            for path in ("/v1/guests", "/v1/inventory/guests")
        )
        at = time.perf_counter()
        size = len(client.get("/v1/metrics").content) / 1e6
        rows.append(Row(f"GET /v1/metrics, {size:.1f} MB", time.perf_counter() - at, "s", 10.0, "scrape timeout", True))
        rows.append(_goal("memory of the manager, 10,000 guests", _memory(pid), "MB", 500.0))
    each = (ROWS - SYSTEMS * GUESTS) // SYSTEMS
    asyncio.run(_rows(folder, names, range(1, each + 1), seen=True))
    with manager(folder, names, 0) as (url, pid, _), httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        rows.extend(
            _goal(f"GET {path}, {ROWS:,} rows: p99", _p99(client, path, names), "ms", 50.0)
            for path in ("/v1/guests", "/v1/inventory/guests")
        )
        rows.append(_goal(f"memory of the manager, {ROWS:,} rows", _memory(pid), "MB", 500.0))
    return rows


def run() -> list[Row]:
    names = [f"Z{number:02}" for number in range(1, SYSTEMS + 1)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        asyncio.run(_rows(folder, names, range(1, GUESTS + 1), seen=False))
        with fleet(folder, names, guests=GUESTS):
            return _measure(folder, names)
