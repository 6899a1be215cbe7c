"""guest.resize_cpus and guest.resize_memory: the directory entry, and on request the running guest as well.

Everything that can be known beforehand is checked first: the maximum of the entry, what is online, the size of a
memory block. The entry is changed first, the running guest after it (CP defines, the guest's Linux brings online); when
the guest refuses, the entry gets its old values back. The order of commands is that of the connector (reference/
connector/flows.md section 2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zvmcloud.directory import statements
from zvmcloud.directory.entry import Entry
from zvmcloud.directory.statements import Statement
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.definitions import set_share
from zvmcloud.zhcp.operations.replacing import replace_entry
from zvmcloud.zhcp.operations.states import must_be_on
from zvmcloud.zhcp.resource_messages import ResizeCpus, ResizeMemory

_SHARE_PER_CPU = 100
_MIB = 2**20


async def inside(context: Context, userid: str, command: str, code: str) -> str:
    """What a command in the guest wrote. AgentError 409 `guest-unreachable`, or 409 `code` when it fails."""
    answer = await context.guest(userid, command)
    if answer is None:
        raise AgentError(
            409, "guest-unreachable", f"the agent in {userid} does not answer", retryable=True,
            remedy="wait until the guest has booted, or resize it without live",
        )  # fmt: skip
    if answer.rc:
        said = " ".join(answer.output.split())[:200]
        raise AgentError(409, code, f"{command} in {userid} ended with {answer.rc}: {said}")
    return answer.output


# -- processors -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cpus:
    """The processors of an entry and its share, as statements say them."""

    addresses: tuple[str, ...]
    share: str

    @classmethod
    def of(cls, entry: Entry) -> _Cpus:
        return cls(entry.cpus, " ".join(entry.share))


async def resize_cpus(context: Context, request: ResizeCpus) -> dict[str, Json]:
    """guest.resize_cpus"""
    userid, count = request.userid, request.count
    async with context.writing(userid):
        entry = await entries.must_exist(context, userid)
        _check_maximum(entry, count)
        seen: tuple[tuple[str, ...], tuple[str, ...]] | None = None
        if request.live:
            await must_be_on(context, userid, "start the guest, or resize it without live")
            seen = await _lscpu(context, userid, ""), await _lscpu(context, userid, " --offline")
        before = await _remembered(context, entry)
        wanted = _Cpus(_addresses(entry.cpus, count), _share(request.share, entry, count))
        context.report(0.1, f"{userid}: {count} processors in the directory")
        context.on_undo(f"processors of {userid}", lambda: _define(context, userid, before))
        await _define(context, userid, wanted)
        if seen is not None:
            context.report(0.5, f"{userid}: {count} processors in the running guest")
            await _plug(context, userid, wanted.addresses, *seen)
    live_share = seen is not None and await set_share(context, userid, wanted.share)
    return {"cpus": list(wanted.addresses), "share": wanted.share, "live": seen is not None, "live_share": live_share}


def _check_maximum(entry: Entry, count: int) -> None:
    machine = entry.first("MACHINE")
    if machine is None or not machine.operand(2).isdecimal():
        raise AgentError(
            409, "cpu-maximum-unknown", f"the entry of {entry.name} names no maximum number of processors",
            remedy="give its MACHINE statement a maximum",
        )  # fmt: skip
    maximum = entry.machine[1]
    if count > maximum:
        raise AgentError(
            409, "cpu-limit", f"{count} processors are more than the {maximum} that the entry of {entry.name} allows",
            remedy=f"ask for at most {maximum}, or raise the maximum of its MACHINE statement",
        )  # fmt: skip


async def _remembered(context: Context, entry: Entry) -> _Cpus:
    """The processors before the operation, also when a crash cut it off after the entry was changed."""
    now = _Cpus.of(entry)
    kept = await context.remember("cpus", f"{','.join(now.addresses)} {now.share}")
    addresses, _, share = kept.partition(" ")
    return _Cpus(tuple(addresses.split(",")), share)


def _addresses(now: tuple[str, ...], count: int) -> tuple[str, ...]:
    """`count` addresses: those that are there, lowest first, and the lowest free ones."""
    kept = sorted(now, key=lambda address: int(address, 16))[:count]
    free = (f"{number:02X}" for number in range(64) if f"{number:02X}" not in kept)
    return tuple(sorted((*kept, *(next(free) for _ in range(count - len(kept)))), key=lambda item: int(item, 16)))


def _share(asked: str, entry: Entry, count: int) -> str:
    """The share for so many processors: the one asked for, else one that follows their number if it did so far."""
    if asked:
        kind, _, value = asked.partition(" ")
        return f"{'RELATIVE' if kind[0] == 'R' else 'ABSOLUTE'} {value}"
    now = " ".join(entry.share)
    followed = f"RELATIVE {_SHARE_PER_CPU * len(entry.cpus)}"
    return f"RELATIVE {_SHARE_PER_CPU * count}" if entry.first("SHARE") is None or now == followed else now


async def _define(context: Context, userid: str, wanted: _Cpus) -> None:
    """Make the entry have these processors and this share; what it has already is left alone."""
    entry = await entries.must_exist(context, userid)
    stated = any(_defines_cpu(item) for item in entry.statements)
    have = entry.cpus if stated else ()
    added = [f"COMMAND_DEFINE_CPU=CPUADDR={address} TYPE=IFL" for address in wanted.addresses if address not in have]
    if not stated and wanted.addresses == entry.cpus:
        added = []
    if " ".join(entry.share) != wanted.share:
        added.append("SHARE=" + wanted.share.replace(" ", "="))
    removed = [_removal(entry, address) for address in have if address not in wanted.addresses]
    if added:
        update = f.ImageDefinitionUpdateDM(
            target=userid, definition_update_directory_keyword_parameter_list=tuple(added)
        )
        await context.call(update)
    if removed:
        delete = f.ImageDefinitionDeleteDM(
            target=userid, definition_delete_directory_keyword_parameter_list=tuple(removed)
        )
        await context.call(delete)


def _defines_cpu(item: Statement) -> bool:
    return item.keyword == "CPU" or (
        item.keyword == "COMMAND" and item.operand(1).startswith("DEF") and item.operand(2) == "CPU"
    )


def _removal(entry: Entry, address: str) -> str:
    old_style = any(item.keyword == "CPU" and item.operand(1).rjust(2, "0") == address for item in entry.statements)
    return f"{'CPU' if old_style else 'COMMAND_DEFINE_CPU'}=CPUADDR={address}"


async def _lscpu(context: Context, userid: str, option: str) -> tuple[str, ...]:
    output = await inside(context, userid, f"lscpu --parse=ADDRESS{option}", "cpu-query-failed")
    return tuple(f"{int(line):02X}" for line in output.split("\n") if line.strip().isdecimal())


async def _plug(
    context: Context, userid: str, wanted: tuple[str, ...], online: tuple[str, ...], offline: tuple[str, ...]
) -> None:
    """Bring the wanted processors online, defining those that CP does not have yet, and the others offline."""
    fresh = [address for address in wanted if address not in online and address not in offline]
    if fresh:
        await inside(context, userid, "vmcp def cpu " + " ".join(fresh), "cpu-define-failed")
        await inside(context, userid, "chcpu -r", "cpu-rescan-failed")
    on = _numbers([address for address in wanted if address not in online])
    off = _numbers([address for address in online if address not in wanted])
    if on:
        context.on_undo("processors online", lambda: context.guest(userid, f"chcpu -d {on}"))
        await inside(context, userid, f"chcpu -e {on}", "cpu-enable-failed")
    if off:
        context.on_undo("processors offline", lambda: context.guest(userid, f"chcpu -e {off}"))
        await inside(context, userid, f"chcpu -d {off}", "cpu-disable-failed")


def _numbers(addresses: Sequence[str]) -> str:
    """Addresses as chcpu takes them: decimal, with commas."""
    return ",".join(str(int(address, 16)) for address in addresses)


# -- storage ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Memory:
    """What the guest's Linux says, in megabytes; `block` is what it takes and gives at once."""

    online: int
    offline: int
    block: int


