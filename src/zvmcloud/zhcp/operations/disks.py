"""disk.add and disk.remove, and the disk part of guest.create."""

from __future__ import annotations

import time
from collections.abc import Set
from functools import partial

from zvmcloud.cp.answers import PowerState
from zvmcloud.directory.entry import Entry
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries, formatting, placement, pools
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk, RemoveDisks
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.operations.context import Context, Undo
from zvmcloud.zhcp.operations.linked import linked
from zvmcloud.zhcp.operations.states import must_be_off

_DEVICE_TYPE = {"ECKD": "3390", "FBA": "9336"}
_UNIT = {"ECKD": 1, "FBA": 2}
_NOT_FORMATTED = 1
_KEEP = 0
_ATTACHED = ((204, 4), (208, 4))
"""The running guest has a device of that number."""
_NO_DEVICE = (204, 8)
_INACTIVE = (200, 12)


async def create_minidisk(context: Context, userid: str, disk: NewDisk, attached: Set[str] = frozenset()) -> None:
    """Add one minidisk (or V-DISK) to the entry; undone by deleting it, unless `attached` has it by then."""
    note = f"disk-{disk.vdev}"
    again = context.begun and context.intended(note)
    vdisk = bool(disk.vdisk_blocks)
    request = f.ImageDiskCreateDM(
        target=userid,
        image_disk_number=disk.vdev,
        image_disk_device_type="FB-512" if vdisk else _DEVICE_TYPE[disk.type],
        image_disk_allocation_type="V-DISK" if vdisk else "AUTOV" if disk.volume else "AUTOG",
        allocation_area_name_or_volser="" if vdisk else disk.volume or disk.pool,
        allocation_unit_size=2 if vdisk else _UNIT[disk.type],
        image_disk_size=disk.vdisk_blocks or disk.size_units,
        image_disk_mode="MR",
        image_disk_formatting=_NOT_FORMATTED,
        image_disk_label="",
        read_password="",
        write_password="",
        multi_password="",
    )

    async def made() -> bool:
        entry = await entries.query(context, userid)
        return entry is not None and is_asked(entry, disk)

    async def unsure() -> None:
        if await made():
            await undo()

    undo = _deleter(context, userid, disk.vdev, attached)
    what = f"disk {disk.vdev} of {userid}"
    await context.make(request, what, undo, done=made, unsure=unsure, rerun=again, noting=(note,))


def is_asked(entry: Entry, disk: NewDisk) -> bool:
    """Whether the entry has a minidisk of that number, of the size that was asked for."""
    found = entry.mdisk(disk.vdev)
    return found is not None and found.size == (disk.vdisk_blocks or disk.size_units)


async def delete_minidisk(context: Context, userid: str, vdev: str) -> bool:
    """Delete one minidisk; False when there was none."""
    request = f.ImageDiskDeleteDM(target=userid, image_disk_number=vdev, data_security_erase=_KEEP)
    answer = await context.call(request, allow=((208, 36), (408, 8), (404, 8), (400, 4)))
    return answer.rc == 0


async def format_minidisk(context: Context, userid: str, disk: NewDisk) -> None:
    """Label and format a disk that is in the entry, through an exclusive link."""
    started = time.monotonic()
    async with linked(context, userid, disk.vdev, write=True, blank=True) as (vdev, path):
        if not context.rehearsing:
            await formatting.format_disk(path, disk.type, disk.vdev, disk.format, context.settings.state / "scratch")
        took = (time.monotonic() - started) * 1000
        context.did("disk", f"format {disk.format}", took, userid=userid, vdev=disk.vdev, linked_as=vdev)


async def add_all(
    context: Context,
    userid: str,
    disks: tuple[NewDisk, ...],
    have: frozenset[str],
    attached: Set[str] = frozenset(),
) -> None:
    """Create all disks, then format them; those this operation made before a crash (`have`, whose undo is the caller's)
    are made again whole.

    AgentError 409 `pool-full`, 404 `pool-unknown`, FieldError before anything is formatted. `attached` is looked at by
    the undo: the disks that a running guest did not give back.
    """
    for number, disk in enumerate(disks):
        context.report(0.1 + 0.4 * number / len(disks), f"disk {disk.vdev}: {_size(disk)}")
        if disk.vdev in have:
            continue
        try:
            await create_minidisk(context, userid, disk, attached)
        except AgentError as refusal:
            if refusal.problem.smapi is not None and not disk.vdisk_blocks:
                await pools.explain(context, disks[number:])
            raise
    for number, disk in enumerate(disks):
        if disk.format != "none" and not disk.vdisk_blocks:
            context.report(0.5 + 0.4 * number / len(disks), f"disk {disk.vdev}: making {disk.format}")
            await format_minidisk(context, userid, disk)


