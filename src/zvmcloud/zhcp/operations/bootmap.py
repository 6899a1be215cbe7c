"""volume.refresh_bootmap: a SCSI volume that a guest is to boot from.

z/VM tells which ports and LUNs each free FCP device reaches; a device without the LUN is no path. Then the program
that the settings name (`[storage] bootmap_program`) brings the volume online here, writes its boot map for these paths,
and lets it go. Without such a program only the paths are found. An agent with FCP devices of its own (storage.fcps)
reads the boot record at the end, and says whether it leads to a program.

The program is run without a shell as

    program --fcpchannel=1a00,1b00 --wwpn=5005...,5005... --lun=4010... --wwid=... --minfcp=2

and ends with 0 and a line `RESULT PATHS: 1a00:5005... 5005...,1b00:5005...`, or with another status and a line
`Exit MSG: why` (reference/connector/flows.md section 7).
"""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial
from pathlib import Path

from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.ipl import is_bootable
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.fcp_messages import RefreshBootmap
from zvmcloud.zhcp.image_messages import Volume
from zvmcloud.zhcp.joining import in_thread
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.linked import online

_SECONDS = 1200.0
_NOT_FREE = (8, 8)
_RESULT = re.compile(r"RESULT PATHS:\s*(\S.*)")
_WHY = re.compile(r"Exit MSG:\s*(\S.*)")


async def refresh(context: Context, request: RefreshBootmap) -> dict[str, Json]:
    """The paths of the volume, by FCP device. Nothing on z/VM is changed."""
    paths: dict[str, list[str]] = {}
    for number, device in enumerate(request.devices):
        context.report(0.5 * number / len(request.devices), f"looking through FCP device {device}")
        ports = await _ports(context, device, request)
        if ports:
            paths[device.lower()] = ports
    if len(paths) < request.min_paths:
        raise AgentError(
            409, "bootmap-failed",
            f"LUN {request.lun} is reached through {len(paths)} of {len(request.devices)} FCP devices, "
            f"{request.min_paths} are needed",
            remedy="see the zoning of the fabric and the LUN masking of the storage box",
        )  # fmt: skip
    program = context.settings.storage.bootmap_program
    if program and not context.rehearsing:
        context.report(0.5, "writing the boot map")
        paths = await _run(context, program, request)
    found: dict[str, Json] = {device: [*ports] for device, ports in paths.items()}
    return {"paths": found, "written": bool(program), "bootable": await _boots(context, request)}


async def _boots(context: Context, request: RefreshBootmap) -> bool | None:
    """Whether the volume has a boot record that leads to a program; None when the agent has no FCP devices to look."""
    if context.rehearsing or not context.settings.storage.fcps:
        return None
    context.report(0.9, "looking at the boot record")
    async with online(context, Volume(request.lun, request.wwpns)) as path:
        return await in_thread(partial(_read, path))


def _read(path: Path) -> bool:
    with FbaDisk(path) as disk:
        return is_bootable(disk, scsi=True)


async def _ports(context: Context, device: str, request: RefreshBootmap) -> list[str]:
    """The target ports, of those asked for (all when none are named), behind which the device sees the LUN."""
    me = await context.machine.identity()
    answer = await context.call(f.SystemFCPFreeQuery(target=me.userid, fcp_dev=device), allow=(_NOT_FREE,))
    rows = answer.data.fcp_array if answer.rc == 0 and answer.data is not None else ()
    luns = [words for words in (row.lower().split(";") for row in rows) if len(words) > 2 and words[2] == request.lun]
    return [words[1] for words in luns if not request.wwpns or words[1] in request.wwpns]


async def _run(context: Context, program: str, request: RefreshBootmap) -> dict[str, list[str]]:
    words = [
        f"--fcpchannel={','.join(device.lower() for device in request.devices)}",
        f"--wwpn={','.join(request.wwpns)}",
        f"--lun={request.lun}",
        f"--wwid={request.wwid}",
        f"--minfcp={request.min_paths}",
    ]
    started = time.monotonic()
    try:
        running = await asyncio.create_subprocess_exec(
            program, *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
    except OSError as problem:
        raise AgentError(
            502, "bootmap-failed", f"{program} cannot be run: {problem.strerror}", remedy="see bootmap_program"
        ) from problem
    try:
        output, _ = await asyncio.wait_for(running.communicate(), _SECONDS)
    except TimeoutError as problem:
        raise AgentError(504, "bootmap-timeout", f"the boot map was not written within {_SECONDS:.0f} s") from problem
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    said = output.decode("utf-8", "replace")
    context.did("disk", "refresh bootmap", (time.monotonic() - started) * 1000, lun=request.lun, rc=running.returncode)
    result = _RESULT.search(said)
    if running.returncode or result is None:
        why = _WHY.search(said)
        raise AgentError(
            502, "bootmap-failed",
            f"the program ended with {running.returncode}: {why[1] if why else said.strip()[-200:]}",
        )  # fmt: skip
    pairs = (part.partition(":") for part in result[1].split(","))
    return {device.strip().lower(): ports.split() for device, _, ports in pairs}
