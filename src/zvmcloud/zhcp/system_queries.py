"""Questions about the system beyond its guests and pools: volumes, the SSI cluster, network traffic, SMAPI itself."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.operations.context import Context

_EVERY_VOLUME = 1
_DEFINED = 1
_NO_CLUSTER = (4, 3008)
_NO_SWITCH = (212, 40)
_NO_OSA = (4, 4)
_ATTACHED = "ATTACHED"
_PAGE_WORDS = "volume rdev total used percent drained"
_SPOOL_WORDS = "volume rdev total used percent dump drained"
_SHIFTS = {"": 0, "K": 10, "M": 20, "G": 30}
_MEMBER = "slot system state pdr_heartbeat received_heartbeat"
_COUNTERS = "fr_rx fr_tx fr_rx_dsc fr_tx_dsc fr_rx_err fr_tx_err rx tx"


async def volumes(context: Context) -> dict[str, Json]:
    """Every volume that the directory manager knows: label, device type, size in cylinders or blocks."""
    query = f.ImageVolumeSpaceQueryDM(target="MAINT", query_type=_DEFINED, entry_type=_EVERY_VOLUME, entry_names="*")
    answer = await context.call(query, allow=((420, 8),))
    records = answer.data.record_array if answer.rc == 0 and answer.data is not None else ()
    rows = [words for words in (record.split() for record in records) if len(words) >= 3 and words[2].isdigit()]
    return {"volumes": [{"volume": words[0], "device_type": words[1], "size": int(words[2])} for words in rows]}


async def ssi(context: Context) -> dict[str, Json]:
    """The SSI cluster; `member` is false for a system that is in none."""
    me = await context.machine.identity()
    answer = await context.call(f.SSIQuery(target=me.userid), allow=(_NO_CLUSTER,))
    if answer.rc or answer.data is None:
        return {"member": False, "members": []}
    found = answer.data
    return {
        "member": True,
        "name": found.ssi_name,
        "mode": found.ssi_mode,
        "pdr": found.ssi_pdr,
        "cross_system_timeouts": found.cross_system_timeouts,
        "members": [dict(zip(_MEMBER.split(), item.split(), strict=False)) for item in found.ssi_info_array],
    }


async def traffic(context: Context) -> dict[str, Json]:
    """What went over each network adapter that is coupled to a VSWITCH: frames and bytes since it was coupled."""
    me = await context.machine.identity()
    query = f.VirtualNetworkVswitchQueryByteStats(target=me.userid, switch_name="*")
    answer = await context.call(query, allow=(_NO_SWITCH,))
    if answer.rc or answer.data is None:
        return {"nics": []}
    found: list[Json] = []
    for switch in answer.data.vswitch_array:
        for nic in switch.nic_array:
            userid, _, vdev = nic.nic_id.strip().partition(" ")
            row: dict[str, Json] = {"userid": userid, "vdev": vdev.strip(), "vswitch": switch.switch_name}
            row.update((name, _number(getattr(nic, f"nic_{name}"))) for name in _COUNTERS.split())
            found.append(row)
    return {"nics": found}


def _number(text: str) -> int:
    return int(text) if text.strip().isdigit() else 0


async def osas(context: Context) -> dict[str, Json]:
    """Every OSA device: state (free, attached, offline ...), who has it, type, channel path."""
    me = await context.machine.identity()
    answer = await context.call(f.VirtualNetworkOSAQuery(target=me.userid), allow=(_NO_OSA,))
    rows = answer.data.osa_info_array if answer.rc == 0 and answer.data is not None else ()
    found: list[Json] = []
    for words in (row.split() for row in rows):
        if len(words) < 2:
            continue
        # The state and the holder run together: ATTACHEDDTCVSW3.
        attached = words[1].startswith(_ATTACHED)
        found.append(
            {
                "osa": words[0].lower().zfill(4),
                "state": "attached" if attached else words[1].lower(),
                "owner": words[1].removeprefix(_ATTACHED) if attached else "",
                "type": words[2] if len(words) > 2 else "",
                "chpid": words[3] if len(words) > 3 else "",
            }
        )
    return {"osas": found}


async def space(context: Context) -> dict[str, Json]:
    """Paging and spool space, in pages of 4 KiB: in all, and volume by volume."""
    me = await context.machine.identity()
    page = await context.call(f.SystemPageUtilizationQuery(target=me.userid))
    spool = await context.call(f.SystemSpoolUtilizationQuery(target=me.userid))
    return {
        "paging": _utilization(page.reply.paging_information, _PAGE_WORDS),
        "spool": _utilization(spool.reply.spool_information, _SPOOL_WORDS),
    }


def _utilization(items: Iterable[str], names: str) -> dict[str, Json]:
    """`total inuse percent`, then the words of each volume; nothing divides the totals from the first volume."""
    words = " ".join(item.rstrip("\0") for item in items).split()
    keys = names.split()
    volumes: list[Json] = []
    for at in range(3, len(words) - len(keys) + 1, len(keys)):
        row: dict[str, Json] = dict(zip(keys, words[at : at + len(keys)], strict=True))
        volumes.append(row | {name: _pages(str(row[name])) for name in ("total", "used")})
    total, used = (_pages(word) for word in (*words[:2], "", "")[:2])
    return {"total": total, "used": used, "volumes": volumes}


def _pages(text: str) -> int:
    """CP shows large numbers of pages in units: `1761K` (reference/smapi/recorded, System_Page_Utilization_Query)."""
    found = re.fullmatch(r"(\d+)([KMG]?)", text)
    return int(found[1]) << _SHIFTS[found[2]] if found else 0


async def smapi(context: Context) -> dict[str, Json]:
    """How the agent's calls of SMAPI went since it was started. It asks nothing of z/VM."""
    health = context.smapi.health
    return {
        "total_success": health.answered,
        "total_fail": health.failed,
        "last_success": health.last_answer,
        "last_fail": health.last_failure,
        "continuous_fail": health.failed_since_answer,
        "healthy": health.healthy,
    }