async def resize_memory(context: Context, request: ResizeMemory) -> dict[str, Json]:
    """guest.resize_memory"""
    userid, wanted = request.userid, request.memory_mb
    async with context.writing(userid):
        entry = await entries.must_exist(context, userid)
        _check_storage(entry, wanted)
        seen: _Memory | None = None
        if request.live:
            await must_be_on(context, userid, "start the guest, or resize it without live")
            seen = await _lsmem(context, userid)
            _check_live(userid, wanted, seen)
            await _check_room(context, userid, wanted - seen.online, seen)
        before = int(await context.remember("memory", str(entry.storage_kib // 1024)))
        context.report(0.1, f"{userid}: {wanted} MB in the directory")
        context.on_undo(f"storage of {userid}", lambda: replace_entry(context, userid, lambda now: _sized(now, before)))
        await replace_entry(context, userid, lambda now: _sized(now, wanted))
        if seen is not None and wanted > seen.online:
            context.report(0.5, f"{userid}: {wanted} MB in the running guest")
            await _grow(context, userid, wanted - seen.online, seen)
    return {"memory_mb": wanted, "max_memory_mb": entry.max_storage_kib // 1024, "live": seen is not None}


def _check_storage(entry: Entry, wanted: int) -> None:
    explicit = entry.first("STORAGE") or entry.first("MAXSTORAGE")
    if explicit is not None or statements.storage_kib(entry.statements[0].operand(4)) is None:
        raise AgentError(
            409, "storage-form", f"the entry of {entry.name} does not state storage and maximum on its first statement",
            remedy="state both on the USER statement",
        )  # fmt: skip
    maximum = entry.max_storage_kib // 1024
    if wanted > maximum:
        raise AgentError(
            409, "memory-limit", f"{wanted} MB are more than the {maximum} MB that the entry of {entry.name} allows",
            remedy=f"ask for at most {maximum} MB, or raise the maximum of the entry",
        )  # fmt: skip


async def _lsmem(context: Context, userid: str) -> _Memory:
    output = await inside(context, userid, "lsmem -b", "memory-query-failed")
    found = {name.lower(): int(number) for name, number in re.findall(r"(?m)^([\w ]+?):\s+(\d+)\s*$", output)}
    online, block = found.get("total online memory", 0), found.get("memory block size", 0)
    if not online:
        raise AgentError(502, "guest-answer", f"the answer of lsmem in {userid} names no online storage")
    return _Memory(online // _MIB, found.get("total offline memory", 0) // _MIB, block // _MIB)


def _check_live(userid: str, wanted: int, seen: _Memory) -> None:
    if wanted < seen.online:
        raise AgentError(
            409, "memory-shrink", f"{userid} has {seen.online} MB online, more than the {wanted} MB asked for",
            remedy="resize it without live, and restart it",
        )  # fmt: skip
    if seen.block and (wanted - seen.online) % seen.block:
        low = seen.online + (wanted - seen.online) // seen.block * seen.block
        raise FieldError(
            "memory_mb", wanted,
            f"the running guest grows in blocks of {seen.block} MB, such as to {low} or {low + seen.block} MB",
        )  # fmt: skip


def _sized(entry: Entry, megabytes: int) -> Entry:
    """The entry with that storage; what is beyond becomes standby storage where the entry reserved it so far."""
    changed = entry.with_operand(3, entries.storage(megabytes))
    standby = statements.make("COMMAND", "DEF", "STOR", "INITIAL", "STANDBY", "REMAINDER")
    return Entry(tuple(standby if _reserves(item) else item for item in changed.statements))


def _reserves(item: Statement) -> bool:
    return (
        item.keyword == "COMMAND"
        and item.operand(1).startswith("DEF")
        and item.operand(2).startswith("STOR")
        and "RESERVED" in item.words
    )


async def _grow(context: Context, userid: str, megabytes: int, seen: _Memory) -> None:
    """Take standby storage online, having CP make it of reserved storage when there is too little."""
    if megabytes > seen.offline:
        context.on_undo("standby storage", lambda: context.guest(userid, "vmcp def storage standby 0M"))
        await inside(context, userid, f"vmcp def storage standby {megabytes}M", "memory-define-failed")
    await inside(context, userid, f"chmem -e {megabytes}M", "memory-enable-failed")


async def _check_room(context: Context, userid: str, megabytes: int, seen: _Memory) -> None:
    """Whether the running machine has so much standby and reserved storage, before anything is changed."""
    if megabytes <= seen.offline:
        return
    output = await inside(context, userid, "vmcp q storage", "memory-query-failed")
    found = dict(re.findall(r"(STANDBY|RESERVED)\s*=\s*(\S+)", output.upper()))
    room = sum((statements.storage_kib(value) or 0) // 1024 for value in found.values())
    if megabytes > room:
        raise AgentError(
            409, "memory-reserved", f"{userid} can grow by {room} MB as it runs, {megabytes} are asked for",
            remedy="resize it without live, and restart it",
        )  # fmt: skip
