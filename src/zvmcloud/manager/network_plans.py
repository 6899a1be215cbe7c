"""Plans about adapters, VSWITCHes and guest LANs, for the connector's services and the native operations alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.jobs.plan import Json, Plan, Step

OSA = "OSA="
"""What the comments of a row begin with whose adapter is real; the device number follows."""


@dataclass(frozen=True, slots=True)
class InterfaceRequest:
    """A network interface to make and to configure inside the guest. Empty ``vdev``: the next free number."""

    vdev: str = ""
    nic_id: str | None = None
    mac: str = ""
    method: str = ""
    ip: str = ""
    cidr: str = ""
    gateway: str = ""
    dns: tuple[str, ...] = ()
    mtu: int = 0
    hostname: str = ""
    osa: str = ""
    """The first of three real OSA devices that make the adapter; "" for a virtual one."""


@dataclass(frozen=True, slots=True)
class AttachRequest:
    """An adapter with its network: a VSWITCH, or a guest LAN of ``lan_owner``; "" for none. ``vlans``: see nic.attach
    of the agent."""

    vdev: str
    network: str
    lan_owner: str = "SYSTEM"
    port_type: str = "ACCESS"
    vlans: tuple[str, ...] = ()
    mac: str = ""
    nic_id: str | None = None


# -- adapters ---------------------------------------------------------------------------------------------------------


def plan_create_nic(system: str, owner: str, request: InterfaceRequest, *, active: bool) -> Plan:
    """An adapter that is coupled to nothing."""
    steps = (create_step(owner, request, active), record_step([row(request)]))
    return Plan("nic.create", f"Create NIC {request.vdev} of {owner}", system, steps, owner)


def plan_delete_nic(system: str, owner: str, number: str, *, active: bool, osa: bool = False) -> Plan:
    """Delete an adapter; one that is not there is fine."""
    steps = delete_steps(owner, number, active, osa)
    return Plan("nic.delete", f"Delete NIC {number} of {owner}", system, steps, owner)


def attach_steps(owner: str, requests: Sequence[AttachRequest], *, active: bool) -> tuple[Step, ...]:
    """Adapters with their networks and rights, and the record of them."""
    steps = []
    rows: list[dict[str, Json]] = []
    for request in requests:
        if not request.network:
            apart = InterfaceRequest(request.vdev, request.nic_id, request.mac)
            steps.append(create_step(owner, apart, active))
            rows.append(row(apart))
            continue
        parameters: dict[str, Json] = {
            "userid": owner, "vdev": request.vdev, "network": request.network, "lan_owner": request.lan_owner,
            "port_type": request.port_type, "vlans": list(request.vlans), "mac": request.mac, "active": active,
        }  # fmt: skip
        title = f"attach NIC {request.vdev} of {owner} to {request.network}"
        undo: dict[str, Json] = {"userid": owner, "vdev": request.vdev, "active": active}
        steps.append(Step(f"nic-{request.vdev}", title, "nic.attach", parameters, "nic.delete", undo))
        vlan = int(request.vlans[0]) if len(request.vlans) == 1 and request.vlans[0].isdigit() else None
        rows.append(
            {
                "vdev": request.vdev,
                "nic_id": request.nic_id,
                "mac": request.mac or None,
                "vswitch": request.network if request.lan_owner == "SYSTEM" else None,
                "vlan": vlan,
            }
        )
    undo = {"vdevs": [request.vdev for request in requests]}
    record = replace(record_step(rows), name="record-nics", undo_kind="manager.nics_forgotten", undo_parameters=undo)
    return (*steps, record) if steps else ()


def plan_attach_nic(system: str, owner: str, request: AttachRequest, *, active: bool) -> Plan:
    """An adapter with everything that belongs to it."""
    title = f"Attach NIC {request.vdev} of {owner} to {request.network or 'nothing'}"
    return Plan("nic.attach", title, system, attach_steps(owner, [request], active=active), owner)


def plan_couple(system: str, owner: str, number: str, switch: str, *, vlan: int | None, active: bool) -> Plan:
    """Connect an adapter to a VSWITCH."""
    step = Step(
        "couple",
        f"couple NIC {number} of {owner} to {switch}" + (f", VLAN {vlan}" if vlan is not None else ""),
        "nic.couple",
        {"userid": owner, "vdev": number, "vswitch": switch, "vlan": vlan, "active": active},
    )
    record = record_step([{"vdev": number, "vswitch": switch, "vlan": vlan}])
    return Plan("nic.couple", f"Couple NIC {number} of {owner} to {switch}", system, (step, record), owner)


def plan_uncouple(system: str, owner: str, number: str, *, active: bool) -> Plan:
    """Disconnect an adapter."""
    step = Step(
        "uncouple",
        f"uncouple NIC {number} of {owner}",
        "nic.uncouple",
        {"userid": owner, "vdev": number, "active": active},
    )
    record = record_step([{"vdev": number, "vswitch": None, "vlan": None}])
    return Plan("nic.uncouple", f"Uncouple NIC {number} of {owner}", system, (step, record), owner)


UNTOLD = frozenset({"controller", "lacp", "vepa"})
"""What z/VM does not tell of a VSWITCH in every state and on every level (before.py of the agent)."""

# -- VSWITCHes --------------------------------------------------------------------------------------------------------


def plan_create_vswitch(system: str, switch: str, parameters: Mapping[str, Json]) -> Plan:
    """``parameters``: those of the agent's vswitch.create."""
    undo: dict[str, Json] = {"name": switch}
    title = f"define virtual switch {switch}"
    step = Step("create", title, "vswitch.create", {"name": switch, **parameters}, "vswitch.delete", undo)
    return Plan("vswitch.create", f"Create virtual switch {switch}", system, (step,))


