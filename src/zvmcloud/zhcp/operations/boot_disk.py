"""Which disk a guest boots from: what the IPL statement of its entry, or of a profile it includes, says. Never a guess.

IPL 0100                      the minidisk 0100 of the entry
IPL 0200, of a LINK           another guest's disk: 409 `boot-disk-linked`, with its owner
IPL of an FCP device, LOADDEV a SCSI volume: 409 `boot-disk-scsi`, with its port and LUN
IPL CMS, or another system    its programs decide what is booted: 409 `boot-disk-unknown`
no IPL statement              409 `boot-disk-unknown`
"""

from __future__ import annotations

from zvmcloud.directory.entry import Entry
from zvmcloud.directory.statements import DirectoryError
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.operations.context import Context

_NAME_IT = "name the disk in vdev"


async def boot_disk(context: Context, userid: str) -> str:
    """The virtual device number. AgentError 404 `guest-unknown`, 409 as above."""
    entry = await entries.must_exist(context, userid)
    source = entry
    for profile in entry.includes:
        if source.ipl is None:
            source = await _profile(context, profile)
    ipl = source.ipl
    if ipl is None:
        raise _refused("boot-disk-unknown", f"the entry of {userid} has no IPL statement", _NAME_IT)
    if ipl.vdev is None:
        why = f"{userid} IPLs {ipl.source}, whose programs decide what is booted then"
        raise _refused("boot-disk-unknown", why, _NAME_IT)
    if entry.mdisk(ipl.vdev) is not None:
        return ipl.vdev
    for link in entry.links:
        if link.vdev == ipl.vdev:
            owner = f"{link.owner} {link.owner_vdev}"
            why = f"{userid} IPLs {ipl.vdev}, which is a link to the disk {owner}"
            raise _refused("boot-disk-linked", why, f"capture the disk of its owner, {owner}")
    loads = [" ".join(item.words[1:]) for item in (*source.every("LOADDEV"), *entry.every("LOADDEV"))]
    if loads:
        why = f"{userid} IPLs the SCSI volume behind {ipl.vdev} (LOADDEV {', '.join(dict.fromkeys(loads))})"
        raise _refused("boot-disk-scsi", why, "copy the volume where it is kept: only minidisks are read")
    why = f"{userid} IPLs {ipl.vdev}, which is no minidisk of its entry"
    raise _refused("boot-disk-unknown", why, _NAME_IT)


async def _profile(context: Context, name: str) -> Entry:
    answer = await context.call(f.ProfileQueryDM(target=name))
    records = [record.rstrip() for record in answer.reply.profile_record_array]
    try:
        return Entry.parse([record for record in records if record])
    except DirectoryError as problem:
        raise AgentError(502, "entry-unreadable", f"the profile {name} cannot be read: {problem}") from problem


def _refused(code: str, why: str, remedy: str) -> AgentError:
    return AgentError(409, code, why, remedy=remedy)
