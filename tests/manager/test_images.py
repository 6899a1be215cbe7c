"""The image repository: downloads, and what is left after one that fails."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from manager.fake_zhcp import FakeZhcp
from manager.support import all_jobs, image_file, running, settings
from zvmcloud.manager.errors import BadInput, ImageUnusable, ManagerError, NotAllowed
from zvmcloud.manager.images.localfiles import is_here
from zvmcloud.manager.node import Node
from zvmcloud.serving import tcp_door


@pytest.fixture
async def node(tmp_path: Path, database: str) -> AsyncIterator[Node]:
    async with running(FakeZhcp(), settings(tmp_path / "state", database=database)) as opened:
        yield opened


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[str]:
    """An HTTP server with one image and one path that is gone."""
    path = image_file(tmp_path)

    async def image(_request: Request) -> Response:
        return FileResponse(path)

    listener = tcp_door("127.0.0.1", 0)
    config = uvicorn.Config(Starlette(routes=[Route("/image", image)]), log_level="warning", lifespan="off")
    found = uvicorn.Server(config)
    serving = asyncio.create_task(found.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    found.should_exit = True
    await serving


async def test_an_image_comes_in_over_http_and_is_kept_under_its_digest(
    node: Node, server: str, tmp_path: Path
) -> None:
    await node.images.import_url("web", f"{server}/image", "rhel9.2")
    image = await node.images.get("web")
    assert node.images.path(image).read_bytes() == (tmp_path / "sample.img").read_bytes()
    assert node.images.path(image).name == image.sha256
    assert (image.units, image.kind, image.disk_type) == (10, "CYL", "ECKD")


async def test_a_download_that_fails_names_the_url_and_keeps_nothing(node: Node, server: str) -> None:
    with pytest.raises(ImageUnusable, match="/gone"):
        await node.images.import_url("web", f"{server}/gone", "rhel9")
    assert [path for path in node.images.folder.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "a\nb", "x" * 256])
async def test_names_that_are_no_file_names_are_refused(node: Node, name: str) -> None:
    with pytest.raises(BadInput, match="name: "):
        await node.images.import_url(name, "file:///x", "rhel9")


async def test_other_schemes_and_other_machines_are_refused(node: Node, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="url"):
        await node.images.import_url("x", "ftp://host/x", "rhel9")
    with pytest.raises(NotAllowed, match=r"198\.51\.100\.7"):
        await node.images.import_url("x", image_file(tmp_path).as_uri(), "rhel9", remote_host="root@198.51.100.7")
    await node.images.import_url("here", image_file(tmp_path).as_uri(), "rhel9", remote_host="root@127.0.0.1")


def test_a_host_is_here_by_configuration_name_or_address() -> None:
    assert is_here("root@nfs.example.com", ["nfs.example.com"])
    assert is_here(f"root@{socket.gethostname()}", [])
    assert is_here("root@127.0.0.1", [])
    assert not is_here("root@0.0.0.0", [])
    assert not is_here("root@198.51.100.7", [])


async def test_of_two_imports_under_one_name_at_once_one_fails_for_good(node: Node, tmp_path: Path) -> None:
    url = image_file(tmp_path).as_uri()
    ended = await asyncio.gather(
        *(node.images.import_url("same", url, "rhel9") for _ in range(2)), return_exceptions=True
    )
    (failure,) = [item for item in ended if isinstance(item, ManagerError)]
    assert failure.code == "image-exists"
    jobs = await all_jobs(node)
    assert all(job.over for job in jobs)
    assert len(await node.images.list()) == 1
