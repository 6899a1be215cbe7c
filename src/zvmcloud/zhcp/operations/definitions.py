"""guest.define and guest.change: an entry from a prototype or a full text; changes of an entry in one replacement."""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import commands
from zvmcloud.cp.answers import PowerState
from zvmcloud.directory import statements
from zvmcloud.directory.entry import Entry
from zvmcloud.directory.statements import DirectoryError, Statement
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.entry_messages import ChangeGuest, DefineGuest, written_share
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.guests import left_by_a_crash, make_entry, may_have_made
from zvmcloud.zhcp.operations.replacing import entry_before, replace_entry, taken_back, told

_NO_PROTOTYPE = ((400, 20), (416, 4))
_NO_CLASS = (1, 2, 3, 6)
"""CP's numbers for a command or an option that the caller's privilege class does not have."""


async def define(context: Context, request: DefineGuest) -> dict[str, Json]:
    """guest.define"""
    userid = request.userid
    records = _records(request) if request.entry else ()
    async with context.writing(userid):
        again = may_have_made(context)

        def sent(entry: Entry) -> bool:
            """What a prototype makes cannot be foretold: it is ours when there was none before, in this run."""
            return entries.made_of(entry, records) if records else not again

        def confirmed(entry: Entry) -> bool:
            return not records or entries.may_be(entry, records)

        entry = await left_by_a_crash(context, userid, confirmed=confirmed, sent=sent)
        if entry is None:
            definition = f.ImageCreateDM(
                target=userid,
                prototype_name=request.prototype,
                initial_password=(request.password or "") if request.prototype else "",
                initial_account_number=request.account if request.prototype else "",
                image_record_array=records,
            )
            answer = await make_entry(context, definition, sent, allow=_NO_PROTOTYPE)
            if (answer.rc, answer.rs) in _NO_PROTOTYPE:
                raise AgentError(
                    404, "prototype-unknown", f"the directory manager has no prototype {request.prototype}",
                    remedy="name a prototype that it has, or give the records of the entry",
                )  # fmt: skip
        entry = await entries.must_exist(context, userid)
    context.report(1.0, f"{userid} is defined")
    return {"userid": userid, "disks": entries.disks_json(entry)}


def _records(request: DefineGuest) -> tuple[str, ...]:
    """The records as they are sent, checked. FieldError, AgentError 400."""
    entry = entries.checked([record for record in request.entry if record.strip()])
    if not entry.is_machine:
        raise FieldError("entry", entry.kind, "the first record is a USER or IDENTITY statement")
    if entry.name != request.userid:
        raise FieldError("entry", entry.name, f"the first record names {request.userid}")
    if request.password:
        entry = entry.with_operand(2, request.password.upper())
    if request.account:
        entry = entry.with_only("ACCOUNT", statements.make("ACCOUNT", request.account))
    return entry.render()


# -- changes ----------------------------------------------------------------------------------------------------------


async def change(context: Context, request: ChangeGuest) -> dict[str, Json]:
    """guest.change. All of the entry (in a run after a crash, of that of before) is checked before it is locked; when
    the running guest refuses, it is put back."""
    userid = request.userid
    async with context.writing(userid):
        before, _ = await entry_before(context, userid, password=request.password is not None)
        wanted = changed(before, request)
        live = request.live and await context.power(userid) is PowerState.ON
        context.report(0.2, f"entry {userid}")
        context.on_undo(f"entry {userid}", lambda: replace_entry(context, userid, taken_back(before, wanted)))
        await replace_entry(context, userid, lambda now: changed(now, request))
        if live:
            live = await set_share(context, userid, written_share(request.share or ""))
    altered = [" ".join(item.masked()) for item in wanted.statements if item not in before.statements]
    removed = [" ".join(item.masked()) for item in before.statements if item not in wanted.statements]
    changes: dict[str, Json] = {"added": [*altered], "removed": [*removed], "live": live}
    return {"userid": userid, **changes, "before": told(before, wanted)}


def changed(entry: Entry, request: ChangeGuest) -> Entry:
    """The entry with the changes. FieldError and AgentError 400, 404, 409 say which change it does not take."""
    try:
        return _devices(_commands(_statements(_first(entry, request), request), request), request)
    except DirectoryError as problem:
        raise AgentError(
            400, "bad-parameter", f"the entry would not be accepted: {problem}", remedy="correct the parameter it names"
        ) from problem


def _first(entry: Entry, request: ChangeGuest) -> Entry:
    """Password, maximum storage and privilege classes."""
    if not entry.is_machine:
        raise AgentError(409, "not-a-guest", f"{entry.name} is a {entry.kind}, not a virtual machine")
    if request.password is not None:
        entry = entry.with_operand(2, request.password.upper())
    if request.max_memory_mb is not None:
        initial = entry.storage_kib // 1024
        if request.max_memory_mb < initial:
            raise FieldError("max_memory_mb", request.max_memory_mb, f"at least the {initial} MB that it starts with")
        entry = entry.with_operand(4, entries.storage(request.max_memory_mb))
    if request.privilege_classes is not None:
        entry = entry.with_only("CLASS", None).with_operand(5, request.privilege_classes)
    return entry


