"""The LUNs that the storage shows an FCP device: REPORT LUNS, sent to the well-known LUN of each target port.

    0xc101000000000000                                  the well-known LUN, added as a unit like any other
    /sys/bus/scsi/devices/0:0:1:49409/scsi_generic/sg3  what sg_luns (sg3_utils) sends REPORT LUNS to
    /sys/bus/scsi/devices/0:0:1:1074151456/wwid         naa.6005076307ffc5e3...: VPD page 83, once the LUN is in use
    /sys/block/sda/size                                 sectors of 512 bytes

Each LUN is in use for the moment in which it is looked at. Those that do not become a disk (controllers) are passed
over. Source: lsluns(8) of s390-tools, which goes the same way; the form of sg_luns' output is judgement: each LUN is a
line of 16 hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AsyncExitStack

from zvmcloud.zhcp.errors import AgentError, lun_unreachable
from zvmcloud.zhcp.linux.kernel import Kernel
from zvmcloud.zhcp.linux.zfcp import Zfcp
from zvmcloud.zhcp.machine import SeenLun

WELL_KNOWN = "c101000000000000"
_SCSI = "/sys/bus/scsi/devices"
_LUN = re.compile(r"^\s*([0-9a-f]{16})\s*$", re.IGNORECASE | re.MULTILINE)
_SECTOR = 512


async def seen(kernel: Kernel, zfcp: Zfcp, devices: Sequence[str]) -> tuple[SeenLun, ...]:
    """See Machine.luns. AgentError 409 `lun-unreachable`, 501 `tool-missing` without sg_luns."""
    found: list[SeenLun] = []
    for device in devices:
        async with AsyncExitStack() as online:
            try:
                await zfcp.online(online, device)
                ports = await zfcp.ports(device)
            except AgentError as problem:
                raise lun_unreachable([device], "", str(problem)) from problem
            for wwpn in ports:
                for lun in await _reported(kernel, zfcp, device, wwpn):
                    looked = await _looked_at(kernel, zfcp, device, wwpn, lun)
                    if looked is not None:
                        found.append(looked)
    return tuple(found)


async def _reported(kernel: Kernel, zfcp: Zfcp, device: str, wwpn: str) -> tuple[str, ...]:
    async def generic() -> str:
        scsi, _ = await zfcp.scsi(device, wwpn, WELL_KNOWN)
        names = await kernel.names(f"{_SCSI}/{scsi}/scsi_generic") if scsi else ()
        return names[0] if names else ""

    async with AsyncExitStack() as made:
        name = await zfcp.unit(made, device, wwpn, WELL_KNOWN, generic)
        output = await kernel.must(["sg_luns", str(kernel.path(f"/dev/{name}"))])
    luns = (found.lower() for found in _LUN.findall(output.decode("ascii", "replace")))
    return tuple(lun for lun in dict.fromkeys(luns) if lun != WELL_KNOWN)


async def _looked_at(kernel: Kernel, zfcp: Zfcp, device: str, wwpn: str, lun: str) -> SeenLun | None:
    async with AsyncExitStack() as made:
        try:
            disk = await zfcp.unit(made, device, wwpn, lun, lambda: zfcp.disk(device, wwpn, lun))
        except AgentError:
            return None
        scsi, _ = await zfcp.scsi(device, wwpn, lun)
        uuid = (await kernel.read(f"{_SCSI}/{scsi}/wwid")).partition(".")[2].lower()
        size = int(await kernel.read(f"/sys/block/{disk}/size")) * _SECTOR
    return SeenLun(device, wwpn.removeprefix("0x"), lun, uuid, size)
