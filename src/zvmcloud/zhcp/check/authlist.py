"""The authorization file (VSMWORK1 AUTHLIST): requester in column 1, target in column 66, function in column 131.

Each may be a list of the name-list file, target and function may be ALL; lists inside lists are not expanded
(reference/smapi/protocol.md section 9).
"""

from __future__ import annotations

from collections.abc import Iterable

from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import Call
from zvmcloud.zhcp.smapi_port import SmapiPort

FILE = "VSMWORK1"
_NO_LIST = ((8, 8), (24, 0), (100, 16), (112, 0), (116, 0), (428, 4))


def record(requester: str, function: str, target: str = "ALL") -> str:
    """A record of the file."""
    return f"{requester.upper():<65}{target.upper():<65}{function.upper()}"


class Authorizations:
    """Which functions a userid may call for every target."""

    def __init__(self, userid: str, records: Iterable[f.Authorization], lists: dict[str, frozenset[str]]) -> None:
        """`lists`: the members of the lists that records name, in upper case."""
        self._lists = lists
        self._functions = {
            item.function_name.upper()
            for item in records
            if self._names(item.requesting_userid, userid) and item.for_userid.upper() == "ALL"
        }

    def _names(self, allowed: str, name: str) -> bool:
        return allowed.upper() == name.upper() or name.upper() in self._lists.get(allowed.upper(), ())

    def allows(self, function: str) -> bool:
        """Whether a record allows the function for every target."""
        return any(allowed == "ALL" or self._names(allowed, function) for allowed in self._functions)


async def read(port: SmapiPort, userid: str) -> Authorizations:
    """What the file says. AgentError when it cannot be read (403 `not-authorized` without the right to)."""
    answer = await port.call(f.AuthorizationListQuery(target="*", for_id="*", function_id="*"), _ignore)
    records = answer.reply.auth_record_array
    named = {item.requesting_userid.upper() for item in records if item.requesting_list_indicator}
    named |= {item.function_name.upper() for item in records if item.function_list_indicator}
    lists: dict[str, frozenset[str]] = {}
    for name in sorted(named):
        found = await port.call(f.NameListQuery(target=name), _ignore, allow=_NO_LIST)
        members = found.data.name_array if found.rc == 0 and found.data is not None else ()
        lists[name] = frozenset(member.upper() for member in members)
    return Authorizations(userid, records, lists)


def _ignore(_: Call) -> None:
    """A check reports findings, not calls."""
