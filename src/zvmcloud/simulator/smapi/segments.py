"""Saved segments (shared memory) and the NAMESAVE statements that open restricted ones to userids."""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.directory import Entry, statements
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model_devices import PageRange, Segment
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

EXISTS_ALREADY = (424, 4)
NOT_FOUND = (424, 8)
NO_OUTPUT = 20
BAD_RANGE, NOT_ON, NOT_SAVED, CONFLICT, NO_SEGMENT = (600, 8), (600, 12), (600, 16), (600, 24), (600, 28)
SKELETON_EXISTS = (600, 299)
USER_NOT_FOUND, NAMESAVE_THERE = 4, 12
SKELETON, OPEN, RESTRICTED, PENDING = 1, 2, 3, 4
#: Last 4 KiB page below 2 GiB less the page that no segment may have.
LAST_PAGE = 524_031


def has_access(entry: Entry, name: str) -> bool:
    """Whether an entry has a NAMESAVE statement with that segment."""
    return any(name in item.words[1:] for item in entry.every("NAMESAVE"))


def _named(call: Call, target: str) -> tuple[str, ...]:
    """The userids of a target: members of a list, or the one. Refused 400/4 for a userid without an entry."""
    if target.upper() not in call.system.entries:
        members = targets.members(call.system, target)
        if members is not None:
            return members
    return (dm.find(call.system, target).entry.name,)


def _add_access(call: Call, userid: str, name: str) -> bool:
    """Add NAMESAVE to an entry; False when it was there. Refused 400/4, 400/12."""
    record = dm.unlocked(call.system, userid)
    if has_access(record.entry, name):
        return False
    dm.put(call.system, record, dm.add_statement(record.entry, statements.make("NAMESAVE", name)))
    return True


def _remove_access(call: Call, userid: str, name: str) -> bool:
    record = dm.unlocked(call.system, userid)
    if not has_access(record.entry, name):
        return False
    entry = record.entry
    for item in entry.every("NAMESAVE"):
        if name not in item.words[1:]:
            continue
        rest = tuple(word for word in item.words[1:] if word != name)
        entry = entry.without(lambda other, gone=item: other is gone)  # type: ignore[misc]
        if rest:
            entry = dm.add_statement(entry, statements.make("NAMESAVE", *rest))
    dm.put(call.system, record, entry)
    return True


@handles(f.SharedMemoryAccessAddDM, directory=True, authority="recorded")
def shared_memory_access_add_dm(call: Call, request: f.SharedMemoryAccessAddDM) -> Done:
    """The segment need not be saved yet. judgement: in a list, a member that has access already is passed over."""
    name = request.memory_segment_name.upper()
    userids = _named(call, request.target)
    added = [_add_access(call, userid, name) for userid in userids]
    if not any(added):
        raise Refused(*EXISTS_ALREADY)
    return Done()


@handles(f.SharedMemoryAccessRemoveDM, directory=True, authority="recorded")
def shared_memory_access_remove_dm(call: Call, request: f.SharedMemoryAccessRemoveDM) -> Done:
    name = request.memory_segment_name.upper()
    removed = [_remove_access(call, userid, name) for userid in _named(call, request.target)]
    if not any(removed):
        raise Refused(*NOT_FOUND)
    return Done()


@handles(f.SharedMemoryAccessQueryDM, authority="recorded")
def shared_memory_access_query_dm(call: Call, request: f.SharedMemoryAccessQueryDM) -> Done:
    """judgement: 0/20 when none of the userids has access to a segment that somebody has; 424/8 when nobody has."""
    name = request.memory_segment_name.upper()
    found = tuple(
        userid
        for userid in _named(call, request.target)
        if (record := call.system.entries.get(userid)) is not None and has_access(record.entry, name)
    )
    if not found:
        anyone = any(has_access(record.entry, name) for record in call.system.entries.values())
        if not anyone and name not in call.system.segments:
            raise Refused(*NOT_FOUND)
        return Done(f.SharedMemoryAccessQueryDMReply(name_array=()), rs=NO_OUTPUT)
    return Done(f.SharedMemoryAccessQueryDMReply(name_array=found))


