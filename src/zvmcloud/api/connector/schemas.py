"""What a request body and a query string may hold: JSON Schema (draft 4), compiled once.

The facts are the connector's (reference/connector/rest.json); the words are ours. Patterns here are anchored and
never match the empty string where a value is needed. Objects take no members that are not named, except where clients
are known to send more.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import cast

from jsonschema import Draft4Validator, FormatChecker
from jsonschema.exceptions import best_match

from zvmcloud.api.connector.fitting import fits
from zvmcloud.manager.jobs.plan import Json

Schema = Mapping[str, Json]

_TRUE = ("True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes")
_FALSE = ("False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no")


def _text(pattern: str = "", low: int = 0, high: int = 0, **more: Json) -> Schema:
    schema: dict[str, Json] = {"type": "string", **more}
    if pattern:
        schema["pattern"] = pattern
    if low:
        schema["minLength"] = low
    if high:
        schema["maxLength"] = high
    return schema


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


def _or_null(schema: Schema) -> Schema:
    return {"oneOf": [{"type": "null"}, schema]}


def _count(low: int, high: int = 999_999_999) -> Schema:
    """A number, or its digits: at most as many as the greatest number has."""
    digits = rf"^[0-9]{{1,{len(str(high))}}}\Z"
    return {"type": ["integer", "string"], "pattern": digits, "minimum": low, "maximum": high}


def _number(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def _object(required: tuple[str, ...] = (), extra: bool = False, **members: Schema) -> Schema:
    schema: dict[str, Json] = {"type": "object", "properties": members, "additionalProperties": extra}
    if required:
        schema["required"] = list(required)
    return schema


def _list(items: Schema, **more: Json) -> Schema:
    return {"type": "array", "items": items, **more}


BOOLEAN: Schema = {"type": ["boolean", "string"], "enum": [True, False, *_TRUE, *_FALSE]}
USERID = _text(r"^[a-zA-Z0-9]{1,8}\Z", 1, 8)
_USERIDS = _text(r"^(\s*[a-zA-Z0-9]{1,8}\s*)(,\s*[a-zA-Z0-9]{1,8}\s*)*\Z", 1)
_VDEV = _text(r"^[0-9a-fA-F]{1,4}\Z", 1, 4)
_POOL = _text(r"^[A-Za-z0-9_]+:[A-Za-z0-9_]+\Z")
_FORMAT = _one_of("ext2", "ext3", "ext4", "xfs", "swap", "none")
_SHARE = _text(
    r"^(ABS|ABS(O|OL|OLU|OLUT|OLUTE))\s*(?:[1-9]\d?|100)(\.\d+)?%\Z|^(REL|REL(A|AT|ATI|ATIV|ATIVE))\s*(?:[1-9]\d{0,3}|10000)\Z",
    1,
    64,
)
_MEMORY = _text(r"^[1-9][0-9]{0,3}[mMgG]\Z")
_MAC = _text(r"^([0-9a-fA-F]{2})(:[0-9a-fA-F]{2}){5}\Z")
_HOSTNAME = _or_null(_text(r"^[a-zA-Z0-9._-]+\Z", 1, 255))
_NAME = _text("", 1, 255)
_URL = _text(r"^(https?://.*|file:///\w.+)\Z", 1, 4096)
_REMOTE = _text(r"^[a-zA-Z0-9\-]+@([0-9]{1,3}(\.[0-9]{1,3}){3}\Z|[a-zA-Z0-9\-]+(\.[a-zA-Z0-9\-]+)+\Z)")
_IP = _text("", format="ip")
_OS_VERSION = _text(
    r"^(?i:rhel(6|7|8|9|10)(\.[0-9]{1,2})?"
    r"|redhat(6|7)(\.[0-9]{1,2})?"
    r"|(sles|suse)(11|12|15)((\.|sp)[0-9])?"
    r"|ubuntu(16|20|22|24|25)(\.[0-9]{2})?(\.[0-9])?"
    r"|rhcos4(\.[0-9]{1,2})?(\.[0-9]{1,2})?)\Z"
)
_DISK = _object(("size",), size=_text(), format=_FORMAT, is_boot_disk=BOOLEAN, vdev=_VDEV, disk_pool=_POOL)
_WORD8 = _text(r"^[A-Za-z0-9_]{1,8}\Z", 1, 8)

GUEST_CREATE = _object(
    ("guest",),
    guest=_object(
        ("userid", "vcpus", "memory"),
        userid=USERID,
        vcpus=_count(1),
        memory=_count(1),
        user_profile=_or_null(USERID),
        disk_list=_list(_DISK),
        max_cpu=_number(1, 64),
        max_mem=_MEMORY,
        ipl_from=_text("", 0, 255),
        ipl_param=_text("", 0, 255),
        ipl_loadparam=_text("", 0, 255),
        dedicate_vdevs=_list(_text(r"^[0-9a-fA-F]{1,4}\Z"), uniqueItems=True),
        loaddev=_object(
            portname=_text(r"^[0-9a-fA-F]{1,16}\Z", 1, 16),
            lun=_text(r"^[0-9a-fA-F]{1,16}\Z", 1, 16),
            alterdev=_text(),
        ),
        account=_text("", 0, 128),
        comments=_list(_text()),
        comment_list=_list(_text()),
        cschedule=_WORD8,
        cshare=_SHARE,
        rdomain=_WORD8,
        pcif=_text(r"^\w{1,9}\Z", 1, 9),
    ),
)
NIC_CREATE = _object(("nic",), nic=_object(vdev=_or_null(_VDEV), nic_id=_text(), mac_addr=_MAC, active=BOOLEAN))
NIC_DELETE = _object(active=BOOLEAN)
NIC_COUPLE = _object(
    ("info",),
    info=_object(("couple",), couple=BOOLEAN, active=BOOLEAN, vswitch=_text("", 1, 8), vlan_id=_number(-1, 4094)),
)
_NETWORK: Schema = {
    **_object(
        (),
        extra=True,
        method=_or_null(_one_of("static", "dhcp")),
        ip_addr=_IP,
        dns_addr=_list(_IP),
        gateway_addr=_IP,
        mac_addr=_MAC,
        cidr=_text(),
        nic_vdev=_VDEV,
        nic_id=_text(),
        osa_device=_VDEV,
        hostname=_HOSTNAME,
        mtu=_count(0, 65535),
    ),
    "dependencies": {"ip_addr": ["cidr"]},
}
INTERFACE_CREATE = _object(
    ("interface",),
    interface=_object(
        ("os_version", "guest_networks"), os_version=_OS_VERSION, guest_networks=_list(_NETWORK), active=BOOLEAN
    ),
)
INTERFACE_DELETE = _object(
    ("interface",), interface=_object(("os_version", "vdev"), os_version=_OS_VERSION, vdev=_VDEV, active=BOOLEAN)
)
DISKS_CREATE = _object(("disk_info",), disk_info=_object(("disk_list",), disk_list=_list(_DISK)))
DISKS_CONFIG = _object(
    ("disk_info",),
    disk_info=_object(
        ("disk_list",),
        disk_list=_list(_object(("format",), vdev=_VDEV, format=_FORMAT, mntdir=_text(), size=_text())),
    ),
)
DISKS_DELETE = _object(
    ("vdev_info",),
    vdev_info=_object(("vdev_list",), vdev_list=_list(_text(r"^[0-9a-fA-F]{1,4}\Z"), minItems=1, uniqueItems=True)),
)
IMAGE_IMPORT = _object(
    ("image",),
    image=_object(
        ("image_name", "url", "image_meta"),
        image_name=_NAME,
        url=_URL,
        image_meta=_object(
            ("os_version",),
            os_version=_OS_VERSION,
            md5sum=_text(r"^[0-9a-fA-F]{32}\Z"),
            disk_type=_one_of("DASD", "dasd", "SCSI", "scsi"),
        ),
        remote_host=_REMOTE,
    ),
)
IMAGE_EXPORT = _object(("location",), location=_object(("dest_url",), dest_url=_URL, remote_host=_REMOTE))
FILE_EXPORT = _object(("source_file",), source_file=_text("", 1, 4096))
VSWITCH_CREATE = _object(
    ("vswitch",),
    vswitch=_object(
        ("name",),
        name=_text(r"^[a-zA-Z0-9@#$_]{1,8}\Z", 1, 8),
        rdev=_or_null(_text(r"^[0-9a-fA-F]{1,4}(\s+[0-9a-fA-F]{1,4}){0,2}\Z")),
        controller=_text(r"^(\*|[a-zA-Z0-9@#$_]{1,8})\Z", 1, 8),
        persist=BOOLEAN,
        connection=_one_of(
            "CONnect", "CONNECT", "connect", "DISCONnect", "DISCONNECT", "disconnect", "NOUPLINK", "nouplink"
        ),
        queue_mem=_number(1, 8),
        router=_one_of("NONrouter", "NONROUTER", "nonrouter", "PRIrouter", "PRIROUTER", "prirouter"),
        network_type=_one_of("IP", "ip", "ETHernet", "ethernet", "ETHERNET"),
        vid={"oneOf": [_one_of("UNAWARE", "unaware", "AWARE", "aware"), _number(1, 4094)]},
        port_type=_one_of("ACCESS", "access", "TRUNK", "trunk"),
        gvrp=_one_of("GVRP", "gvrp", "NOGVRP", "nogvrp"),
        native_vid=_or_null(_number(1, 4094)),
    ),
)
VSWITCH_UPDATE = _object(
    ("vswitch",),
    vswitch={
        **_object(
            grant_userid=USERID,
            revoke_userid=USERID,
            user_vlan_id=_object(("userid", "vlanid"), userid=USERID, vlanid=_number(1, 4094)),
        ),
        "minProperties": 1,
    },
)
SWITCH_PORT = _object(("portid",), portid=_text())

_TEMPLATE_ID = _or_null(_text("", 0, 36))
_TEMPLATE: Mapping[str, Schema] = {
    "name": _NAME,
    "description": _text(),
    "fcp_devices": _text(),
    "host_default": BOOLEAN,
    "storage_providers": _list(_NAME),
    "min_fcp_paths_count": _count(1),
}
_WWN = _text(r"^0x[0-9a-fA-F]{16}\Z", 18, 18)
_FCP = _text(r"^[0-9a-fA-F]{4}\Z", 4, 4)
FCP_TEMPLATE_CREATE: Schema = {**_object(("name",)), "properties": _TEMPLATE}
FCP_TEMPLATE_EDIT: Schema = {**_object(), "properties": {**_TEMPLATE, "fcp_template_id": _TEMPLATE_ID}}
BOOTMAP = _object(
    ("info",),
    info=_object(
        ("lun",),
        extra=True,
        lun=_text("", 1, 18),
        fcpchannel=_or_null(_list(_text())),
        wwpn=_or_null(_list(_text())),
        wwid=_or_null(_text()),
        fcp_template_id=_TEMPLATE_ID,
    ),
)
FCP_USAGE = _object(
    ("info",),
    info=_object(
        ("reserved", "connections"),
        userid=USERID,
        reserved=_number(0, 1),
        connections=_number(0, 2**31 - 1),
        fcp_template_id=_TEMPLATE_ID,
    ),
)
VOLUME_CONNECTOR = _object(
    ("info",),
    info=_object(
        ("reserve",),
        reserve=BOOLEAN,
        fcp_template_id=_TEMPLATE_ID,
        storage_provider=_or_null(_NAME),
        pchid_info={"type": ["object", "null"]},
    ),
)
VOLUME = _object(
    ("info",),
    info=_object(
        ("connection",),
        connection=_object(
            ("assigner_id", "zvm_fcp", "target_wwpn", "target_lun", "multipath", "os_version", "mount_point"),
            assigner_id=USERID,
            zvm_fcp=_list(_FCP),
            fcp_template_id=_TEMPLATE_ID,
            target_wwpn=_list(_WWN),
            target_lun=_WWN,
            os_version=_OS_VERSION,
            multipath=BOOLEAN,
            mount_point=_text(),
            is_root_volume=BOOLEAN,
            update_connections_only=BOOLEAN,
            do_rollback=BOOLEAN,
        ),
    ),
)
_FLAG = _list(BOOLEAN, maxItems=1)
QUERY_TEMPLATES = _object(
    template_id_list=_list(_text()), assigner_id=_list(USERID, maxItems=1), host_default=_FLAG,
    storage_providers={"type": "array"},
)  # fmt: skip
QUERY_TEMPLATE_DETAILS = _object(template_id_list=_list(_text()), raw=_FLAG, statistics=_FLAG, sync_with_zvm=_FLAG)

PATH_SWITCH = _object((), extra=True, name=_text(r"^[\x20-\x7e]+\Z", 1))
QUERY_USERIDS = _object(userid=_list(_USERIDS))
QUERY_POOL = _object(poolname=_list(_POOL, maxItems=1), details=_list(BOOLEAN, maxItems=1))
QUERY_VOLUME = _object(volumename=_list(_text(r"^\w{1,6}\Z", 1), maxItems=1))
QUERY_IMAGE = _object((), extra=True, imagename=_list(_NAME, maxItems=1))

PATH_USERID = _object((), extra=True, userid=_USERIDS)
PATH_FCP = _object((), extra=True, fcp_id=_FCP)

_SECONDS = _count(0, 86400)
"""Seconds that a client waits: at most a day (judgement: the original has no limit)."""
_STOP = _object(userid=USERID, timeout=_SECONDS, poll_interval=_SECONDS)
ACTIONS: Mapping[str, Schema | None] = {
    "start": _object(userid=USERID, timeout=_SECONDS),
    "stop": _STOP,
    "softstop": _STOP,
    "pause": None,
    "unpause": None,
    "reboot": None,
    "reset": None,
    "get_console_output": None,
    "register_vm": _object(
        ("meta", "net_set"), extra=True, meta=_text(), net_set=_text(), port=_text(), port_macs={"type": "object"}
    ),
    "deregister_vm": _object(userid=USERID),
    "live_migrate_vm": _object(
        ("destination", "operation"),
        dest_zcc_userid=_or_null(USERID),
        destination=USERID,
        parms=_object(
            maxtotal=_number(-1, 99_999_999),
            maxquiesce=_number(-1, 99_999_999),
            immediate=_text(),
            forcearch=_text(),
            forcedomain=_text(),
            forcestorage=_text(),
        ),
        operation=_NAME,
    ),
    "resize_cpus": _object(("cpu_cnt",), cpu_cnt=_number(1, 64), cpu_share=_SHARE),
    "live_resize_cpus": _object(("cpu_cnt",), cpu_cnt=_number(1, 64), cpu_share=_SHARE),
    "resize_mem": _object(("size",), size=_MEMORY),
    "live_resize_mem": _object(("size",), size=_MEMORY),
    "grow_root_volume": _object(("os_version",), os_version=_OS_VERSION),
    "deploy": _object(
        ("image",),
        image=_NAME,
        transportfiles={"type": ["string", "null"]},
        remotehost=_REMOTE,
        vdev=_or_null(_VDEV),
        hostname=_HOSTNAME,
        skipdiskcopy=BOOLEAN,
    ),
    "capture": _object(
        ("image",), image=_NAME, capture_type=_one_of("rootonly", "alldisks"), compress_level=_number(0, 9)
    ),
}


_FORMATS = FormatChecker([])


@_FORMATS.checks("ip", ValueError)
def _is_address(value: object) -> bool:
    """An IPv4 or IPv6 address without a zone. ValueError when it is none; what is no text is another rule's."""
    return not isinstance(value, str) or ("%" not in value and bool(str(ipaddress.ip_address(value))))


class Checker:
    """A compiled schema."""

    __slots__ = ("_fits", "_query", "_validator")

    def __init__(self, schema: Schema, *, query: bool = False) -> None:
        self._validator = Draft4Validator(dict(schema), format_checker=_FORMATS)
        self._fits = fits(schema)
        self._query = query

    def complaint(self, value: Json) -> str | None:
        """None, or what is wrong: the field or query parameter, its value, and the rule."""
        if self._fits(value):
            return None
        error = best_match(self._validator.iter_errors(value))
        if error is None:
            return None
        path = list(error.absolute_path)
        message = error.message if len(error.message) <= 300 else error.message[:300] + "..."
        if not path:
            return f"Validation error: {message}"
        kind = "query parameters" if self._query else "field/attribute"
        name = next((str(part) for part in reversed(path) if isinstance(part, str)), str(path[-1]))
        return f"Validation error: Invalid input for {kind} {name}. Value: {str(error.instance)[:100]}. {message}"


def truth(value: Json, default: bool = False) -> bool:
    """A boolean as the schema allows it: JSON's own, or one of the words."""
    if isinstance(value, bool):
        return value
    return default if value is None else cast("str", value) in _TRUE
