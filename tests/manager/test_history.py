"""How long versions of directory entries are kept."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from zvmcloud.manager.inventory.tables import baselines, entry_versions
from zvmcloud.manager.node import Node
from zvmcloud.manager.settings import SettingsError

VERSION = {"system": "ZVM1", "userid": "LINUX01", "digest": "d", "entry": ["USER LINUX01"], "cause": "outside"}


async def versions(node: Node) -> list[int]:
    async with node.core.database.read() as connection:
        query = sa.select(entry_versions.c.number).order_by(entry_versions.c.number)
        return list((await connection.execute(query)).scalars())


@pytest.mark.parametrize(("days", "left"), [(730, [2, 4, 5]), (0, [1, 2, 3, 4, 5]), (36500, [1, 2, 3, 4, 5])])
async def test_old_versions_go_but_for_the_newest_and_what_drift_is_measured_from(
    tmp_path: Path, database: str, days: int, left: list[int]
) -> None:
    found = settings(tmp_path / "state", database=database, inventory={"seconds": 0, "history_days": days})
    async with running(FakeZhcp(), found) as node:
        long_ago, lately = time.time() - 800 * 86400, time.time() - 100 * 86400
        rows = [{**VERSION, "number": number, "at": long_ago} for number in (1, 2, 3)]
        rows += [{**VERSION, "number": number, "at": lately} for number in (4, 5)]
        baseline = {"system": "ZVM1", "userid": "LINUX01", "digest": "d", "version": 2, "state": "on", "disks": []}
        async with node.core.database.write() as connection:
            await connection.execute(sa.insert(entry_versions), rows)
            await connection.execute(sa.insert(baselines), {**baseline, "at": long_ago})
        await node.forget_old()
        assert await versions(node) == left


async def test_the_only_version_of_an_entry_stays(tmp_path: Path) -> None:
    async with running(FakeZhcp(), settings(tmp_path / "state")) as node:
        async with node.core.database.write() as connection:
            await connection.execute(sa.insert(entry_versions), {**VERSION, "number": 1, "at": 0.0})
        await node.forget_old()
        assert await versions(node) == [1]


def test_how_long_they_are_kept_has_limits(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"inventory\.history_days: -1 is not between 0 and 36500"):
        settings(tmp_path, inventory={"history_days": -1})
