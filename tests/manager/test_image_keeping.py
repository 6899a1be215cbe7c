"""The repository under its size limit, and what a start finds in the folders."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from manager.fake_zhcp import FakeZhcp
from manager.support import image_file, running, settings
from zvmcloud.manager.identity.roles import SYSTEM
from zvmcloud.manager.identity.tables import audit
from zvmcloud.manager.jobs.plan import Plan, Step
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import SettingsError
from zvmcloud.manager.tables import images


@pytest.fixture
async def node(tmp_path: Path, database: str) -> AsyncIterator[Node]:
    async with running(FakeZhcp(), settings(tmp_path / "state", database=database, images={"limit": 1300})) as opened:
        yield opened


async def filled(node: Node, tmp_path: Path, *names: str) -> dict[str, str]:
    """Images of 500 to 600 bytes each, used one after the other in this order; their digests by name."""
    for number, name in enumerate(names):
        path = image_file(tmp_path, f"{name}.img", body=name.encode())
        await node.images.import_url(name, path.as_uri(), "rhel9")
        await change(node, name, last_used=1000.0 + number)
    return {image.name: image.sha256 for image in await node.images.list()}


async def change(node: Node, name: str, **values: object) -> None:
    async with node.core.database.write() as connection:
        await connection.execute(sa.update(images).where(images.c.name == name).values(**values))


async def names(node: Node) -> list[str]:
    return [image.name for image in await node.images.list()]


async def test_the_least_recently_used_go_until_the_rest_is_below_the_limit(node: Node, tmp_path: Path) -> None:
    digests = await filled(node, tmp_path, "a", "b", "c", "d")
    await change(node, "a", last_used=2000.0)
    told = await node.keeping.prune(SYSTEM, dry_run=True)
    assert [file.names for file in told.pruned] == [("b",), ("c",)]
    assert await names(node) == ["a", "b", "c", "d"]
    done = await node.keeping.prune(SYSTEM)
    assert [file.names for file in done.pruned] == [("b",), ("c",)]
    assert await names(node) == ["a", "d"]
    assert done.used <= 1300
    assert {path.name for path in node.images.folder.rglob("*") if path.is_file()} == {digests["a"], digests["d"]}
    async with node.core.database.read() as connection:
        entries = (
            await connection.execute(sa.select(audit.c.subject).where(audit.c.action == "image.prune"))
        ).scalars()
        assert sorted(entries) == ["b", "c"]


async def test_what_is_protected_or_read_by_a_job_stays_with_all_its_names(node: Node, tmp_path: Path) -> None:
    digests = await filled(node, tmp_path, "a", "b", "c", "d")
    await node.images.import_url("again", (tmp_path / "a.img").as_uri(), "rhel9")
    await change(node, "again", last_used=1.0, protected=True)
    plan = Plan("guest.deploy", "x", "ZVM1", (Step("x", "x", "guest.start", {}),), image_sha256=digests["b"])
    await node.journal.begin(plan)
    report = await node.keeping.report()
    assert [file.names for file in report.pruned] == [("c",), ("d",)]
    await node.keeping.prune(SYSTEM)
    assert await names(node) == ["a", "again", "b"]


async def test_without_a_limit_nothing_goes(tmp_path: Path) -> None:
    async with running(FakeZhcp(), settings(tmp_path / "state")) as node:
        await filled(node, tmp_path, "a", "b")
        assert not await node.keeping.over()
        assert (await node.keeping.prune(SYSTEM)).pruned == ()


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"limit": "much"}, {"upload_seconds": 0}, {"folder": "x"}])
def test_settings_that_are_none_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"images\."):
        settings(tmp_path / "state", images=wrong)


async def test_a_file_that_came_by_itself_goes_when_an_upload_would(node: Node) -> None:
    imported = node.settings.folder / "files" / "imported"
    folder = imported / "of-default"
    folder.mkdir(parents=True)
    old, young, older = folder / "old", folder / "young", imported / "without-a-project"
    for path in (old, young, older):
        path.write_bytes(b"bytes")
    then = time.time() - node.settings.images.upload_seconds - 60
    for path in (old, older, folder):
        os.utime(path, (then, then))
    await node.forget_old()
    assert list(imported.iterdir()) == [folder]
    assert [path.name for path in folder.iterdir()] == ["young"]


async def test_a_start_removes_what_no_table_knows(tmp_path: Path, database: str) -> None:
    found = settings(tmp_path / "state", database=database)
    async with running(FakeZhcp(), found) as node:
        digests = await filled(node, tmp_path, "a", "b")
    folder = tmp_path / "state"
    strays = [
        folder / "images" / "incoming" / "half",
        folder / "images" / "00" / ("0" * 64),
        folder / "images" / "00" / ".x.part",
        folder / "jobs" / "nobody" / "received",
    ]
    for path in strays:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        for old in (path, path.parent):
            os.utime(old, (time.time() - 7200,) * 2)
    (folder / "images" / digests["a"][:2] / digests["a"]).unlink()
    async with running(FakeZhcp(), found) as node:
        assert not any(path.exists() for path in strays)
        assert (await node.keeping.report()).missing == ("a",)
        assert node.images.path(await node.images.get("b")).exists()
