"""Images on web servers: what is known of their size beforehand, and where redirects lead."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from zhcp.conftest import Agent
from zhcp.image_server import ImageServer
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage

BLOCKS = 4096
DATA = gzip.compress(bytes(64 * 1024) + hashlib.shake_256(b"disk").digest(BLOCKS * 512 - 64 * 1024))


def write(url: str, data: bytes = DATA, **members: object) -> WriteImage:
    source = ImageSource(url=url, sha256=hashlib.sha256(data).hexdigest(), **members)  # type: ignore[arg-type]
    return WriteImage(source=source, userid="LINUX01", vdev="0100")


async def a_guest(agent: Agent, blocks: int) -> None:
    await agent.run(agent.guest("LINUX01", NewDisk(vdev="0100", size_units=blocks, type="FBA", pool="FBAPOOL")))


async def test_a_packed_image_is_measured_by_its_last_bytes_before_the_disk_is_touched(agent: Agent) -> None:
    await a_guest(agent, BLOCKS - 1)
    async with ImageServer(DATA).running() as url:
        problem = await agent.refused(write(url))
    assert problem.code == "image-too-large"
    assert f"{BLOCKS * 512} bytes" in problem.detail
    assert "write image" not in str(problem.calls)


async def test_a_size_that_the_server_contradicts_is_refused_before_the_disk_is_touched(agent: Agent) -> None:
    await a_guest(agent, BLOCKS)
    async with ImageServer(DATA).running() as url:
        problem = await agent.refused(write(url, bytes=len(DATA) - 1))
    assert problem.code in ("image-truncated", "source-changed")


async def test_a_server_without_ranges_is_read_all_the_same(agent: Agent) -> None:
    await a_guest(agent, BLOCKS)
    async with ImageServer(DATA, ranges=False).running() as url:
        outcome = await agent.run(write(url))
    assert outcome.result is not None
    assert outcome.result["units"] == BLOCKS


async def test_a_redirect_on_the_same_host_is_followed(agent: Agent) -> None:
    await a_guest(agent, BLOCKS)
    server = ImageServer(DATA)
    async with server.running() as url:
        server.redirects = {"/latest": url}
        outcome = await agent.run(write(url.replace("/image", "/latest")))
    assert outcome.result is not None
    assert outcome.result["units"] == BLOCKS


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer t0ken"}])
async def test_a_redirect_to_another_host_is_refused_and_named(agent: Agent, headers: dict[str, str]) -> None:
    await a_guest(agent, BLOCKS)
    server = ImageServer(DATA)
    server.redirects = {"/image": "http://mirror.example/image"}
    async with server.running() as url:
        problem = await agent.refused(write(url, headers=headers))
    assert (problem.status, problem.code) == (502, "source-refused")
    assert "http://mirror.example" in problem.detail
    assert "t0ken" not in str(problem.to_json())


async def test_a_redirect_that_never_ends_is_given_up(agent: Agent) -> None:
    await a_guest(agent, BLOCKS)
    server = ImageServer(DATA)
    async with server.running() as url:
        server.redirects = {"/image": url}
        problem = await agent.refused(write(url))
    assert "more than 5 times" in problem.detail
