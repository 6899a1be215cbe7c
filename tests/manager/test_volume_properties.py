"""Whatever happens to pools, in any order: no LUN and no FCP device is with two, unless shared, and none is lost.

The pool is of a cluster of two members, between which guests go. `make campaign` makes about ten times as many steps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import running
from manager.support import settings as node_settings
from manager.volume_support import CLUSTER, TEMPLATE, clustered, done, luns, prepared, volumes
from zvmcloud.manager.errors import Conflict, ManagerError
from zvmcloud.manager.node import Node
from zvmcloud.manager.tables import guests

FAR = time.time() + 10**8
GUESTS = ("A", "B", "C")
SYSTEMS = ("ZVM1", "ZVM2")
HOME = "ssi:SSI1"
STEPS = 12
BEGUN = ("create", "attach", "detach", "delete", "relocate")
EXAMPLES = max(8, int(os.environ.get("ZVM_OPERATIONS", "0")) // STEPS // 100)
NAMES = ("v0", "v1", "v2", "v3")


class Campaign(RuleBasedStateMachine):
    """Reserve, create, attach, detach, relocate, delete, fail, crash, expire in any order, by several guests."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.agents = {name: FakeZhcp() for name in SYSTEMS}
        self.guests = self.agents["ZVM1"].guests
        self.loop = asyncio.Runner()
        self.open()
        self.loop.run(self.prepare())

    async def prepare(self) -> None:
        one, two = self.agents.values()
        await prepared(self.node, one, *GUESTS)
        await clustered(self.node, one, two)
        await self.node.fcp.create("ZVM2", TEMPLATE)
        await self.node.pools.change("ZVM1", "p1", wipe=None, shared=True)

    def open(self) -> None:
        self.stack = contextlib.AsyncExitStack()
        found = node_settings(Path(self.folder.name) / "state", **CLUSTER)
        one, two = self.agents.values()
        self.node: Node = self.loop.run(self.stack.enter_async_context(running(one, found, ZVM2=two)))

    def where(self, guest: str) -> str:
        return str(self.guests[guest]["member"])

    async def guests_that_are_off(self) -> None:
        """They are on no member: they start where they are recorded, and z/VM hears of that when they do."""
        async with self.node.core.database.read() as connection:
            recorded = dict((await connection.execute(sa.select(guests.c.userid, guests.c.system))).all())
        for userid, guest in self.guests.items():
            if guest["state"] == "off":
                guest["member"] = recorded[userid]

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.nobody_refuses()
        try:
            self.loop.run(self.empty())
        finally:
            self.loop.run(self.stack.aclose())
            self.loop.close()
            self.folder.cleanup()

    def nobody_refuses(self) -> None:
        for agent in self.agents.values():
            agent.refuse_next = None

    async def empty(self) -> None:
        """Everything is given back in the ordinary way; then nothing may be left."""
        await self.node.pools.expire(FAR)
        for volume in (await volumes(self.node, HOME)).values():
            for item in volume.attachments:
                await done(self.node, "volume.detach", item.userid, system=item.system, volume=volume.name)
            await done(self.node, "volume.delete", item=volume.name)
        assert {item.state for item in await luns(self.node)} == {"free"}
        for system in SYSTEMS:
            for guest in GUESTS:
                await self.node.fcp.unreserve(system, guest)
            (template,) = await self.node.fcp.templates(system)
            assert all(device.available for device in template.devices)
        assert not any(guest.get("fcps") for guest in self.guests.values())

    async def attempt(self, name: str, /, guest: str = "", item: str = "", **words: Any) -> None:
        system = self.where(guest) if guest else "ZVM1"
        with contextlib.suppress(ManagerError):
            await done(self.node, name, guest, item, system=system, **words)

    @rule(guest=st.sampled_from(GUESTS))
    def reserve_devices(self, guest: str) -> None:
        with contextlib.suppress(Conflict):
            self.loop.run(self.node.fcp.reserve(self.where(guest), guest))

    @rule(guest=st.sampled_from(GUESTS))
    def give_devices_back(self, guest: str) -> None:
        self.loop.run(self.node.fcp.unreserve(self.where(guest), guest))

    @rule(guest=st.sampled_from(GUESTS))
    def start_or_stop(self, guest: str) -> None:
        verb = "stop" if self.guests[guest]["state"] == "on" else "start"
        self.loop.run(self.attempt(f"guest.{verb}", guest))

    @rule(guest=st.sampled_from(GUESTS))
    def relocate(self, guest: str) -> None:
        """Running, or while it is off."""
        self.loop.run(self.attempt(*self.leaving(guest)[:2], **self.leaving(guest)[2]))

    def leaving(self, guest: str) -> tuple[str, str, dict[str, str]]:
        """The operation with which a guest goes to the other member."""
        (other,) = set(SYSTEMS) - {self.where(guest)}
        verb = "relocate" if self.guests[guest]["state"] == "on" else "move"
        return f"guest.{verb}", guest, {"destination": other}

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

    @rule(system=st.sampled_from(SYSTEMS))
    def z_vm_refuses_the_next_operation(self, system: str) -> None:
        refused = Refused(502, "smapi-refused", "as it pleases", ("Image_Device_Dedicate", 396, 1))
        self.agents[system].refuse_next = refused

    def begun(self, guest: str, name: str, what: str) -> Awaitable[None]:
        """Something in whose middle something else happens."""
        known = self.loop.run(volumes(self.node, HOME))
        if what == "relocate":
            verb, _, words = self.leaving(guest)
            return self.attempt(verb, guest, **words)
        if what == "create":
            source = {"source": min(known)} if known else {}
            return self.attempt("volume.create", name=name, pool="p1", size_gb=1, **source)
        if what == "delete":
            return self.attempt("volume.delete", item=name)
        return self.attempt(f"volume.{what}", guest, volume=name)

    def slow(self, seconds: float) -> None:
        for agent in self.agents.values():
            agent.delay = agent.lag = seconds

    @precondition(lambda self: all(agent.refuse_next is None for agent in self.agents.values()))
    @rule(
        guest=st.sampled_from(GUESTS), name=st.sampled_from(NAMES), what=st.sampled_from(BEGUN),
        after=st.sampled_from([0.0, 0.01, 0.02, 0.04, 0.06]),
    )  # fmt: skip
    def the_manager_is_killed(self, guest: str, name: str, what: str, after: float) -> None:
        """In the middle of something. The next one finishes what it finds."""
        work = self.begun(guest, name, what)

        async def cut() -> None:
            self.slow(0.005)
            task = asyncio.ensure_future(work)
            await asyncio.sleep(after)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ManagerError):
                await task

        self.loop.run(cut())
        self.loop.run(self.stack.aclose())
        self.slow(0.0)
        self.open()
        self.loop.run(self.settled(submit=True))

    @precondition(lambda self: all(agent.refuse_next is None for agent in self.agents.values()))
    @rule(
        guest=st.sampled_from(GUESTS), name=st.sampled_from(NAMES), what=st.sampled_from(BEGUN),
        after=st.sampled_from([0.0, 0.01, 0.02, 0.04, 0.06]), system=st.sampled_from(SYSTEMS),
    )  # fmt: skip
    def an_agent_is_killed(self, guest: str, name: str, what: str, after: float, system: str) -> None:
        """In the middle of something, and started again at once."""
        work = self.begun(guest, name, what)

        async def cut() -> None:
            self.slow(0.005)
            task = asyncio.ensure_future(work)
            await asyncio.sleep(after)
            self.agents[system].killed()
            self.slow(0.0)
            await task

        self.loop.run(cut())
        self.loop.run(self.settled(submit=False))

    async def settled(self, *, submit: bool) -> None:
        for job in await self.node.journal.unfinished(durable=True) if submit else ():
            await self.node.core.engine.submit(job)
        async with asyncio.timeout(60):
            while await self.node.journal.unfinished(durable=True):  # noqa: ASYNC110 (several jobs)
                await asyncio.sleep(0.01)

    @rule()
    def time_passes(self) -> None:
        self.loop.run(self.node.pools.expire(FAR))
        for volume in self.loop.run(volumes(self.node, HOME)).values():
            assert not volume.claimed
            assert volume.job == ""

    @invariant()
    def nothing_is_with_two(self) -> None:
        if not hasattr(self, "loop"):
            return
        self.loop.run(self.guests_that_are_off())
        found = self.loop.run(volumes(self.node, HOME)).values()
        on = Counter(volume.lun.name for volume in found)
        for lun in self.loop.run(luns(self.node)):
            assert on[lun.name] == (lun.state == "used"), "a LUN has one volume, or none"
        for volume in found:
            assert len(volume.attachments) < 2 or volume.shared, "one guest, unless it is shared"
        having = [item for volume in found for item in volume.attachments]
        assert all(item.fcps for item in having)
        assert all(item.system == self.where(item.userid) for item in having), "it is where its guest is"
        claimed = {(item.system, fcp) for item in having if item.claimed for fcp in item.fcps}
        for system in SYSTEMS:
            users = Counter((item.userid, fcp) for item in having if item.system == system for fcp in item.fcps)
            (template,) = self.loop.run(self.node.fcp.templates(system))
            assert {(device.assigner, device.at) for device in template.devices} >= set(users)
            for device in template.devices:
                assert device.connections == users[device.assigner, device.at]
                with_it = [
                    name
                    for name, guest in self.guests.items()
                    if guest["member"] == system and device.fcp in guest.get("reals", {}).values()
                ]
                expected = [device.assigner] if device.connections else []
                assert with_it == expected or (system, device.at) in claimed, "one FCP device, one guest"
            assert not self.agents[system].offline


Campaign.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, suppress_health_check=list(HealthCheck)
)
TestCampaign = pytest.mark.campaign(Campaign.TestCase)
