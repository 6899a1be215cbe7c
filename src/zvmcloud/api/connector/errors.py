"""From the manager's errors to the connector's codes and HTTP statuses (reference: rest.md section 3, errors.json).

Two tables and one rule: what the manager itself finds has a fixed code by its ``code``; what z/VM refuses keeps
SMAPI's return and reason code in class 8, as clients expect (a full disk pool is 8/rc/rs of Image_Disk_Create_DM,
HTTP 500). The status then follows from the numbers: classes 400, 404, 409, 501, 503 are the status themselves, 100 is
400, a few SMAPI answers mean 404 or 409, the rest is 500.
"""

from __future__ import annotations

from zvmcloud.api.connector.envelope import Code
from zvmcloud.manager.errors import AgentFailure, ManagerError

SMT, GUEST, NETWORK, VOLUME, IMAGE, FILE, CLIENT, WSGI, SDK = 1, 10, 20, 30, 40, 60, 110, 120, 400

_BY_CODE: dict[str, Code] = {
    "bad-input": Code(100, SDK, 100, 3),
    "bad-parameter": Code(100, SDK, 100, 3),
    "guest-unknown": Code(404, GUEST, 404, 1),
    "directory-unknown": Code(8, SMT, 400, 4),
    "guest-exists": Code(8, SMT, 400, 8),
    "guest-inactive": Code(409, GUEST, 409, 1),
    "guest-owned": Code(409, GUEST, 409, 1),
    "guest-busy": Code(409, GUEST, 409, 1),
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
    "osa-unavailable": Code(409, NETWORK, 409, 14),
    "nic-unknown": Code(404, NETWORK, 404, 1),
    "vswitch-unknown": Code(404, NETWORK, 404, 1),
    "vswitch-exists": Code(8, SMT, 212, 36),
    "image-unknown": Code(404, IMAGE, 404, 1),
    "image-exists": Code(300, IMAGE, 300, 13),
    "image-in-use": Code(409, IMAGE, 409, 1),
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
    "configure-failed": Code(300, VOLUME, 300, 8),
    "bootmap-failed": Code(300, VOLUME, 300, 5),
    "bootmap-timeout": Code(300, VOLUME, 300, 7),
    "capture-failed": Code(300, GUEST, 300, 5),
    "not-supported": Code(501, GUEST, 501, 1),
    "busy": Code(503, WSGI, 503, 1),
    "agent-unreachable": Code(101, CLIENT, 101, 2),
}

_DEPLOY: dict[str, Code] = {
    "image-unknown": Code(300, IMAGE, 300, 20),
    **{
        code: Code(300, GUEST, 300, 4)
        for code in ("remote-host", "file-unreadable", "file-unknown", "path-not-allowed")
    },
}

_EXPORT: dict[str, Code] = {
    "remote-host": Code(300, IMAGE, 300, 21),
    "path-not-allowed": Code(300, IMAGE, 300, 22),
    "file-unreadable": Code(300, IMAGE, 300, 22),
}

_LOCKED = (400, 12)
_TAKEN = {(404, 4), (204, 4), (204, 28)}
_REFUSED: dict[str, Code] = {
    "cpus": Code(300, GUEST, 300, 6),
    "memory": Code(300, GUEST, 300, 10),
}
"""What z/VM refuses in these operations has a code of the operation; elsewhere SMAPI's own codes are kept."""
_WHEN_LOCKED: dict[str, Code] = {
    "nic.create": Code(409, NETWORK, 409, 7),
    "nic.delete": Code(409, NETWORK, 409, 9),
    "nic.couple": Code(409, NETWORK, 409, 11),
    "nic.uncouple": Code(409, NETWORK, 409, 13),
    "memory": Code(300, GUEST, 300, 9),
}
"""The same for an entry that somebody else has locked."""

_VSWITCH_CONFLICTS = {2838, 2846, 2853, 2856, 2858, 3022, 3033}
_NOT_FOUND = {(8, 212, 40), (4, 5, 402), (300, 300, 20), (8, 400, 4), (8, 200, 4)}
_EXISTS = {(8, 212, 36), (300, 300, 13), (8, 400, 8)}
_SELF = {400, 404, 409, 501, 503}


def code_of(error: ManagerError, *, deploying: bool = False, doing: str = "") -> Code:
    """The four numbers for an error. ``deploying`` puts what an agent refuses into the deploy's own codes (300/3);
    ``doing`` names an operation with codes of its own: nic.create, nic.delete, nic.couple, nic.uncouple, cpus, memory,
    disk.remove, export."""
    if deploying and error.code in _DEPLOY:
        return _DEPLOY[error.code]
    if doing == "export" and error.code in _EXPORT:
        return _EXPORT[error.code]
    if doing == "disk.remove" and error.code == "guest-active":
        return _BY_CODE["not-supported"]
    if error.smapi is not None and error.code not in _BY_CODE:
        said = (error.smapi.rc, error.smapi.rs)
        if said == _LOCKED and doing in _WHEN_LOCKED:
            return _WHEN_LOCKED[doing]
        if said in _TAKEN and doing == "nic.create":
            return _BY_CODE["nic-exists"]
        if doing in _REFUSED:
            return _REFUSED[doing]
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


def status_of(code: Code, message: str, *, creates: bool = False, acts: bool = False) -> int:
    """The HTTP status for four numbers. ``creates``: a POST that makes something; ``acts``: a guest action."""
    numbers = (code.overall, code.rc, code.rs)
    if code.overall in _SELF:
        return code.overall
    if code.overall == 100:
        return 400
    if creates and numbers in _EXISTS:
        return 409
    if acts and (numbers == (300, 300, 5) or numbers in _EXISTS):
        return 409
    if numbers in _NOT_FOUND or (numbers == (300, 300, 3) and "not linked; not in CP directory" in message):
        return 404
    return 500


def message_of(error: ManagerError, code: Code) -> str:
    """One line for people and for clients that look for the words: what failed, with SMAPI's numbers or CP's lines,
    and what to do."""
    text = error.detail
    if code.overall == 100 and code.rs == 3:
        text = f"Invalid API arg format, error: {text}"
    if error.smapi is not None and f"rc: {error.smapi.rc}, rs: {error.smapi.rs}" not in text:
        cause = f"SMAPI API failed: {error.smapi.function}, overall rc: 8, rc: {error.smapi.rc}, rs: {error.smapi.rs}"
        meaning = f" ({error.smapi.meaning})" if error.smapi.meaning and error.smapi.meaning not in text else ""
        text = f"{text} {cause}{meaning}"
    if error.cp is not None and error.cp.lines and error.cp.lines[0] not in text:
        text = f"{text} CP: {error.cp.lines[0]}"
    return f"{text} Remedy: {error.remedy}" if error.remedy else text
