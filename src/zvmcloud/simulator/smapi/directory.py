"""The directory manager as a whole: work units, local tags, search, everything at once, online and offline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import held_disks, local_tags
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.smapi.definition_keywords import describe
from zvmcloud.simulator.smapi.images import padded
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f

NOT_FOUND = (452, 4)
EMPTY = (8, 28)
_KINDS = {"USER": 0, "PROFILE": 1, "DIRECTORY": 4, "GLOBALDEFS": 5, "IDENTITY": 6, "SUBCONFIG": 7}
_OTHER = 8


# -- work units -------------------------------------------------------------------------------------------------------


@handles(f.QueryAsynchronousOperationDM, authority="recorded")
def query_asynchronous_operation_dm(call: Call, request: f.QueryAsynchronousOperationDM) -> Done:
    operation = call.system.operations.get(str(request.operation_id))
    if operation is None:
        # Recorded: an unknown id is answered with 0/0.
        return Done()
    return Done(rs={"done": 100, "running": 104}.get(operation.state, 108))


@handles(f.DirectoryManagerTaskCancelDM, authority="recorded")
def directory_manager_task_cancel_dm(call: Call, request: f.DirectoryManagerTaskCancelDM) -> Done:
    """Work that has not begun will not be; work that has ended is not found (judgement)."""
    operation = call.system.operations.get(str(request.operation_id))
    if operation is None or operation.state != "running":
        raise Refused(*NOT_FOUND)
    call.system.operations.put(str(request.operation_id), replace(operation, state="cancelled"))
    return Done()


# -- online and offline -----------------------------------------------------------------------------------------------


@handles(f.StaticImageChangesActivateDM, authority="document")
def static_image_changes_activate_dm(call: Call, _request: f.StaticImageChangesActivateDM) -> Done:
    """Judgement: going online brings what waits into effect as well."""
    call.system.changes.set_mode(replace(call.system.changes.mode, online=True))
    held_disks.let_go(call.system)
    call.system.changes.put_into_effect()
    return Done()


@handles(f.StaticImageChangesDeactivateDM, authority="document")
def static_image_changes_deactivate_dm(call: Call, _request: f.StaticImageChangesDeactivateDM) -> Done:
    call.system.changes.set_mode(replace(call.system.changes.mode, online=False))
    return Done()


@handles(f.StaticImageChangesImmediateDM, authority="document")
def static_image_changes_immediate_dm(call: Call, _request: f.StaticImageChangesImmediateDM) -> Done:
    held_disks.let_go(call.system)
    call.system.changes.put_into_effect()
    return Done()


# -- local tags -------------------------------------------------------------------------------------------------------


@handles(f.DirectoryManagerLocalTagDefineDM, directory=True, authority="recorded")
def local_tag_define(call: Call, request: f.DirectoryManagerLocalTagDefineDM) -> Done:
    name = request.tag_name.upper()
    if request.define_action == 2:
        local_tags.change(call.system, name, request.tag_ordinal)
    else:
        local_tags.define(call.system, name, request.tag_ordinal)
    return Done()


@handles(f.DirectoryManagerLocalTagDeleteDM, directory=True, authority="recorded")
def local_tag_delete(call: Call, request: f.DirectoryManagerLocalTagDeleteDM) -> Done:
    local_tags.delete(call.system, request.tag_name.upper())
    return Done()


@handles(f.DirectoryManagerLocalTagSetDM, directory=True, authority="recorded")
def local_tag_set(call: Call, request: f.DirectoryManagerLocalTagSetDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    if not request.tag_value.isprintable():
        raise Refused(24, 699)
    tags = local_tags.with_value(call.system, record.tags, request.tag_name.upper(), request.tag_value)
    call.system.entries.put(record.entry.name, replace(record, tags=tags))
    return Done()


@handles(f.DirectoryManagerLocalTagQueryDM, authority="recorded")
def local_tag_query(call: Call, request: f.DirectoryManagerLocalTagQueryDM) -> Done:
    """Judgement: a tag that is not defined is carried by nobody, 0/28."""
    found = local_tags.value(dm.find(call.system, request.target), request.tag_name.upper())
    return Done(f.DirectoryManagerLocalTagQueryDMReply(tag_value=found), rs=0 if found else 28)


# -- reading it all ---------------------------------------------------------------------------------------------------


@handles(f.DirectoryManagerSearchDM, authority="recorded")
def directory_manager_search_dm(call: Call, request: f.DirectoryManagerSearchDM) -> Done:
    """Statements that begin with the words of the pattern; the last records of a long one are left out."""
    pattern = request.search_pattern.upper().split()
    found = tuple(
        f.FoundStatement(target_id=name, statement=line)
        for name, record in sorted(call.system.entries.items())
        for line in _matching(call.system, record, pattern)
    )
    return Done(f.DirectoryManagerSearchDMReply(statement_array=found), rs=0 if found else 28)


def _matching(system: System, record: DirectoryEntry, pattern: list[str]) -> Iterator[str]:
    for statement in record.entry.statements:
        words = tuple(" ".join(statement.words).upper().split()) if statement.is_comment else statement.words
        if words and _fits(pattern, words):
            yield statement.records[0]
    for line in local_tags.render(system, record.tags):
        if _fits(pattern, tuple(line.upper().split())):
            yield line


def _fits(pattern: list[str], words: tuple[str, ...]) -> bool:
    if len(words) < len(pattern):
        return False
    return all(
        word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted
        for wanted, word in zip(pattern, words, strict=False)
    )


@handles(f.QueryAllDM, authority="recorded")
def query_all_dm(call: Call, request: f.QueryAllDM) -> Done:
    form = (request.format or "NO").upper()
    if form not in ("YES", "NO"):
        raise Refused(8, 3003)
    entries = tuple(_as_keywords(call.system) if form == "YES" else _as_records(call.system))
    if not entries:
        raise Refused(*EMPTY)
    return Done(f.QueryAllDMReply(directory_entries_array=entries))


def _as_records(system: System) -> Iterator[f.DirectoryEntry]:
    for kind, records in _header(system):
        yield f.DirectoryEntry(
            directory_entry_type=_KINDS[kind], directory_entry_id=kind, directory_entry_data=padded(tuple(records))
        )
    for name, record in sorted(system.entries.items()):
        yield f.DirectoryEntry(
            directory_entry_type=_KINDS.get(record.entry.kind, _OTHER),
            directory_entry_id=name,
            directory_entry_data=padded(dm.shown(system, record)),
        )


def _header(system: System) -> Iterator[tuple[str, list[str]]]:
    """What an imported directory has before its first entry, in two parts."""
    source = system.source_files.get("source")
    parts: dict[str, list[str]] = {}
    current = "DIRECTORY"
    for record in source.header if source else ():
        words = record.upper().split()
        if words and words[0] == "GLOBALDEFS":
            current = "GLOBALDEFS"
        parts.setdefault(current, []).append(record)
    yield from parts.items()


def _as_keywords(system: System) -> Iterator[f.DirectoryEntry]:
    """Recorded: only USER and PROFILE entries are shown in this form."""
    for name, record in sorted(system.entries.items()):
        if record.entry.kind in ("USER", "PROFILE"):
            yield f.DirectoryEntry(
                directory_entry_type=_KINDS[record.entry.kind],
                directory_entry_id=name,
                directory_entry_data=describe(system, record.entry),
            )
