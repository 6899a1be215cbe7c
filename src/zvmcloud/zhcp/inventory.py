"""All of a z/VM system in a handful of calls, however many guests there are: what a manager's inventory is made of.

    Query_All_DM                              every entry of the source directory
    Image_Status_Query for *                  who is on, on this member
    Image_Volume_Space_Query_DM, three times  free and used extents of the pools, volumes
    Virtual_Network_Vswitch_Query_Extended    VSWITCHes with their grants
    Virtual_Network_OSA_Query, System_WWPN_Query, SSI_Query

Directory and who is on must be told; what else z/VM refuses is left out and named in ``missing``, so that a right that
the agent lacks does not hide the guests. Passwords never leave: records are masked. The digest of an entry is made from
its true records with a key that never leaves either, so that it changes with a password and tells nothing about it.

``tag`` is the digest of everything; who sends it back as ``known`` and still has it right gets ``unchanged`` and no
more. z/VM has no such mark of its own (judgement: no function of the catalogue tells one), so the calls are made all
the same; entries that are as before are not read again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from zvmcloud.directory.entry import Entry
from zvmcloud.directory.statements import DirectoryError
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries, entry_digests, queries, switch_queries, system_queries
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.operations import fcps
from zvmcloud.zhcp.operations.context import Context

KINDS = {0: "USER", 1: "PROFILE", 6: "IDENTITY", 7: "SUBCONFIG"}
"""Kinds of entries that are told (reference/smapi/catalogue, Query_All_DM); the rest is the directory's own."""
_TAG = 64
_NONE_ON = ((0, 12), (200, 12))
_MOST = 200
"""Guests that can be asked for by name in one question."""
_AT_ONCE = 4
"""Entries asked for at the same time: half of the short calls that an agent makes at once are left to others."""
_AT_A_TIME = 200
"""Entries read before others get their turn on the event loop."""
Part = Callable[[Context], Awaitable[dict[str, Json]]]


