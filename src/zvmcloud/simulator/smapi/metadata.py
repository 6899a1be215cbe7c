"""Metadata that the server LOHCOST keeps for userids and other identifiers; names are case-sensitive."""

from __future__ import annotations

from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model_devices import Metadata
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

SERVER = "LOHCOST"
NOT_REACHED = (900, 68)
NO_MATCH, NONE_AT_ALL, SERVER_DOWN = (4, 4), (8, 8), (8, 12)
NAME_TOO_LONG = (24, 13)
MAX_NAME = 1024
#: Kilobytes that the server has room for.
SPACE_KB = 65_536


def _down(call: Call) -> bool:
    """Whether the metadata server is defined here and not logged on."""
    return SERVER in call.system.entries and SERVER not in call.system.machines


def _reach(call: Call) -> None:
    if _down(call):
        raise Refused(*NOT_REACHED)


def _key(identifier: str, name: str) -> str:
    return f"{identifier} {name}"


@handles(f.MetadataSet, authority="recorded")
def metadata_set(call: Call, request: f.MetadataSet) -> Done:
    """judgement: an empty value removes the name."""
    _reach(call)
    identifier = request.target.upper()
    for entry in request.metadata_entry_array:
        if len(entry.metadata_entry_name) > MAX_NAME:
            raise Refused(*NAME_TOO_LONG)
        key = _key(identifier, entry.metadata_entry_name)
        if entry.metadata:
            call.system.metadata.put(key, Metadata(identifier, entry.metadata_entry_name, entry.metadata))
        elif key in call.system.metadata:
            call.system.metadata.remove(key)
    return Done()


@handles(f.MetadataGet, authority="recorded")
def metadata_get(call: Call, request: f.MetadataGet) -> Done:
    """Recorded: a name without a value comes back with an empty one."""
    _reach(call)
    identifier = request.target.upper()
    array = []
    for name in request.metadata_name_list.split():
        found = call.system.metadata.get(_key(identifier, name))
        array.append(f.MetadataEntry(metadata_entry_name=name, metadata=found.value if found else ""))
    return Done(f.MetadataGetReply(metadata_entry_array=tuple(array)))


@handles(f.MetadataDelete, authority="document")
def metadata_delete(call: Call, request: f.MetadataDelete) -> Done:
    """judgement: names that do not exist are passed over."""
    _reach(call)
    identifier = request.target.upper()
    for name in request.metadata_name_list.split():
        if _key(identifier, name) in call.system.metadata:
            call.system.metadata.remove(_key(identifier, name))
    return Done()


@handles(f.MetadataSpaceQuery, authority="recorded")
def metadata_space_query(call: Call, request: f.MetadataSpaceQuery) -> Done:
    """Length and name of each match; total and free kilobytes for an empty key."""
    if _down(call):
        raise Refused(*SERVER_DOWN)
    identifier = request.target.upper()
    if not request.searchkey:
        used = sum(len(item.name) + len(item.value) for item in call.system.metadata.values())
        totals = (f"{SPACE_KB} TOTAL", f"{SPACE_KB - -(-used // 1024)} FREE")
        return Done(f.MetadataSpaceQueryReply(output_data=totals))
    mine = [item for item in call.system.metadata.values() if item.identifier == identifier]
    if not mine:
        raise Refused(*NONE_AT_ALL)
    wanted = request.searchkey
    found = [
        item
        for item in mine
        if item.name == wanted or (wanted.endswith("*") and item.name.startswith(wanted.removesuffix("*")))
    ]
    if not found:
        raise Refused(*NO_MATCH)
    return Done(f.MetadataSpaceQueryReply(output_data=tuple(f"{len(item.value)} {item.name}" for item in found)))