def _statements(entry: Entry, request: ChangeGuest) -> Entry:
    """Statements of which an entry has one, or one group."""
    if request.max_cpus is not None:
        highest = max(int(address, 16) for address in entry.cpus)
        if highest >= request.max_cpus:
            raise FieldError(
                "max_cpus", request.max_cpus, f"at least {highest + 1}: the entry defines processor {highest:02X}"
            )
        entry = entry.with_only("MACHINE", statements.make("MACHINE", entry.machine[0], request.max_cpus))
    if request.loaddev is not None:
        entry = _group(entry, "LOADDEV", [_parsed(record) for record in entries.loaddev_records(request.loaddev)])
    single = (
        ("INCLUDE", request.profile),
        ("ACCOUNT", request.account),
        ("SHARE", None if request.share is None else written_share(request.share)),
    )
    for keyword, value in single:
        if value is not None:
            entry = entry.with_only(keyword, _parsed(f"{keyword} {value}") if value else None)
    if request.logonby is not None:
        entry = _group(entry, "LOGONBY", [_parsed(f"LOGONBY {' '.join(request.logonby)}")] if request.logonby else [])
    if request.ipl is not None:
        record = entries.ipl_record(request.ipl, request.ipl_parm, request.loadparm)
        entry = entry.with_only("IPL", _parsed(record) if record else None)
    return entry


def _commands(entry: Entry, request: ChangeGuest) -> Entry:
    """COMMAND statements, and comments."""
    if request.cpu_pool is not None:
        entry = _command(entry, ("SCHEDULE",), entries.pool_record(request.cpu_pool) if request.cpu_pool else "")
    if request.relocation_domain is not None:
        domain = entries.domain_record(request.relocation_domain) if request.relocation_domain else ""
        entry = _command(entry, ("SET", "VMRELOCATE"), domain)
    if request.comments is not None:
        kept = entry.without(lambda item: item.is_comment and item.words[:1] == ("*",))
        entry = kept.add(*(_parsed(f"* {comment}") for comment in request.comments))
    return entry


def _devices(entry: Entry, request: ChangeGuest) -> Entry:
    have = {item.vdev: item.rdev for item in entry.dedicates}
    for vdev in request.undedicate:
        if vdev in have:
            entry = entry.without_device(vdev)
    for vdev, rdev in request.dedicate:
        if have.get(vdev) == rdev and vdev not in request.undedicate:
            continue
        if vdev in entry.device_addresses:
            raise AgentError(
                409, "device-exists", f"{request.userid} already has a device {vdev}",
                remedy="choose another virtual device number, or remove the one there",
            )  # fmt: skip
        entry = entry.add(statements.make("DEDICATE", vdev, rdev))
    return entry


def _parsed(record: str) -> Statement:
    """FieldError when it is too long for a directory record."""
    if len(record) > statements.COLUMNS:
        limit = f"a directory record has at most {statements.COLUMNS} characters"
        raise FieldError("entry", statements.shown(record), limit)
    return statements.split([record])[0]


def _group(entry: Entry, keyword: str, new: Sequence[Statement]) -> Entry:
    """Statements in the place of all with that keyword; where there were none, behind the entry statement."""
    items = list(entry.statements)
    at = next((number for number, item in enumerate(items) if item.keyword == keyword), 0)
    if not at:
        at = 1 + sum(item.keyword == "INCLUDE" for item in items)
    kept_before = [item for item in items[:at] if item.keyword != keyword]
    kept_after = [item for item in items[at:] if item.keyword != keyword]
    return Entry.of((*kept_before, *new, *kept_after))


def _command(entry: Entry, words: Sequence[str], record: str) -> Entry:
    """One COMMAND statement that begins with these words, in the place of those that are there; empty: none."""

    def is_it(item: Statement) -> bool:
        return item.keyword == "COMMAND" and item.words[1 : 1 + len(words)] == tuple(words)

    if not record:
        return entry.without(is_it)
    new = _parsed(record)
    found = [item for item in entry.statements if is_it(item)]
    if not found:
        items = list(entry.statements)
        last = max((at for at, item in enumerate(items) if item.keyword in ("COMMAND", "INCLUDE")), default=0)
        return Entry.of((*items[: last + 1], new, *items[last + 1 :]))
    return Entry.of([new if item is found[0] else item for item in entry.statements if item not in found[1:]])


async def set_share(context: Context, userid: str, share: str) -> bool:
    """The share of the running machine, where the agent has class A; without it the share counts at the next logon."""
    answer = await context.cp(commands.set_share(userid, share), allow=_NO_CLASS)
    return answer.rc == 0