class Inventory:
    """Looks at a system, and remembers the entries it read so that those that have not changed cost nothing."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[tuple[str, ...], dict[str, Json]]] = {}

    async def look(self, context: Context, known: str = "") -> dict[str, Json]:
        """GET /v1/inventory?known=tag. AgentError when the directory or who is on cannot be asked, FieldError."""
        if known and (len(known) != _TAG or not known.isalnum()):
            raise FieldError("known", known, "the tag of an earlier answer")
        started = time.time()
        me = await context.machine.identity()
        directory, on = await asyncio.gather(
            context.call(f.QueryAllDM(target=me.userid, format="NO")),
            context.call(f.ImageStatusQuery(target="*"), allow=_NONE_ON),
        )
        rest, missing = await _parts(context)
        key = await asyncio.to_thread(entry_digests.key, context.settings.state)
        found = await self._entries(directory.reply.directory_entries_array, key)
        document: dict[str, Json] = {
            "system": me.system,
            "userid": me.userid,
            "entries": [*found],
            "on": [*sorted(on.reply.image_name_array)] if on.rc == 0 and on.data is not None else [],
            **rest,
            "missing": {name: missing[name] for name in sorted(missing)},
        }
        tag = await asyncio.to_thread(_tag, document)
        head: dict[str, Json] = {
            "at_seconds": round(started, 3),
            "took_ms": round((time.time() - started) * 1000, 1),
            "calls": len(context.calls),
            "tag": tag,
            "unchanged": tag == known,
        }
        return head if tag == known else head | document

    async def _entries(self, found: Iterable[f.DirectoryEntry], key: bytes) -> list[dict[str, Json]]:
        read: dict[str, tuple[tuple[str, ...], dict[str, Json]]] = {}
        for number, item in enumerate(found):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            kind = KINDS.get(item.directory_entry_type)
            if kind is None:
                continue
            name = item.directory_entry_id.strip()
            before = self._read.get(name)
            if before is not None and before[0] == item.directory_entry_data:
                read[name] = before
            else:
                read[name] = (item.directory_entry_data, _described(name, kind, item.directory_entry_data, key))
        self._read = read
        return [description for _, description in read.values()]


async def some(context: Context, named: str) -> dict[str, Json]:
    """GET /v1/inventory?userids=A,B: these entries as in the whole, without those that the directory has not, and which
    of them are on. One call for each, and one for who is on. FieldError."""
    userids = tuple(dict.fromkeys(queries.checked_userid(userid) for userid in named.split(",")))
    if len(userids) > _MOST:
        raise FieldError("userids", f"{len(userids)} userids", f"at most {_MOST}")
    key = await asyncio.to_thread(entry_digests.key, context.settings.state)
    found: list[Json] = []
    for at in range(0, len(userids), _AT_ONCE):
        part = userids[at : at + _AT_ONCE]
        for userid, entry in zip(part, await asyncio.gather(*(entries.query(context, u) for u in part)), strict=True):
            if entry is not None:
                found.append(_named(userid, entry.kind, entry.render(), key) | _facts(entry))
    alone = len(userids) == 1
    answer = await context.call(f.ImageStatusQuery(target=userids[0] if alone else "*"), allow=_NONE_ON)
    names = answer.reply.image_name_array if answer.rc == 0 and answer.data is not None else ()
    on = {userids[0]} if alone and (answer.rc, answer.rs) == (0, 0) else set(names)
    return {
        "at_seconds": round(time.time(), 3),
        "entries": found,
        "on": [userid for userid in sorted(userids) if userid in on],
    }


def _described(name: str, kind: str, records: Sequence[str], key: bytes) -> dict[str, Json]:
    found = _named(name, kind, records, key)
    try:
        entry = Entry.parse([text for record in records if (text := record.rstrip())])
    except DirectoryError as problem:
        return found | {"unreadable": f"line {problem.line}: {problem.operand}: {problem.limit}"}
    return found | _facts(entry)


def _named(name: str, kind: str, records: Sequence[str], key: bytes) -> dict[str, Json]:
    return {"userid": name, "kind": kind, "digest": entry_digests.digest(records, key)}


def _facts(entry: Entry) -> dict[str, Json]:
    include = entry.first("INCLUDE")
    return entries.facts_json(entry) | {
        "profile": include.operand(1) if include else "",
        "dedicated": [{"vdev": item.vdev, "rdev": item.rdev} for item in entry.dedicates],
        "nics": [*queries.nics_json(entry)],
    }


_PARTS: dict[str, Part] = {
    "pools": queries.all_pools,
    "volumes": system_queries.volumes,
    "vswitches": switch_queries.vswitches,
    "osas": system_queries.osas,
    "fcps": fcps.devices,
    "ssi": system_queries.ssi,
}


async def _parts(context: Context) -> tuple[dict[str, Json], dict[str, Json]]:
    """What is not the directory, and why a part of it is missing."""
    found: dict[str, Json] = {}
    missing: dict[str, Json] = {}

    async def ask(name: str, part: Part) -> None:
        try:
            answer = await part(context)
        except AgentError as problem:
            missing[name] = f"{problem.problem.code}: {problem.problem.detail}"
        else:
            found[name] = steady(answer) if name == "ssi" else answer[name]

    await asyncio.gather(*(ask(name, part) for name, part in _PARTS.items()))
    for pool in pools if isinstance(pools := found.get("pools"), list) else []:
        if isinstance(pool, dict):
            del pool["free_extents"], pool["used_extents"]
    return {name: found[name] for name in _PARTS if name in found}, missing


def steady(cluster: dict[str, Json]) -> dict[str, Json]:
    """The cluster without the times of its heartbeats: with them no look would ever find a system unchanged."""
    members = cluster.get("members")
    kept: list[Json] = [
        {name: value for name, value in member.items() if not name.endswith("_heartbeat")}
        for member in (members if isinstance(members, list) else [])
        if isinstance(member, dict)
    ]
    return {**cluster, "members": kept} if "members" in cluster else cluster


def _tag(document: dict[str, Json]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
