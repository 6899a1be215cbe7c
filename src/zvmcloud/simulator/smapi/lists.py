"""Name lists and the authorization file."""

from __future__ import annotations

from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Authorization, NameList
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.registry import REGISTRY

NO_LIST = (200, 24)


def _list_name(text: str) -> str:
    name = text.upper()
    if name.startswith(":"):
        raise Refused(24, 401)
    if not name or len(name) > 64 or " " in name:
        raise Refused(24, 499)
    return name


@handles(f.NameListAdd, authority="recorded")
def name_list_add(call: Call, request: f.NameListAdd) -> Done:
    name, member = _list_name(request.target), _member(request.name)
    found = call.system.name_lists.get(name)
    if found is None:
        call.system.name_lists.put(name, NameList(name, (member,)))
        return Done(rs=12)
    if _has(found, member):
        return Done(rs=36)
    call.system.name_lists.put(name, NameList(name, (*found.members, member)))
    return Done()


def _member(text: str) -> str:
    """A function keeps its documented spelling, anything else is upper-cased."""
    function = REGISTRY.get(text)
    return function.name if function is not None else text.upper()


def _has(found: NameList, member: str) -> bool:
    return any(item.upper() == member.upper() for item in found.members)


@handles(f.NameListRemove, authority="recorded")
def name_list_remove(call: Call, request: f.NameListRemove) -> Done:
    name = _list_name(request.target)
    found = call.system.name_lists.get(name)
    if found is None:
        raise Refused(*NO_LIST)
    if not _has(found, request.name):
        return Done(rs=32)
    kept = tuple(item for item in found.members if item.upper() != request.name.upper())
    if not kept:
        call.system.name_lists.remove(name)
        return Done(rs=16)
    call.system.name_lists.put(name, NameList(name, kept))
    return Done()


@handles(f.NameListQuery, authority="recorded")
def name_list_query(call: Call, request: f.NameListQuery) -> Done:
    if request.target == "*":
        return Done(f.NameListQueryReply(name_array=tuple(call.system.name_lists)))
    found = call.system.name_lists.get(_list_name(request.target))
    if found is None:
        raise Refused(*NO_LIST)
    return Done(f.NameListQueryReply(name_array=found.members))


@handles(f.NameListDestroy, authority="recorded")
def name_list_destroy(call: Call, request: f.NameListDestroy) -> Done:
    name = _list_name(request.target)
    if name not in call.system.name_lists:
        raise Refused(*NO_LIST)
    call.system.name_lists.remove(name)
    return Done()


def _key(record: Authorization) -> str:
    return f"{record.requester} {record.target} {record.function}".upper()


@handles(f.AuthorizationListAdd, authority="recorded")
def authorization_list_add(call: Call, request: f.AuthorizationListAdd) -> Done:
    requester = request.target.upper()
    target = requester if request.for_id == "=" else request.for_id.upper()
    record = Authorization(requester, target, _member(request.function_id))
    if _key(record) in call.system.authorizations:
        raise Refused(108, 0)
    call.system.authorizations.put(_key(record), record)
    return Done()


@handles(f.AuthorizationListRemove, authority="recorded")
def authorization_list_remove(call: Call, request: f.AuthorizationListRemove) -> Done:
    chosen = _select(call, request.target, request.for_id, request.function_id)
    if not chosen:
        raise Refused(112, 0)
    for record in chosen:
        call.system.authorizations.remove(_key(record))
    return Done()


def _select(call: Call, requester: str, target: str, function: str) -> list[Authorization]:
    requester, target, function = requester.upper(), target.upper(), function.upper()
    if target == "=":
        target = requester
    return [
        record
        for record in call.system.authorizations.values()
        if requester in ("", "*", record.requester)
        and target in ("", "*", record.target)
        and function in ("", "*", record.function.upper())
    ]


@handles(f.AuthorizationListQuery, authority="recorded")
def authorization_list_query(call: Call, request: f.AuthorizationListQuery) -> Done:
    lists = call.system.name_lists
    array = tuple(
        f.Authorization(
            requesting_userid=record.requester,
            requesting_list_indicator=int(record.requester in lists),
            for_userid=record.target,
            for_list_indicator=int(record.target in lists),
            function_name=record.function,
            function_list_indicator=int(record.function in lists),
        )
        for record in _select(call, request.target, request.for_id, request.function_id)
    )
    return Done(f.AuthorizationListQueryReply(auth_record_array=array))
