"""guest.create and guest.delete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from zvmcloud.cp.answers import PowerState
from zvmcloud.directory.entry import Entry
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.declare import Answer
from zvmcloud.zhcp import entries, placement, queries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.guest_messages import CreateGuest, DeleteGuest
from zvmcloud.zhcp.operations import disks, power
from zvmcloud.zhcp.operations.context import Context

_KEEP = 0
_SENT, _OURS = "entry-sent", "entry"
"""Notes of guest.create and guest.define: z/VM is asked to make the entry; the entry is ours, because z/VM said that it
was made (or, in a journal of an earlier version, because there was none before)."""
_GONE = ((400, 4),)
_CLEAN_PAUSES = (0.1, 0.5, 0.0)
"""Seconds after each try to clean up that was refused."""


async def create(context: Context, request: CreateGuest) -> dict[str, Json]:
    """guest.create: the entry, then its disks; all of it or nothing."""
    records = entries.lines(request)
    minidisks = tuple(disk for disk in request.disks if not disk.vdisk_blocks)
    vdisks = tuple(disk for disk in request.disks if disk.vdisk_blocks)
    userid = request.userid
    if not context.begun:
        disks.check(context, request.disks)
    async with context.writing(userid):
        # A first run leaves it to z/VM to refuse a userid that is taken, and nothing was touched then. Where that
        # answer is missing, ours is told from another's by what is in it: of a guest that boots from a minidisk,
        # nobody uses an entry without it. Others are looked for before.
        look = request.ipl.zfill(4) not in {disk.vdev for disk in minidisks}
        sent = partial(entries.made_of, records=records)
        entry = None
        if look or may_have_made(context):
            asked = frozenset((disk.vdev, disk.size_units) for disk in minidisks)
            confirmed = partial(entries.may_be, records=records, added=asked)
            entry = await left_by_a_crash(context, userid, confirmed=confirmed, sent=sent)
        if context.begun:  # what a crash left goes, too, where the settings have changed since
            disks.check(context, request.disks)
        have = frozenset(disk.vdev for disk in entry.mdisks) if entry else frozenset()
        minidisks = await placement.placed(context, userid, minidisks, have)
        context.report(0.05, f"entry {userid}")
        if entry is None:
            definition = f.ImageCreateDM(target=userid, image_record_array=tuple(records))
            await make_entry(context, definition, sent, *(f"disk-{disk.vdev}" for disk in minidisks))
        await disks.add_all(context, userid, minidisks, have)
    context.report(1.0, f"{userid} is defined")
    return {"userid": userid, "disks": [disks.asked(disk) for disk in (*minidisks, *vdisks)]}


async def left_by_a_crash(
    context: Context, userid: str, *, confirmed: Callable[[Entry], bool], sent: Callable[[Entry], bool]
) -> Entry | None:
    """The entry that a run before a crash made, or may have made, and its undo. AgentError 409 `guest-exists` for
    another's.

    Without z/VM's word an entry is ours when `sent` says that it is what was sent. With it, somebody may have deleted
    it since and made another: it is ours while `confirmed` says that it can be.
    """
    entry = await entries.query(context, userid)
    if entry is None:
        return None
    if not may_have_made(context):
        raise entries.guest_exists(userid)
    if not (confirmed(entry) if context.intended(_OURS) else sent(entry)):
        raise entries.guest_exists(userid, ", not known to be of this operation, that a crash cut off")
    context.on_undo(f"entry {userid}", lambda: delete_entry(context, userid))
    await context.intend(_OURS, sync=False)
    return entry


def may_have_made(context: Context) -> bool:
    """Whether a run before a crash may have made the entry."""
    return context.intended(_SENT) or context.intended(_OURS)


async def make_entry(
    context: Context,
    request: f.ImageCreateDM,
    sent: Callable[[Entry], bool],
    *notes: str,
    allow: Sequence[tuple[int, int]] = (),
) -> Answer[f.ImageCreateDMReply]:
    """Make the entry. Without z/VM's word that it was made, its undo leaves one that is not what was `sent`."""
    userid, again = request.target, may_have_made(context)

    async def made() -> bool:
        entry = await entries.query(context, userid)
        return entry is not None and sent(entry)

    async def unsure() -> None:
        if await made():
            await delete_entry(context, userid)
        elif await entries.exists(context, userid):
            raise entries.guest_exists(userid, ", which is not the one that was sent")

    answer = await context.make(
        request, f"entry {userid}", lambda: delete_entry(context, userid),
        allow=allow, done=made, unsure=unsure, rerun=again, noting=(_SENT, *notes),
    )  # fmt: skip
    if answer.rc == 0:
        await context.intend(_OURS, sync=False)
    return answer


