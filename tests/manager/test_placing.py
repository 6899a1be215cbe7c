"""An image's bytes stay as long as a name has them, and a file under a digest is whole."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from manager.fake_zhcp import FakeZhcp
from manager.support import image_file, running, settings
from zvmcloud.manager.node import Node
from zvmcloud.manager.placing import copy_new, into_place


@pytest.fixture
async def node(tmp_path: Path, database: str) -> AsyncIterator[Node]:
    async with running(FakeZhcp(), settings(tmp_path / "state", database=database)) as opened:
        yield opened


async def test_deleting_a_name_while_the_same_bytes_come_in_loses_no_image(node: Node, tmp_path: Path) -> None:
    url = image_file(tmp_path).as_uri()
    await node.images.import_url("name0", url, "rhel9")
    for number in range(12):
        await asyncio.gather(
            node.images.delete(f"name{number}"), node.images.import_url(f"name{number + 1}", url, "rhel9")
        )
        image = await node.images.get(f"name{number + 1}")
        assert node.images.path(image).is_file()
    await node.images.delete("name12")
    assert [path for path in node.images.folder.rglob("*") if path.is_file()] == []


async def test_removing_waits_for_one_who_places_the_same_bytes(node: Node, tmp_path: Path) -> None:
    await node.images.import_url("name", image_file(tmp_path).as_uri(), "rhel9")
    image = await node.images.get("name")
    async with node.core.image_lock(image.sha256):
        deleting = asyncio.create_task(node.images.delete("name"))
        await asyncio.sleep(0.1)
        assert not deleting.done()
        assert await node.images.get("name") == image
    await deleting


def test_a_file_that_a_crash_cut_short_is_not_trusted(tmp_path: Path) -> None:
    incoming, target = tmp_path / "incoming", tmp_path / "ab" / "abcd"
    incoming.write_bytes(b"whole")
    target.parent.mkdir()
    target.write_bytes(b"")
    into_place(incoming, target, 5)
    assert target.read_bytes() == b"whole"
    into_place(incoming, target, 5)
    assert target.read_bytes() == b"whole", "it is in its place already"


def test_bytes_are_on_the_disk_before_they_have_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        order.append("fsync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    (tmp_path / "incoming").write_bytes(b"x")
    into_place(tmp_path / "incoming", tmp_path / "ab" / "abcd", 1)
    assert order[-3:] == ["fsync incoming", "rename", "fsync ab"]


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_copy_takes_no_name_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    source, root = tmp_path / "source", tmp_path / "root"
    source.write_bytes(b"image")
    copy_new(source, root, root / "a" / "copy")
    assert (root / "a" / "copy").read_bytes() == b"image"
    source.write_bytes(b"other")
    with pytest.raises(FileExistsError):
        copy_new(source, root, root / "a" / "copy")
    assert (root / "a" / "copy").read_bytes() == b"image"
    assert [path.name for path in (root / "a").iterdir()] == ["copy"]


def test_a_folder_that_became_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"image")
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="a"):
        copy_new(tmp_path / "source", tmp_path / "root", tmp_path / "root" / "a" / "copy")
    assert list((tmp_path / "elsewhere").iterdir()) == []
