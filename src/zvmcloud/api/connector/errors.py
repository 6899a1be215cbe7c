"""From the manager's errors to the connector's codes and HTTP statuses (reference: rest.md section 3, errors.json).

Two tables and one rule: what the manager itself finds has a fixed code by its ``code``; what z/VM refuses keeps
SMAPI's return and reason code in class 8, as clients expect (a full disk pool is 8/rc/rs of Image_Disk_Create_DM,
HTTP 500). The status then follows from the numbers: classes 400, 403, 404, 409, 501, 503 are the status themselves,
100 is 400, a few SMAPI answers mean 404 or 409, the rest is 500.
"""

from __future__ import annotations

from zvmcloud.api.connector.envelope import Code
from zvmcloud.api.connector.naming import SAME, Names, remedy, told
from zvmcloud.manager.errors import AgentFailure, ManagerError

SMT, GUEST, NETWORK, VOLUME, IMAGE, MONITOR, FILE, CLIENT, WSGI, SDK = 1, 10, 20, 30, 40, 50, 60, 110, 120, 400

_BY_CODE: dict[str, Code] = {
    "bad-input": Code(100, SDK, 100, 3),
    "bad-parameter": Code(100, SDK, 100, 3),
    "guest-unknown": Code(404, GUEST, 404, 1),
    "directory-unknown": Code(8, SMT, 400, 4),
    "guest-exists": Code(8, SMT, 400, 8),
    "guest-inactive": Code(409, GUEST, 409, 1),
    "guest-owned": Code(409, GUEST, 409, 1),
    "guest-busy": Code(409, GUEST, 409, 1),
    "guest-protected": Code(409, GUEST, 409, 1),
    "own-userid": Code(409, GUEST, 409, 1),
    "quota": Code(409, GUEST, 409, 1),
    "guest-active": Code(300, GUEST, 300, 3),
    "not-reachable": Code(300, GUEST, 300, 16),
    "console-none": Code(4, SMT, 4, 409),
    "no-nic": Code(300, GUEST, 300, 5),
    "disk-unknown": Code(300, GUEST, 300, 3),
    "disk-type": Code(300, GUEST, 300, 3),
    "disk-too-small": Code(300, GUEST, 300, 3),
    "disk-exists": Code(300, GUEST, 300, 2),
    "pool-full": Code(300, GUEST, 300, 2),
    "pool-unknown": Code(4, SMT, 5, 402),
    "profile-unknown": Code(404, GUEST, 404, 1),
    "nic-exists": Code(409, NETWORK, 409, 6),
    "nic-numbers": Code(300, NETWORK, 300, 2),
    "osa-unavailable": Code(409, NETWORK, 409, 14),
    "nic-unknown": Code(404, NETWORK, 404, 1),
    "vswitch-unknown": Code(404, NETWORK, 404, 1),
    "vswitch-exists": Code(8, SMT, 212, 36),
    "image-unknown": Code(404, IMAGE, 404, 1),
    "image-exists": Code(300, IMAGE, 300, 13),
    "image-in-use": Code(409, IMAGE, 409, 1),
    "coreos": Code(300, IMAGE, 300, 14),
    "image-tag": Code(300, IMAGE, 300, 7),
    "image-size": Code(300, IMAGE, 300, 6),
    "image-empty": Code(300, GUEST, 300, 3),
    "md5-mismatch": Code(300, IMAGE, 300, 4),
    "download-failed": Code(300, IMAGE, 300, 9),
    "remote-host": Code(300, IMAGE, 300, 10),
    "file-unreadable": Code(300, IMAGE, 300, 12),
    "file-unknown": Code(300, IMAGE, 300, 12),
    "path-not-allowed": Code(300, IMAGE, 300, 12),
    "url-not-allowed": Code(300, IMAGE, 300, 9),
    "file-exists": Code(409, IMAGE, 409, 1),
    "role": Code(403, SDK, 403, 1),
    "not-found": Code(404, SDK, 404, 1),
    "system-unknown": Code(404, SDK, 404, 1),
    "job-unknown": Code(404, SDK, 404, 1),
    "cpu-maximum-unknown": Code(409, GUEST, 409, 3),
    "cpu-limit": Code(409, GUEST, 409, 4),
    "cpu-define-failed": Code(300, GUEST, 300, 7),
    "cpu-rescan-failed": Code(300, GUEST, 300, 8),
    "cpu-enable-failed": Code(300, GUEST, 300, 15),
    "cpu-disable-failed": Code(300, GUEST, 300, 15),
    "memory-shrink": Code(409, GUEST, 409, 18),
    "storage-form": Code(409, GUEST, 409, 19),
    "memory-limit": Code(409, GUEST, 409, 20),
    "memory-reserved": Code(409, GUEST, 409, 21),
    "memory-define-failed": Code(300, GUEST, 300, 11),
    "memory-enable-failed": Code(300, GUEST, 300, 17),
    "volume-unknown": Code(404, SDK, 404, 2),
    "fcp-unknown": Code(404, VOLUME, 404, 1),
    "fcp-template-unknown": Code(404, VOLUME, 404, 1),
    "fcp-template-allocated": Code(409, VOLUME, 409, 22),
    "fcp-template-conflict": Code(409, VOLUME, 409, 23),
    "fcp-template-used": Code(409, VOLUME, 409, 24),
    "fcp-connector": Code(300, VOLUME, 300, 11),
    "fcp-owned": Code(300, VOLUME, 300, 8),
    "fcp-in-use": Code(300, VOLUME, 300, 8),
    "fcp-not-connected": Code(300, VOLUME, 300, 9),
    **dict.fromkeys(("volume-attached", "volume-busy", "volume-state"), Code(300, VOLUME, 300, 8)),
    "volume-script-failed": Code(300, VOLUME, 300, 8),
    "network-script-failed": Code(300, NETWORK, 300, 5),
    "disks-script-failed": Code(2, SMT, 8, 1),
    "bootmap-failed": Code(300, VOLUME, 300, 5),
    "bootmap-timeout": Code(300, VOLUME, 300, 7),
    "capture-failed": Code(300, GUEST, 300, 5),
    "not-supported": Code(501, GUEST, 501, 1),
    "busy": Code(503, WSGI, 503, 1),
    "agent-unreachable": Code(101, CLIENT, 101, 2),
}

