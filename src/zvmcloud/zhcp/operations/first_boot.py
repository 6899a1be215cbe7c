"""guest.config_drive and guest.netboot: what a guest is given for its first boot."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from functools import partial

from zvmcloud.cp import commands
from zvmcloud.images import configdrive, cpio
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import formatting
from zvmcloud.zhcp.boot_messages import BootFile, ConfigDrive, NetBoot
from zvmcloud.zhcp.errors import AgentError, FieldError, Json, from_cp
from zvmcloud.zhcp.image_errors import digest_mismatch
from zvmcloud.zhcp.image_messages import ImageSource, Place
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations import own_reader, power, reader, readers
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.disk_erase import erase_disk
from zvmcloud.zhcp.operations.places import opened
from zvmcloud.zhcp.operations.states import must_be_off
from zvmcloud.zhcp.sources import Digest

_PARM_RECORD = 80
_READER = "000C"


# -- config drive -----------------------------------------------------------------------------------------------------


async def config_drive(context: Context, request: ConfigDrive) -> dict[str, Json]:
    """guest.config_drive. FieldError for a drive that cannot be read, before anything is touched."""
    data = _drive(request)
    userid = request.userid
    if not request.vdev:
        form = "iso" if configdrive.is_iso(data) else "tgz"
        spoolid = await own_reader.give(context, userid, own_reader.CardFile("cfgdrive", form, "X", data), "cfgdrive")
        return {"userid": userid, "bytes": len(data), "spoolid": spoolid, "vdev": ""}
    if not configdrive.is_iso(data):
        raise FieldError("drive", "a tar archive", "an iso9660 volume, for a disk")
    await _onto_disk(context, request, data)
    return {"userid": userid, "bytes": len(data), "spoolid": "", "vdev": request.vdev}


def _drive(request: ConfigDrive) -> bytes:
    try:
        if request.drive:
            data = reader.decoded("drive", request.drive)
            configdrive.read(data)
            return data
        networks = tuple(
            configdrive.Network(item.address, item.gateway, item.mac.lower(), item.name, item.mtu, dns=item.dns)
            for item in request.networks
        )
        user_data = reader.decoded("user_data", request.user_data)
        return configdrive.write_iso(
            configdrive.tree(request.hostname, networks, user_data=user_data, uuid=request.uuid)
        )
    except configdrive.ConfigDriveError as problem:
        raise FieldError("drive", "the drive", str(problem)) from problem


async def _onto_disk(context: Context, request: ConfigDrive, data: bytes) -> None:
    """In the first partition of an ECKD disk, from the first block of an FBA disk; undone by emptying the disk."""
    userid, vdev = request.userid, request.vdev
    why = "a config drive is written to the disk of a guest that is off"
    async with opened(context, Place(userid, vdev), why, write=True) as disk:
        path, kind = disk.path, disk.kind
        writable = request.overwrite or context.intended("drive") or context.rehearsing
        if not (writable or await in_thread(partial(formatting.is_empty, path, kind))):
            raise AgentError(
                409, "disk-not-empty", f"disk {vdev} of {userid} holds data",
                remedy="choose another disk, or say overwrite",
            )  # fmt: skip
        await context.intend("drive")
        started = time.monotonic()
        try:
            if not context.rehearsing:
                await formatting.write_volume(path, kind, vdev, data)
        except BaseException:
            await in_thread(partial(erase_disk, path, kind))
            raise
        context.did("disk", "write config drive", (time.monotonic() - started) * 1000, userid=userid, vdev=vdev)


# -- network boot -----------------------------------------------------------------------------------------------------


async def netboot(context: Context, request: NetBoot) -> dict[str, Json]:
    """guest.netboot. Everything is fetched and checked before the first file is punched."""
    userid = request.userid
    async with context.writing(userid):
        started = context.intended("load")
        if not started:
            await must_be_off(context, userid, "a guest that is off is installed")
        contents = await _contents(context, request)
        context.on_undo(f"boot files of {userid}", lambda: _purge(context, userid, contents))
        for number, (name, data) in enumerate(contents.items()):
            context.report(0.4 + 0.1 * number, f"{name}: {len(data)} bytes")
            await own_reader.give(context, userid, own_reader.CardFile(name, "BOOT", "A", data), name)
        ours = await _ours(context, userid, contents)
        await readers.manage(context, userid, "ORDER", ours)
        if request.start:
            context.report(0.8, f"loading {userid} from its reader")
            await _load(context, userid)
    return {
        "userid": userid,
        "files": [{"name": name, "bytes": len(data)} for name, data in contents.items()],
        "started": request.start,
    }


async def _contents(context: Context, request: NetBoot) -> dict[str, bytes]:
    """KERNEL, PARM and INITRD, in the order in which a reader is loaded."""
    context.report(0.05, "fetching the kernel")
    kernel = await _fetched(context, "kernel", request.kernel)
    context.report(0.2, "fetching the initrd")
    initrd = await _fetched(context, "initrd", request.initrd)
    if request.ignition:
        initrd += bytes(-len(initrd) % 4) + cpio.write({"config.ign": reader.decoded("ignition", request.ignition)})
        reader.check_size("initrd", len(initrd))
    line = request.parameter_line.encode("ascii")
    parm = line.ljust(max(-(-len(line) // _PARM_RECORD), 1) * _PARM_RECORD)
    return {"KERNEL": kernel, "PARM": parm, "INITRD": initrd}


async def _fetched(context: Context, name: str, file: BootFile) -> bytes:
    """The bytes, whole and as their digest says; from the image cache, which keeps them for the next guest.

    AgentError as `sources.pieces`, 422 `digest-mismatch`.
    """
    if file.data:
        return reader.decoded(f"{name}.data", file.data)
    data = bytearray()
    source = ImageSource(file.url, file.sha256, headers=file.headers)
    async with (
        context.images.use(source, context.settings.image_folders) as fetched,
        contextlib.aclosing(fetched.pieces()) as stream,
    ):
        async for piece in stream:
            data += piece
            reader.check_size(f"{name}.url", len(data))
        compared = fetched.compared
    found = "" if compared else await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
    if not compared and found != file.sha256.lower():
        raise digest_mismatch(Digest("sha256", file.sha256.lower()), found)
    return bytes(data)


async def _ours(context: Context, userid: str, contents: dict[str, bytes]) -> list[str]:
    """The numbers of the files that were punched, in order; of several with one name the newest."""
    me = (await context.machine.identity()).userid
    found: dict[str, str] = {}
    for file in await readers.files(context, userid):
        if file.origin == me and file.name in contents and file.filetype == "BOOT":
            found[file.name] = file.spoolid
    return [found[name] for name in contents if name in found]


async def _purge(context: Context, userid: str, contents: dict[str, bytes]) -> object:
    ours = await _ours(context, userid, contents)
    return await readers.manage(context, userid, "PURGE", ours, gone=True) if ours else None


async def _load(context: Context, userid: str) -> None:
    """Log the guest on and have CP load from its reader. A run after a crash finds it on, and loads once more."""
    await context.intend("load")
    context.on_undo(f"logon of {userid}", lambda: power.log_off(context, userid))
    await context.call(f.ImageActivate(target=userid), allow=((200, 8),))
    command = commands.send(userid, f"IPL {_READER} CLEAR", cp=True)
    answer = await context.cp(command, allow=(3, 7))
    if answer.rc:
        raise from_cp(command, answer.rc, answer.lines, status=403, code="send-not-authorized")
