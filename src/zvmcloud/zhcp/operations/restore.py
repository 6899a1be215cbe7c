"""guest.restore: an entry back to what it was, with the passwords and the minidisks that it has now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zvmcloud.directory.entry import Entry
from zvmcloud.zhcp import entry_digests
from zvmcloud.zhcp.entry_messages import RestoreGuest
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.replacing import entry_before, replace_entry, unmasked


async def restore(context: Context, request: RestoreGuest) -> dict[str, Json]:
    """guest.restore: locked, compared with `digest`, replaced in one call; undone when it is not the last step.

    409 `entry-changed`: it is not the entry that was looked at. 409 `disks-differ`: the minidisks are not the same.
    """
    userid = request.userid
    async with context.writing(userid):
        before, present = await entry_before(context, userid)
        wanted = restored(present, request.entry)
        if wanted != before:
            key = await asyncio.to_thread(entry_digests.key, context.settings.state)
            context.on_undo(f"entry {userid}", lambda: replace_entry(context, userid, lambda _: before))

            def change(now: Entry) -> Entry:
                if request.digest and entry_digests.digest(now.render(), key) != request.digest and now != wanted:
                    raise AgentError(
                        409, "entry-changed", f"the entry of {userid} is not the one that was looked at",
                        remedy="look at it again, then repeat",
                    )  # fmt: skip
                return restored(now, request.entry)

            await replace_entry(context, userid, change)
    return {"userid": userid, "changed": wanted != before}


def restored(now: Entry, texts: Sequence[str]) -> Entry:
    """The entry that the texts make, with what is masked in them taken from the present one. FieldError, AgentError
    400 for texts that make no entry, 409 `disks-differ`."""
    wanted = unmasked(texts, now)
    if (wanted.kind, wanted.name) != (now.kind, now.name):
        raise FieldError("parameters.entry", f"{wanted.kind} {wanted.name}", f"the entry is {now.kind} {now.name}")
    mine, theirs = _places(now), _places(wanted)
    if mine != theirs:
        differ = sorted({vdev for vdev, *_ in mine ^ theirs})
        raise AgentError(
            409, "disks-differ", f"disks {', '.join(differ)} of {now.name} are not where they were",
            remedy="add or remove the disks with operations of their own, then restore",
        )  # fmt: skip
    tags = [item for item in now.statements if item.keyword.startswith("*DVHOPT")]
    return Entry.of((*wanted.statements, *tags))


def _places(entry: Entry) -> set[tuple[str, str, str, int | None, int | None, str]]:
    return {(d.vdev, d.device_type, d.placement, d.start, d.size, d.volser) for d in entry.mdisks}
