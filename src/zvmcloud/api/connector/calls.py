"""The connector's functions by name, as its socket protocol calls them, and the REST request each one is.

A call names its arguments in order; keyword arguments may have these names or those of the REST body. What is not
given is left out, so the handlers' own defaults hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from zvmcloud.manager.jobs.plan import Json


class CallError(ValueError):
    """No such function, or arguments that it does not take."""


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A request of the REST API; `body` None when it has none."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Json] | None


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    path: str
    arguments: tuple[str, ...] = ()
    required: int = 0
    wrap: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Json] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    bodiless: bool = False


def _get(path: str, *arguments: str, required: int | None = None, **query: str) -> _Call:
    needed = len(arguments) if required is None else required
    return _Call("GET", path, arguments, needed, query=query, bodiless=True)


def _act(action: str, *arguments: str, required: int | None = None, **rename: str) -> _Call:
    needed = 1 + (len(arguments) if required is None else required)
    names = ("userid", *arguments)
    return _Call("POST", "/guests/{userid}/action", names, needed, fixed={"action": action}, rename=rename)


def _send(method: str, path: str, *arguments: str, wrap: str = "", required: int | None = None, **rename: str) -> _Call:
    needed = len(arguments) if required is None else required
    return _Call(method, path, arguments, needed, wrap, rename=rename)


_GUEST = (
    "userid", "vcpus", "memory", "disk_list", "user_profile", "max_cpu", "max_mem", "ipl_from", "ipl_param",
    "ipl_loadparam", "dedicate_vdevs", "loaddev", "account", "comment_list", "cschedule", "cshare", "rdomain", "pcif",
)  # fmt: skip
_SWITCH = (
    "name", "rdev", "controller", "connection", "network_type", "router", "vid", "port_type", "gvrp", "queue_mem",
    "native_vid", "persist",
)  # fmt: skip
_TEMPLATE = ("name", "description", "fcp_devices", "host_default", "default_sp_list", "min_fcp_paths_count")
_NIC = "/guests/{userid}/nic/{vdev}"

CALLS: Mapping[str, _Call] = {
    "version": _get("/"),
    "smapi_health": _get("/smapi_health"),
    "guest_list": _get("/guests"),
    "guest_create": _send("POST", "/guests", *_GUEST, wrap="guest", required=3),
    "guest_delete": _Call("DELETE", "/guests/{userid}", ("userid",), 1, bodiless=True),
    "guest_get_definition_info": _get("/guests/{userid}", "userid"),
    "guest_get_user_direct": _get("/guests/{userid}/user_direct", "userid"),
    "guest_get_power_state": _get("/guests/{userid}/power_state", "userid"),
    "guest_get_power_state_real": _get("/guests/{userid}/power_state_real", "userid"),
    "guest_get_info": _get("/guests/{userid}/info", "userid"),
    "guest_get_os_info": _get("/guests/{userid}/os_info", "userid"),
    "guest_get_online_cpu_num": _get("/guests/{userid}/online_cpu_num", "userid"),
    "guest_get_adapters_info": _get("/guests/{userid}/adapters", "userid"),
    "guest_get_disks_info": _get("/guests/{userid}/disks", "userid"),
    "guest_inspect_stats": _get("/guests/stats", "userid_list", userid_list="userid"),
    "guest_inspect_vnics": _get("/guests/interfacestats", "userid_list", userid_list="userid"),
    "guests_get_nic_info": _get(
        "/guests/nics", "userid", "nic_id", "vswitch", required=0, userid="userid", nic_id="nic_id", vswitch="vswitch"
    ),
    "guest_start": _act("start", "timeout", required=0),
    "guest_stop": _act("stop", "timeout", "poll_interval", required=0),
    "guest_softstop": _act("softstop", "timeout", "poll_interval", required=0),
    "guest_pause": _act("pause"),
    "guest_unpause": _act("unpause"),
    "guest_reboot": _act("reboot"),
    "guest_reset": _act("reset"),
    "guest_get_console_output": _act("get_console_output"),
    "guest_deploy": _act(
        "deploy", "image_name", "transportfiles", "remotehost", "vdev", "hostname", "skipdiskcopy", required=1,
        image_name="image",
    ),
    "guest_capture": _act("capture", "image_name", "capture_type", "compress_level", required=1, image_name="image"),
    "guest_register": _act("register_vm", "meta", "net_set", "port_macs", required=2),
    "guest_deregister": _act("deregister_vm"),
    "guest_live_migrate": _act(
        "live_migrate_vm", "dest_zcc_userid", "destination", "parms", "lgr_action", required=4, lgr_action="operation"
    ),
    "guest_resize_cpus": _act("resize_cpus", "cpu_cnt", "cpu_share", required=1),
    "guest_live_resize_cpus": _act("live_resize_cpus", "cpu_cnt", "cpu_share", required=1),
    "guest_resize_mem": _act("resize_mem", "size"),
    "guest_live_resize_mem": _act("live_resize_mem", "size"),
    "guest_grow_root_volume": _act("grow_root_volume", "os_version"),
    "guest_create_nic": _send(
        "POST", "/guests/{userid}/nic", "userid", "vdev", "nic_id", "mac_addr", "active", wrap="nic", required=1
    ),
    "guest_delete_nic": _send("DELETE", _NIC, "userid", "vdev", "active", required=2),
    "guest_nic_couple_to_vswitch": _Call(
        "PUT", _NIC, ("userid", "vdev", "vswitch_name", "active", "vlan_id"), 3, "info", fixed={"couple": True},
        rename={"vswitch_name": "vswitch", "nic_vdev": "vdev"},
    ),
    "guest_nic_uncouple_from_vswitch": _Call(
        "PUT", _NIC, ("userid", "vdev", "active"), 2, "info", fixed={"couple": False}, rename={"nic_vdev": "vdev"}
    ),
    "guest_create_network_interface": _send(
        "POST", "/guests/{userid}/interface", "userid", "os_version", "guest_networks", "active", wrap="interface",
        required=3,
    ),
    "guest_delete_network_interface": _send(
        "DELETE", "/guests/{userid}/interface", "userid", "os_version", "vdev", "active", wrap="interface", required=3
    ),
    "guest_create_disks": _send("POST", "/guests/{userid}/disks", "userid", "disk_list", wrap="disk_info"),
    "guest_config_minidisks": _send(
        "PUT", "/guests/{userid}/disks", "userid", "disk_info", wrap="disk_info", disk_info="disk_list"
    ),
    "guest_delete_disks": _send(
        "DELETE", "/guests/{userid}/disks", "userid", "disk_vdev_list", wrap="vdev_info", disk_vdev_list="vdev_list"
    ),
    "volume_attach": _send("POST", "/guests/volumes", "connection_info", wrap="info", connection_info="connection"),
    "volume_detach": _send("DELETE", "/guests/volumes", "connection_info", wrap="info", connection_info="connection"),
    "volume_refresh_bootmap": _send(
        "PUT", "/volumes/volume_refresh_bootmap", "fcpchannels", "wwpns", "lun", "wwid", "transportfiles",
        "guest_networks", "fcp_template_id", wrap="info", required=3, fcpchannels="fcpchannel", wwpns="wwpn",
    ),
    "get_volume_connector": _send(
        "GET", "/volumes/conn/{userid}", "userid", "reserve", "fcp_template_id", "sp_name", "pchid_info", wrap="info",
        required=2, sp_name="storage_provider",
    ),
    "get_fcp_templates": _get(
        "/volumes/fcptemplates", "template_id_list", "assigner_id", "default_sp_list", "host_default", required=0,
        template_id_list="template_id_list", assigner_id="assigner_id", default_sp_list="storage_providers",
        host_default="host_default",
    ),
    "get_fcp_templates_details": _get(
        "/volumes/fcptemplates/detail", "template_id_list", "raw", "statistics", "sync_with_zvm", required=0,
        template_id_list="template_id_list", raw="raw", statistics="statistics", sync_with_zvm="sync_with_zvm",
    ),
    "create_fcp_template": _send(
        "POST", "/volumes/fcptemplates", *_TEMPLATE, required=1, default_sp_list="storage_providers"
    ),
    "edit_fcp_template": _send(
        "PUT", "/volumes/fcptemplates/{fcp_template_id}", "fcp_template_id", *_TEMPLATE, required=1,
        default_sp_list="storage_providers",
    ),
    "delete_fcp_template": _Call("DELETE", "/volumes/fcptemplates/{template_id}", ("template_id",), 1, bodiless=True),
    "get_fcp_usage": _get("/volumes/fcp/{fcp}", "fcp"),
    "set_fcp_usage": _send(
        "PUT", "/volumes/fcp/{fcp_id}", "fcp_id", "assigner_id", "reserved", "connections", "fcp_template_id",
        wrap="info", required=4, assigner_id="userid",
    ),
    "host_get_info": _get("/host"),
    "host_get_guest_list": _get("/host/guests"),
    "host_get_ssi_info": _get("/host/ssi"),
    "host_get_volume_info": _get("/host/volume", "volume", required=0, volume="volumename"),
    "host_diskpool_get_info": _get(
        "/host/diskpool", "disk_pool", "details", required=0, disk_pool="poolname", details="details"
    ),
    "host_get_diskpool_volumes": _get("/host/diskpool_volumes", "disk_pool", required=0, disk_pool="poolname"),
    "image_import": _send(
        "POST", "/images", "image_name", "url", "image_meta", "remote_host", wrap="image", required=3
    ),
    "image_query": _get("/images", "imagename", required=0, imagename="imagename"),
    "image_delete": _Call("DELETE", "/images/{image_name}", ("image_name",), 1, bodiless=True),
    "image_export": _send(
        "PUT", "/images/{image_name}", "image_name", "dest_url", "remote_host", wrap="location", required=2
    ),
    "image_get_root_disk_size": _get("/images/{image_name}/root_disk_size", "image_name"),
    "vswitch_get_list": _get("/vswitches"),
    "vswitch_create": _send("POST", "/vswitches", *_SWITCH, wrap="vswitch", required=1),
    "vswitch_query": _get("/vswitches/{vswitch_name}", "vswitch_name"),
    "vswitch_delete": _Call(
        "DELETE", "/vswitches/{vswitch_name}", ("vswitch_name", "persist"), 1, bodiless=True
    ),
    "vswitch_grant_user": _send(
        "PUT", "/vswitches/{vswitch_name}", "vswitch_name", "userid", wrap="vswitch", userid="grant_userid"
    ),
    "vswitch_revoke_user": _send(
        "PUT", "/vswitches/{vswitch_name}", "vswitch_name", "userid", wrap="vswitch", userid="revoke_userid"
    ),
    "vswitch_set_vlan_id_for_user": _send(
        "PUT", "/vswitches/{vswitch_name}", "vswitch_name", "userid", "vlan_id", wrap="vswitch.user_vlan_id",
        vlan_id="vlanid",
    ),
    "get_switch_info": _send("GET", "/vswitch", "portid"),
}  # fmt: skip


def request_of(name: str, arguments: Sequence[Json], keywords: Mapping[str, Json]) -> RestRequest:
    """The REST request that a call is. CallError for an unknown function, too many arguments, or too few."""
    call = CALLS.get(name)
    if call is None:
        raise CallError(f"there is no function {name[:60]!r}")
    if len(arguments) > len(call.arguments):
        raise CallError(f"{name} takes at most {len(call.arguments)} arguments, {len(arguments)} were given")
    given = dict(zip(call.arguments, arguments, strict=False))
    for key, value in keywords.items():
        if key in given:
            raise CallError(f"{name} was given {key!r} twice")
        given[key] = value
    given = {_path_name(call, key): value for key, value in given.items()}
    missing = [key for key in call.arguments[: call.required] if key not in given and _renamed(call, key) not in given]
    if missing:
        raise CallError(f"{name} needs {', '.join(missing)}")
    path = call.path
    for key in [key for key in given if f"{{{key}}}" in path]:
        path = path.replace(f"{{{key}}}", quote(str(given.pop(key)), safe=","))
    known = {key: value for key, value in given.items() if value is not None}
    if call.bodiless:
        query = {call.query[key]: _word(value) for key, value in known.items() if key in call.query}
        return RestRequest(call.method, path, query, None)
    body: Mapping[str, Json] = {**call.fixed, **{_renamed(call, key): value for key, value in known.items()}}
    for part in reversed(call.wrap.split(".") if call.wrap else []):
        body = {part: body}
    return RestRequest(call.method, path, {}, body)


def _path_name(call: _Call, key: str) -> str:
    """A keyword under the name that the path has for it."""
    renamed = call.rename.get(key, key)
    return renamed if f"{{{renamed}}}" in call.path else key


def _renamed(call: _Call, key: str) -> str:
    return call.rename.get(key, key)


def _word(value: Json) -> str:
    """A value in a query: lists of userids with commas, other lists in the form clients write them."""
    if isinstance(value, list):
        return ",".join(map(str, value)) if all(str(item).isalnum() for item in value) else repr(value)
    return str(value)
