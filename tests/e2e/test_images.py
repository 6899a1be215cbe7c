"""Images through the native API of a real manager: what was uploaded before a kill -9 need not come again, and what is
deployed boots."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.programs import Manager, fleet, until
from images.qcow2_files import build, zstd
from zvmcloud.images import sample
from zvmcloud.images.cdl import short_record
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.tracks import BLOCK_BYTES, CYLINDER_DATA_BYTES

FBA_BLOCKS = 20_000


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    async with fleet(tmp_path) as found:
        made = found.manager("one")
        await made.start()
        yield made


def announced(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


async def uploaded(manager: Manager, name: str, data: bytes) -> dict[str, Any]:
    upload = await manager.post("/uploads", **announced(name, data))
    answer = await manager.client.put(f"/v1/uploads/{upload['id']}", content=data)
    assert answer.status_code == 202, answer.text
    job = await manager.over(upload["id"])
    assert job["state"] == "done", job
    image: dict[str, Any] = (await manager.client.get(f"/v1/images/{name}")).json()
    return image


def files(manager: Manager, folder: Path) -> list[str]:
    state = folder / manager.name
    return sorted(path.name for room in ("images", "jobs") for path in (state / room).rglob("*") if path.is_file())


async def test_an_upload_survives_a_manager_that_is_killed_in_the_middle(manager: Manager, tmp_path: Path) -> None:
    data = b"\xfa" * 512 + random.Random(1).randbytes(6 << 20)
    upload = (await manager.post("/uploads", **announced("web", data)))["id"]
    half = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 1 << 19):
            yield data[at : at + (1 << 19)]
            if at >= len(data) // 2:
                half.set()
                await asyncio.sleep(30)

    sending = asyncio.create_task(manager.client.put(f"/v1/uploads/{upload}", content=slowly()))
    await half.wait()

    async def written() -> bool:
        return int((await manager.client.head(f"/v1/uploads/{upload}")).headers["upload-offset"]) >= 2 << 20

    await until(written, manager.log)
    await manager.end()
    sending.cancel()
    with contextlib.suppress(asyncio.CancelledError, httpx.TransportError):
        await sending
    await manager.start()
    offset = int((await manager.client.head(f"/v1/uploads/{upload}")).headers["upload-offset"])
    assert 2 << 20 <= offset < len(data)
    headers = {"content-range": f"bytes {offset}-{len(data) - 1}/{len(data)}"}
    answer = await manager.client.put(f"/v1/uploads/{upload}", content=data[offset:], headers=headers)
    assert answer.status_code == 202, answer.text
    await manager.end()  # while the job checks it, or before
    await manager.start()
    assert (await manager.over(upload))["state"] == "done"
    assert (await manager.client.get("/v1/images/web/content")).content == data
    assert files(manager, tmp_path) == [hashlib.sha256(data).hexdigest()]


def fba(folder: Path) -> bytes:
    """The raw bytes of a bootable FBA disk."""
    with FbaDisk.create(folder / "fba", FBA_BLOCKS) as disk:
        sample.write_sample_blocks(disk)
    return (folder / "fba").read_bytes()


def eckd(_folder: Path) -> bytes:
    """The raw bytes of a bootable ECKD disk of five cylinders, as Linux reads its block device."""
    data = b""
    for track in sample.sample_tracks(5):
        for record in track.records:
            short = short_record(len(data) // BLOCK_BYTES)
            block = record.key + record.data
            assert short is not None or len(block) == BLOCK_BYTES
            data += block.ljust(BLOCK_BYTES, b"\xe5")
    return data.ljust(5 * CYLINDER_DATA_BYTES, b"\0")


@pytest.mark.parametrize("pack", [bytes, build, gzip.compress, zstd.compress], ids=["raw", "qcow2", "gzip", "zstd"])
@pytest.mark.parametrize(("disk", "kind"), [(fba, "FBA"), (eckd, "ECKD")], ids=["fba", "eckd"])
async def test_what_is_uploaded_and_deployed_boots(
    manager: Manager, tmp_path: Path, disk: Callable[[Path], bytes], kind: str, pack: Callable[[bytes], bytes]
) -> None:
    image = await uploaded(manager, "sample", pack(disk(tmp_path)))
    assert (image["disk_type"], image["boot"]) == (kind, True)
    size = str(image["units"])
    pool = {"FBA": "FBA:FBAPOOL", "ECKD": "ECKD:POOL1"}[kind]
    disks = [{"size": size, "pool": pool, "boot": True}]
    await manager.done("/systems/ZVM1/guests", userid="boots", disks=disks)
    await manager.done("/guests/ZVM1/BOOTS/deploy", image="sample")
    await manager.done("/guests/ZVM1/BOOTS/start")

    async def answers() -> bool:
        answer = await manager.client.post("/v1/guests/ZVM1/BOOTS/command", json={"command": "cat /etc/os-release"})
        return answer.status_code == 200 and "zvmsample" in answer.text

    await until(answers, manager.log)
