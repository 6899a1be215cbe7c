"""What tests of the simulator share: an entry, an image, a config drive, the machine port spoken by hand."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zvmcloud.images import configdrive
from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.sample import sample_tracks
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.errors import SmapiError


async def codes(client: Client, request: Request[Any]) -> tuple[int, int]:
    """Return and reason code of a call, whatever they are."""
    try:
        answer = await client.call(request, follow=False)
    except SmapiError as refused:
        return refused.rc, refused.rs
    return answer.rc, answer.rs


LINUX = (
    "USER {name} LBYONLY 2G 4G G",
    "INCLUDE LNXDFLT",
    "MACHINE ESA 8",
    "IPL 0100",
    "NICDEF 1000 TYPE QDIO DEVICES 3 MACID 123456",
)


def linux(name: str) -> tuple[str, ...]:
    """The directory entry of a Linux guest without disks."""
    return tuple(line.format(name=name) for line in LINUX)


def write_image(path: Path, cylinders: int = 5) -> None:
    """What a deployment does: the sample image onto a minidisk's file."""
    with EckdDisk(path, writable=True) as disk:
        for number, track in enumerate(sample_tracks(cylinders)):
            disk.write_track(number // 15, number % 15, track)


def config_drive(hostname: str = "web01.example.com", mac: str = "02:00:00:12:34:56") -> bytes:
    network = configdrive.Network("192.0.2.10/24", "192.0.2.1", mac)
    return configdrive.write_iso(configdrive.tree(hostname, (network,)))


@dataclass
class Agent:
    """The machine port, spoken by hand."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    devices: Path = Path()

    async def ask(self, **request: object) -> dict[str, object]:
        self.writer.write(json.dumps(request).encode() + b"\n")
        await self.writer.drain()
        answer: dict[str, object] = json.loads(await self.reader.readline())
        return answer

    async def cp(self, command: str) -> tuple[object, object]:
        answer = await self.ask(op="cp", command=command)
        return answer["rc"], answer["lines"]

    async def punch(self, name: str, kind: str, data: bytes, to: str) -> None:
        request = {"op": "punch", "name": name, "type": kind, "class": "X", "data": base64.b64encode(data).decode()}
        spoolid = (await self.ask(**request))["spoolid"]
        assert (await self.cp(f"TRANSFER * RDR {spoolid} TO {to} RDR"))[0] == 0
