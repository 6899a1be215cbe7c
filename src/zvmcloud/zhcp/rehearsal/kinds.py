"""Which calls change something: what a rehearsal records instead of sending it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zvmcloud.smapi.client import is_query
from zvmcloud.zhcp.errors import Call, Json

_READS = re.compile(
    r"(lscpu|lsmem|lszfcp|cat|echo|pwd|uname|df|vmcp q|vmcp query|systemctl status|systemctl is-active)\b[^>|;&]*",
    re.IGNORECASE,
)
_QUERIES = ("QUERY ", "INDICATE ")
_NEITHER = ("Image_Console_Get",)


def smapi_changes(name: str, parameters: Mapping[str, Json]) -> bool:
    """Whether a SMAPI function changes z/VM. VMRELOCATE does unless it tests; a console that is read counts as not."""
    if name == "VMRELOCATE":
        return parameters.get("action") != "TEST"
    return not is_query(name) and name not in _NEITHER


def cp_changes(command: str) -> bool:
    """Whether a CP command changes anything. Reading one's own spool settings aside, only queries do not."""
    return not command.upper().startswith(_QUERIES)


def guest_changes(command: str) -> bool:
    """Whether a command in a guest may change it: all but a few that are known to only look."""
    return _READS.fullmatch(command.strip()) is None


def changes(call: Call) -> bool:
    """Whether a call that was reported is a change."""
    if call.kind == "smapi":
        return smapi_changes(call.name, call.parameters)
    if call.kind == "cp":
        return cp_changes(call.name)
    if call.kind == "guest":
        return guest_changes(call.name)
    return True