_NO_NIC = _BY_CODE["nic-unknown"]
_LOCKED = (400, 12)

_NO_COREOS = ("coreos-network", "not-coreos", "coreos-unprepared", "coreos-started", "tool-missing")
_UNREADABLE = (
    "remote-host", "file-unreadable", "file-unknown", "path-not-allowed", "url-not-allowed", "download-failed",
)  # fmt: skip
"""Why a file that is named in a deploy cannot be had."""

_BY_OPERATION: dict[str, dict[str, Code]] = {
    "deploy": {
        "image-unknown": Code(300, IMAGE, 300, 20),
        **dict.fromkeys(_NO_COREOS, Code(300, GUEST, 300, 12)),
        **dict.fromkeys(_UNREADABLE, Code(300, GUEST, 300, 4)),
        "ignition-missing": Code(300, GUEST, 300, 13),
        "loaddev-missing": Code(300, GUEST, 300, 14),
    },
    "export": {
        "remote-host": Code(300, IMAGE, 300, 21),
        "path-not-allowed": Code(300, IMAGE, 300, 22),
        "file-unreadable": Code(300, IMAGE, 300, 22),
    },
    "disk.remove": {"guest-active": _BY_CODE["not-supported"]},
    "bootmap": {
        **dict.fromkeys((*_NO_COREOS, *_UNREADABLE), Code(300, VOLUME, 300, 5)),
        "ignition-missing": Code(300, VOLUME, 300, 10),
    },
    "volume.detach": {
        "volume-script-failed": Code(300, VOLUME, 300, 9),
        "fcp-owned": Code(300, VOLUME, 300, 9),
        "fcp-in-use": Code(300, VOLUME, 300, 9),
    },
    "guest": {"directory-unknown": Code(404, GUEST, 404, 3)},
}
"""What the manager or the agent finds in these operations has a code of the operation. "guest": calls about a guest of
ours, whose entry somebody else removed."""

_BY_ANSWER: dict[str, dict[tuple[int, int], Code]] = {
    "nic.create": {
        _LOCKED: Code(409, NETWORK, 409, 7),
        **dict.fromkeys(((404, 4), (204, 4), (204, 28)), Code(409, NETWORK, 409, 6)),
    },
    "nic.delete": {_LOCKED: Code(409, NETWORK, 409, 9), (204, 28): Code(409, NETWORK, 409, 8)},
    "nic.couple": {
        _LOCKED: Code(409, NETWORK, 409, 11),
        **dict.fromkeys(((212, 8), (212, 28)), Code(409, NETWORK, 409, 10)),
        **dict.fromkeys(((212, 40), (204, 8), (404, 8)), _NO_NIC),
    },
    "nic.uncouple": {
        _LOCKED: Code(409, NETWORK, 409, 13),
        (204, 28): Code(409, NETWORK, 409, 12),
        **dict.fromkeys(((204, 8), (404, 8)), _NO_NIC),
    },
    "osa.dedicate": {_LOCKED: Code(409, NETWORK, 409, 15)},
    "osa.undedicate": {_LOCKED: Code(409, NETWORK, 409, 17)},
    "memory": {_LOCKED: Code(300, GUEST, 300, 9)},
}
"""The same for return and reason codes of SMAPI; those that are in no table keep SMAPI's numbers."""
_REFUSED: dict[str, Code] = {
    "cpus": Code(300, GUEST, 300, 6),
    "memory": Code(300, GUEST, 300, 10),
    "osa.dedicate": Code(409, NETWORK, 409, 14),
    "osa.undedicate": Code(409, NETWORK, 409, 16),
}
"""What z/VM refuses in these operations for any other reason."""
_OF_AN_OSA = {
    ("nic.create", "Image_Device_Dedicate"): "osa.dedicate",
    ("nic.delete", "Image_Device_Undedicate"): "osa.undedicate",
}
"""An interface on a real OSA adapter is made of other functions than one on a NIC; their refusals have other codes."""

