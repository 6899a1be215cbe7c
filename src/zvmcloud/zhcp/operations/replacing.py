"""The replacement of an entry: locked, read, changed, replaced; for operations that change statements of an entry."""

from __future__ import annotations

import logging
from collections.abc import Callable

from zvmcloud.directory.entry import Entry
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.operations.context import Context

_LOCKED = (400, 12)
log = logging.getLogger(__name__)
Changed = Callable[[Entry], Entry]


async def replace_entry(context: Context, userid: str, change: Changed) -> Entry:
    """Replace an entry under its lock; returns the entry as it was. Nothing is sent when nothing changes.

    The lock is noted in the journal before it is taken, so that a restart can release it. An entry that is locked
    while there is such a note of before is locked by us. Only for the one writer of the entry.
    """
    ours = await context.journal.locking(userid)
    locked = True
    try:
        try:
            await context.call(f.ImageLockDM(target=userid), allow=(_LOCKED,) if ours else ())
        except AgentError as problem:
            locked = ours or problem.undecided
            raise
        before = await entries.must_exist(context, userid)
        after = change(before)
        if after != before:
            records = tuple(record for record in after.render() if not record.startswith("*DVHOPT"))
            replacement = f.ImageReplaceDM(target=userid, image_record_array=records)
            await context.settle(replacement, lambda: _is_like(context, userid, after))
            locked = False
        return before
    finally:
        await to_its_end(_give_back(context, userid, locked))


async def _is_like(context: Context, userid: str, wanted: Entry) -> bool:
    """Whether the entry is the wanted one, but for what the directory manager adds."""
    now = await entries.must_exist(context, userid)
    return _own(now) == _own(wanted)


def _own(entry: Entry) -> tuple[tuple[str, ...], ...]:
    return tuple(item.words for item in entry.normalised().statements if not item.keyword.startswith("*DVHOPT"))


async def _give_back(context: Context, userid: str, locked: bool) -> None:
    """Release the lock, if there is one. What cannot be released stays noted, for the next writer or the next start."""
    if locked:
        try:
            await context.call(f.ImageUnlockDM(target=userid), allow=((400, 24),))
        except AgentError as problem:
            log.error("entry %s stays locked: %s", userid, problem)  # noqa: TRY400 (the problem says it all)
            return
    await context.journal.unlocked(userid)