async def delete_entry(context: Context, userid: str) -> bool:
    """Delete an entry with its disks; False when there was none."""

    async def gone() -> bool:
        return not await entries.exists(context, userid)

    answer = await context.settle(f.ImageDeleteDM(target=userid, data_security_erase=_KEEP), gone, allow=_GONE)
    return answer.rc == 0


async def delete(context: Context, request: DeleteGuest) -> dict[str, Json]:
    """guest.delete: off, reader files, entry, VSWITCH rights. A guest that is gone already is done; one whose entry is
    not deleted is on again, if it was on, with its rights. Its reader is empty then: files of a userid that has no
    entry any more cannot be purged (396 53), so they go before it."""
    userid = request.userid
    async with context.writing(userid):
        state = await context.power(userid)
        if state is PowerState.ELSEWHERE:
            raise AgentError(
                409,
                "guest-elsewhere",
                f"{userid} is on another member of the SSI cluster",
                remedy="delete it through the agent of that member",
            )
        coupled = (await context.remember("coupled", " ".join(sorted(await _coupled(context, userid))))).split()
        if state is PowerState.ON:
            await context.remember("was", "on")
        if state in (PowerState.ON, PowerState.GOING_OFF):
            context.report(0.1, f"logging {userid} off")
            await power.log_off(context, userid)
        if context.recall("was") == "on":
            context.on_undo(f"{userid} is off", lambda: power.activate(context, userid))
        context.report(0.4, f"purging the reader of {userid}")
        await _tolerant(context, f.SystemRDRFileManage(target=userid, spoolids="ALL", action="PURGE"))
        context.report(0.6, f"deleting entry {userid}")
        context.past_return()
        existed = await delete_entry(context, userid)
        await _revoke(context, userid, coupled)
        if context.journal.granted(userid):
            await context.journal.revoked(userid)
        if not context.rehearsing:
            await asyncio.to_thread(queries.forget_console, context, userid)
    return {"userid": userid, "existed": existed}


async def _tolerant(context: Context, request: f.SystemRDRFileManage | f.VirtualNetworkVswitchSetExtended) -> None:
    """Cleaning up, tried a few times: what cannot be cleaned is reported among the calls, and does not keep the guest
    alive."""
    for pause in _CLEAN_PAUSES:
        try:
            await context.call(request)
        except AgentError as problem:
            if problem.problem.smapi is None:
                raise
            await asyncio.sleep(pause)
        else:
            return


async def _coupled(context: Context, userid: str) -> set[str]:
    """The VSWITCHes that the entry's adapters are coupled to; none of an entry that cannot be read."""
    try:
        entry = await entries.query(context, userid)
    except AgentError as problem:
        if problem.problem.code != "entry-unreadable":
            raise
        return set()
    nics = entry.nicdefs if entry is not None else ()
    return {nic.lan_name for nic in nics if nic.lan_name and nic.lan_owner in ("", "SYSTEM")}


async def _revoke(context: Context, userid: str, coupled: Sequence[str]) -> None:
    """Take away the rights on VSWITCHes: of the entry's adapters, and those that this agent gave the userid.

    A VSWITCH is not asked who has a right on it: with thousands of guests that answer has thousands of records. A right
    that others gave to a userid without an adapter stays theirs.
    """
    for switch in sorted({*coupled, *context.journal.granted(userid)}):
        change = f.VirtualNetworkVswitchSetExtended(
            target=userid, switch_name=switch, revoke_userid=userid, persist="YES"
        )
        await _tolerant(context, change)
