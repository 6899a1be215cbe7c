"""Handlers for NICs, network interfaces and virtual switches."""

from __future__ import annotations

from collections.abc import Mapping

from zvmcloud.api.connector.ask import Ask, count, objects, text, texts
from zvmcloud.api.connector.envelope import Reply
from zvmcloud.api.connector.schemas import truth
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.facts import Document
from zvmcloud.manager.jobs.plan import Json
from zvmcloud.manager.network_plans import InterfaceRequest


async def create_nic(ask: Ask) -> Reply:
    nic = ask.member("nic")
    vdev, job = await ask.node.networks.create_nic(
        ask.system,
        ask.userid,
        number=text(nic.get("vdev")),
        nic_id=text(nic.get("nic_id")) or None,
        mac=text(nic.get("mac_addr")),
        active=truth(nic.get("active")),
        origin=ask.origin,
    )
    return Reply(vdev, job.id)


async def delete_nic(ask: Ask) -> Reply:
    job = await ask.node.networks.delete_nic(
        ask.system, ask.userid, ask.path["vdev"], active=truth(ask.body.get("active")), origin=ask.origin
    )
    return Reply(job=job.id)


async def couple_nic(ask: Ask) -> Reply:
    info = ask.member("info")
    active = truth(info.get("active"))
    if not truth(info["couple"]):
        job = await ask.node.networks.uncouple(
            ask.system, ask.userid, ask.path["vdev"], active=active, origin=ask.origin
        )
        return Reply(job=job.id)
    switch = text(info.get("vswitch"))
    if not switch:
        raise BadInput("vswitch", None, "needed when couple is true")
    vlan = info.get("vlan_id")
    job = await ask.node.networks.couple(
        ask.system,
        ask.userid,
        ask.path["vdev"],
        switch,
        vlan=vlan if isinstance(vlan, int) else None,
        active=active,
        origin=ask.origin,
    )
    return Reply(job=job.id)


async def create_interface(ask: Ask) -> Reply:
    interface = ask.member("interface")
    sources = objects(interface.get("guest_networks"))
    settled, job = await ask.node.networks.create_interfaces(
        ask.system,
        ask.userid,
        text(interface["os_version"]),
        [interface_request(source) for source in sources],
        active=truth(interface.get("active")),
        origin=ask.origin,
    )
    output: list[Json] = []
    for position, (source, request) in enumerate(zip(sources, settled, strict=True)):
        entry: dict[str, Json] = {**source, "nic_vdev": request.vdev}
        if position == 0:
            entry["primary"] = True
        output.append(entry)
    return Reply(output, job.id)


async def delete_interface(ask: Ask) -> Reply:
    interface = ask.member("interface")
    job = await ask.node.networks.delete_interface(
        ask.system, ask.userid, text(interface["vdev"]), active=truth(interface.get("active")), origin=ask.origin
    )
    return Reply(job=job.id)


async def list_vswitches(ask: Ask) -> Reply:
    return Reply(list(await ask.node.networks.vswitches(ask.system)))


async def create_vswitch(ask: Ask) -> Reply:
    switch = ask.member("vswitch")
    parameters: dict[str, Json] = {
        "rdev": text(switch.get("rdev")).upper().split(),
        "controller": text(switch.get("controller", "*")).upper(),
        "connection": text(switch.get("connection", "CONNECT")).upper(),
        "queue_mem": count(switch.get("queue_mem"), 8),
        "router": text(switch.get("router", "NONROUTER")).upper(),
        "network_type": text(switch.get("network_type", "ETHERNET")).upper(),
        "vid": text(switch.get("vid", "UNAWARE")).upper(),
        "port_type": text(switch.get("port_type", "ACCESS")).upper(),
        "gvrp": text(switch.get("gvrp", "GVRP")).upper(),
        "native_vid": count(switch.get("native_vid"), 1),
        "persist": truth(switch.get("persist"), default=True),
    }
    job = await ask.node.networks.create_vswitch(ask.system, text(switch["name"]), parameters, origin=ask.origin)
    return Reply(job=job.id)


async def query_vswitch(ask: Ask) -> Reply:
    """A virtual switch in the words clients read. Every number is a text: the Go client takes nothing else, and
    Python clients hand on what comes (the original gives a number for ``vlan_count`` without VLANs)."""
    return Reply(_vswitch(await ask.node.networks.vswitch(ask.system, ask.path["name"])))