_VSWITCH_CONFLICTS = {2838, 2846, 2853, 2856, 2858, 3022, 3033}
_NOT_FOUND = {(8, 212, 40), (4, 5, 402), (300, 300, 20), (8, 400, 4), (8, 200, 4)}
_EXISTS = {(8, 212, 36), (300, 300, 13), (8, 400, 8)}
_SELF = {400, 403, 404, 409, 501, 503}


def code_of(error: ManagerError, doing: str = "") -> Code:
    """The four numbers for an error. ``doing`` names an operation with codes of its own: deploy, export, bootmap,
    disk.remove, volume.detach, guest, nic.create, nic.delete, nic.couple, nic.uncouple, cpus, memory."""
    code = error.code
    if code == "guest-unknown" and isinstance(error, AgentFailure):
        code = "directory-unknown" if doing == "guest" else code
    named = _BY_OPERATION.get(doing, {}).get(code)
    if named is not None:
        return named
    deploying = doing == "deploy"
    if error.smapi is not None and error.code not in _BY_CODE:
        did = _OF_AN_OSA.get((doing, error.smapi.function.removesuffix("_DM")), doing)
        own = _BY_ANSWER.get(did, {}).get((error.smapi.rc, error.smapi.rs)) or _REFUSED.get(did)
        if own is not None:
            return own
    if error.smapi is not None and error.code not in {"profile-unknown", "guest-unknown", "vswitch-unknown"}:
        if deploying:
            return Code(300, GUEST, 300, 3)
        if (error.smapi.rc, error.smapi.rs) == (436, 4):
            return _BY_CODE["profile-unknown"]
        if error.smapi.rc == 396 and error.smapi.rs in _VSWITCH_CONFLICTS:
            return Code(409, NETWORK, 409, 5)
        return Code(8, SMT, error.smapi.rc, error.smapi.rs)
    found = _BY_CODE.get(error.code)
    if found is not None:
        return found
    if deploying:
        return Code(300, GUEST, 300, 3)
    if isinstance(error, AgentFailure):
        if error.cp is not None:
            return Code(3, SMT, 415, error.cp.rc)
        if error.status == 400:
            return _BY_CODE["bad-input"]
        if error.status in _SELF:
            return Code(error.status, GUEST, error.status, 1)
    return Code(500, None, 500, 1)


def database_code(path: str) -> Code:
    """The four numbers when the manager's database fails; the module goes by what the path is about."""
    return next((code for part, code in _DATABASE.items() if part in path), Code(300, GUEST, 300, 1))


_DATABASE = {
    part: Code(300, module, 300, 1)
    for part, module in (
        ("stats", MONITOR),
        ("nic", NETWORK),
        ("interface", NETWORK),
        ("vswitch", NETWORK),
        ("volumes", VOLUME),
        ("images", IMAGE),
    )
}


def status_of(code: Code, message: str, *, creates: bool = False, acts: bool = False) -> int:
    """The HTTP status for four numbers. ``creates``: a POST that makes something; ``acts``: a guest action."""
    numbers = (code.overall, code.rc, code.rs)
    if code.overall in _SELF:
        return code.overall
    if code.overall == 100:
        return 400
    if creates and numbers in _EXISTS:
        return 409
    if acts and (numbers == (300, 300, 5) or (numbers in _EXISTS and code.module != GUEST)):
        return 409
    if numbers in _NOT_FOUND or (numbers == (300, 300, 3) and "not linked; not in CP directory" in message):
        return 404
    return 500


def message_of(error: ManagerError, code: Code, names: Names = SAME) -> str:
    """One line for people and for clients that look for the words: what failed, with SMAPI's numbers or CP's lines,
    and what to do. ``names``: what the caller calls the manager's fields."""
    text = told(error, names)
    if code.overall == 100 and code.rs == 3:
        text = f"Invalid API arg format, error: {text}"
    if error.smapi is not None and f"rc: {error.smapi.rc}, rs: {error.smapi.rs}" not in text:
        cause = f"SMAPI API failed: {error.smapi.function}, overall rc: 8, rc: {error.smapi.rc}, rs: {error.smapi.rs}"
        meaning = f" ({error.smapi.meaning})" if error.smapi.meaning and error.smapi.meaning not in text else ""
        text = f"{text} {cause}{meaning}"
    if error.cp is not None and error.cp.lines and error.cp.lines[0] not in text:
        text = f"{text} CP: {error.cp.lines[0]}"
    todo = remedy(error, names)
    return f"{text} Remedy: {todo}" if todo else text