def plan_change_vswitch(system: str, switch: str, parameters: Mapping[str, Json]) -> Plan:
    """``parameters``: those of the agent's vswitch.change."""
    step = Step("change", f"change virtual switch {switch}", "vswitch.change", {"name": switch, **parameters})
    if not UNTOLD & {name for name, value in parameters.items() if value}:
        back: dict[str, Json] = {"name": switch, "persist": parameters.get("persist", True)}
        step = replace(step, undo_kind="vswitch.change", undo_parameters=back)
    return Plan("vswitch.change", f"Change virtual switch {switch}", system, (step,))


def plan_delete_vswitch(system: str, switch: str, coupled: Sequence[Mapping[str, Json]] = ()) -> Plan:
    """Remove a VSWITCH; one that is not there is fine. ``coupled``: the rows of adapters that are recorded with it, as
    ``userid``, ``vdev`` and ``vlan``."""
    name: dict[str, Json] = {"name": switch}
    again: dict[str, Json] = {"name": switch, "nics": [*coupled]}
    steps = (
        Step("delete", f"remove virtual switch {switch}", "vswitch.delete", name, "vswitch.restore", name),
        Step(
            "record",
            f"forget couplings to {switch}",
            "manager.vswitch_deleted",
            name,
            "manager.vswitch_restored",
            again,
        ),
    )
    return Plan("vswitch.delete", f"Delete virtual switch {switch}", system, steps)


def plan_grant(system: str, switch: str, guest: str) -> Plan:
    """Let a userid couple to a VSWITCH."""
    return _right(system, "vswitch.grant", f"grant {guest} access to {switch}", switch, {"userid": guest})


def plan_revoke(system: str, switch: str, guest: str) -> Plan:
    """Take a userid's right away."""
    return _right(system, "vswitch.revoke", f"revoke access of {guest} to {switch}", switch, {"userid": guest})