def _size(disk: NewDisk) -> str:
    if disk.vdisk_blocks:
        return f"{disk.vdisk_blocks} blocks of V-DISK"
    return f"{disk.size_units} {'cylinders' if disk.type == 'ECKD' else 'blocks'}"


def _deleter(context: Context, userid: str, vdev: str, attached: Set[str]) -> Undo:
    async def delete() -> object:
        if vdev in attached:
            # Its extent would be given to the next disk while the guest still writes to it.
            raise AgentError(409, "disk-attached", f"kept, because the running {userid} still has it")
        return await delete_minidisk(context, userid, vdev)

    return delete


def check(context: Context, disks: tuple[NewDisk, ...]) -> None:
    """Whether every format can be made here, and the settings let the pools be used. FieldError, AgentError 404
    `pool-unknown`."""
    for disk in disks:
        if not disk.vdisk_blocks:
            formatting.check_format(disk.format)
    pools.check_allowed(context, disks)


async def add(context: Context, request: AddDisks) -> dict[str, Json]:
    """disk.add"""
    if not context.begun:
        check(context, request.disks)
    async with context.writing(request.userid):
        ours = await _ours(context, request)
        attached: set[str] = set()
        for vdev in sorted(ours):
            context.on_undo(f"disk {vdev} of {request.userid}", _deleter(context, request.userid, vdev, attached))
        if context.begun:  # what a crash left goes, too, where the settings have changed since
            check(context, request.disks)
        wanted = await placement.placed(context, request.userid, request.disks, ours)
        await add_all(context, request.userid, wanted, ours, attached)
        await _bring_live(context, request, attached)
    return {"disks": [asked(disk) for disk in wanted]}


async def _ours(context: Context, request: AddDisks) -> frozenset[str]:
    """The disks that a run before a crash made. AgentError 409 `disk-exists`, 404 `guest-unknown`.

    Not left to z/VM, which would refuse a number that is taken: were that answer lost, or this program killed before
    it came, the disk that is there would be taken for ours, and formatted.
    """
    entry = await entries.must_exist(context, request.userid)
    known = {disk.vdev for disk in request.disks if context.intended(f"disk-{disk.vdev}")}
    have = entry.device_addresses
    for disk in request.disks:
        ours = disk.vdev in known and is_asked(entry, disk)
        if disk.vdev in have and not ours:
            raise AgentError(
                409,
                "disk-exists",
                f"{request.userid} already has a device {disk.vdev}",
                remedy="choose another virtual device number",
            )
    return frozenset(known & have)


def asked(disk: NewDisk) -> dict[str, Json]:
    """A new disk as it was asked for. Where it lies is a question of its own: GET /v1/guests/{userid}."""
    return {"vdev": disk.vdev, "type": disk.type, "size_units": disk.vdisk_blocks or disk.size_units, "pool": disk.pool}


async def _bring_live(context: Context, request: AddDisks, attached: set[str]) -> None:
    """Attach to the running guest; undone by detaching. `attached` gets the disks that could not be detached."""
    userid = request.userid
    if await context.power(userid) is not PowerState.ON:
        return
    for disk in request.disks:
        note = f"live-{disk.vdev}"
        again = context.intended(note)
        live = f.ImageDiskCreate(target=userid, image_disk_number=disk.vdev, image_disk_mode="MR")
        what, undo = f"disk {disk.vdev} in the running {userid}", partial(_detach, context, userid, disk.vdev, attached)
        allow = (*(_ATTACHED if again else ()), _INACTIVE)
        answer = await context.make(live, what, undo, allow=allow, noting=(note,))
        if (answer.rc, answer.rs) in _ATTACHED:
            context.on_undo(what, undo)


async def _detach(context: Context, userid: str, vdev: str, attached: set[str]) -> None:
    attached.add(vdev)
    request = f.ImageDiskDelete(target=userid, image_disk_number=vdev)
    await context.call(request, allow=(_NO_DEVICE, _INACTIVE))
    attached.discard(vdev)


async def remove(context: Context, request: RemoveDisks) -> dict[str, Json]:
    """disk.remove"""
    await must_be_off(context, request.userid, "disks are removed from a guest that is off")
    async with context.writing(request.userid):
        entry = await entries.must_exist(context, request.userid)
        have = {disk.vdev for disk in entry.mdisks}
        removed: list[Json] = []
        context.past_return()
        for number, vdev in enumerate(request.vdevs):
            context.report(number / len(request.vdevs), f"disk {vdev}")
            if vdev in have and await delete_minidisk(context, request.userid, vdev):
                removed.append(vdev)
    return {"removed": removed}
