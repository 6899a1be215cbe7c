"""VSWITCHes and guest LANs of a system: for operators."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from zvmcloud.manager import network_plans
from zvmcloud.manager.core import userid
from zvmcloud.manager.errors import BadInput, Conflict, NotFound
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.operations.declare import Nothing, Prepared, Target, operation

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


SWITCHES = "/systems/{system}/vswitches"
SWITCH = f"{SWITCHES}/{{vswitch}}"
LANS = "/systems/{system}/lans"


@dataclass(frozen=True, slots=True)
class NewVswitch:
    """``rdev``: up to three real OSA devices. ``vid``: UNAWARE, AWARE, or the default VLAN of one that is aware."""

    name: str
    rdev: list[str] = field(default_factory=list)
    controller: str = "*"
    connection: Literal["CONNECT", "DISCONNECT", "NOUPLINK"] = "CONNECT"
    network_type: Literal["ETHERNET", "IP"] = "ETHERNET"
    vid: str = "UNAWARE"
    port_type: Literal["ACCESS", "TRUNK"] = "ACCESS"
    native_vid: int = 1
    persist: bool = True


@operation("vswitch.create", "POST", SWITCHES, NewVswitch, Role.OPERATOR)
async def create(node: Node, caller: Caller, target: Target, wanted: NewVswitch) -> Prepared:
    """Define a virtual switch."""
    name = wanted.name.upper()
    try:
        await node.networks.vswitch(target.system, name)
    except NotFound:
        pass
    else:
        raise Conflict(f"{target.system} has a VSWITCH {name} already", code="vswitch-exists", subject=name)
    parameters = {key: value for key, value in asdict(wanted).items() if key != "name"}
    plan = network_plans.plan_create_vswitch(target.system, name, parameters)
    return Prepared(plan, caller.project, seen=(f"vswitch {name}",))


@dataclass(frozen=True, slots=True)
class ChangeVswitch:
    """What is empty (or 0) stays as it is."""

    rdev: list[str] = field(default_factory=list)
    controller: str = ""
    connection: Literal["", "CONNECT", "DISCONNECT"] = ""
    queue_mem: int = 0
    isolation: Literal["", "ON", "OFF"] = ""
    mac_protect: Literal["", "ON", "OFF", "UNSPECIFIED"] = ""
    vlan_counters: Literal["", "ON", "OFF"] = ""
    vepa: Literal["", "ON", "OFF"] = ""
    lacp: Literal["", "ACTIVE", "INACTIVE"] = ""
    ip_timeout: int = 0
    persist: bool = True


@operation(
    "vswitch.change",
    "PATCH",
    SWITCH,
    ChangeVswitch,
    Role.OPERATOR,
    undo_unless="of controller, lacp or vepa: z/VM does not tell what they were",
)
async def change(node: Node, caller: Caller, target: Target, wanted: ChangeVswitch) -> Prepared:
    """Change a virtual switch."""
    name = await _known(node, target)
    given = {key: value for key, value in asdict(wanted).items() if value and key != "persist"}
    if not given:
        raise BadInput("change", "nothing", "at least one member")
    plan = network_plans.plan_change_vswitch(target.system, name, {**given, "persist": wanted.persist})
    return Prepared(plan, caller.project, seen=(f"vswitch {name}",))


@operation("vswitch.delete", "DELETE", SWITCH, Nothing, Role.OPERATOR)
async def delete(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Remove a virtual switch; adapters that are coupled to it are not any more. An undo defines it again, grants what
    was granted, and couples the adapters of guests that run then."""
    name = await _known(node, target)
    rows = await node.networks.nics(target.system, vswitch=name)
    coupled = [{"userid": row.userid, "vdev": row.vdev, "vlan": row.vlan} for row in rows]
    plan = network_plans.plan_delete_vswitch(target.system, name, coupled)
    return Prepared(plan, caller.project, seen=(f"vswitch {name}",))


@dataclass(frozen=True, slots=True)
class Grant:
    """``vlan``: 1 to 4094, of a VSWITCH that is VLAN aware; 0 for none."""

    userid: str
    vlan: int = 0


@operation("vswitch.grant", "POST", f"{SWITCH}/grant", Grant, Role.OPERATOR)
async def grant(node: Node, caller: Caller, target: Target, wanted: Grant) -> Prepared:
    """Let a userid couple to a virtual switch. An undo puts back the right that it had before, or none."""
    name, guest = await _known(node, target), userid(wanted.userid)
    if wanted.vlan:
        plan = network_plans.plan_set_vlan(target.system, name, guest, wanted.vlan)
    else:
        plan = network_plans.plan_grant(target.system, name, guest)
    return Prepared(plan, caller.project, seen=(f"vswitch {name}",))


@dataclass(frozen=True, slots=True)
class Revoke:
    """Whose right is taken away."""

    userid: str


@operation("vswitch.revoke", "POST", f"{SWITCH}/revoke", Revoke, Role.OPERATOR)
async def revoke(node: Node, caller: Caller, target: Target, wanted: Revoke) -> Prepared:
    """Take the right to couple to a virtual switch away from a userid; its adapters are not coupled to it any more. An
    undo gives the right back with its VLANs, and couples the adapters if the guest runs then."""
    name, guest = await _known(node, target), userid(wanted.userid)
    plan = network_plans.plan_revoke(target.system, name, guest)
    return Prepared(plan, caller.project, seen=(f"vswitch {name}",))


async def _known(node: Node, target: Target) -> str:
    """The VSWITCH's name. Raises NotFound (vswitch-unknown)."""
    await node.networks.vswitch(target.system, target.item)
    return target.item.upper()


@dataclass(frozen=True, slots=True)
class NewLan:
    """A guest LAN. ``users``: who is let into a restricted one. An owner other than SYSTEM must be logged on."""

    name: str
    owner: str = "SYSTEM"
    adapter_type: Literal["QDIO", "HIPERSOCKETS"] = "QDIO"
    transport: Literal["IP", "ETHERNET"] = "IP"
    restricted: bool = False
    users: list[str] = field(default_factory=list)


@operation("lan.create", "POST", LANS, NewLan, Role.OPERATOR)
async def create_lan(node: Node, caller: Caller, target: Target, wanted: NewLan) -> Prepared:
    """Define a guest LAN."""
    del node
    parameters: dict[str, Json] = {
        **asdict(wanted),
        "name": wanted.name.upper(),
        "owner": userid(wanted.owner, "owner"),
    }
    plan = network_plans.plan_create_lan(target.system, parameters)
    return Prepared(plan, caller.project, seen=(f"lan {parameters['owner']} {parameters['name']}",))


@dataclass(frozen=True, slots=True)
class DeleteLan:
    """``force``: even with adapters coupled."""

    owner: str = "SYSTEM"
    force: bool = False


@operation("lan.delete", "POST", f"{LANS}/{{lan}}/delete", DeleteLan, Role.OPERATOR, asks=True)
async def delete_lan(node: Node, caller: Caller, target: Target, wanted: DeleteLan) -> Prepared:
    """Remove a guest LAN. An undo defines it again with its users, and couples the adapters of guests that run then."""
    del node
    owner = userid(wanted.owner, "owner")
    name = target.item.upper()
    plan = network_plans.plan_delete_lan(target.system, name, owner, force=wanted.force)
    return Prepared(plan, caller.project, seen=(f"lan {owner} {name}",))
