"""Pools of LUNs: imported, claimed for a time, attached, detached, checked, shared by the members of a cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

import postgres
from manager.fake_zhcp import FakeZhcp
from manager.support import all_jobs, running
from manager.support import settings as node_settings
from manager.volume_support import ADMIN, CLUSTER, POOL, PORTS, begun, clustered, create, done, prepared, volumes
from zvmcloud.manager import fcp_rows
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.operations import OPERATIONS, Target
from zvmcloud.manager.storage import claims, rows


async def test_a_second_volume_goes_through_the_same_devices_over_two_channels(tmp_path: Path, database: str) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp, "A")
        for name in ("one", "two"):
            await create(node, name, 15)
            await done(node, "volume.attach", "A", volume=name)
        devices = {item.fcp: item for item in await node.fcp.of_guest("ZVM1", "A")}
        assert {item.chpid for item in devices.values()} == {"1a", "1b"}
        assert {item.connections for item in devices.values()} == {2}
        assert zhcp.guests["A"]["fcps"] == sorted(devices)
        assert zhcp.kinds().count("fcp.dedicate") == 1
        script = zhcp.guests["A"]["reader"][-1]["data"].decode()
        assert "multipathd" in script
        exported = await node.pools.export("ZVM1", "p1")
        assert exported.count(f",A,{';'.join(sorted(devices))},") == 2
        for name in ("one", "two"):
            await done(node, "volume.detach", "A", volume=name)
        assert zhcp.guests["A"]["fcps"] == []
        assert await node.fcp.of_guest("ZVM1", "A") == ()


async def test_four_wishes_at_once_get_four_luns(tmp_path: Path, database: str) -> None:
    """Each is planned for the same smallest LUN; all but one are planned anew."""
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp)
        await asyncio.gather(*(create(node, f"v{number}", 1) for number in range(4)))
        assert len({item.lun.name for item in (await volumes(node)).values()}) == 4
        with pytest.raises(Conflict, match="has no free LUN"):
            await create(node, "more", 1)


async def test_what_is_claimed_and_never_come_to_is_given_back(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs that are cancelled before their first step; the manager looks for what they claimed by itself."""
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp, "A")
        for name in ("there", "other"):
            await create(node, name, 1)
        monkeypatch.setattr(node.core.engine, "submit", AsyncMock())
        jobs = [
            await begun(node, "volume.create", name="lost", pool="p1", size_gb=1),
            await begun(node, "volume.attach", "A", volume="there"),
            await begun(node, "volume.delete", item="other"),
        ]
        found = await volumes(node)
        assert (found["lost"].state, len(found["there"].attachments)) == ("creating", 1)
        assert found["other"].job == jobs[2].id
        assert len(await node.fcp.of_guest("ZVM1", "A")) == 2
        with pytest.raises(Conflict, match="attached"):
            await begun(node, "volume.delete", item="there")
        with pytest.raises(Conflict, match="by job"):
            await begun(node, "volume.attach", "A", volume="other")
        assert await node.pools.expire() == 0, "jobs that wait for their turn keep what they claimed"
        for job in jobs:
            await node.runner.cancel(job.id)
        assert await node.pools.expire() == 3
        found = await volumes(node)
        assert sorted(found) == ["other", "there"]
        assert found["there"].attachments == ()
        assert found["other"].job == ""
        assert await node.fcp.of_guest("ZVM1", "A") == ()


async def test_a_job_that_is_overtaken_does_not_begin(tmp_path: Path, database: str) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp)
        operation = OPERATIONS["volume.create"]
        plans = []
        for name in ("one", "two"):
            wish = operation.parameters(name=name, pool="p1", size_gb=1)
            plans.append((await operation.prepare(node, ADMIN, Target("ZVM1"), wish)).plan)
        await create(node, "faster", 1)
        before = len(await all_jobs(node))
        for plan in plans:
            with pytest.raises(claims.Overtaken):
                await node.plans._begin(plan, {}, "test", new_job())
        assert len(await all_jobs(node)) == before
        assert list(await volumes(node)) == ["faster"]


