"""volume.ignition: what the first start of a CoreOS on a disk reads (see coreos_disk)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import shutil
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from zvmcloud.images import coreos
from zvmcloud.images.sparsefile import DiskFileError
from zvmcloud.zhcp import coreos_disk, formatting
from zvmcloud.zhcp.coreos_disk import Wanted
from zvmcloud.zhcp.coreos_messages import PrepareCoreos
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.places import Disk, opened

_WHY = "CoreOS is prepared when the guest of the disk is off"
_TOOLS = ("debugfs", "e2fsck")


async def prepare(context: Context, request: PrepareCoreos) -> dict[str, Json]:
    """Everything is made ready beside the volume first. After a crash its old bytes are brought back, then it begins
    anew; a volume that is as wanted is left alone."""
    kept = _kept(context.settings.state, context.key)
    context.on_undo(f"the boot partition of {request.place}", lambda: _put_back(context, request, kept))
    wanted = Wanted(_config(request.ignition), request.each_start, request.first_start)
    for tool in _TOOLS:
        formatting.must_have(tool, "CoreOS")
    async with _volume(context, request) as disk:
        if disk.kind == "FBA":
            raise AgentError(
                409, "disk-type", f"{disk.name} is a minidisk of blocks: no CoreOS starts from one",
                remedy="use an ECKD minidisk, or a SCSI volume",
            )  # fmt: skip
        context.report(0.1, f"looking at {disk.name}")
        if context.rehearsing:
            context.did("disk", "prepare CoreOS", 0.0, **disk.named)
            return {**disk.facts}
        await in_thread(partial(coreos_disk.put_back, kept, disk))
        changed = await _prepare(context, request, disk, wanted, kept)
        system = await in_thread(partial(coreos_disk.look, disk))
        facts = disk.facts
    await in_thread(partial(kept.unlink, missing_ok=True))
    return {**facts, "changed": changed, "command_line": system.line, "entry": system.entry}


async def _prepare(context: Context, request: PrepareCoreos, disk: Disk, wanted: Wanted, kept: Path) -> int:
    """How many pieces of the volume were changed."""
    if await in_thread(partial(coreos_disk.is_done, disk, wanted)):
        return 0
    system = await in_thread(partial(coreos_disk.look, disk))
    context.report(0.2, "changing a copy of the boot partition")
    changes = await coreos_disk.changes(disk, system, wanted, kept.with_suffix(".scratch"))
    await in_thread(partial(coreos_disk.keep, kept, changes))
    context.report(0.8, f"writing {len(changes)} pieces")
    started = time.monotonic()
    await in_thread(partial(coreos_disk.overwrite, disk, changes))
    took = (time.monotonic() - started) * 1000
    context.did("disk", "prepare CoreOS", took, **disk.named, pieces=len(changes))
    return len(changes)


async def _put_back(context: Context, request: PrepareCoreos, kept: Path) -> None:
    """Bring back what was overwritten, if anything was: in this run, or in one that a crash ended."""
    if not await in_thread(kept.exists):
        return
    async with _volume(context, request) as disk:
        await in_thread(partial(coreos_disk.put_back, kept, disk))
    await in_thread(partial(kept.unlink, missing_ok=True))


def _kept(state: Path, key: str) -> Path:
    """The file with the old bytes of an operation."""
    return state / "coreos" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.old"


def forget(state: Path, unfinished: Collection[str]) -> tuple[str, ...]:
    """Remove what a crash left of operations that are over: nobody asks for them again. ``unfinished``: keys of those
    that may be. Returns the names. Blocking."""
    needed = {_kept(state, key).stem for key in unfinished}
    gone = [path for path in (state / "coreos").glob("*") if path.name.partition(".")[0] not in needed]
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return tuple(path.name for path in gone)


@asynccontextmanager
async def _volume(context: Context, request: PrepareCoreos) -> AsyncIterator[Disk]:
    """The disk; what goes wrong with its bytes is an AgentError."""
    async with opened(context, request.place, _WHY, write=True) as disk:
        try:
            yield disk
        except DiskFileError as problem:
            raise AgentError(502, "disk-unreadable", f"{disk.name}: {problem}") from problem
        except OSError as problem:
            raise AgentError(507, "disk-write-failed", f"{disk.name}: {problem.strerror}") from problem


def _config(encoded: str) -> bytes:
    """The Ignition file. FieldError for what Ignition would certainly refuse, so that no guest hangs at its start."""
    try:
        data = base64.b64decode(encoded, validate=False)
    except (binascii.Error, ValueError) as problem:
        raise FieldError("ignition", "the file", f"base64 ({problem})") from problem
    if len(data) > coreos.MAX_CONFIG:
        raise FieldError("ignition", f"{len(data)} bytes", f"at most {coreos.MAX_CONFIG} bytes")
    try:
        config = json.loads(data)
        version = config["ignition"]["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise FieldError("ignition", "the file", "JSON with ignition.version") from problem
    if not isinstance(version, str):
        raise FieldError("ignition", "the file", "a version that is a text, such as 3.2.0")
    return data
