"""guest.restore: an entry, or what a change made of it, as it was before; with its present passwords and minidisks."""

from __future__ import annotations

import asyncio

from zvmcloud.directory.entry import Entry
from zvmcloud.zhcp import entry_digests
from zvmcloud.zhcp.entry_messages import RestoreGuest
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.replacing import entry_before, replace_entry, taken_back, told, unmasked


async def restore(context: Context, request: RestoreGuest) -> dict[str, Json]:
    """guest.restore: locked, compared with `digest`, replaced in one call; undone when it is not the last step.

    409 `entry-changed`: it is not the entry that was looked at, or that was left. 409 `disks-differ`: the minidisks are
    not the same.
    """
    userid = request.userid
    async with context.writing(userid):
        before, present = await entry_before(context, userid)
        wanted, left = _wanted(present, request), _wanted(before, request)
        if wanted != before:
            key = await asyncio.to_thread(entry_digests.key, context.settings.state)
            context.on_undo(f"entry {userid}", lambda: replace_entry(context, userid, taken_back(before, left)))

            def change(now: Entry) -> Entry:
                if request.digest and entry_digests.digest(now.render(), key) != request.digest and now != wanted:
                    raise AgentError(
                        409, "entry-changed", f"the entry of {userid} is not the one that was looked at",
                        remedy="look at it again, then repeat",
                    )  # fmt: skip
                return _wanted(now, request)

            await replace_entry(context, userid, change)
    return {"userid": userid, "changed": left != before, "before": told(before, left)}


def _wanted(now: Entry, request: RestoreGuest) -> Entry:
    """The entry that `entry` makes, with what is masked there taken from the present one; or the present one without
    the change that led from `entry` to `left`. FieldError, AgentError 400 for texts that make no entry, 409
    `entry-changed`, `disks-differ`."""
    before = unmasked(request.entry, now)
    if (before.kind, before.name) != (now.kind, now.name):
        raise FieldError("parameters.entry", f"{before.kind} {before.name}", f"the entry is {now.kind} {now.name}")
    if request.left:
        after = unmasked(request.left, now)
        _same_disks(after, before)
        return taken_back(before, after)(now)
    _same_disks(now, before)
    tags = [item for item in now.statements if item.keyword.startswith("*DVHOPT")]
    return Entry.of((*before.statements, *tags))


def _same_disks(now: Entry, wanted: Entry) -> None:
    mine, theirs = _places(now), _places(wanted)
    if mine != theirs:
        differ = sorted({vdev for vdev, *_ in mine ^ theirs})
        raise AgentError(
            409, "disks-differ", f"disks {', '.join(differ)} of {now.name} are not where they were",
            remedy="add or remove the disks with operations of their own, then restore",
        )  # fmt: skip


def _places(entry: Entry) -> set[tuple[str, str, str, int | None, int | None, str]]:
    return {(d.vdev, d.device_type, d.placement, d.start, d.size, d.volser) for d in entry.mdisks}
