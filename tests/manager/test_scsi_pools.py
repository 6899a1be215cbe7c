"""Pools of LUNs: imported, reserved for a time, attached, detached; whatever happens, nothing is with two or lost."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import running
from manager.support import settings as node_settings
from zvmcloud.manager import scsi_plans
from zvmcloud.manager.errors import BadInput, Conflict, ManagerError, NotFound
from zvmcloud.manager.fcp import TemplateChange
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.node import Node
from zvmcloud.manager.scsi_file import Volume
from zvmcloud.manager.scsi_plans import Attachment, Planned

PORTS = "5005076306138411;5005076306138412"
SIZES = (10, 20, 20, 40)
POOL = "".join(f"free,{PORTS},40104004{number:08x},{size}G,,,,\n" for number, size in enumerate(SIZES))
FAR = time.time() + 10**8


async def prepared(node: Node, zhcp: FakeZhcp, *guests: str) -> None:
    """A pool of four LUNs, a template of two paths of four devices, and guests that are on."""
    await node.fcp.create("ZVM1", TemplateChange(name="t", devices="1a00-1a03;1b00-1b03", host_default=True))
    await node.scsi.load("ZVM1", "P1", POOL)
    for guest in guests:
        numbers = {"vcpus": 1, "memory_mb": 1024, "max_cpus": 1, "max_memory_mb": 1024}
        zhcp.guests[guest] = {
            **numbers,
            "userid": guest,
            "state": "on",
            "reader": [],
            "nics": {},
            "disks": [],
            "ipl": "",
        }


async def run(node: Node, planned: Planned) -> None:
    job = new_job()
    for name, data in planned.files.items():
        node.core.materials.store(job, name, data)
    await node.runner.run(planned.plan, job=job)


async def attach(node: Node, guest: str, **wish: object) -> None:
    await run(node, await scsi_plans.plan_attach(node, "ZVM1", guest, Attachment("p1", **wish)))  # type: ignore[arg-type]


async def detach(node: Node, guest: str, volume: str, *, keep: bool = False) -> None:
    await run(node, await scsi_plans.plan_detach(node, "ZVM1", guest, volume, keep=keep))


async def luns(node: Node) -> tuple[Volume, ...]:
    return await node.scsi.volumes("ZVM1", "p1")


async def test_the_smallest_free_lun_that_is_large_enough_is_attached_over_two_channels(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        await prepared(node, zhcp, "A")
        await attach(node, "a", size_mb=15 * 1024)
        (used,) = [item for item in await luns(node) if item.state == "used"]
        assert (used.size_mb, used.owner, len(used.channels)) == (20 * 1024, "A", 2)
        devices = {item.fcp: item for item in await node.fcp.of_guest("ZVM1", "A")}
        assert {devices[fcp].chpid for fcp in used.channels} == {"1a", "1b"}
        assert zhcp.guests["A"]["fcps"] == sorted(used.channels)
        script = zhcp.guests["A"]["reader"][-1]["data"].decode()
        assert f"lun=0x{used.lun}" in script
        assert "multipathd" in script
        assert f"used,{PORTS},{used.lun},20G,,A,{';'.join(used.channels)}," in await node.scsi.export("ZVM1", "p1")
        await attach(node, "A", size_mb=15 * 1024)
        assert zhcp.kinds().count("fcp.dedicate") == 1, "a second volume goes through the same devices"
        await detach(node, "A", used.name, keep=True)
        assert [item.state for item in await luns(node) if item.name == used.name] == ["reserved"]
        assert len(zhcp.guests["A"]["fcps"]) == 2
        with pytest.raises(Conflict, match="not attached to A"):
            await detach(node, "A", used.name)
        (other,) = [item for item in await luns(node) if item.state == "used"]
        await detach(node, "A", other.name)
        assert zhcp.guests["A"]["fcps"] == []
        assert await node.fcp.of_guest("ZVM1", "A") == ()


async def test_a_reservation_ends_and_an_attached_lun_does_not(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state", reservation_seconds=50)) as node:
        await prepared(node, zhcp, "A")
        mine = await node.scsi.reserve("ZVM1", "P1", "a", size_mb=1)
        assert (mine.owner, mine.size_mb) == ("A", 10 * 1024)
        assert mine.expires == pytest.approx(time.time() + 50, abs=10)
        kept = await node.scsi.reserve("ZVM1", "p1", "A", size_mb=1, seconds=0)
        assert kept.expires is None
        await node.fcp.reserve("ZVM1", "B")
        assert await node.scsi.expire(time.time() + 30) == 0
        await attach(node, "A", volume=mine.name)
        assert await node.scsi.expire(FAR) == 2, "both devices of B"
        states = {item.name: item.state for item in await luns(node)}
        assert (states[mine.name], states[kept.name]) == ("used", "reserved")
        assert len(await node.fcp.of_guest("ZVM1", "A")) == 2
        await node.scsi.release("ZVM1", kept.name)
        for wrong in (-1, 10**9):
            with pytest.raises(BadInput, match="seconds"):
                await node.scsi.reserve("ZVM1", "p1", "A", size_mb=1, seconds=wrong)


async def test_the_manager_looks_for_ended_reservations_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zvmcloud.manager.node._SWEEP", 0.02)
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        await prepared(node, zhcp)
        await node.scsi.reserve("ZVM1", "p1", "A", size_mb=1, seconds=1)
        async with asyncio.timeout(10):
            while any(item.state != "free" for item in await luns(node)):  # noqa: ASYNC110 (the sweep tells nobody)
                await asyncio.sleep(0.05)


async def test_what_is_reserved_for_one_is_not_for_another(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        await prepared(node, zhcp, "A", "B")
        mine = await node.scsi.reserve("ZVM1", "p1", "A", size_mb=1)
        for refused in (attach(node, "B", volume=mine.name), node.scsi.reserve("ZVM1", "p1", "B", volume=mine.name)):
            with pytest.raises(Conflict, match="reserved by A"):
                await refused
        with pytest.raises(Conflict, match="the largest free one has 40960 MB"):
            await attach(node, "B", size_mb=41 * 1024)
        with pytest.raises(NotFound):
            await attach(node, "B", volume="nothing")
        with pytest.raises(BadInput, match="size_mb"):
            await attach(node, "B")
        with pytest.raises(BadInput, match="mount_point"):
            await attach(node, "B", size_mb=1, mount_point="/x; reboot")
        assert (await node.scsi.pools("ZVM1")) == {"p1": Counter(free=3, reserved=1)}
        with pytest.raises(Conflict):
            await node.scsi.remove("ZVM1", mine.name)


async def test_a_plan_that_another_was_faster_than_fails_and_takes_nothing(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        await prepared(node, zhcp, "A", "B")
        wish = Attachment("p1", size_mb=30 * 1024)
        first, second = [await scsi_plans.plan_attach(node, "ZVM1", guest, wish) for guest in ("A", "B")]
        await run(node, first)
        with pytest.raises(ManagerError, match="used by A now"):
            await run(node, second)
        assert await node.fcp.of_guest("ZVM1", "B") == ()


async def test_an_import_is_all_or_nothing_and_contradicts_no_attachment(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        await prepared(node, zhcp, "A")
        text = await node.scsi.export("ZVM1", "p1")
        await node.scsi.load("ZVM1", "p1", text)
        assert await node.scsi.export("ZVM1", "p1") == text
        with pytest.raises(BadInput, match="line 3, size"):
            await node.scsi.load("ZVM1", "p2", f"{text.splitlines()[0]}\n\nfree,{PORTS},4010400500000000,1,,,,\n")
        with pytest.raises(Conflict, match="of pool p1 already"):
            await node.scsi.load("ZVM1", "p2", f"free,{PORTS},4010400500000000,,,,,\n{text}")
        assert "p2" not in await node.scsi.pools("ZVM1")
        await attach(node, "A", size_mb=1)
        with pytest.raises(Conflict, match="with A, and the file says otherwise"):
            await node.scsi.load("ZVM1", "p1", text)
        await node.scsi.load("ZVM1", "p1", await node.scsi.export("ZVM1", "p1"))
        with pytest.raises(BadInput, match="pool"):
            await node.scsi.load("ZVM1", "../p", text)
        with pytest.raises(NotFound):
            await node.scsi.export("ZVM1", "p3")


async def test_the_devices_are_of_the_range_of_the_lun(tmp_path: Path) -> None:
    zhcp = FakeZhcp()
    async with running(zhcp, node_settings(tmp_path / "state")) as node:
        await prepared(node, zhcp, "A")
        await node.scsi.load("ZVM1", "p3", f"free,{PORTS},4010400500000000,1G,1a02;1b03,,,\n")
        await run(node, await scsi_plans.plan_attach(node, "ZVM1", "A", Attachment("p3", size_mb=1)))
        assert zhcp.guests["A"]["fcps"] == ["1a02", "1b03"]
        await node.scsi.load("ZVM1", "p4", f"free,{PORTS},4010400600000000,1G,9a02,,,\n")
        with pytest.raises(Conflict, match="0 of 2 paths"):
            await scsi_plans.plan_attach(node, "ZVM1", "B", Attachment("p4", size_mb=1))


GUESTS = ("A", "B", "C")


class Campaign(RuleBasedStateMachine):
    """Reserve, attach, detach, fail, crash, expire in any order, by several guests."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.zhcp = FakeZhcp()
        self.loop = asyncio.Runner()
        self.open()
        self.loop.run(prepared(self.node, self.zhcp, *GUESTS))

    def open(self) -> None:
        self.stack = contextlib.AsyncExitStack()
        found = node_settings(Path(self.folder.name) / "state")
        self.node: Node = self.loop.run(self.stack.enter_async_context(running(self.zhcp, found)))

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.zhcp.refuse_next = None
        try:
            self.loop.run(self.empty())
        finally:
            self.loop.run(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()

    async def empty(self) -> None:
        """Everything is given back in the ordinary way; then nothing may be left."""
        for volume in await luns(self.node):
            if volume.state == "used":
                await detach(self.node, volume.owner, volume.name)
            elif volume.state == "reserved":
                await self.node.scsi.release("ZVM1", volume.name)
        for guest in GUESTS:
            await self.node.fcp.unreserve("ZVM1", guest)
        assert {item.state for item in await luns(self.node)} == {"free"}
        (template,) = await self.node.fcp.templates("ZVM1")
        assert all(device.available for device in template.devices)
        assert not any(guest.get("fcps") for guest in self.zhcp.guests.values())

    async def try_attach(self, guest: str, volume: str = "", size: int = 0) -> None:
        with contextlib.suppress(ManagerError):
            await attach(self.node, guest, **({"volume": volume} if volume else {"size_mb": size}))

    @rule(guest=st.sampled_from(GUESTS))
    def reserve_devices(self, guest: str) -> None:
        with contextlib.suppress(Conflict):
            self.loop.run(self.node.fcp.reserve("ZVM1", guest))

    @rule(guest=st.sampled_from(GUESTS))
    def give_devices_back(self, guest: str) -> None:
        self.loop.run(self.node.fcp.unreserve("ZVM1", guest))

    @rule(guest=st.sampled_from(GUESTS), seconds=st.sampled_from([0, 5, None]))
    def reserve_lun(self, guest: str, seconds: int | None) -> None:
        with contextlib.suppress(Conflict):
            self.loop.run(self.node.scsi.reserve("ZVM1", "p1", guest, size_mb=1, seconds=seconds))

    @rule(guest=st.sampled_from(GUESTS), size=st.sampled_from([1, 15 * 1024]))
    def attach_any(self, guest: str, size: int) -> None:
        self.loop.run(self.try_attach(guest, size=size))

    @rule(guest=st.sampled_from(GUESTS), number=st.integers(0, 3))
    def attach_one(self, guest: str, number: int) -> None:
        self.loop.run(self.try_attach(guest, volume=self.loop.run(luns(self.node))[number].name))

    @rule()
    def all_at_once(self) -> None:
        async def together() -> None:
            await asyncio.gather(*(self.try_attach(guest, size=1) for guest in GUESTS))

        self.loop.run(together())

    @rule(number=st.integers(0, 3), keep=st.booleans())
    def detach_one(self, number: int, keep: bool) -> None:
        volume = self.loop.run(luns(self.node))[number]
        with contextlib.suppress(ManagerError):
            self.loop.run(detach(self.node, volume.owner or "A", volume.name, keep=keep))

    @rule()
    def z_vm_refuses_the_next_operation(self) -> None:
        self.zhcp.refuse_next = Refused(502, "smapi-refused", "as it pleases", ("Image_Device_Dedicate", 396, 1))

    @precondition(lambda self: self.zhcp.refuse_next is None)
    @rule(guest=st.sampled_from(GUESTS), after=st.sampled_from([0.0, 0.004, 0.012, 0.03]), back=st.booleans())
    def the_manager_is_killed(self, guest: str, after: float, back: bool) -> None:
        """In the middle of an attach or a detach. The next one finishes what it finds."""

        async def cut() -> None:
            self.zhcp.delay = 0.006
            used = [item for item in await luns(self.node) if item.state == "used"]
            going = detach(self.node, used[0].owner, used[0].name) if back and used else self.try_attach(guest, size=1)
            task = asyncio.create_task(going)
            await asyncio.sleep(after)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ManagerError):
                await task

        self.loop.run(cut())
        self.loop.run(self.stack.aclose())
        self.zhcp.delay = 0.0
        self.open()

        async def settled() -> None:
            async with asyncio.timeout(10):
                while await self.node.journal.unfinished(durable=False):
                    await asyncio.sleep(0.01)
                    await self.node.runner.recover()

        self.loop.run(settled())

    @rule()
    def time_passes(self) -> None:
        self.loop.run(self.node.scsi.expire(FAR))
        for volume in self.loop.run(luns(self.node)):
            assert volume.state != "reserved" or volume.expires is None

    @invariant()
    def nothing_is_with_two(self) -> None:
        if not hasattr(self, "loop"):
            return
        found = self.loop.run(luns(self.node))
        (template,) = self.loop.run(self.node.fcp.templates("ZVM1"))
        devices = {device.fcp: device for device in template.devices}
        users = Counter(fcp for volume in found for fcp in volume.channels)
        for volume in found:
            assert (volume.state == "free") == (not volume.owner)
            assert bool(volume.channels) == (volume.state == "used")
            assert all(devices[fcp].assigner == volume.owner for fcp in volume.channels)
        for fcp, device in devices.items():
            assert device.connections == users[fcp]
            with_it = [name for name, guest in self.zhcp.guests.items() if fcp in guest.get("fcps", [])]
            assert with_it == ([device.assigner] if device.connections else [])


Campaign.TestCase.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCampaign = Campaign.TestCase
