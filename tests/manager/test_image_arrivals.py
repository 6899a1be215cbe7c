"""Images fetched from URLs: taken up after a lost connection, checked, cancelled, and nothing left behind."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.identity.roles import SYSTEM
from zvmcloud.manager.images import arrivals
from zvmcloud.manager.images.about import About
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord
from zvmcloud.manager.node import Node

DATA = b"\xfa" * 511 + b"\x55" + bytes(range(256)) * 4000
DIGESTS = {"sha256": hashlib.sha256(DATA).hexdigest()}


class Server:
    """Serves DATA with Range, and breaks off after `cuts` bytes each time, as long as there are some."""

    def __init__(self) -> None:
        self.data, self.tag, self.ranges = DATA, '"one"', True
        self.cuts: list[int] = []
        self.hang = asyncio.Event()
        self.hang.set()
        self.asked: list[str] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://user:word@127.0.0.1:{self.port}/image?key=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        sent = dict(line.split(": ", 1) for line in lines if ": " in line)
        wanted = sent.get("range", "")
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-") or 0)
        if not self.ranges or sent.get("if-range", self.tag) != self.tag:
            start = 0
        status = "206 Partial Content" if start else "200 OK"
        more = f"content-range: bytes {start}-{len(self.data) - 1}/{len(self.data)}\r\n" if start else ""
        if start >= len(self.data):
            status, more = "416 Range Not Satisfiable", f"content-range: bytes */{len(self.data)}\r\n"
        body = self.data[start:]
        tag = f"etag: {self.tag}\r\n" if self.tag else ""
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{tag}{more}connection: close\r\n\r\n"
        writer.write(head.encode() + body[: self.cuts.pop(0) if self.cuts else None])
        await self.hang.wait()
        writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    found = Server()
    listener = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = listener.sockets[0].getsockname()[1]
    yield found
    found.hang.set()
    listener.close()


@pytest.fixture
async def node(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    monkeypatch.setattr(arrivals, "_PAUSE", 0.001)
    async with running(FakeZhcp(), settings(tmp_path / "state", database=database)) as opened:
        yield opened


async def begin(node: Node, url: str, digests: dict[str, str] | None = None, **more: Any) -> str:
    job = new_job()
    await node.arrivals.import_url(SYSTEM, About("web", "default"), url, digests or DIGESTS, job=job, **more)
    return job


async def over(node: Node, job: str) -> JobRecord:
    async with asyncio.timeout(20):
        async for record in node.journal.watch(job):
            if record.over:
                return record
    raise AssertionError("the watch ended")


def left(node: Node) -> list[str]:
    found = [path for name in ("images", "jobs") for path in (node.settings.folder / name).rglob("*")]
    return [path.name for path in found if path.is_file()]


async def failure(node: Node, job: str) -> str:
    """The code of the error of a job that failed and left nothing."""
    record = await over(node, job)
    assert record.state == "failed"
    assert record.error is not None
    assert left(node) == []
    return str(record.error["code"])


@pytest.mark.parametrize("tag", ['"one"', ""])
async def test_a_lost_connection_is_taken_up_at_the_next_byte(node: Node, server: Server, tag: str) -> None:
    server.tag, server.cuts = tag, [300_000, 100_000]
    record = await over(node, await begin(node, server.url))
    assert record.state == "done"
    assert server.asked == ["", "bytes=300000-", "bytes=400000-"]
    assert node.images.path(await node.images.get("web")).read_bytes() == DATA
    assert left(node) == [DIGESTS["sha256"]]
    assert record.steps[0].step.parameters["url"] == f"http://127.0.0.1:{server.port}/image"


async def test_a_server_that_knows_no_ranges_is_read_anew(node: Node, server: Server) -> None:
    server.ranges, server.cuts = False, [300_000]
    assert (await over(node, await begin(node, server.url))).state == "done"
    assert node.images.path(await node.images.get("web")).read_bytes() == DATA


async def test_another_version_of_the_file_begins_anew(node: Node, server: Server) -> None:
    server.cuts = [300_000]
    server.data = bytes(len(DATA))
    server.hang.clear()
    job = await begin(node, server.url)
    async with asyncio.timeout(10):
        async for record in node.journal.watch(job):
            if record.steps[0].progress > 0:
                break
    server.data, server.tag = DATA, '"two"'
    server.hang.set()
    assert (await over(node, job)).state == "done"
    assert server.asked == ["", "bytes=300000-"]


async def test_a_server_that_gives_nothing_more_is_given_up(node: Node, server: Server) -> None:
    server.cuts = [1000] + [0] * 50
    assert await failure(node, await begin(node, server.url)) == "download-failed"
    assert len(server.asked) < 10


@pytest.mark.parametrize(
    ("digests", "more", "code"),
    [
        ({"sha256": "0" * 64}, {}, "digest-mismatch"),
        ({"md5": "0" * 32}, {}, "digest-mismatch"),
        (DIGESTS | {"sha512": "0" * 128}, {}, "digest-mismatch"),
        (DIGESTS, {"size": len(DATA) + 1}, "image-size"),
        (DIGESTS, {"size": len(DATA) - 1}, "image-size"),
    ],
)
async def test_what_is_not_what_was_announced_is_not_kept(
    node: Node, server: Server, digests: dict[str, str], more: dict[str, int], code: str
) -> None:
    assert await failure(node, await begin(node, server.url, digests, **more)) == code


async def test_a_cancelled_import_leaves_nothing(node: Node, server: Server) -> None:
    server.cuts = [300_000]
    server.hang.clear()
    job = await begin(node, server.url)
    async with asyncio.timeout(10):
        async for record in node.journal.watch(job):
            if record.steps[0].progress > 0:
                break
    await node.runner.cancel(job)
    record = await over(node, job)
    assert (record.state, left(node)) == ("cancelled", [])


async def test_only_hosts_of_the_settings_and_public_ones_are_asked(tmp_path: Path, server: Server) -> None:
    async with running(FakeZhcp(), settings(tmp_path / "state", import_hosts=[])) as node:
        assert await failure(node, await begin(node, server.url)) == "url-not-allowed"
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://", "http://[::1", "x" * 5000):
            with pytest.raises(BadInput, match="url"):
                await begin(node, url)
    assert server.asked == []


async def test_an_import_goes_on_after_a_restart(tmp_path: Path, server: Server) -> None:
    """The steps are run again by the engine; what was fetched by the first manager is not fetched again."""
    server.cuts = [300_000]
    server.hang.clear()
    found = settings(tmp_path / "state")
    async with running(FakeZhcp(), found) as node:
        job = await begin(node, server.url)
        async with asyncio.timeout(10):
            async for record in node.journal.watch(job):
                if record.steps[0].progress > 0.2:
                    break
    server.hang.set()
    async with running(FakeZhcp(), found) as node:
        await node.core.engine.submit(job)
        assert (await over(node, job)).state == "done"
        assert node.images.path(await node.images.get("web")).read_bytes() == DATA
    assert server.asked == ["", "bytes=300000-"]