def plan_set_vlan(system: str, switch: str, guest: str, vlan: int, coupled: Sequence[str] = ()) -> Plan:
    """Let a userid use one VLAN (1 to 4094) of a VSWITCH; ``coupled``: its adapters there, of which it is recorded.
    Raises BadInput."""
    if not 1 <= vlan <= 4094:
        raise BadInput("vlan", vlan, "1 to 4094")
    title = f"set VLAN {vlan} of {guest} on {switch}"
    plan = _right(system, "vswitch.set_vlan", title, switch, {"userid": guest, "vlan": vlan})
    if not coupled:
        return plan
    record = record_step([{"vdev": number, "vswitch": switch, "vlan": vlan} for number in coupled])
    return replace(plan, steps=(*plan.steps, record))


def _right(system: str, kind: str, title: str, switch: str, parameters: Mapping[str, Json]) -> Plan:
    step = right_step(kind.partition(".")[2], kind, title, switch, parameters)
    return Plan(kind, title[0].upper() + title[1:], system, (step,), str(parameters["userid"]))


def right_step(name: str, kind: str, title: str, switch: str, parameters: Mapping[str, Json]) -> Step:
    """Change a userid's right on a VSWITCH; undone, it is the one of before, or none, as the agent found it."""
    return Step(name, title, kind, {"name": switch, **parameters}, "vswitch.restore", {"name": switch})


# -- guest LANs -------------------------------------------------------------------------------------------------------


def plan_create_lan(system: str, parameters: Mapping[str, Json]) -> Plan:
    """``parameters``: those of the agent's lan.create."""
    what = f"guest LAN {parameters['owner']} {parameters['name']}"
    undo: dict[str, Json] = {"name": parameters["name"], "owner": parameters["owner"], "force": False}
    step = Step("create", f"define {what}", "lan.create", parameters, "lan.delete", undo)
    return Plan("lan.create", f"Create {what}", system, (step,))


def plan_delete_lan(system: str, name: str, owner: str, *, force: bool) -> Plan:
    """Remove a guest LAN; one that is not there is fine."""
    parameters: dict[str, Json] = {"name": name, "owner": owner, "force": force}
    back: dict[str, Json] = {"name": name, "owner": owner}
    step = Step("delete", f"remove guest LAN {owner} {name}", "lan.delete", parameters, "lan.create", back)
    return Plan("lan.delete", f"Delete guest LAN {owner} {name}", system, (step,))


# -- steps ------------------------------------------------------------------------------------------------------------


def create_step(owner: str, request: InterfaceRequest, active: bool) -> Step:
    """Make an adapter; undone by deleting it."""
    return Step(
        f"create-{request.vdev}",
        f"create NIC {request.vdev} of {owner}",
        "nic.create",
        {
            "userid": owner, "vdev": request.vdev, "mac": request.mac or None, "active": active,
            **({"osa": request.osa} if request.osa else {}),
        },
        "nic.delete",
        {"userid": owner, "vdev": request.vdev, "active": active, **({"osa": True} if request.osa else {})},
    )  # fmt: skip


def delete_steps(owner: str, number: str, active: bool, osa: bool) -> tuple[Step, Step]:
    """Delete an adapter and forget it."""
    return (
        Step(
            "delete",
            f"delete NIC {number} of {owner}",
            "nic.delete",
            {"userid": owner, "vdev": number, "active": active, **({"osa": True} if osa else {})},
        ),
        Step("record", f"forget NIC {number}", "manager.nic_deleted", {"vdev": number}),
    )


def record_step(rows: Sequence[Mapping[str, Json]], *, net_set: bool = False) -> Step:
    """Write rows of the NIC table."""
    return Step("record", "record the NICs", "manager.nics_set", {"nics": list(rows), "net_set": net_set})


def row(request: InterfaceRequest) -> dict[str, Json]:
    """The row of a new adapter."""
    found: dict[str, Json] = {"vdev": request.vdev, "nic_id": request.nic_id, "mac": request.mac or None}
    return {**found, "comments": OSA + request.osa} if request.osa else found
