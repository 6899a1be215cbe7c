"""Two managers on one PostgreSQL server: one is killed, or frozen and thawed, in the middle of a copy."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import signal
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import postgres
from e2e.programs import Fleet, Manager, fleet, until
from zvmcloud.images import ckd, header
from zvmcloud.images.tracks import DEFAULT_TRACK, TRACKS_PER_CYLINDER, Record, Track

CYLINDERS = 100


def image(folder: Path) -> Path:
    """An image that takes a second or two to copy."""
    noise = random.Random(1).randbytes(4 << 20)
    path = folder / "big.img"

    def track(number: int) -> Track:
        at = number * 4096 % (len(noise) - 50_000)
        data = [noise[at + 4096 * record : at + 4096 * (record + 1)] for record in range(12)]
        return Track(tuple(Record(1 + position, b"", item) for position, item in enumerate(data)))

    with path.open("wb") as file:
        file.write(header.render(header.ImageHeader(header.ImageKind.CKD, CYLINDERS)))
        with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1, mtime=0) as body:
            for piece in ckd.encode([DEFAULT_TRACK, *map(track, range(1, CYLINDERS * TRACKS_PER_CYLINDER))]):
                body.write(piece)
    return path


@pytest.fixture
async def zvm1(tmp_path: Path, postgres_server: postgres.Server) -> AsyncIterator[tuple[Fleet, Manager, Manager]]:
    url = postgres_server.database()
    more = f'database = "{url}"\nshared = "{tmp_path / "shared"}"\nheartbeat_seconds = 1'
    async with fleet(tmp_path) as found:
        one, two = found.manager("one", more), found.manager("two", more)
        await one.start()
        await two.start()
        yield found, one, two
    postgres_server.drop(url)


async def copying(fleet: Fleet, one: Manager, two: Manager) -> str:
    """A deploy that `one` works on, in the middle of its copy."""
    path = await asyncio.to_thread(image, fleet.folder)
    put = {"name": "big", "url": path.as_uri(), "os_version": "rhel8.6"}
    answer = await one.client.post(
        "/images", json={"image": {"image_name": "big", "url": put["url"], "image_meta": {"os_version": "rhel8.6"}}}
    )
    assert answer.status_code == 200, answer.text
    disks = [{"size": str(CYLINDERS), "boot": True}]
    await one.done("/systems/ZVM1/guests", userid="LINUX01", vcpus=1, memory_mb=512, disks=disks)
    job = str((await one.post("/guests/ZVM1/LINUX01/deploy", image="big", hostname="linux01"))["id"])

    async def under_way() -> bool:
        found = (await two.job(job))["steps"][0]
        assert found["state"] != "done", "the copy was too fast to be cut off"
        return bool(0.02 < found["progress"] < 1)

    await until(under_way, one.log, pause=0.01)
    return job


def changes(fleet: Fleet) -> list[dict[str, Any]]:
    """The calls that changed z/VM, oldest first: all but questions and the disks that the agent links for itself."""
    lines = (fleet.folder / "vm" / "journal.jsonl").read_text().splitlines()
    calls = [json.loads(line) for line in lines]
    asks = ("Query", "LINK", "DETACH", "Q ", "QUERY", "Check_Authentication")
    return [call for call in calls if not any(word in call["function"] for word in asks)]


def admitted(fleet: Fleet) -> list[tuple[str, int]]:
    """What the agent ever took on: key and epoch."""
    with sqlite3.connect(fleet.folder / "zhcp" / "journal.sqlite") as journal:
        return [(str(key), int(epoch)) for key, epoch in journal.execute("SELECT key, epoch FROM operation")]


async def test_when_one_manager_is_killed_the_other_finishes_its_jobs(zvm1: tuple[Fleet, Manager, Manager]) -> None:
    fleet, one, two = zvm1
    job = await copying(fleet, one, two)
    await one.end(signal.SIGKILL)
    begun = time.monotonic()
    found = await two.over(job, 30)
    assert time.monotonic() - begun < 30
    assert found["state"] == "done", found
    assert [step["attempts"] for step in found["steps"]] == [2, 1, 1]
    files = [call for call in changes(fleet) if call["kind"] == "punch"]
    assert len(files) == 1, "the other manager has the files of the job"
    await one.start()
    assert (await one.job(job))["state"] == "done"


async def test_a_frozen_manager_is_replaced_and_changes_nothing_when_it_thaws(
    zvm1: tuple[Fleet, Manager, Manager],
) -> None:
    fleet, one, two = zvm1
    job = await copying(fleet, one, two)
    before = (await two.client.get("/v1/health")).json()["epoch"]
    one.send(signal.SIGSTOP)
    begun = time.monotonic()
    found = await two.over(job, 30)
    assert (found["state"], time.monotonic() - begun < 30) == ("done", True), found
    after = (await two.client.get("/v1/health")).json()["epoch"]
    assert after > before, "the epoch was raised when it was taken over"
    made, taken = changes(fleet), admitted(fleet)

    one.send(signal.SIGCONT)
    assert one.process is not None
    assert await asyncio.to_thread(one.process.wait, 20) == 0, "it ends by itself"
    assert "others have taken over" in one.log()
    assert changes(fleet) == made
    assert admitted(fleet) == taken
    assert {epoch for key, epoch in taken if key.startswith(job) and "write-image" not in key} == {after}
    assert (await two.job(job))["state"] == "done"
    await two.done("/guests/ZVM1/LINUX01/start")
