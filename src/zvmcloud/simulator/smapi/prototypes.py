"""Prototypes of entries."""

from __future__ import annotations

from zvmcloud.simulator import prototypes
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.smapi.images import padded
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f


@handles(f.PrototypeCreateDM, authority="document")
def prototype_create_dm(call: Call, request: f.PrototypeCreateDM) -> Done:
    prototypes.define(call.system, request.target, request.prototype_record_array)
    return Done()


@handles(f.PrototypeDeleteDM, authority="document")
def prototype_delete_dm(call: Call, request: f.PrototypeDeleteDM) -> Done:
    prototypes.delete(call.system, request.target)
    return Done()


@handles(f.PrototypeNameQueryDM, authority="document")
def prototype_name_query_dm(call: Call, _request: f.PrototypeNameQueryDM) -> Done:
    names = tuple(sorted(call.system.prototypes))
    if not names:
        raise Refused(*prototypes.NOT_FOUND)
    return Done(f.PrototypeNameQueryDMReply(prototype_name_array=names))


@handles(f.PrototypeQueryDM, authority="document")
def prototype_query_dm(call: Call, request: f.PrototypeQueryDM) -> Done:
    found = prototypes.find(call.system, request.target)
    return Done(f.PrototypeQueryDMReply(prototype_record_array=padded(found.records)))


@handles(f.PrototypeReplaceDM, authority="document")
def prototype_replace_dm(call: Call, request: f.PrototypeReplaceDM) -> Done:
    prototypes.replace(call.system, request.target, request.prototype_record_array)
    return Done()
