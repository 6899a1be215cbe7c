"""Guests: create, delete, power, and what z/VM knows about them.

Only guests this manager created (or registered) are its own; everything that changes one checks that first. Each
change is one zHCP operation; putting an image on a guest's disk is :mod:`zvmcloud.manager.deploys`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from urllib.parse import quote

import sqlalchemy as sa

from zvmcloud.manager.core import Core, userid
from zvmcloud.manager.database import Connection
from zvmcloud.manager.disks import Disk, Disks
from zvmcloud.manager.errors import (
    AgentFailure,
    BadInput,
    Conflict,
    ManagerError,
    NotFound,
)
from zvmcloud.manager.events import log as events
from zvmcloud.manager.facts import Document
from zvmcloud.manager.guest_listing import Listing, Listings
from zvmcloud.manager.guest_plans import GuestRequest, Relocation, plan_delete, plan_power, plan_relocate, powered
from zvmcloud.manager.identity.audit import append
from zvmcloud.manager.identity.quotas import kept
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.inventory.seen import sizes
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.prepared import Prepared
from zvmcloud.manager.protected import protected
from zvmcloud.manager.tables import fcp_devices, guests

_MOST_TAGS = 64
_RESERVED = Prepared(
    sa.select(sa.func.count())
    .select_from(fcp_devices)
    .where(fcp_devices.c.system == sa.bindparam("its_system"), fcp_devices.c.assigner == sa.bindparam("its_userid"))
)


class Guests:
    """All that can be done with guests, for every system."""

    def __init__(self, core: Core, disks: Disks) -> None:
        self._core = core
        self._disks = disks
        self._listings = Listings(core.database)

    # what is there

    async def list(self, system: str, projects: Collection[str] | None = None) -> Listing:
        """Userids of this manager's guests on a system, with ``projects`` of those only."""
        if projects is None:
            return await self._listings.of(system)
        query = sa.select(guests.c.userid).where(guests.c.system == system, guests.c.project.in_(projects))
        async with self._core.database.read() as connection:
            return Listing.of(0, (await connection.execute(query)).scalars())

    async def rows(self, system: str = "") -> tuple[sa.RowMapping, ...]:
        """Table rows of this manager's guests, of one system or of all."""
        query = sa.select(guests).order_by(guests.c.system, guests.c.userid)
        if system:
            query = query.where(guests.c.system == system)
        async with self._core.database.read() as connection:
            return tuple((await connection.execute(query)).mappings())

    async def facts(self, system: str, name: str) -> Document:
        """What z/VM knows about any userid. Raises NotFound (guest-unknown) when the directory has no such entry."""
        return await self._ask(system, name, "")

    async def adapters(self, system: str, name: str) -> tuple[Document, ...]:
        """The network adapters of a guest that is on, with the addresses seen on them."""
        return (await self._ask(system, name, "/adapters")).documents("adapters")

    async def console(self, system: str, name: str, kilobytes: int) -> str:
        """The last ``kilobytes`` of what the guest wrote to its console; "" when it is on and wrote nothing yet.

        Raises NotFound (guest-unknown), AgentFailure (console-none) when it is off and never wrote.
        """
        owner = (await self._core.owned(system, name))["userid"]
        try:
            return (await self._ask(system, owner, "/console", wrap="text", kb=kilobytes)).text("text", "console")
        except AgentFailure as error:
            if error.code == "console-none" and await self.is_on(system, owner):
                return ""
            raise

    async def is_on(self, system: str, name: str) -> bool:
        """Whether the userid is logged on; an unknown one is not."""
        try:
            return powered(await self.facts(system, name))
        except NotFound:
            return False

    async def relocation(self, system: str, name: str, destination: str, force: str = "") -> Document:
        """Whether a guest could move to another member: ``possible``, and ``blockers`` with what stands against it.

        ``force``: checks to leave out, with commas. Raises NotFound (guest-unknown), AgentFailure (bad-parameter).
        """
        asked = {"destination": destination, **({"force": force} if force else {})}
        return Document(
            await self._core.agent(system).get(f"/v1/guests/{quote(userid(name), safe='')}/relocation", **asked)
        )

    async def command(self, system: str, name: str, command: str) -> Document:
        """Run a command in the guest through its agent. Raises AgentFailure when the guest cannot be reached."""
        agent, path = self._core.agent(system), f"/v1/guests/{quote(userid(name), safe='')}/command"
        membership = self._core.journal.membership
        return Document(
            await membership.under_epoch(lambda epoch: agent.post(path, {"command": command, "epoch": epoch}))
        )

    async def describe(
        self, caller: Caller, system: str, name: str, *, tags: Mapping[str, str] | None, project: str | None
    ) -> None:
        """Set the tags of a guest of ours, or the project that owns it; None leaves them. Raises QuotaExceeded (quota)
        of the new project."""
        values: dict[str, object] = {}
        if tags is not None:
            values["tags"] = dict(tags)
        if project is not None:
            values["project"] = project
        if not values:
            return
        key = (guests.c.system == system, guests.c.userid == name)
        quotas = [project] if project is not None else []
        async with self._core.database.write() as connection, kept(connection, quotas):
            changed = sa.update(guests).where(*key).values(**values).returning(guests.c.project)
            owner = (await connection.execute(changed)).scalar_one_or_none()
            if owner is None:
                return
            await append(connection, caller, "guest.describe", f"{system}/{name}", project=owner, detail=values)
            await events.append(connection, "guest.changed", system=system, subject=name, project=owner)

    # define and remove

    async def create(
        self, system: str, request: GuestRequest, *, origin: str = ""
    ) -> tuple[tuple[Disk, ...], JobRecord]:
        """Define a guest with its disks. Everything is made or nothing. FCP devices that are reserved for its userid
        already count with it.

        Raises BadInput, QuotaExceeded (quota), Conflict / AgentFailure (guest-exists), AgentFailure (pool full,
        profile unknown, ...).
        """
        disks, plan = self.plan_create(system, request)

        async def reserved(connection: Connection) -> Mapping[str, int]:
            found = await connection.run(_RESERVED, {"its_system": system, "its_userid": plan.userid})
            return {"fcp_devices": found[0][0]}

        return disks, await self._core.runner.run(plan, origin, counted=reserved)

    def plan_create(self, system: str, request: GuestRequest) -> tuple[tuple[Disk, ...], Plan]:
        """The disks as they will be, and the plan that defines the guest. Raises BadInput."""
        defaults = self._core.settings.defaults
        name = userid(request.userid)
        max_cpus = request.max_cpus or max(defaults.max_cpus, request.vcpus)
        max_memory = request.max_memory_mb or max(defaults.max_memory_mb, request.memory_mb)
        if not 1 <= request.vcpus <= 64:
            raise BadInput("vcpus", request.vcpus, "1 to 64")
        if request.vcpus > max_cpus:
            raise BadInput("vcpus", request.vcpus, f"at most max_cpus, which is {max_cpus}")
        if request.memory_mb < 1:
            raise BadInput("memory_mb", request.memory_mb, "at least 1 MB")
        if len(request.tags) > _MOST_TAGS:
            raise BadInput("tags", f"{len(request.tags)} tags", f"at most {_MOST_TAGS}")
        if request.memory_mb > max_memory:
            raise BadInput("memory_mb", request.memory_mb, f"at most max_memory_mb, which is {max_memory} MB")
        disks = self._disks.settle(request.disks, defaults.root_vdev, boot_first=True)
        boot = next((disk.vdev for disk in disks if disk.boot), "")
        parameters: dict[str, Json] = {
            "userid": name,
            "vcpus": request.vcpus,
            "memory_mb": request.memory_mb,
            "max_cpus": max_cpus,
            "max_memory_mb": max_memory,
            "profile": (request.profile or defaults.profile).upper(),
            "password": None,
            "logonby": [],
            "account": request.account,
            "comments": list(request.comments),
            "ipl": request.ipl or boot,
            "ipl_parm": request.ipl_parm,
            "loadparm": request.loadparm,
            "share": request.share,
            "cpu_pool": request.cpu_pool,
            "relocation_domain": request.relocation_domain,
            "dedicate": [list(pair) for pair in request.dedicate],
            "loaddev": dict(request.loaddev),
            "disks": [disk.parameters for disk in disks],
        }
        steps = (
            Step(
                "create",
                f"define {name}: {request.vcpus} CPU, {request.memory_mb} MB, {len(disks)} disk(s)",
                "guest.create",
                parameters,
                "guest.delete",
                {"userid": name},
            ),
            Step(
                "record",
                f"record {name} as ours",
                "manager.guest_created",
                {
                    "vcpus": request.vcpus,
                    "memory_mb": request.memory_mb,
                    "disk_mb": sum(disk.megabytes for disk in disks),
                    "tags": dict(request.tags),
                },
                "manager.guest_deleted",
                {"gone": True},
            ),
        )
        uses = {"guests": 1, "vcpus": request.vcpus, "memory_mb": request.memory_mb}
        uses["disk_mb"] = sum(disk.megabytes for disk in disks)
        return disks, Plan("guest.create", f"Create guest {name}", system, steps, name, uses=uses)

    async def delete(self, system: str, name: str, *, origin: str = "") -> JobRecord | None:
        """Delete a guest of ours. One that neither we nor z/VM know is fine (None). Raises NotFound for a foreign
        guest."""
        owner = userid(name)
        if await self._core.owned_or_none(system, owner) is None:
            try:
                await self.facts(system, owner)
            except NotFound:
                return None
            raise NotFound(f"Guest '{owner}' does not exist.", code="guest-unknown", subject=owner)
        return await self._core.runner.run(plan_delete(system, owner), origin)

    async def register(
        self, system: str, name: str, *, os_version: str, net_set: bool, ports: Mapping[str, str], origin: str = ""
    ) -> JobRecord:
        """Take over a guest that exists on z/VM; ``ports`` maps a caller's port id to the MAC address of a NIC.
        One that was ours, went to another member and is back is ours again.

        Raises NotFound (guest-unknown), Conflict (guest-owned) when it is ours already, Conflict (guest-protected),
        QuotaExceeded (quota).
        """
        owner = userid(name)
        await self.must_be_no_agent(system, owner)
        try:
            facts = await self.facts(system, owner)
        except NotFound as error:
            raise NotFound(error.detail, code="guest-unknown", subject=owner) from error
        row = await self._core.owned_or_none(system, owner)
        if row is not None and not row["comments"].get("migrated"):
            raise Conflict(f"Guest '{owner}' is registered already.", code="guest-owned", subject=owner)
        if row is not None:
            back = (Step("record", f"{owner} is back", "manager.guest_migrated", {"migrated": False}),)
            return await self._core.runner.run(
                Plan("guest.register", f"Register guest {owner}", system, back, owner), origin
            )
        by_mac = {_mac_id(mac): port for port, mac in ports.items()}
        rows: list[Json] = [
            {
                "vdev": nic.text("vdev"),
                "nic_id": by_mac.get(_mac_id(nic.text("mac_id"))),
                "mac": None,
                "vswitch": nic.text("vswitch") or None,
            }
            for nic in facts.documents("nics")
        ]
        uses = sizes(facts)
        steps = (
            Step(
                "record",
                f"record {owner} as ours",
                "manager.guest_created",
                {"os_version": os_version, "net_set": net_set, **uses},
            ),
            Step("nics", f"record {len(rows)} NIC(s)", "manager.nics_set", {"nics": rows, "net_set": net_set}),
        )
        plan = Plan("guest.register", f"Register guest {owner}", system, steps, owner, uses={"guests": 1, **uses})
        return await self._core.runner.run(plan, origin)

    async def must_be_no_agent(self, system: str, name: str) -> None:
        """Raises Conflict (guest-protected) for the userid that the system's agent runs in."""
        if name == Document(await self._core.agent(system).get("/v1/system")).text("userid").upper():
            raise protected(name)

    async def deregister(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Forget a guest of ours; z/VM is left as it is. Raises NotFound (guest-unknown)."""
        owner = (await self._core.owned(system, name))["userid"]
        steps = (Step("record", f"forget {owner}", "manager.guest_deleted", {}),)
        plan = Plan("guest.deregister", f"Deregister guest {owner}", system, steps, owner)
        return await self._core.runner.run(plan, origin)

    async def relocate(self, system: str, request: Relocation, *, origin: str = "") -> JobRecord:
        """Move a running guest to another member of its SSI cluster, or test whether it could go.

        The guest stays recorded here, as migrated, until it is deregistered. Raises NotFound (guest-unknown),
        BadInput, Conflict (guest-inactive), AgentFailure (not-relocatable, with CP's message numbers).
        """
        owner = (await self._core.owned(system, request.userid))["userid"]
        if not await self.is_on(system, owner):
            raise Conflict(f"Guest '{owner}' is not in active status.", code="guest-inactive", subject=owner)
        return await self._core.runner.run(plan_relocate(system, owner, request), origin)

    # power

    async def start(self, system: str, name: str, *, wait: int = 0, origin: str = "") -> JobRecord:
        """Log the guest on and boot it; ``wait`` seconds for its agent to answer. Raises AgentFailure (not-reachable)
        after that."""
        job = await self._power(system, name, "start", origin)
        if wait > 0:
            await self._reachable(system, name, wait)
        return job

    async def stop(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Log the guest off at once; one that is off already is fine."""
        return await self._power(system, name, "stop", origin)

    async def shutdown(self, system: str, name: str, *, seconds: int, poll: int, origin: str = "") -> JobRecord:
        """Shut the guest's system down, then log it off; waits ``seconds`` at most, looking every ``poll`` seconds."""
        return await self._power(system, name, "shutdown", origin, {"timeout": seconds, "poll": poll})

    async def pause(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Raises Conflict (guest-inactive) when the guest is off."""
        return await self._power(system, name, "pause", origin, must_be_on=True)

    async def unpause(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Raises Conflict (guest-inactive) when the guest is off."""
        return await self._power(system, name, "unpause", origin, must_be_on=True)

    async def reset(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Log off without shutdown and boot again."""
        return await self._power(system, name, "reset", origin)

    async def reboot(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Restart the guest's system from inside."""
        return await self._power(system, name, "reboot", origin)

    async def send(self, system: str, name: str, text: str, *, cp: bool, seconds: int, origin: str = "") -> JobRecord:
        """Type a line on the guest's console and wait ``seconds`` for what it says. Raises BadInput (text), Conflict
        (guest-inactive)."""
        owner = (await self._core.owned(system, name))["userid"]
        parameters: dict[str, Json] = {"userid": owner, "text": text, "cp": cp, "window": seconds}
        step = Step("send", f"type on the console of {owner}", "guest.send", parameters)
        plan = Plan("guest.send", f"Type on the console of {owner}", system, (step,), owner)
        return await self._core.runner.run(plan, origin)

    # inside

    async def _power(
        self,
        system: str,
        name: str,
        verb: str,
        origin: str,
        parameters: Mapping[str, Json] | None = None,
        *,
        must_be_on: bool = False,
    ) -> JobRecord:
        owner = (await self._core.owned(system, name))["userid"]
        if must_be_on and not await self.is_on(system, owner):
            raise Conflict(f"Guest '{owner}' is not in active status.", code="guest-inactive", subject=owner)
        return await self._core.runner.run(plan_power(system, owner, verb, parameters or {}), origin)

    async def _reachable(self, system: str, name: str, wait: int) -> None:
        deadline = time.monotonic() + wait
        while True:
            try:
                await self.command(system, name, "echo ping")
            except ManagerError as error:
                if time.monotonic() >= deadline:
                    raise Conflict(
                        f"guest {name.upper()} was started but its agent did not answer within {wait} s",
                        code="not-reachable",
                        remedy="look at its console",
                        subject=name.upper(),
                    ) from error
                await asyncio.sleep(0.5)
            else:
                return

    async def _ask(self, system: str, name: str, what: str, *, wrap: str = "", **query: int) -> Document:
        owner = userid(name)
        try:
            answer = await self._core.agent(system).get(f"/v1/guests/{quote(owner, safe='')}{what}", **query)
        except AgentFailure as error:
            if error.status == 404:
                raise NotFound(
                    f"Guest '{owner}' does not exist.", code="directory-unknown", subject=owner, smapi=error.smapi
                ) from error
            raise
        if wrap and not isinstance(answer, Mapping):
            answer = {wrap: answer}
        return Document(answer)


def _mac_id(mac: str) -> str:
    """The last six hexadecimal digits of a MAC address: what a NICDEF statement holds."""
    return mac.replace(":", "").replace("-", "").upper()[-6:]