async def delete_vswitch(ask: Ask) -> Reply:
    return Reply(job=(await ask.node.networks.delete_vswitch(ask.system, ask.path["name"], origin=ask.origin)).id)


async def update_vswitch(ask: Ask) -> Reply:
    """The first of grant_userid, revoke_userid, user_vlan_id that is there."""
    change = ask.member("vswitch")
    networks, name = ask.node.networks, ask.path["name"]
    if "grant_userid" in change:
        job = await networks.grant(ask.system, name, text(change["grant_userid"]), origin=ask.origin)
    elif "revoke_userid" in change:
        job = await networks.revoke(ask.system, name, text(change["revoke_userid"]), origin=ask.origin)
    else:
        vlan = change["user_vlan_id"]
        if not isinstance(vlan, Mapping):
            raise BadInput("user_vlan_id", vlan, "an object")
        job = await networks.set_vlan(ask.system, name, text(vlan["userid"]), count(vlan["vlanid"]), origin=ask.origin)
    return Reply(job=job.id)


async def switch_port(ask: Ask) -> Reply:
    """Rows of the NIC table with that port id."""
    rows = await ask.node.networks.nics(ask.system, nic_id=text(ask.body["portid"]), projects=ask.caller.sees)
    return Reply(
        [
            {
                "userid": row.userid,
                "interface": row.vdev,
                "switch": row.vswitch,
                "port": row.nic_id,
                "comments": row.comments,
            }
            for row in rows
        ]
    )


def interface_request(source: Mapping[str, Json]) -> InterfaceRequest:
    """One of ``guest_networks``."""
    return InterfaceRequest(
        vdev=text(source.get("nic_vdev")),
        nic_id=text(source.get("nic_id")) or None,
        mac=text(source.get("mac_addr")).lower(),
        method=text(source.get("method")),
        ip=text(source.get("ip_addr")),
        cidr=text(source.get("cidr")),
        gateway=text(source.get("gateway_addr")),
        dns=texts(source.get("dns_addr")),
        mtu=count(source.get("mtu")),
        hostname=text(source.get("hostname")),
        osa=text(source.get("osa_device")),
    )


_ATTRIBUTES = (
    "switch_name",
    "transport_type",
    "port_type",
    "queue_memory_limit",
    "routing_value",
    "vlan_awareness",
    "vlan_id",
    "native_vlan_id",
    "mac_address",
    "gvrp_request_attribute",
    "gvrp_enabled_attribute",
    "switch_status",
    "link_ag",
    "lag_interval",
    "lag_group",
    "IP_timeout",
    "switch_type",
    "isolation_status",
    "MAC_protect",
    "user_port_based",
    "VLAN_counters",
)
_DEVICE_STATUS = {"0": "Device is not active.", "1": "Device is active.", "2": "Device is a backup device"}
_NO_ERROR = "No error."


def _vswitch(facts: Document) -> dict[str, Json]:
    attributes = facts.document("attributes")
    aware = attributes.text("vlan_awareness").upper() == "AWARE"
    output: dict[str, Json] = {name: attributes.text(name) for name in _ATTRIBUTES}
    output["switch_status"] = facts.text("status")
    output["real_devices"] = {
        device.text("real_device_address"): {
            "vdev": device.text("virtual_device_address"),
            "controller": device.text("controller_name"),
            "port_name": device.text("port_name"),
            "dev_status": _DEVICE_STATUS.get(device.text("device_status"), device.text("device_status")),
            "dev_err": _device_error(device.text("device_error_status")),
        }
        for device in facts.documents("real_devices")
        if device.text("real_device_address") not in {"", "NONE"}
    }
    output["authorized_users"] = {
        user.text("grant_userid"): {
            "port_num": user.text("port_num"),
            "prom_mode": user.text("promiscuous_mode"),
            "osd_sim": user.text("osd_sim"),
            "vlan_count": user.text("vlan_count") if aware else "0",
            "vlan_ids": list(user.texts("user_vlan_ids")) if aware else [],
        }
        for user in facts.documents("authorized_users")
    }
    output["adapters"] = {
        f"{adapter.text('adapter_owner')}_{adapter.text('adapter_vdev')}": {
            "mac": adapter.text("adapter_macaddr"),
            "type": adapter.text("adapter_type"),
        }
        for adapter in facts.documents("adapters")
    }
    return output


def _device_error(code: str) -> str:
    return _NO_ERROR if code in {"0", ""} else f"Error status {code}"
