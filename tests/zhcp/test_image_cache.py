"""The agent's image cache: one transfer for all who want an image, room made by the least used, never a wrong byte."""

import asyncio
import contextlib
import hashlib
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zhcp.conftest import Agent
from zhcp.image_server import ImageServer
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.image_cache import ImageCache
from zvmcloud.zhcp.image_messages import ImageSource

MIB = 1 << 20
DATA = [random.Random(seed).randbytes(MIB + seed) for seed in range(4)]


def source(url: str, data: bytes, *, size: int = 0) -> ImageSource:
    return ImageSource(url=url, sha256=hashlib.sha256(data).hexdigest(), bytes=size or len(data))


async def read(cache: ImageCache, wanted: ImageSource) -> bytes:
    async with cache.use(wanted, ()) as fetched:
        return b"".join([piece async for piece in fetched.pieces()])


def files(folder: Path) -> set[str]:
    return {path.name.partition("-")[2][:6] + path.suffix for path in folder.iterdir()}


def names(*data: bytes) -> set[str]:
    return {hashlib.sha256(item).hexdigest()[:6] for item in data}


@contextlib.asynccontextmanager
async def servers(*data: bytes) -> AsyncIterator[list[tuple[ImageServer, ImageSource]]]:
    async with contextlib.AsyncExitStack() as stack:
        found = []
        for item in data:
            server = ImageServer(item)
            found.append((server, source(await stack.enter_async_context(server.running()), item)))
        yield found


async def test_an_image_is_fetched_once_also_by_the_next_agent(tmp_path: Path) -> None:
    async with servers(DATA[0]) as [(server, wanted)]:
        for _ in range(2):
            cache = ImageCache(tmp_path, 10 * MIB)
            assert [await read(cache, wanted) for _ in range(2)] == [DATA[0], DATA[0]]
    assert len(server.requests) == 1
    assert files(tmp_path) == names(DATA[0])


async def test_those_who_want_it_at_once_read_along_with_one_transfer(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 10 * MIB)
    async with servers(DATA[0]) as [(server, wanted)]:
        server.pause_after = 500_000
        server.go_on.clear()
        waiting = [asyncio.create_task(read(cache, wanted)) for _ in range(5)]
        await asyncio.sleep(0.2)
        waiting[0].cancel()
        server.go_on.set()
        assert await asyncio.gather(*waiting[1:]) == [DATA[0]] * 4
    assert len(server.requests) == 1


async def test_the_least_recently_used_makes_room_and_never_one_in_use(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 2 * MIB + 10)
    async with servers(*DATA[:4]) as [(_, a), (_, b), (_, c), (passed, d)]:
        await read(cache, a)
        await read(cache, b)
        for number, data in enumerate(DATA[:2]):
            os.utime(tmp_path / f"sha256-{hashlib.sha256(data).hexdigest()}", (100 - number, 100 - number))
        async with cache.use(b, ()) as fetched:
            await read(cache, c)
            assert files(tmp_path) == names(DATA[1], DATA[2]), "a has gone, although b was used longer ago"
            async with cache.use(c, ()):
                assert await read(cache, d) == DATA[3], "it is streamed past the cache"
                assert await read(cache, d) == DATA[3]
            assert await fetched.whole() == fetched.file
        assert len(passed.requests) == 2
        assert files(tmp_path) == names(DATA[1], DATA[2])
        await read(cache, d)
    assert names(DATA[3]) < files(tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2 * MIB + 10


async def arrived(folder: Path, size: int) -> None:
    """So many bytes of an image that is being fetched are there."""
    async with asyncio.timeout(60):
        while [path.stat().st_size for path in folder.glob("*.partial")] != [size]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_cut_transfer_goes_on_at_its_byte_after_a_restart(tmp_path: Path) -> None:
    async with servers(DATA[0]) as [(server, wanted)]:
        server.etag = '"v1"'
        server.pause_after = 600_000
        server.go_on.clear()
        reading = asyncio.create_task(read(ImageCache(tmp_path, 10 * MIB), wanted))
        await arrived(tmp_path, 600_000)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        server.pause_after = -1
        server.go_on.set()
        assert await read(ImageCache(tmp_path, 10 * MIB), wanted) == DATA[0]
    assert 'if-range: "v1"' in server.requests[1]
    assert f"range: bytes={600_000}-" in server.requests[1].lower()
    assert files(tmp_path) == names(DATA[0])


async def test_a_part_of_another_version_is_dropped(tmp_path: Path) -> None:
    name = f"sha256-{hashlib.sha256(DATA[0]).hexdigest()}"
    (tmp_path / f"{name}.partial").write_bytes(DATA[1][:70_000])
    (tmp_path / f"{name}.etag").write_text('"v1"')
    async with servers(DATA[0]) as [(server, wanted)]:
        server.etag = '"v2"'
        assert await read(ImageCache(tmp_path, 10 * MIB), wanted) == DATA[0]
    assert files(tmp_path) == names(DATA[0])


async def test_an_image_that_changes_during_the_transfer_is_an_error(tmp_path: Path) -> None:
    async with servers(DATA[0]) as [(server, wanted)]:
        server.etag = '"v1"'

        def behave(request: int) -> int | None:
            server.etag = f'"v{request}"'
            return 200_000

        server.behave = behave
        with pytest.raises(AgentError) as caught:
            await read(ImageCache(tmp_path, 10 * MIB), wanted)
    assert (caught.value.problem.code, caught.value.problem.retryable) == ("source-changed", True)


async def test_wrong_bytes_are_not_kept(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 10 * MIB)
    async with servers(DATA[0]) as [(server, wanted)]:
        right, server.data = server.data, DATA[0][:-1] + b"x"
        with pytest.raises(AgentError) as caught:
            await read(cache, wanted)
        assert caught.value.problem.code == "digest-mismatch"
        assert files(tmp_path) == set()
        server.data = right
        assert await read(cache, wanted) == right


async def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / f"sha256-{hashlib.sha256(DATA[0]).hexdigest()}").write_bytes(DATA[0][:-1] + b"x")
    async with servers(DATA[0]) as [(server, wanted)]:
        assert await read(ImageCache(tmp_path, 10 * MIB), wanted) == DATA[0]
    assert len(server.requests) == 1


