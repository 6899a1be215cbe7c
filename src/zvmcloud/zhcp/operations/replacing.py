"""The replacement of an entry: locked, read, changed, replaced; for operations that change statements of an entry."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

from zvmcloud.directory import statements
from zvmcloud.directory.entry import DEVICE_KEYWORDS, Entry
from zvmcloud.directory.statements import DirectoryError, Statement
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries, entry_digests
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.joining import to_its_end
from zvmcloud.zhcp.operations.context import Context

MASK = "*" * 8
_LOCKED = (400, 12)
_WORDS = {**dict.fromkeys((*DEVICE_KEYWORDS, "COMMAND"), 2), "LINK": 4}
"""How many words say what a statement is about, of which an entry has several: a device, a command of CP, another's
disk as a device."""
_OF_DEVICES = frozenset((*DEVICE_KEYWORDS, "LINK"))
log = logging.getLogger(__name__)
Changed = Callable[[Entry], Entry]


async def entry_before(context: Context, userid: str, *, password: bool = False) -> tuple[Entry, Entry]:
    """The entry before the operation, and as it is now: after a crash they may differ. AgentError 404.

    The journal keeps no passwords: those of the first are the present ones. Undo says that one is lost when the
    operation gives another (`password`) and the entry has changed since it began, be it in nothing else (the journal
    keeps a digest of all of it, with a key of the agent's), or a statement with one is not there any more.
    """
    now = await entries.must_exist(context, userid)
    shown = entries.shown(now)
    kept: list[str] = json.loads(await context.remember("entry", json.dumps(shown)))
    lost = any(MASK in text.split() and text not in shown for text in kept)
    if password:
        digest = await _digest(context, now)
        lost = lost or await context.remember("digest", digest) != digest
    if lost:
        context.on_undo(f"password of {userid}", _password_lost)
    return (now if kept == shown else unmasked(kept, now)), now


async def _digest(context: Context, entry: Entry) -> str:
    """What stands for the entry with its passwords."""
    key = await asyncio.to_thread(entry_digests.key, context.settings.state)
    return entry_digests.digest(entry.render(), key)


async def _password_lost() -> None:
    raise AgentError(
        409, "password-lost",
        "a crash came in between, and the journal keeps no passwords: what the entry has now stays; "
        "give it the password that is wanted, with guest.change",
    )  # fmt: skip


def unmasked(texts: Sequence[str], now: Entry) -> Entry:
    """The entry that the texts make, with what is masked in them taken from the present one. FieldError."""
    present = {" ".join(item.masked()): item for item in now.statements}
    try:
        items = [present.get(text) or statements.wrapped(text) for text in texts]
    except DirectoryError as problem:
        raise FieldError("parameters.entry", problem.value, problem.limit) from problem
    return entries.checked([record for item in items for record in _unmasked(item, now).records])


def _unmasked(item: Statement, now: Entry) -> Statement:
    """The statement with the passwords of the same one of the present entry. FieldError when that has none."""
    if MASK not in item.words or (item.is_comment and not item.keyword.startswith("*PW")):
        return item
    same = next((other for other in now.statements if other.words[:2] == item.words[:2]), None)
    words = [
        same.operand(number) if same is not None and word == MASK else word for number, word in enumerate(item.words)
    ]
    if same is None or "" in words:
        raise FieldError(
            "parameters.entry", " ".join(item.masked()), "the present entry has no such statement to take passwords of"
        )
    return statements.make(*words)


async def replace_entry(context: Context, userid: str, change: Changed) -> Entry:
    """Replace an entry under its lock; returns the entry as it was. Nothing is sent when nothing changes.

    The lock is noted in the journal before it is taken, so that a restart can release it. An entry that is locked
    while there is such a note of before is locked by us. Only for the one writer of the entry.
    """
    ours = await context.journal.locking(userid)
    locked = doubtful = True
    try:
        try:
            await context.call(f.ImageLockDM(target=userid), allow=(_LOCKED,) if ours else ())
            doubtful = False
        except AgentError as problem:
            doubtful = problem.undecided
            locked = ours or doubtful
            raise
        before = await entries.must_exist(context, userid)
        after = change(before)
        if after != before:
            records = tuple(record for record in after.render() if not record.startswith("*DVHOPT"))
            replacement = f.ImageReplaceDM(target=userid, image_record_array=records)
            await context.settle(replacement, lambda: _is_like(context, userid, after))
            locked = False
    finally:
        await to_its_end(_give_back(context, userid, locked, doubtful=doubtful))
    context.go_on()
    return before


def taken_back(before: Entry, after: Entry) -> Changed:
    """What takes a change back, and leaves alone what others changed since. An entry that is as before in what was
    changed stays as it is; that statements had another order is no change. AgentError 409 `entry-changed` when somebody
    has changed the same since."""
    keys = {_about(item) for item in (*before.statements, *after.statements)}
    about = {key for key in keys if _those(before, key) != _those(after, key)}

    def back(now: Entry) -> Entry:
        if all(_those(now, key) == _those(before, key) for key in about):
            return now
        others = sorted(" ".join(key) for key in about if _those(now, key) != _those(after, key))
        if others:
            raise AgentError(
                409, "entry-changed", f"{', '.join(others)} of {now.name} is not what the change made of it",
                remedy="look at the entry, and ask for what is wanted now",
            )  # fmt: skip
        items = [item for item in now.statements if _about(item) not in about]
        for position, item in enumerate(before.statements):
            if _about(item) in about:
                items.insert(_place(items, item, before.statements[:position]), item)
        return Entry.of(items)

    return back


def _place(items: Sequence[Statement], item: Statement, earlier: Sequence[Statement]) -> int:
    """Where a statement comes back: behind the last one of those that stood before it, and before all devices, unless
    it is one or a comment."""
    behind = next((number for number in range(len(items), 0, -1) if items[number - 1] in earlier), 0)
    devices = (number for number, other in enumerate(items) if other.keyword in _OF_DEVICES)
    return behind if item.is_comment or item.keyword in _OF_DEVICES else min(behind, next(devices, behind))


def _about(item: Statement) -> tuple[str, ...]:
    """What a statement is about."""
    return item.words[: _WORDS.get(item.keyword, 1)]


def _those(entry: Entry, about: tuple[str, ...]) -> list[Statement]:
    return [item for item in entry.statements if _about(item) == about]


def told(before: Entry, after: Entry) -> dict[str, Json]:
    """The member of a result by which guest.restore takes the change back later, without passwords."""
    return {"entry": entries.masked(before), "left": entries.masked(after)}


async def _is_like(context: Context, userid: str, wanted: Entry) -> bool:
    """Whether the entry is the wanted one, but for what the directory manager adds."""
    now = await entries.must_exist(context, userid)
    return _own(now) == _own(wanted)


def _own(entry: Entry) -> tuple[tuple[str, ...], ...]:
    return tuple(item.words for item in entry.normalised().statements if not item.keyword.startswith("*DVHOPT"))


async def _give_back(context: Context, userid: str, locked: bool, *, doubtful: bool) -> None:
    """Release the lock, if there is one, also when the operation is called off. What cannot be released stays noted,
    for the next writer or the next start; so does one that z/VM may still take, because its answer is missing."""
    if locked:
        try:
            unlock = f.ImageUnlockDM(target=userid)
            answer = await context.smapi.call(unlock, context.record, allow=((400, 24),))
        except AgentError as problem:
            log.error("entry %s stays locked: %s", userid, problem)  # noqa: TRY400 (the problem says it all)
            return
        if answer.rc and doubtful:
            context.doubted.add(userid)
    if userid in context.doubted:
        log.warning("entry %s may yet be locked: z/VM did not say whether it locks it", userid)
    else:
        await context.journal.unlocked(userid)
