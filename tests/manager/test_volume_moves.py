"""Guests with volumes that go to another member of their cluster: their FCP devices become that member's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import running
from manager.support import settings as node_settings
from manager.volume_support import ADMIN, CLUSTER, TEMPLATE, begun, clustered, create, done, prepared, undone, volumes
from zvmcloud.manager.errors import Conflict, ManagerError
from zvmcloud.manager.node import Node
from zvmcloud.manager.operations import OPERATIONS, Target
from zvmcloud.manager.storage import claims
from zvmcloud.manager.storage.rows import Attachment
from zvmcloud.manager.tables import job_steps

HOME = "ssi:SSI1"


@dataclass
class Two:
    """Both members, and their agents. Guest A is at ZVM1 and has volume `data`, which is of the cluster's pool."""

    node: Node
    one: FakeZhcp
    two: FakeZhcp

    async def devices(self, system: str, guest: str = "A") -> dict[str, str]:
        return {device.at: device.fcp for device in await self.node.fcp.of_guest(system, guest)}

    async def attachment(self) -> Attachment:
        (item,) = (await volumes(self.node, HOME))["data"].attachments
        return item

    async def taken(self, system: str, fcp: str, by: str) -> None:
        await self.node.fcp.set_usage(system, fcp, by, reserved=bool(by), connections=0, template="")


@asynccontextmanager
async def two(folder: Path, *, shared: bool = True) -> AsyncIterator[Two]:
    one, other = FakeZhcp(), FakeZhcp()
    async with running(one, node_settings(folder / "state", **CLUSTER), ZVM2=other) as node:
        await prepared(node, one, "A", "B")
        await clustered(node, one, other)
        await node.fcp.create("ZVM2", TEMPLATE)
        if shared:
            await node.pools.change("ZVM1", "p1", wipe=None, shared=True)
        await create(node, "data", 15)
        await done(node, "volume.attach", "A", volume="data")
        yield Two(node, one, other)