async def test_without_a_cache_images_are_streamed(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "images", 0)
    async with servers(DATA[0]) as [(_, wanted)]:
        assert await read(cache, wanted) == DATA[0]
        async with cache.use(wanted, ()) as fetched:
            with pytest.raises(AgentError) as caught:
                await fetched.whole()
    assert (caught.value.problem.status, caught.value.problem.code) == (507, "cache-full")


async def test_a_size_that_was_not_named_and_does_not_fit_is_an_error(tmp_path: Path) -> None:
    async with servers(DATA[0]) as [(_, wanted)]:
        unnamed = ImageSource(url=wanted.url, sha256=wanted.sha256)
        with pytest.raises(AgentError) as caught:
            await read(ImageCache(tmp_path, MIB // 2), unnamed)
        assert (caught.value.problem.status, caught.value.problem.code) == (507, "cache-full")
        assert await read(ImageCache(tmp_path, 2 * MIB), unnamed) == DATA[0]


async def test_an_image_whose_server_stands_still_comes_on_from_another_one(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, 10 * MIB)
    async with servers(DATA[0], DATA[0]) as [(still, first), (other, second)]:
        still.pause_after = 500_000
        still.go_on.clear()
        reading = asyncio.create_task(read(cache, first))
        await arrived(tmp_path, 500_000)
        assert not reading.done()
        await cache.moved(second)
        assert await asyncio.wait_for(reading, 60) == DATA[0]
        still.go_on.set()
        await cache.moved(first)
    (asked,) = other.requests
    assert "range: bytes=500000-" in asked.lower()
    assert len(still.requests) == 1, "an image that is here is not fetched again"


async def test_the_cache_is_listed_and_emptied_over_http(agent: Agent) -> None:
    data = agent.image.path.read_bytes()
    digest = f"sha256-{agent.image.sha256}"
    await agent.run(agent.guest())
    async with ImageServer(data).running() as url:
        await agent.run(agent.write_image(url=url))
    listed = (await agent.http.get("/v1/cache")).json()
    (image,) = listed["images"]
    assert (image["digest"], image["bytes"], image["whole"], image["in_use"]) == (digest, len(data), True, False)
    assert (listed["limit_bytes"], listed["used_bytes"]) == (20_480 << 20, len(data))
    async with agent.runner.context("t").images.use(agent.write_image(url="http://127.0.0.1:9/x").source, ()):
        refused = await agent.http.delete(f"/v1/cache/{digest}?epoch=1")
        assert (refused.status_code, refused.json()["code"]) == (409, "image-in-use")
        assert (await agent.http.delete("/v1/cache?epoch=1")).json()["kept"] == [digest]
    for wrong, status in (("sha256-xyz", 400), ("sha256-" + "0" * 64, 404), ("..%2Fjournal", 404)):
        assert (await agent.http.delete(f"/v1/cache/{wrong}?epoch=1")).status_code == status
    await agent.runner.journal.fence(7)
    for path in ("/v1/cache", f"/v1/cache/{digest}"):
        assert (await agent.http.delete(path)).status_code == 400, "who empties it gives an epoch"
        stale = await agent.http.delete(f"{path}?epoch=6")
        assert (stale.status_code, stale.json()["code"]) == (409, "stale-epoch")
    freed = (await agent.http.delete(f"/v1/cache/{digest}?epoch=7")).json()
    assert freed == {"deleted": [digest], "kept": [], "freed_bytes": len(data)}
    assert (await agent.http.get("/v1/cache")).json()["images"] == []
