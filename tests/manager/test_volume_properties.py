"""Whatever happens to pools, in any order: no LUN and no FCP device is with two, unless shared, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import running
from manager.support import settings as node_settings
from manager.volume_support import done, luns, prepared, volumes
from zvmcloud.manager.errors import Conflict, ManagerError
from zvmcloud.manager.node import Node

FAR = time.time() + 10**8
GUESTS = ("A", "B", "C")
NAMES = ("v0", "v1", "v2", "v3")


class Campaign(RuleBasedStateMachine):
    """Reserve, create, attach, detach, delete, fail, crash, expire in any order, by several guests."""

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
        await self.node.pools.expire(FAR)
        for volume in (await volumes(self.node)).values():
            for item in volume.attachments:
                await done(self.node, "volume.detach", item.userid, volume=volume.name)
            await done(self.node, "volume.delete", item=volume.name)
        for guest in GUESTS:
            await self.node.fcp.unreserve("ZVM1", guest)
        assert {item.state for item in await luns(self.node)} == {"free"}
        (template,) = await self.node.fcp.templates("ZVM1")
        assert all(device.available for device in template.devices)
        assert not any(guest.get("fcps") for guest in self.zhcp.guests.values())

    async def attempt(self, name: str, /, guest: str = "", item: str = "", **words: Any) -> None:
        with contextlib.suppress(ManagerError):
            await done(self.node, name, guest, item, **words)

    @rule(guest=st.sampled_from(GUESTS))
    def reserve_devices(self, guest: str) -> None:
        with contextlib.suppress(Conflict):
            self.loop.run(self.node.fcp.reserve("ZVM1", guest))

    @rule(guest=st.sampled_from(GUESTS))
    def give_devices_back(self, guest: str) -> None:
        self.loop.run(self.node.fcp.unreserve("ZVM1", guest))

    @rule(
        name=st.sampled_from(NAMES), size=st.sampled_from([1, 15]), shared=st.booleans(), source=st.sampled_from(NAMES)
    )
    def create(self, name: str, size: int, shared: bool, source: str) -> None:
        words: dict[str, Any] = {"name": name, "pool": "p1", "size_gb": size, "shared": shared}
        self.loop.run(self.attempt("volume.create", **words, source=source if size > 1 else ""))

    @rule(guest=st.sampled_from(GUESTS), name=st.sampled_from(NAMES))
    def attach(self, guest: str, name: str) -> None:
        self.loop.run(self.attempt("volume.attach", guest, volume=name))

    @rule(guest=st.sampled_from(GUESTS), name=st.sampled_from(NAMES))
    def detach(self, guest: str, name: str) -> None:
        self.loop.run(self.attempt("volume.detach", guest, volume=name))

    @rule(verb=st.sampled_from(["delete", "release"]), name=st.sampled_from(NAMES))
    def end(self, verb: str, name: str) -> None:
        self.loop.run(self.attempt(f"volume.{verb}", item=name))
        for item in self.loop.run(luns(self.node)):
            if item.state == "reserved":
                self.loop.run(self.node.pools.free("ZVM1", "p1", item.name))

    @rule(name=st.sampled_from(NAMES))
    def all_at_once(self, name: str) -> None:
        async def together() -> None:
            create = [self.attempt("volume.create", name=item, pool="p1", size_gb=1) for item in NAMES]
            await asyncio.gather(*create, *(self.attempt("volume.attach", guest, volume=name) for guest in GUESTS))

        self.loop.run(together())

    @rule()
    def z_vm_refuses_the_next_operation(self) -> None:
        self.zhcp.refuse_next = Refused(502, "smapi-refused", "as it pleases", ("Image_Device_Dedicate", 396, 1))

    @precondition(lambda self: self.zhcp.refuse_next is None)
    @rule(
        guest=st.sampled_from(GUESTS),
        name=st.sampled_from(NAMES),
        what=st.sampled_from(["create", "attach", "detach", "delete"]),
        after=st.sampled_from([0.0, 0.01, 0.02, 0.04]),
    )
    def the_manager_is_killed(self, guest: str, name: str, what: str, after: float) -> None:
        """In the middle of something. The next one finishes what it finds."""
        known = self.loop.run(volumes(self.node))
        words = {"create": {"name": name, "pool": "p1", "size_gb": 1}, "delete": {}}.get(what, {"volume": name})
        if what == "create" and known:
            words["source"] = min(known)

        async def cut() -> None:
            self.zhcp.delay = 0.008
            whose = guest if what in ("attach", "detach") else ""
            task = asyncio.create_task(self.attempt(f"volume.{what}", whose, "" if whose else name, **words))
            await asyncio.sleep(after)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ManagerError):
                await task

        self.loop.run(cut())
        self.loop.run(self.stack.aclose())
        self.zhcp.delay = 0.0
        self.open()

        async def settled() -> None:
            for job in await self.node.journal.unfinished(durable=True):
                await self.node.core.engine.submit(job)
            async with asyncio.timeout(20):
                while await self.node.journal.unfinished(durable=True):  # noqa: ASYNC110 (several jobs)
                    await asyncio.sleep(0.01)

        self.loop.run(settled())

    @rule()
    def time_passes(self) -> None:
        self.loop.run(self.node.pools.expire(FAR))
        for volume in self.loop.run(volumes(self.node)).values():
            assert not volume.claimed
            assert volume.job == ""

    @invariant()
    def nothing_is_with_two(self) -> None:
        if not hasattr(self, "loop"):
            return
        found = self.loop.run(volumes(self.node)).values()
        (template,) = self.loop.run(self.node.fcp.templates("ZVM1"))
        devices = {device.fcp: device for device in template.devices}
        on = Counter(volume.lun.name for volume in found)
        for lun in self.loop.run(luns(self.node)):
            assert on[lun.name] == (lun.state == "used"), "a LUN has one volume, or none"
        having = [(volume, item) for volume in found for item in volume.attachments]
        for volume in found:
            assert len(volume.attachments) < 2 or volume.shared, "one guest, unless it is shared"
        users = Counter(fcp for _, item in having for fcp in item.fcps)
        for _, item in having:
            assert item.fcps
            assert all(devices[fcp].assigner == item.userid for fcp in item.fcps)
        claimed = {fcp for _, item in having if item.claimed for fcp in item.fcps}
        for fcp, device in devices.items():
            assert device.connections == users[fcp]
            with_it = [name for name, guest in self.zhcp.guests.items() if fcp in guest.get("fcps", [])]
            assert with_it == ([device.assigner] if device.connections else []) or fcp in claimed


Campaign.TestCase.settings = settings(
    max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCampaign = Campaign.TestCase
