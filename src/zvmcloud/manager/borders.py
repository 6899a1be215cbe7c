"""What a plan may use of a system, by who asks: networks and pools that are marked as a project's are used by its
members and by operators, by nobody else; only operators give a guest more of a network than one VLAN, or a real device
that is not reserved for it; and a LUN that is named by its numbers is, when a pool has it, a volume of a project of the
caller's.

It is read from the plan's steps, so whatever makes a plan, at either door, is held to it. Nobody's networks and pools
are everybody's. A pool of LUNs that the members of a cluster share is whose its mark at any of them says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import NotAllowed
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.inventory.tables import VOLUME_POOL, marks
from zvmcloud.manager.jobs.plan import Json, Step
from zvmcloud.manager.storage import rows
from zvmcloud.manager.storage.homes import homes_of
from zvmcloud.manager.storage.numbered import CONNECTED
from zvmcloud.manager.tables import fcp_devices

_PORT = re.compile(r"\b[0-9A-Fa-f]{5,16}\b")
"""A target port of an alternate path; a device has four digits."""
Thing = tuple[str, str]
"""Kind of a mark, and the name."""


async def check(connection: Connection, caller: Caller, system: str, steps: Iterable[Step]) -> None:
    """Raises NotFound for what is another project's, and for a LUN of a pool that is nobody's volume; NotAllowed
    (role) where the caller only reads, for a TRUNK port, and for a real device. Operators whose token is for some
    projects only are held to those."""
    if caller.sees is None:
        return
    things: set[Thing] = set()
    for step in steps:
        if step.kind == "nic.attach":
            _no_trunk(caller, step.parameters)
        if step.kind == "guest.create":
            await _reserved(connection, caller, system, step.parameters)
        for lun, wwpns in _numbered(step):
            for volume in await rows.behind(connection, lun, wwpns):
                project = volume.project if volume is not None else ""
                caller.enters(project, Role.MEMBER, f"LUN {lun} behind {', '.join(wwpns)}")
        things |= set(_used(step))
    if not things:
        return
    shared = any(kind == VOLUME_POOL for kind, _ in things)
    members = (await homes_of(connection, system)).members if shared else (system,)
    query = sa.select(marks.c.kind, marks.c.system, marks.c.name, marks.c.project).where(
        sa.tuple_(marks.c.kind, marks.c.name).in_(sorted(things)),
        marks.c.system.in_(members),
        marks.c.project.is_not(None),
    )
    for row in await connection.execute(query):
        if row.system == system or row.kind == VOLUME_POOL:
            caller.enters(row.project, Role.MEMBER, f"{row.kind} {row.name} of {system}")


def _no_trunk(caller: Caller, parameters: Mapping[str, Json]) -> None:
    """An ACCESS port has one VLAN, as the agent's message says; a TRUNK port has as many as are named."""
    if parameters.get("port_type") == "TRUNK" and not caller.role.covers(Role.OPERATOR):
        raise NotAllowed(
            f"a TRUNK port needs the role operator; {caller.user} has {caller.role}",
            code="role",
            remedy="ask for an ACCESS port with one VLAN, or an operator for the adapter",
            subject=str(parameters.get("network") or ""),
        )


async def _reserved(connection: Connection, caller: Caller, system: str, parameters: Mapping[str, Json]) -> None:
    """The real devices of a new guest are FCP devices that its storage driver has reserved for it."""
    pairs, userid = parameters.get("dedicate"), str(parameters["userid"])
    wanted = {str(real).lower().zfill(4) for _, real in pairs} if isinstance(pairs, list) else set()
    if not wanted or caller.role.covers(Role.OPERATOR):
        return
    query = sa.select(fcp_devices.c.fcp).where(fcp_devices.c.system == system, fcp_devices.c.assigner == userid)
    others = wanted - set((await connection.execute(query)).scalars())
    if others:
        raise NotAllowed(
            f"a device that is not reserved for {userid} needs the role operator: {', '.join(sorted(others))}; "
            f"{caller.user} has {caller.role}",
            code="role",
            remedy="reserve FCP devices for the guest first, or ask an operator for the guest",
            subject=userid,
        )


def _numbered(step: Step) -> Iterator[tuple[str, Sequence[str]]]:
    """The LUNs that a step names by their numbers, not as a volume: number, and target ports."""
    given = step.parameters
    place = given if step.kind == CONNECTED else given.get("volume") if "userid" in given else None
    if isinstance(place, Mapping) and isinstance(wwpns := place.get("wwpns"), list):
        yield str(place.get("lun") or ""), [str(wwpn) for wwpn in wwpns]
    loaddev = given.get("loaddev")
    if isinstance(loaddev, Mapping) and loaddev.get("lun"):
        ports = [str(loaddev.get("portname") or ""), *_PORT.findall(str(loaddev.get("alterdev") or ""))]
        yield str(loaddev["lun"]).lower().zfill(16), [port.lower().zfill(16) for port in ports if port]


def _used(step: Step) -> Iterator[Thing]:
    """The networks and pools that a step gives somebody a part of."""
    given = step.parameters
    if step.kind == "nic.attach" and given.get("lan_owner") == "SYSTEM":
        yield "vswitch", str(given["network"])
    elif step.kind == "nic.couple":
        yield "vswitch", str(given["vswitch"])
    elif step.kind in {"vswitch.grant", "vswitch.set_vlan"}:
        yield "vswitch", str(given["name"])
    elif step.kind == "manager.volume_reserved":
        yield VOLUME_POOL, str(given["pool"])
    elif step.kind in {"guest.create", "disk.add"}:
        disks = given.get("disks")
        for disk in disks if isinstance(disks, list) else ():
            if isinstance(disk, Mapping):
                yield "pool", str(disk["pool"])