class SlowCopies(FakeZhcp):
    """Copies wait until they may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def _run(self, key: str, kind: str, parameters: dict[str, Any], state: dict[str, Any]) -> None:
        if kind == "disk.clone":
            await self.go_on.wait()
        await super()._run(key, kind, parameters, state)


async def test_a_volume_that_is_copied_is_neither_attached_nor_deleted_meanwhile(tmp_path: Path, database: str) -> None:
    zhcp = SlowCopies()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp, "A")
        await create(node, "source", 1)
        copies = [
            await begun(node, "volume.create", name=f"c{n}", pool="p1", size_gb=1, source="source") for n in (1, 2)
        ]
        for name, guest, words in (
            ("volume.attach", "A", {"volume": "source"}), ("volume.delete", "", {}), ("volume.release", "", {}),
        ):  # fmt: skip
            with pytest.raises(Conflict, match="by job"):
                await done(node, name, guest, "" if guest else "source", **words)
        zhcp.go_on.set()
        for job in copies:
            async for record in node.journal.watch(job.id):
                if record.over:
                    assert record.state == "done"
                    break
        await done(node, "volume.delete", item="source")


async def test_an_import_is_all_or_nothing_and_contradicts_no_volume(tmp_path: Path, database: str) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp, "A")
        text = await node.pools.export("ZVM1", "p1")
        await node.pools.load("ZVM1", "p1", text)
        assert await node.pools.export("ZVM1", "p1") == text
        with pytest.raises(BadInput, match="line 3, size"):
            await node.pools.load("ZVM1", "p2", f"{text.splitlines()[0]}\n\nfree,{PORTS},4010400500000000,1,,,,\n")
        with pytest.raises(Conflict, match="of pool p1 of ZVM1 already"):
            await node.pools.load("ZVM1", "p2", f"free,{PORTS},4010400500000000,,,,,\n{text}")
        with pytest.raises(NotFound):
            await node.pools.pool("ZVM1", "p2")
        await create(node, "data", 1)
        with pytest.raises(Conflict, match="has volume data, and the file says otherwise"):
            await node.pools.load("ZVM1", "p1", text)
        await node.pools.load("ZVM1", "p1", await node.pools.export("ZVM1", "p1"))
        await done(node, "volume.attach", "A", volume="data")
        await node.pools.load("ZVM1", "p1", await node.pools.export("ZVM1", "p1"))
        for wrong, field in (("../p", "pool"), ("x" * 65, "pool")):
            with pytest.raises(BadInput, match=field):
                await node.pools.load("ZVM1", wrong, text)
        with pytest.raises(BadInput, match="at most"):
            await node.pools.load("ZVM1", "p1", "#" * (2**24 + 1))


async def test_a_lun_that_an_old_file_says_is_used_is_handed_out_to_nobody(tmp_path: Path, database: str) -> None:
    """The pool that a driver without a manager filled: its guest keeps the LUN, as a volume with the LUN's name."""
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp, "A")
        line = "used,5005076306138499,4010400700000000,10G,,a,1a00,replace_root\n"
        kept = "reserved,5005076306138499,4010400800000000,10G,,,,\n"
        await node.pools.load("ZVM1", "old", line + kept)
        with pytest.raises(Conflict, match="no free LUN"):
            await done(node, "volume.create", name="x", pool="old", size_gb=1)
        (name,) = await volumes(node)
        assert name == "4010400700000000-5005076306138499"
        assert (await volumes(node))[name].of("ZVM1", "A") is not None
        await done(node, "volume.detach", "A", volume=name)
        await done(node, "volume.delete", item=name)
        await done(node, "volume.create", name="x", pool="old", size_gb=1)


async def test_the_devices_are_of_the_range_of_the_lun(tmp_path: Path, database: str) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp, "A")
        await node.pools.load("ZVM1", "p3", f"free,{PORTS},4010400500000000,1G,1a02;1b03,,,\n")
        await node.pools.load("ZVM1", "p4", f"free,{PORTS},4010400600000000,1G,9a02,,,\n")
        for pool in ("p3", "p4"):
            await done(node, "volume.create", name=pool, pool=pool, size_gb=1)
        await done(node, "volume.attach", "A", volume="p3")
        assert zhcp.guests["A"]["fcps"] == ["1a02", "1b03"]
        with pytest.raises(Conflict, match="0 of 2 paths"):
            await begun(node, "volume.attach", "A", volume="p4")


