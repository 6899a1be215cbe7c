"""Network adapters of guests."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from zvmcloud.manager import network_plans
from zvmcloud.manager.core import vdev
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.facts import Document
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.jobs.plan import Plan
from zvmcloud.manager.network_plans import AttachRequest, InterfaceRequest
from zvmcloud.manager.operations.declare import GUEST, Nothing, Prepared, Target, guest_of, operation
from zvmcloud.manager.tables import nics

if TYPE_CHECKING:
    from zvmcloud.manager.node import Node


@dataclass(frozen=True, slots=True)
class Network:
    """An adapter on a VSWITCH, or on a guest LAN of ``lan_owner``; ``network`` "": coupled to nothing. ``vdev`` "": the
    next free number. ``vlans``: one for an ACCESS port, numbers and ranges (10, 20-29) for a TRUNK port."""

    network: str = ""
    vdev: str = ""
    lan_owner: str = "SYSTEM"
    port_type: Literal["ACCESS", "TRUNK"] = "ACCESS"
    vlans: list[str] = field(default_factory=list)
    mac: str = ""
    nic_id: str = ""


def attach_request(wanted: Network) -> AttachRequest:
    """The adapter as plans take it. Raises BadInput."""
    return AttachRequest(
        vdev(wanted.vdev) if wanted.vdev else "",
        wanted.network.upper(),
        wanted.lan_owner.upper(),
        wanted.port_type,
        tuple(wanted.vlans),
        wanted.mac,
        wanted.nic_id or None,
    )


@operation("nic.attach", "POST", f"{GUEST}/nics", Network)
async def attach(node: Node, caller: Caller, target: Target, wanted: Network) -> Prepared:
    """Give a guest an adapter with its network, its right there and its VLANs, at once when it runs."""
    owner, project = await guest_of(node, caller, target)
    request = attach_request(wanted)
    (numbered,) = await node.networks.numbered(target.system, owner, [InterfaceRequest(vdev=request.vdev)])
    request = replace(request, vdev=numbered.vdev)
    on = await node.guests.is_on(target.system, owner)
    plan = network_plans.plan_attach_nic(target.system, owner, request, active=on)
    seen = (f"vswitch {request.network}",) if request.network and request.lan_owner == "SYSTEM" else ()
    return Prepared(plan, project, seen=seen)


@operation("nic.detach", "DELETE", f"{GUEST}/nics/{{vdev}}", Nothing)
async def detach(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Take an adapter away from a guest, at once when it runs."""
    owner, project = await guest_of(node, caller, target)
    number = vdev(target.item)
    osa = await node.networks.is_osa(target.system, owner, number)
    on = await node.guests.is_on(target.system, owner)
    plan = network_plans.plan_delete_nic(target.system, owner, number, active=on, osa=osa)
    if not osa:
        nic = await _nic(node, target.system, owner, number)
        back = {
            "userid": owner, "vdev": number, "network": nic.text("vswitch"), "mac": nic.text("mac_id"), "active": on,
        }  # fmt: skip
        if nic.text("vswitch"):
            plan = _undone(plan, "nic.attach", back)
        else:
            mac = nic.text("mac_id") or None
            plan = _undone(plan, "nic.create", {"userid": owner, "vdev": number, "mac": mac, "active": on})
    return Prepared(await _recorded(node, target.system, owner, number, plan), project)


@dataclass(frozen=True, slots=True)
class Coupling:
    """``vlan``: 1 to 4094, 0 for the VSWITCH's own rule."""

    vswitch: str
    vlan: int = 0


@operation("nic.couple", "POST", f"{GUEST}/nics/{{vdev}}/couple", Coupling)
async def couple(node: Node, caller: Caller, target: Target, wanted: Coupling) -> Prepared:
    """Connect an adapter to a VSWITCH, at once when the guest runs."""
    owner, project = await guest_of(node, caller, target)
    number, switch = vdev(target.item), wanted.vswitch.upper()
    await node.networks.vswitch(target.system, switch)
    nic = await _nic(node, target.system, owner, number)
    on = await node.guests.is_on(target.system, owner)
    vlan = wanted.vlan or None
    plan = network_plans.plan_couple(target.system, owner, number, switch, vlan=vlan, active=on)
    before = nic.text("vswitch")
    plan = _undone(plan, *coupling(owner, number, before, nic.number("vlan"), active=on))
    plan = await _recorded(node, target.system, owner, number, plan)
    return Prepared(plan, project, seen=(f"vswitch {switch}",))


@operation("nic.uncouple", "POST", f"{GUEST}/nics/{{vdev}}/uncouple", Nothing)
async def uncouple(node: Node, caller: Caller, target: Target, _: Nothing) -> Prepared:
    """Disconnect an adapter, at once when the guest runs."""
    owner, project = await guest_of(node, caller, target)
    number = vdev(target.item)
    nic = await _nic(node, target.system, owner, number)
    on = await node.guests.is_on(target.system, owner)
    plan = network_plans.plan_uncouple(target.system, owner, number, active=on)
    if nic.text("vswitch"):
        plan = _undone(plan, *coupling(owner, number, nic.text("vswitch"), nic.number("vlan"), active=on))
    return Prepared(await _recorded(node, target.system, owner, number, plan), project)


def coupling(owner: str, number: str, switch: str, vlan: int, *, active: bool) -> tuple[str, dict[str, object]]:
    """The operation that brings a coupling back."""
    parameters: dict[str, object] = {"userid": owner, "vdev": number, "active": active}
    if not switch:
        return "nic.uncouple", parameters
    return "nic.couple", {**parameters, "vswitch": switch, "vlan": vlan or None}


def _undone(plan: Plan, kind: str, parameters: dict[str, object]) -> Plan:
    """The plan whose first step is undone so."""
    first, *rest = plan.steps
    return replace(plan, steps=(replace(first, undo_kind=kind, undo_parameters=parameters), *rest))


async def _recorded(node: Node, system: str, owner: str, number: str, plan: Plan) -> Plan:
    """The plan whose last step, the record of an adapter, is undone as well."""
    query = sa.select(nics).where(nics.c.system == system, nics.c.userid == owner, nics.c.vdev == number)
    async with node.core.database.read() as connection:
        row = (await connection.execute(query)).mappings().one_or_none()
    undo: tuple[str, dict[str, object]] = ("manager.nics_forgotten", {"vdevs": [number]})
    if row is not None:
        kept = {name: value for name, value in row.items() if name not in {"system", "userid"}}
        undo = ("manager.nics_set", {"nics": [kept], "net_set": False})
    *rest, last = plan.steps
    return replace(plan, steps=(*rest, replace(last, undo_kind=undo[0], undo_parameters=undo[1])))


async def _nic(node: Node, system: str, owner: str, number: str) -> Document:
    """The adapter as the directory entry has it. Raises NotFound (nic-unknown)."""
    facts = await node.guests.facts(system, owner)
    for nic in facts.documents("nics"):
        if nic.text("vdev").upper().zfill(4) == number:
            return nic
    raise NotFound(f"NIC {number} of guest {owner} does not exist.", code="nic-unknown", subject=number)