async def test_a_guest_that_is_off_moves_with_its_volumes_to_free_devices_of_the_member(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        node, guest = them.node, them.one.guests["A"]
        guest["state"] = "off"
        numbers = (await them.attachment()).fcps
        assert numbers == ("1a00", "1b00")
        await them.taken("ZVM2", "1a00", "B")
        job = await done(node, "guest.move", "A", destination="ZVM2")
        assert [item.step.kind for item in job.steps] == ["manager.fcps_taken", "fcp.follow", "manager.guest_moved"]
        item = await them.attachment()
        assert (item.system, item.fcps) == ("ZVM2", numbers), "the guest's Linux finds them where they were"
        assert await them.devices("ZVM2") == guest["reals"] == {"1a00": "1a01", "1b00": "1b00"}
        assert await them.devices("ZVM1") == {}
        await create(node, "more", 1)
        await done(node, "volume.attach", "A", system="ZVM2", volume="more")
        assert sorted(guest["reals"].values()) == ["1a01", "1b00"], "a second volume goes through the same devices"
        assert await node.checking.check("ZVM2", "p1", mend=False) == ()
        for name in ("more", "data"):
            await done(node, "volume.detach", "A", system="ZVM2", volume=name)
        assert (guest["reals"], await them.devices("ZVM2")) == ({}, {})


async def test_devices_of_the_same_numbers_need_no_change_of_the_entry(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        them.one.guests["A"]["state"] = "off"
        job = await done(them.node, "guest.move", "A", destination="ZVM2")
        assert [item.step.kind for item in job.steps] == ["manager.fcps_taken", "manager.guest_moved"]
        assert await them.devices("ZVM2") == {"1a00": "1a00", "1b00": "1b00"}


async def test_an_undone_move_gives_the_guest_its_devices_back_unless_they_are_another_s(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        node, guest = them.node, them.one.guests["A"]
        guest["state"] = "off"
        await them.taken("ZVM2", "1a00", "B")
        before = dict(guest["reals"])
        job = await done(node, "guest.move", "A", destination="ZVM2")
        assert (await undone(node, job)).state == "undone"
        assert guest["reals"] == await them.devices("ZVM1") == before
        assert (await them.attachment()).system == "ZVM1"
        assert await them.devices("ZVM2") == {}
        job = await done(node, "guest.move", "A", destination="ZVM2")
        await create(node, "other", 1)
        await done(node, "volume.attach", "B", volume="other")
        assert (await undone(node, job)).state == "failed", "device 1a00 of ZVM1 is B's meanwhile"
        assert await them.devices("ZVM2") == guest["reals"]
        assert (await them.attachment()).system == "ZVM2"


async def test_a_move_that_z_vm_refuses_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        guest = them.one.guests["A"]
        guest["state"] = "off"
        await them.taken("ZVM2", "1a00", "B")
        them.two.refuse_next = Refused(502, "smapi-refused", "as it pleases", ("Image_Replace_DM", 396, 1))
        with pytest.raises(ManagerError, match="as it pleases"):
            await done(them.node, "guest.move", "A", destination="ZVM2")
        assert guest["reals"] == await them.devices("ZVM1") == {"1a00": "1a00", "1b00": "1b00"}
        assert await them.devices("ZVM2") == {}


async def test_nobody_goes_where_the_pool_is_not_or_no_device_is_free(tmp_path: Path) -> None:
    async with two(tmp_path, shared=False) as them:
        node, guest = them.node, them.one.guests["A"]
        with pytest.raises(Conflict, match="data are of pools that ZVM2 does not reach"):
            await begun(node, "guest.relocate", "A", destination="ZVM2")
        guest["state"] = "off"
        with pytest.raises(Conflict, match="data are of pools that ZVM2 does not reach"):
            await begun(node, "guest.move", "A", destination="ZVM2")
        await node.pools.change("ZVM1", "p1", wipe=None, shared=True)
        for number in range(4):
            await them.taken("ZVM2", f"1b0{number}", "B")
        with pytest.raises(Conflict, match="no free FCP device for the virtual device 1b00 of A"):
            await begun(node, "guest.move", "A", destination="ZVM2")
        assert await them.devices("ZVM2") == {}


async def test_what_a_move_claimed_and_never_came_to_is_free_again_after_a_time(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        them.one.guests["A"]["state"] = "off"
        operation = OPERATIONS["guest.move"]
        wish = operation.parameters(destination="ZVM2")
        prepared_move = await operation.prepare(them.node, ADMIN, Target("ZVM1", "A", ""), wish)
        (claim, *_) = prepared_move.plan.steps
        async with them.node.core.database.write() as connection:
            await claims.take(connection, [("nobody-s", prepared_move.plan)], tmp_path)
        assert await them.devices("ZVM2") == claim.parameters["devices"]
        await them.node.pools.expire(10**11)
        assert await them.devices("ZVM2") == {}


async def test_a_relocated_guest_keeps_what_z_vm_gave_it(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        node, guest = them.node, them.one.guests["A"]
        there = {"userid": "X", "state": "on", "member": "ZVM2", "fcps": ["1a00"], "reals": {"1a00": "1a00"}}
        them.two.guests["X"] = {**them.one.guests["B"], **there}
        job = await done(node, "guest.relocate", "A", destination="ZVM2")
        assert [item.step.kind for item in job.steps if not item.step.local] == ["guest.relocate", "fcp.follow"]
        assert await them.devices("ZVM2") == guest["reals"] == {"1a00": "1a01", "1b00": "1b00"}
        assert (await them.attachment()).system == "ZVM2"
        assert (await undone(node, job)).state == "undone"
        assert await them.devices("ZVM1") == {"1a00": "1a00", "1b00": "1b00"}
        assert await them.devices("ZVM2") == {}


async def off_with_a_volume(them: Two) -> None:
    """Guest B is off at ZVM2, where devices are kept for it that z/VM knows nothing of."""
    them.one.guests["B"]["state"] = "off"
    await done(them.node, "guest.move", "B", destination="ZVM2")
    await create(them.node, "other", 1)
    await done(them.node, "volume.attach", "B", system="ZVM2", volume="other")
    assert await them.devices("ZVM2", "B") == {"1a00": "1a00", "1b00": "1b00"}


async def test_a_guest_that_only_reserved_devices_takes_none_of_another_s_where_it_comes(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        await them.node.fcp.reserve("ZVM1", "B")
        assert await them.devices("ZVM1", "B") == {"1a01": "1a01", "1b01": "1b01"}
        await them.taken("ZVM2", "1a01", "C")
        await done(them.node, "guest.relocate", "B", destination="ZVM2")
        assert await them.devices("ZVM2", "C") == {"1a01": "1a01"}
        assert await them.devices("ZVM2", "B") == {"1b01": "1b01"}


async def test_a_relocation_gives_away_no_device_of_a_guest_that_is_off(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        await off_with_a_volume(them)
        job = await done(them.node, "guest.relocate", "A", destination="ZVM2")
        kinds = [item.step.kind for item in job.steps if not item.step.local]
        assert kinds == ["fcp.vary", "guest.relocate", "fcp.vary", "fcp.follow"]
        assert await them.devices("ZVM2") == {"1a00": "1a01", "1b00": "1b01"}
        assert await them.devices("ZVM2", "B") == {"1a00": "1a00", "1b00": "1b00"}
        assert them.two.offline == set()
        assert await them.node.checking.check("ZVM2", "p1", mend=False) == ()


async def test_a_relocation_that_fails_leaves_the_devices_of_others_online(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        await off_with_a_volume(them)
        them.one.refuse_next = Refused(409, "not-relocatable", "CP messages 1940", ("VMRELOCATE", 8, 3000))
        with pytest.raises(ManagerError, match="1940"):
            await done(them.node, "guest.relocate", "A", destination="ZVM2")
        assert them.two.offline == set()
        assert await them.devices("ZVM1") == {"1a00": "1a00", "1b00": "1b00"}


async def test_a_relocation_whose_entry_is_refused_there_is_taken_back(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        them.two.refuse_next = Refused(502, "smapi-refused", "as it pleases", ("Image_Device_Dedicate", 396, 1))
        with pytest.raises(ManagerError, match="as it pleases"):
            await done(them.node, "guest.relocate", "A", destination="ZVM2")
        assert them.one.guests["A"]["member"] == "ZVM1"
        assert await them.devices("ZVM1") == {"1a00": "1a00", "1b00": "1b00"}
        assert await them.devices("ZVM2") == {}
        assert (await them.attachment()).system == "ZVM1"


async def test_a_device_that_z_vm_gave_away_is_found_by_the_check(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        await off_with_a_volume(them)
        await them.taken("ZVM2", "1a00", "X")
        found = await them.node.checking.check("ZVM2", "p1", mend=True)
        lost = [(item.subject, item.mended) for item in found if item.kind == "device-lost"]
        assert lost == [("other", False)]


async def test_what_z_vm_gave_a_guest_without_our_doing_is_kept_for_it(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        them.one.guests["A"]["reals"] = {"1a00": "1a02", "1b00": "1b00"}
        await them.node.fcp.sync("ZVM1")
        assert await them.devices("ZVM1") == {"1a00": "1a02", "1b00": "1b00"}


async def test_guests_of_both_members_may_have_devices_of_one_number(tmp_path: Path) -> None:
    async with two(tmp_path) as them:
        node = them.node
        them.one.guests["B"]["state"] = "off"
        await done(node, "guest.move", "B", destination="ZVM2")
        await create(node, "other", 1)
        await done(node, "volume.attach", "B", system="ZVM2", volume="other")
        assert await them.devices("ZVM2", "B") == await them.devices("ZVM1") == {"1a00": "1a00", "1b00": "1b00"}
        async with node.core.database.read() as connection:
            query = sa.select(job_steps.c.parameters).where(job_steps.c.kind == "fcp.dedicate")
            (_, second) = (await connection.execute(query)).scalars()
        assert second["elsewhere"] == ["A"]