async def test_what_a_pool_says_is_checked_against_z_vm_and_mended(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", database=database)) as node:
        await prepared(node, zhcp, "A", "B")
        for name, guest in (("one", "A"), ("two", "B")):
            await create(node, name, 1)
            await done(node, "volume.attach", guest, volume=name)
        await create(node, "three", 1)
        found = await volumes(node)
        dedicated = [f"DEDICATE {fcp.upper()} {fcp.upper()}" for fcp in found["one"].attachments[0].fcps]
        facts = {"A": Document({"entry": dedicated}), "B": Document({"entry": dedicated})}

        async def told(_system: str, userid: str) -> Document:
            if userid not in facts:
                raise NotFound(f"no {userid}")
            return facts[userid]

        monkeypatch.setattr(node.guests, "facts", told)
        (lacking,) = await node.checking.check("ZVM1", "p1", mend=True)
        assert (lacking.kind, lacking.subject, lacking.mended) == ("not-dedicated", "two", False)
        fcp = found["one"].attachments[0].fcps[0]
        async with node.core.database.write() as connection:
            await fcp_rows.set_devices(connection, "ZVM1", [fcp], connections=0, assigner="")
            await rows.change_volume(connection, found["three"], job="gone", state="writing")
            await rows.change_lun(connection, "ZVM1", found["one"].lun.name, "free")
        del facts["B"]
        kinds = ["connections", "guest-gone", "job-over", "lun-state"]
        assert sorted(item.kind for item in await node.checking.check("ZVM1", "p1", mend=False)) == kinds
        mended = await node.checking.check("ZVM1", "p1", mend=True)
        assert sorted(item.kind for item in mended if item.mended) == kinds
        assert await node.checking.check("ZVM1", "p1", mend=False) == ()
        found = await volumes(node)
        assert (found["three"].state, found["two"].attachments) == ("error", ())
        (device,) = [item for item in await node.fcp.of_guest("ZVM1", "A") if item.fcp == fcp]
        assert device.connections == 1


async def test_the_members_of_a_cluster_share_a_pool_and_hand_out_no_lun_twice(tmp_path: Path, database: str) -> None:
    one, two = FakeZhcp(), FakeZhcp()
    async with running(one, node_settings(tmp_path / "state", database=database, **CLUSTER), ZVM2=two) as node:
        await prepared(node, one, "A")
        await clustered(node, one, two)
        with pytest.raises(Conflict, match="of pool p1 of ZVM1 already"):
            await node.pools.load("ZVM2", "mine", POOL)
        await create(node, "data", 15)
        with pytest.raises(NotFound):
            await node.pools.pool("ZVM2", "p1")
        shared = await node.pools.change("ZVM1", "p1", wipe=None, shared=True)
        assert shared.systems == ("ZVM1", "ZVM2")
        there = await node.pools.pool("ZVM2", "p1")
        assert [item.name for item in there.volumes.values()] == ["data"]
        with pytest.raises(Conflict, match="has a volume data already"):
            await done(node, "volume.create", system="ZVM2", name="data", pool="p1", size_gb=1)
        wishes = [("ZVM1", "x1"), ("ZVM2", "x2"), ("ZVM1", "x3")]
        await asyncio.gather(
            *(done(node, "volume.create", system=system, name=name, pool="p1", size_gb=1) for system, name in wishes)
        )
        found = (await node.pools.pool("ZVM2", "p1")).volumes.values()
        assert len({item.lun.name for item in found}) == 4


async def test_two_managers_of_one_database_never_hand_out_the_same_lun_or_device(
    tmp_path: Path, postgres_server: postgres.Server
) -> None:
    zhcp = FakeZhcp()
    url = postgres_server.database()
    words = {"database": postgres.patient(url), "shared": str(tmp_path / "shared")}
    try:
        async with (
            running(zhcp, node_settings(tmp_path / "one", node="one", **words)) as one,
            running(zhcp, node_settings(tmp_path / "two", node="two", **words)) as two,
        ):
            await prepared(one, zhcp, "A", "B")
            await asyncio.gather(*(create(node, f"v{n}", 1) for n, node in enumerate((one, two, one, two))))
            found = await volumes(one)
            assert len({item.lun.name for item in found.values()}) == 4
            ask = ((one, "A", "v0"), (two, "B", "v1"), (one, "B", "v2"), (two, "A", "v3"), (two, "B", "v0"))
            ended = await asyncio.gather(
                *(done(node, "volume.attach", guest, volume=name) for node, guest, name in ask), return_exceptions=True
            )
            refused = [item for item in ended if isinstance(item, BaseException)]
            assert all(isinstance(item, Conflict) for item in refused), "busy guests, and the volume that is taken"
            given = [item for volume in (await volumes(two)).values() for item in volume.attachments]
            having = {(item.userid, fcp) for item in given for fcp in item.fcps}
            assert having
            assert len({fcp for _, fcp in having}) == len(having), "a device is with one guest"
            assert all(len(item.attachments) < 2 for item in (await volumes(two)).values())
    finally:
        postgres_server.drop(url)
