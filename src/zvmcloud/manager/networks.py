"""NICs of guests and virtual switches.

A NIC takes three consecutive virtual device numbers, so numbers given out automatically are three apart. z/VM's
directory has the NIC; our table remembers what it cannot: the caller's port id and the addresses configured inside
the guest.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

import sqlalchemy as sa

from zvmcloud.manager import distributions, guestnet, network_plans
from zvmcloud.manager.core import Core, userid, vdev
from zvmcloud.manager.disks import configure_step, punch_step
from zvmcloud.manager.errors import AgentFailure, Conflict, NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan
from zvmcloud.manager.network_plans import OSA, InterfaceRequest, create_step, delete_steps, record_step, row
from zvmcloud.manager.tables import guests, nics

_NIC_STRIDE = 3
_SWITCH = re.compile(r"[A-Za-z0-9@#$_]{1,8}")


@dataclass(frozen=True, slots=True)
class Nic:
    """A row of the NIC table."""

    userid: str
    vdev: str
    nic_id: str | None
    mac: str | None
    vswitch: str | None
    vlan: int | None
    comments: str | None


class Networks:
    """NICs, their coupling, and virtual switches of every system."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def nics(
        self,
        system: str,
        *,
        userid: str = "",
        nic_id: str = "",
        vswitch: str = "",
        projects: Collection[str] | None = None,
    ) -> tuple[Nic, ...]:
        """Rows of the NIC table; empty filters do not filter. ``projects``: only of guests of those."""
        query = sa.select(nics).where(nics.c.system == system).order_by(nics.c.userid, nics.c.vdev)
        if userid:
            query = query.where(nics.c.userid == userid.upper())
        if nic_id:
            query = query.where(nics.c.nic_id == nic_id)
        if vswitch:
            query = query.where(sa.func.upper(nics.c.vswitch) == vswitch.upper())
        if projects is not None:
            own = sa.and_(guests.c.system == nics.c.system, guests.c.userid == nics.c.userid)
            query = query.join(guests, own).where(guests.c.project.in_(projects))
        async with self._core.database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return tuple(
            Nic(row["userid"], row["vdev"], row["nic_id"], row["mac"], row["vswitch"], row["vlan"], row["comments"])
            for row in rows
        )

    async def create_nic(
        self,
        system: str,
        name: str,
        *,
        number: str = "",
        nic_id: str | None = None,
        mac: str = "",
        active: bool = False,
        origin: str = "",
    ) -> tuple[str, JobRecord]:
        """Make a NIC; returns its virtual device number. Raises NotFound (guest-unknown), Conflict (nic-exists)."""
        owner = (await self._core.owned(system, name))["userid"]
        async with self._core.exclusive(system, owner):
            (request,) = await self.numbered(system, owner, [InterfaceRequest(vdev=number, nic_id=nic_id, mac=mac)])
            plan = network_plans.plan_create_nic(system, owner, request, active=active)
            return request.vdev, await self._core.runner.run(plan, origin)

    async def delete_nic(
        self, system: str, name: str, number: str, *, active: bool = False, origin: str = ""
    ) -> JobRecord:
        """Delete a NIC; one that is not there is fine. Raises NotFound (guest-unknown)."""
        owner = (await self._core.owned(system, name))["userid"]
        osa = await self.is_osa(system, owner, vdev(number))
        plan = network_plans.plan_delete_nic(system, owner, vdev(number), active=active, osa=osa)
        return await self._core.runner.run(plan, origin)

    async def couple(
        self,
        system: str,
        name: str,
        number: str,
        vswitch: str,
        *,
        vlan: int | None = None,
        active: bool = False,
        origin: str = "",
    ) -> JobRecord:
        """Connect a NIC to a virtual switch. Raises NotFound (guest-unknown, vswitch-unknown, nic-unknown)."""
        owner = (await self._core.owned(system, name))["userid"]
        switch = vswitch.upper()
        await self.vswitch(system, switch)
        number = await self.known_nic(system, owner, number)
        vlan = None if vlan is None or vlan < 0 else vlan
        plan = network_plans.plan_couple(system, owner, number, switch, vlan=vlan, active=active)
        return await self._core.runner.run(plan, origin)

    async def uncouple(
        self, system: str, name: str, number: str, *, active: bool = False, origin: str = ""
    ) -> JobRecord:
        """Disconnect a NIC; one that is not connected is fine. Raises NotFound (guest-unknown, nic-unknown)."""
        owner = (await self._core.owned(system, name))["userid"]
        number = await self.known_nic(system, owner, number)
        plan = network_plans.plan_uncouple(system, owner, number, active=active)
        return await self._core.runner.run(plan, origin)

    async def create_interfaces(
        self,
        system: str,
        name: str,
        os_version: str,
        requests: Sequence[InterfaceRequest],
        *,
        active: bool = False,
        origin: str = "",
    ) -> tuple[tuple[InterfaceRequest, ...], JobRecord]:
        """Make NICs and put their configuration into the guest's reader; ``active``: in the running guest too, which
        reads it at once. A failure removes the NICs made by this call again."""
        owner = (await self._core.owned(system, name))["userid"]
        async with self._core.exclusive(system, owner):
            settled = await self.numbered(system, owner, requests)
            addresses = [
                guestnet.Address(
                    vdev=request.vdev,
                    mac=request.mac,
                    method=request.method,
                    ip=request.ip,
                    cidr=request.cidr,
                    gateway=request.gateway,
                    dns=request.dns,
                    mtu=request.mtu,
                    hostname=request.hostname,
                )
                for request in settled
            ]
            steps = [create_step(owner, request, active) for request in settled]
            data = guestnet.archive(os_version, addresses)
            job = new_job()
            if data is not None:
                await asyncio.to_thread(self._core.materials.store, job, "network.doscript", data)
                steps.append(punch_step(owner, "network", "doscript", "network.doscript", len(data)))
                steps += [configure_step(owner, "network")] if active else []
            rows = [{**row(request), "addresses": addresses_of(request)} for request in settled]
            steps.append(record_step(rows, net_set=True))
            plan = Plan(
                "interface.create",
                f"Create {len(settled)} network interface(s) of {owner}",
                system,
                tuple(steps),
                owner,
            )
            return settled, await self._core.runner.run(plan, origin, job)

    async def delete_interface(
        self, system: str, name: str, number: str, *, active: bool = False, origin: str = ""
    ) -> JobRecord:
        """Delete a NIC and tell the guest, through its reader, to drop the NIC's configuration. The file goes into the
        reader first: it can be taken out again when the NIC cannot be deleted, but the NIC could not be brought back
        when there is no room for the file."""
        owner = (await self._core.owned(system, name))["userid"]
        number = vdev(number)
        job = new_job()
        script = distributions.forget_script(number)
        await asyncio.to_thread(self._core.materials.store, job, "delete.sh", script)
        steps = (
            punch_step(owner, f"DEL{number}", "sh", "delete.sh", len(script)),
            *delete_steps(owner, number, active, await self.is_osa(system, owner, number)),
            *([configure_step(owner, "network", or_at_boot=True)] if active else []),
        )
        plan = Plan("interface.delete", f"Delete network interface {number} of {owner}", system, steps, owner)
        return await self._core.runner.run(plan, origin, job)

    async def vswitches(self, system: str) -> tuple[str, ...]:
        """Names of the system's virtual switches."""
        answer = Document(await self._core.agent(system).get("/v1/vswitches", fields="name"))
        return tuple(item.text("name") for item in answer.documents("vswitches"))

    async def switches(self, system: str) -> tuple[Document, ...]:
        """The system's virtual switches as z/VM reports them, with every grant and adapter."""
        return Document(await self._core.agent(system).get("/v1/vswitches")).documents("vswitches")

    async def vswitch(self, system: str, name: str) -> Document:
        """One virtual switch as z/VM reports it. Raises NotFound (vswitch-unknown), also for what can be no name."""
        if not _SWITCH.fullmatch(name):
            raise _vswitch_unknown(name)
        try:
            return Document(await self._core.agent(system).get(f"/v1/vswitches/{quote(name.upper(), safe='')}"))
        except AgentFailure as error:
            if error.status == 404:
                raise _vswitch_unknown(name) from error
            raise

    async def create_vswitch(
        self, system: str, name: str, parameters: Mapping[str, Json], *, origin: str = ""
    ) -> JobRecord:
        """Define a virtual switch. ``parameters`` are those of the zHCP's vswitch.create. Raises Conflict when it
        exists."""
        plan = network_plans.plan_create_vswitch(system, name.upper(), parameters)
        return await self._core.runner.run(plan, origin)

    async def delete_vswitch(self, system: str, name: str, *, origin: str = "") -> JobRecord:
        """Remove a virtual switch; one that is not there is fine."""
        return await self._core.runner.run(network_plans.plan_delete_vswitch(system, name.upper()), origin)

    async def grant(self, system: str, name: str, guest: str, *, origin: str = "") -> JobRecord:
        """Allow a userid on a virtual switch. Raises NotFound (vswitch-unknown)."""
        await self.vswitch(system, name)
        return await self._core.runner.run(network_plans.plan_grant(system, name.upper(), userid(guest)), origin)

    async def revoke(self, system: str, name: str, guest: str, *, origin: str = "") -> JobRecord:
        """Take a userid's access away. Raises NotFound (vswitch-unknown)."""
        await self.vswitch(system, name)
        return await self._core.runner.run(network_plans.plan_revoke(system, name.upper(), userid(guest)), origin)

    async def set_vlan(self, system: str, name: str, guest: str, vlan: int, *, origin: str = "") -> JobRecord:
        """Allow a userid one VLAN of a virtual switch (1 to 4094). Raises NotFound (vswitch-unknown)."""
        owner, switch = userid(guest), name.upper()
        coupled = [nic.vdev for nic in await self.nics(system, userid=owner) if (nic.vswitch or "").upper() == switch]
        plan = network_plans.plan_set_vlan(system, switch, owner, vlan, coupled)
        await self.vswitch(system, name)
        return await self._core.runner.run(plan, origin)

    async def numbered(
        self, system: str, owner: str, requests: Sequence[InterfaceRequest]
    ) -> tuple[InterfaceRequest, ...]:
        """The requests with a virtual device number each. Raises BadInput, Conflict (nic-exists)."""
        used = {nic.vdev for nic in await self.nics(system, userid=owner)}
        settled = []
        for request in requests:
            if request.vdev:
                number = vdev(request.vdev)
                if number in used:
                    raise Conflict(
                        f"Failed to create nic {number} for guest {owner}, error: "
                        "The specified virtual device number is already used",
                        code="nic-exists",
                        subject=number,
                    )
            else:
                base = int(self._core.settings.defaults.nic_vdev, 16)
                highest = max((int(number, 16) for number in used), default=base - _NIC_STRIDE)
                following = max(highest + _NIC_STRIDE, base)
                if following > 0x10000 - _NIC_STRIDE:
                    raise Conflict(
                        f"no number follows {highest:04X}, the highest NIC of guest {owner}",
                        code="nic-numbers",
                        remedy="name a free virtual device number for the NIC",
                        subject=owner,
                    )
                number = f"{following:04X}"
            used.add(number)
            settled.append(replace(request, vdev=number))
        return tuple(settled)

    async def is_osa(self, system: str, owner: str, number: str) -> bool:
        """Whether an adapter consists of dedicated OSA devices."""
        rows = await self.nics(system, userid=owner)
        return any(nic.vdev == number and (nic.comments or "").startswith(OSA) for nic in rows)

    async def known_nic(self, system: str, owner: str, number: str) -> str:
        """The number of an adapter that was recorded. Raises NotFound (nic-unknown)."""
        wanted = vdev(number)
        if not any(nic.vdev == wanted for nic in await self.nics(system, userid=owner)):
            raise NotFound(f"NIC {wanted} of guest {owner} does not exist.", code="nic-unknown", subject=wanted)
        return wanted


def addresses_of(request: InterfaceRequest) -> list[Json]:
    """What was asked for inside the guest: a deploy of CoreOS gives it to the first start."""
    if not request.ip and request.method != "dhcp":
        return []
    found: dict[str, Json] = {
        "ip": request.ip, "cidr": request.cidr, "gateway": request.gateway, "dns": list(request.dns),
    }  # fmt: skip
    more = {"method": "" if request.ip else request.method, "mtu": request.mtu, "hostname": request.hostname}
    return [{**found, **{name: value for name, value in more.items() if value}}]


def _vswitch_unknown(name: str) -> NotFound:
    return NotFound(f"Vswitch {name.upper()} does not exist.", code="vswitch-unknown", subject=name.upper())
