"""Where the cases of the kill campaign begin: states of a z/VM system, each reached from another one by requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zvmcloud.manager.operations import OPERATIONS

MEMBERS = ("ZVM1", "ZVM2", "ZVM3")
"""Of the cluster. Where programs are killed the last one has no agent."""
USERID, SECOND, THIRD, NEW = "LINUX01", "GUEST02", "GUEST03", "NEW01"
PORT, LUN, LUN2 = "500507630708d3b3", "4000400100000000", "4000400200000000"
"""A target port and two disks of the simulated fabric."""
OSV = "rhel8.6"
COREOS = "rhcos4.16"
"""What the images sample and rhcos hold, which both rigs import."""

Body = Mapping[str, Any]
Facts = Mapping[str, Any]
"""What bodies are made from: `spool` (numbers of the files in LINUX01's reader), `fcps`, `template`, `url` and
`sha256` of a file on a web server."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. ``body``: JSON, or what makes it from what is known when it is asked."""

    method: str
    path: str
    body: Body | Callable[[Facts], Body] | None = None
    text: str = ""
    """Sent instead of JSON."""


@dataclass(frozen=True, slots=True)
class State:
    """How a z/VM system is brought where cases begin."""

    name: str
    parent: str
    asks: tuple[Ask, ...]
    cluster: bool = False


def native(
    name: str,
    body: Body | Callable[[Facts], Body] | None = None,
    *,
    of: str = USERID,
    item: str = "",
    system: str = "ZVM1",
) -> Ask:
    """The request of an operation of the native API."""
    operation = OPERATIONS[name]
    words = {"system": system, "userid": of}
    path = operation.path
    for word, value in words.items():
        path = path.replace(f"{{{word}}}", value)
    if "{" in path:
        path = path[: path.index("{")] + item + path[path.index("}") + 1 :]
    return Ask(operation.method, f"/v1{path}", {} if body is None else body)


def action(name: str, of: str = USERID, **fields: Any) -> Ask:
    """The request of an action of the connector."""
    return Ask("POST", f"/guests/{of}/action", {"action": name, **fields})


def on(name: str, **body: Any) -> Body:
    return {"userid": name, "vcpus": 2, "memory_mb": 1024, "max_cpus": 8, "max_memory_mb": 4096, **body}


BOOT = {"size": "10", "boot": True}
_NET = {"ip_addr": "192.0.2.77", "gateway_addr": "192.0.2.1", "cidr": "192.0.2.0/24"}
INTERFACE = {"interface": {"os_version": OSV, "guest_networks": [_NET]}}
_LOOK = Ask("POST", "/v1/systems/ZVM1/look", {})
_TEMPLATE = {"name": "t1", "description": "d", "fcp_devices": "1a00-1a03;1b00-1b03", "host_default": True}


def connection(facts: Facts) -> Body:
    found = {
        "assigner_id": USERID, "zvm_fcp": facts["fcps"], "target_wwpn": [f"0x{PORT}"], "target_lun": f"0x{LUN}",
        "os_version": OSV, "multipath": True, "mount_point": "/dev/sdz", "fcp_template_id": facts["template"],
    }  # fmt: skip
    return {"info": {"connection": found}}


ATTACH = Ask("POST", "/guests/volumes", connection)


def fetched(facts: Facts) -> Body:
    """What the web server has."""
    return {"url": facts["url"], "sha256": facts["sha256"]}


_MADE = native("volume.create", {"name": "data", "pool": "p1", "size_gb": 1})
_OTHER = native("volume.create", {"name": "other", "pool": "p1", "size_gb": 1})
_WRITTEN = native("volume.write", fetched, item="data")
_VOLUME = native("volume.attach", {"volume": "data", "mount_point": "/dev/data"})

_FROM_LUN = {
    "userid": USERID, "vcpus": 1, "memory": 1024, "ipl_from": "1A00", "dedicate_vdevs": ["1A00"],
    "loaddev": {"portname": PORT.upper(), "lun": LUN},
}  # fmt: skip
_ADDRESS = Ask("POST", f"/guests/{USERID}/interface", {"interface": {**INTERFACE["interface"], "os_version": COREOS}})

_POOL = "".join(f"free,{PORT},{lun},2G,,,,\n" for lun in (LUN, LUN2))


def _template_of(system: str) -> Ask:
    """The same template for a member of the cluster: its devices have the numbers of the other member's."""
    body = {"name": "t1", "devices": _TEMPLATE["fcp_devices"], "host_default": True}
    return Ask("POST", f"/v1/systems/{system}/fcp-templates", body)


STATES = {
    state.name: state
    for state in (
        State(
            "base",
            "",
            (
                native("vswitch.create", {"name": "VSW1", "connection": "DISCONNECT"}),
                native("vswitch.create", {"name": "VLANSW", "connection": "DISCONNECT", "vid": "100"}),
                native("lan.create", {"name": "LAN1"}),
                Ask("POST", "/volumes/fcptemplates", _TEMPLATE),
                Ask("PUT", "/v1/systems/ZVM1/volume-pools/p1/file", text=_POOL),
            ),
        ),
        State(
            "off",
            "base",
            (
                native("guest.create", on(USERID, disks=[BOOT, {"size": "5", "format": "ext4"}])),
                native("guest.deploy", {"image": "sample", "hostname": "linux01"}),
                native("nic.attach", {"network": "VSW1"}),
                Ask("POST", f"/guests/{USERID}/interface", INTERFACE),
                native("guest.create", on(SECOND, disks=[BOOT])),
                native("guest.create", on(THIRD)),
                _LOOK,
                native("guest.reconfigure", {"comments": ["CHANGED"]}, of=THIRD),
                _LOOK,
            ),
        ),
        State("coreos", "base", (Ask("POST", "/guests", {"guest": _FROM_LUN}), _ADDRESS)),
        State("on", "off", (native("guest.start"),)),
        State("paused", "on", (native("guest.pause"),)),
        State(
            "reserved",
            "on",
            (Ask("GET", f"/volumes/conn/{USERID}", {"info": {"reserve": True}}),),
        ),
        State("volume", "reserved", (ATTACH,)),
        State("booting from it", "made", (native("volume.attach", {"volume": "data", "boot": True}),)),
        State("made", "off", (_MADE, _OTHER)),
        State("written", "made", (_WRITTEN,)),
        State("made on", "on", (_MADE,)),
        State("lun", "made on", (_VOLUME, native("volume.create", {"name": "more", "pool": "p1", "size_gb": 1}))),
        State("lun, off", "lun", (native("guest.stop"),)),
        State("two luns", "lun", (native("volume.attach", {"volume": "more"}),)),
        State("foreign", "off", (native("guest.forget", of=THIRD),)),
        State("granted", "off", (native("vswitch.grant", {"userid": SECOND, "vlan": 101}, item="VLANSW"),)),
        State("revoked", "off", (native("vswitch.revoke", {"userid": USERID}, item="VSW1"),)),
        State(
            "members",
            "",
            (
                _LOOK,
                Ask("POST", "/v1/systems/ZVM2/look", {}),
                *(_template_of(system) for system in ("ZVM1", "ZVM2")),
                Ask("PUT", "/v1/systems/ZVM1/volume-pools/p1/file", text=_POOL),
                Ask("PATCH", "/v1/systems/ZVM1/volume-pools/p1", {"shared": True}),
            ),
            cluster=True,
        ),
        State(
            "moving",
            "members",
            (
                native("guest.create", on(USERID, disks=[BOOT])),
                native("guest.deploy", {"image": "sample", "hostname": "linux01"}),
                native("guest.start"),
            ),
            cluster=True,
        ),
        State(
            "volumes at both",
            "moving",
            (
                native("guest.create", on(SECOND)),
                _OTHER,
                native("volume.attach", {"volume": "other"}, of=SECOND),
                native("guest.move", {"destination": "ZVM2"}, of=SECOND),
                _MADE,
                _VOLUME,
            ),
            cluster=True,
        ),
        State("volumes at both, off", "volumes at both", (native("guest.stop"),), cluster=True),
    )
}  # fmt: skip
