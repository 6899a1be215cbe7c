"""guest.create and guest.delete."""

from __future__ import annotations

import asyncio

from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries, placement, pools, queries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.messages import CreateGuest, DeleteGuest, NewDisk
from zvmcloud.zhcp.operations import disks, power
from zvmcloud.zhcp.operations.context import Context

_KEEP = 0
_GONE = ((400, 4),)


async def create(context: Context, request: CreateGuest) -> dict[str, Json]:
    """guest.create: the entry, then its disks; all of it or nothing."""
    records = entries.lines(request)
    disks.check_tools(request.disks)
    pools.check_allowed(context, request.disks)
    minidisks = tuple(disk for disk in request.disks if not disk.vdisk_blocks)
    vdisks = tuple(disk for disk in request.disks if disk.vdisk_blocks)
    userid = request.userid
    async with context.writing(userid):
        entry = await entries.query(context, userid)
        if entry is not None and not context.intended("entry"):
            raise entries.guest_exists(userid)
        have = frozenset(disk.vdev for disk in entry.mdisks) if entry else frozenset()
        minidisks = await placement.placed(context, userid, minidisks, have)
        context.report(0.05, f"entry {userid}")
        if entry is None:
            await context.intend("entry", *(f"disk-{disk.vdev}" for disk in minidisks))
            made = f.ImageCreateDM(target=userid, image_record_array=records)
            await context.make(
                made, f"entry {userid}", lambda: delete_entry(context, userid),
                done=lambda: entries.exists(context, userid),
            )  # fmt: skip
        else:
            context.on_undo(f"entry {userid}", lambda: delete_entry(context, userid))
        await disks.add_all(context, userid, minidisks, have)
    context.report(1.0, f"{userid} is defined")
    return {"userid": userid, "disks": [_made(disk) for disk in (*minidisks, *vdisks)]}


def _made(disk: NewDisk) -> dict[str, Json]:
    """A new disk as it was asked for. Where it lies is a question of its own: GET /v1/guests/{userid}."""
    return {"vdev": disk.vdev, "type": disk.type, "size_units": disk.vdisk_blocks or disk.size_units, "pool": disk.pool}


async def delete_entry(context: Context, userid: str) -> bool:
    """Delete an entry with its disks; False when there was none."""
    answer = await context.call(f.ImageDeleteDM(target=userid, data_security_erase=_KEEP), allow=_GONE)
    return answer.rc == 0


async def delete(context: Context, request: DeleteGuest) -> dict[str, Json]:
    """guest.delete: off, reader files, VSWITCH rights, entry. A guest that is gone already is done."""
    userid = request.userid
    async with context.writing(userid):
        state = await context.power(userid)
        if state in (PowerState.ON, PowerState.GOING_OFF):
            context.report(0.1, f"logging {userid} off")
            await power.log_off(context, userid)
        elif state is PowerState.ELSEWHERE:
            raise AgentError(
                409,
                "guest-elsewhere",
                f"{userid} is on another member of the SSI cluster",
                remedy="delete it through the agent of that member",
            )
        context.report(0.4, f"purging the reader of {userid}")
        await _tolerant(context, f.SystemRDRFileManage(target=userid, spoolids="ALL", action="PURGE"))
        await _revoke_everywhere(context, userid)
        context.report(0.6, f"deleting entry {userid}")
        existed = await delete_entry(context, userid)
        await asyncio.to_thread(queries.forget_console, context, userid)
    return {"userid": userid, "existed": existed}


async def _tolerant(context: Context, request: f.SystemRDRFileManage | f.VirtualNetworkVswitchSetExtended) -> None:
    """Cleaning up: what cannot be cleaned is reported among the calls, and does not keep the guest alive."""
    try:
        await context.call(request)
    except AgentError as problem:
        if problem.problem.smapi is None:
            raise


async def _revoke_everywhere(context: Context, userid: str) -> None:
    """Take the userid's right away on every VSWITCH that knows it."""
    query = f.VirtualNetworkVswitchQueryExtended(target=userid, switch_name="*")
    answer = await context.call(query, allow=((212, 40),))
    if answer.rc or answer.data is None:
        return
    for switch in answer.data.vswitch_array:
        attributes = switch.vswitch_attributes[0].split() if switch.vswitch_attributes else []
        granted = {words[1] for words in (item.split() for item in switch.authorized_user_array) if len(words) > 1}
        if attributes and userid in granted:
            await _tolerant(
                context,
                f.VirtualNetworkVswitchSetExtended(
                    target=userid, switch_name=attributes[0], revoke_userid=userid, persist="YES"
                ),
            )
