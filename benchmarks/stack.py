"""`zvm up` as a subject of measurement: its processes, what each of them spends, and what reaches the z/VM."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from zvmcloud.manager.database import Database
from zvmcloud.manager.tables import guests

PROGRAMS = ("manager", "zhcp", "simulator")
HERE = Path(__file__).resolve().parent.parent
"""This clone."""
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: the connector's port, the process of each program, the journal of the simulated z/VM."""

    port: int
    processes: dict[str, int]
    journal: Path

    def spent(self) -> dict[str, float]:
        """Seconds of processor time that each program has spent until now."""
        return {name: _processor_time(pid) for name, pid in self.processes.items()}

    def calls(self) -> Counter[str]:
        """How many calls of each kind (smapi, cp, guest) have reached the z/VM."""
        with self.journal.open(encoding="utf-8") as lines:
            return Counter(json.loads(line)["kind"] for line in lines)


@contextmanager
def running(count: int, clone: Path = HERE) -> Iterator[Stack]:
    """A stack on a new z/VM with ``count`` guests, L00001 and so on, all of which are the manager's own. ``clone``: the
    folder of the clone whose code runs."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        model = Path(folder) / "model.toml"
        model.write_text(f"guests = {count}\n[pool.POOL1]\nvolumes = 8\nsize = 65520\n")
        if count:
            asyncio.run(_own(state / "manager" / "manager.sqlite", count))
        words = ["up", "--state", str(state), "--port", "0", "--smapi-port", "0", "--machine-port", "0"]
        program = [sys.executable, "-c", "from zvmcloud.cli.main import main; main()", *words, "--model", str(model)]
        environment = {**os.environ, "PYTHONPATH": str(clone / "src")}
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, env=environment)
        try:
            deadline = time.monotonic() + 120
            while not (state / "up.json").exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("zvm up did not come up")
                time.sleep(0.1)
            port = urlsplit(json.loads((state / "up.json").read_text())["connector"]).port or 0
            journal = next((state / "simulator").rglob("journal.jsonl"))
            yield Stack(port, _programs(process.pid), journal)
        finally:
            process.terminate()
            process.wait(60)


async def _own(file: Path, count: int) -> None:
    """Rows of guests, written before the manager starts: registering them one by one would take minutes."""
    database = await Database.open(f"sqlite:///{file}")
    try:
        async with database.write() as connection:
            rows = [
                {"system": "ZVM1", "userid": f"L{number:05d}", "id": str(uuid.uuid4()), "created": time.time()}
                for number in range(1, count + 1)
            ]
            await connection.execute(sa.insert(guests), [{**row, "comments": {}} for row in rows])
    finally:
        await database.close()


def _programs(parent: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        found |= {name: int(pid) for name in PROGRAMS if name in words}
    return found


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
