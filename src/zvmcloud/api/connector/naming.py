"""What the connector's callers call what the manager calls otherwise, for errors that name a field.

The manager and its agents name fields as the native API does. Each rule of the routes, and each action, says which of
them its request has under other names; whoever reads the error finds the word that the request had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from zvmcloud.manager.errors import BadInput, ManagerError

Names = Mapping[str, str]
"""The manager's word, and the caller's."""

SAME: Names = {}
DISKS: Names = {"disks": "disk_list", "mounts": "disk_list", "pool": "disk_pool", "folder": "mntdir"}
GUEST: Names = {
    **DISKS, "memory_mb": "memory", "max_cpus": "max_cpu", "max_memory_mb": "max_mem", "profile": "user_profile",
    "ipl": "ipl_from", "ipl_parm": "ipl_param", "loadparm": "ipl_loadparam", "dedicate": "dedicate_vdevs",
    "share": "cshare", "cpu_pool": "cschedule", "relocation_domain": "rdomain",
}  # fmt: skip
INTERFACE: Names = {"vdev": "nic_vdev", "gateway": "gateway_addr"}
IMAGE: Names = {"name": "image_name"}
POOL: Names = {"pool": "poolname"}
VLAN: Names = {"vlan": "vlanid"}
_CPUS: Names = {"vcpus": "cpu_cnt", "count": "cpu_cnt", "share": "cpu_share"}
_MEMORY: Names = {"memory_mb": "size"}
ACTIONS: Mapping[str, Names] = {
    "capture": {"name": "image", "compression": "compress_level"},
    "resize_cpus": _CPUS,
    "live_resize_cpus": _CPUS,
    "resize_mem": _MEMORY,
    "live_resize_mem": _MEMORY,
}
_WORD = re.compile(r"[A-Za-z_]\w*")
_OF_AGENT = " given, "


def told(error: ManagerError, names: Names) -> str:
    """The error's text with the caller's words for fields; values stay as they were given."""
    if isinstance(error, BadInput):
        return BadInput(_said(error.field, names), error.value, _said(error.limit, names)).detail
    if error.code != "bad-parameter":
        return error.detail
    field, _, rest = error.detail.partition(": ")
    value, given, limit = rest.rpartition(_OF_AGENT)
    return f"{_said(field, names)}: {value}{given}{_said(limit, names)}" if given else error.detail


def remedy(error: ManagerError, names: Names) -> str:
    """What to do, which of a parameter names it."""
    return _said(error.remedy, names) if error.code == "bad-parameter" else error.remedy


def _said(text: str, names: Names) -> str:
    return _WORD.sub(lambda word: names.get(word[0], word[0]), text)