def _open_to(call: Call, identifier: str, name: str) -> int:
    """Let a userid or the members of a list use a segment; gives the reason code."""
    if not identifier:
        return 0
    userids = targets.members(call.system, identifier) or (identifier.upper(),)
    known = [userid for userid in userids if call.system.entry(userid) is not None]
    if not known:
        return USER_NOT_FOUND
    added = [_add_access(call, userid, name) for userid in known]
    return 0 if any(added) else NAMESAVE_THERE


@handles(f.SharedMemoryCreate, authority="recorded")
def shared_memory_create(call: Call, request: f.SharedMemoryCreate) -> Done:
    """judgement: saving a segment of the same name replaces it; a userid to open it to makes it restricted, and
    contradicts UNRSTD.
    """
    name = request.memory_segment_name.upper()
    if not 0 <= request.begin_page <= request.end_page <= LAST_PAGE:
        raise Refused(*BAD_RANGE)
    if request.page_access_descriptor not in range(1, 8):
        raise Refused(24, 819)
    if request.memory_attributes not in (0, 1, 2):
        raise Refused(24, 919)
    restricted = request.memory_attributes == 1 or (
        request.memory_attributes == 0 and bool(request.memory_access_identifier)
    )
    if request.memory_access_identifier and not restricted:
        raise Refused(*CONFLICT)
    found = call.system.segments.get(name)
    if found is not None and found.status == SKELETON:
        raise Refused(*SKELETON_EXISTS)
    pages = PageRange(request.begin_page, request.end_page, request.page_access_descriptor)
    call.system.segments.put(name, Segment(name, RESTRICTED if restricted else OPEN, (pages,)))
    return Done(rs=_open_to(call, request.memory_access_identifier, name))


@handles(f.SharedMemoryReplace, authority="recorded")
def shared_memory_replace(call: Call, request: f.SharedMemoryReplace) -> Done:
    """A skeleton becomes active, an active segment is saved anew. Recorded: 0/12 when the NAMESAVE is there."""
    name = request.memory_segment_name.upper()
    found = call.system.segments.get(name)
    if found is None or found.status == PENDING:
        raise Refused(*NO_SEGMENT)
    restricted = bool(request.memory_access_identifier) or found.status == RESTRICTED
    call.system.segments.put(name, replace(found, status=RESTRICTED if restricted else OPEN))
    return Done(rs=_open_to(call, request.memory_access_identifier, name))


@handles(f.SharedMemoryDelete, authority="recorded")
def shared_memory_delete(call: Call, request: f.SharedMemoryDelete) -> Done:
    """The segment goes; NAMESAVE statements stay. judgement: the segments of a server that runs wait (status 4)."""
    name = request.memory_segment_name.upper()
    found = call.system.segments.get(name)
    if found is None or found.status == PENDING:
        raise Refused(*NO_SEGMENT)
    if name in ("SMAPIOUT", "PERFOUT") and "PERSMAPI" in call.system.machines:
        call.system.segments.put(name, replace(found, status=PENDING))
    else:
        call.system.segments.remove(name)
    return Done()


@handles(f.SharedMemoryQuery, authority="recorded")
def shared_memory_query(call: Call, request: f.SharedMemoryQuery) -> Done:
    wanted = request.memory_segment_name.upper()
    found = [item for item in call.system.segments.values() if wanted in ("*", item.name) and item.kind == "DCSS"]
    if not found:
        return Done(f.SharedMemoryQueryReply(memory_segment_array=()), rs=28)
    array = tuple(
        f.MemorySegment(
            memory_segment_name=segment.name,
            memory_segment_status=segment.status,
            page_range_array=tuple(
                f.MemorySegmentPageRange(begin_page=item.first, end_page=item.last, page_access_descriptor=item.access)
                for item in segment.ranges
            ),
        )
        for segment in found
    )
    return Done(f.SharedMemoryQueryReply(memory_segment_array=array))
