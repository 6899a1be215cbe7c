"""Dumps of CP: those that wait in the reader of OPERATNS, and those it has loaded."""

from __future__ import annotations

import time

from zvmcloud.simulator import dumps, spool
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

SERVER_OFF = (200, 12)
NO_DUMPS = 28
BAD_VALUE = (8, 3003)
IN_READER, IN_SFS = 1, 2


def _server(call: Call) -> None:
    if dumps.SERVER not in call.system.machines:
        raise Refused(*SERVER_OFF)


@handles(f.QueryABENDDump, authority="recorded")
def query_abend_dump(call: Call, request: f.QueryABENDDump) -> Done:
    """Recorded: dumps of the reader first, with their distribution code; loaded ones have none."""
    _server(call)
    where = request.location.upper()
    array = []
    if where in ("RDR", "ALL"):
        array += [
            f.AbendDump(
                abend_dump_loc=IN_READER,
                abend_dump_id=file.spoolid,
                abend_dump_date=time.strftime("%Y-%m-%d", time.gmtime(file.created)),
                abend_dump_dist=file.distribution[:8],
            )
            for file in dumps.waiting(call.system)
        ]
    if where in ("SFS", "ALL"):
        array += [
            f.AbendDump(abend_dump_loc=IN_SFS, abend_dump_id=dump.name, abend_dump_date=dump.date, abend_dump_dist="")
            for dump in sorted(call.system.dumps.values(), key=lambda item: item.name)
        ]
    return Done(f.QueryABENDDumpReply(abend_dump_array=tuple(array)), rs=0 if array else NO_DUMPS)


@handles(f.ProcessABENDDump, authority="recorded")
def process_abend_dump(call: Call, request: f.ProcessABENDDump) -> Done:
    """judgement: 8/3003 without a dump to process, and for a number that is none; ALL takes what is there."""
    _server(call)
    found = dumps.waiting(call.system)
    wanted = (request.spoolid or "").upper()
    if wanted == "ALL":
        chosen = found
    elif wanted:
        chosen = [file for file in found if wanted.isdecimal() and int(file.spoolid) == int(wanted)]
    else:
        chosen = found[:1]
    if not chosen and wanted != "ALL":
        raise Refused(*BAD_VALUE)
    for file in chosen:
        dumps.process(call.system, file)
    return Done()


@handles(f.DeleteABENDDump, authority="recorded")
def delete_abend_dump(call: Call, request: f.DeleteABENDDump) -> Done:
    """judgement: 8/3003 for a dump that does not exist."""
    _server(call)
    name = request.id.upper()
    if name in call.system.dumps:
        call.system.dumps.remove(name)
        return Done()
    for file in dumps.waiting(call.system):
        if name.isdecimal() and int(file.spoolid) == int(name):
            spool.purge(call.system, file)
            return Done()
    raise Refused(*BAD_VALUE)
