"""Questions about the system, answered from z/VM at the moment they are asked. Nothing here changes z/VM, but one
thing: reading a guest's console takes the log's spool files out of the agent's reader and keeps their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from zvmcloud.cp import answers, commands
from zvmcloud.cp.answers import PowerState
from zvmcloud.directory.entry import Entry
from zvmcloud.images.tracks import CYLINDER_DATA_BYTES
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries, pools
from zvmcloud.zhcp.errors import AgentError, FieldError, Json
from zvmcloud.zhcp.fields import NAME8, USERID
from zvmcloud.zhcp.operations import own_reader
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.pools import BLOCK_BYTES, Extent, Pool

_PAGE = 4096
_UNITS = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024, "": 1 / 2**20}
_CONSOLE_KEEP = 8 * 1024 * 1024
_PAIR = re.compile(r"([A-Z_][A-Z0-9_]*)=(\"[^\"]*\"|\S*)")


def checked_userid(value: str) -> str:
    """The userid of a path, in upper case. FieldError."""
    if not re.fullmatch(USERID, value.upper()):
        raise FieldError("userid", value, "1 to 8 characters A-Z, 0-9, @, #, $, _, +, : or -")
    return value.upper()


def checked_name(value: str, name: str) -> str:
    """The name of a pool or VSWITCH, in upper case. FieldError."""
    if not re.fullmatch(NAME8, value.upper()):
        raise FieldError(name, value, "1 to 8 characters A-Z, 0-9, @, #, $, _ or -")
    return value.upper()


def pairs(items: Iterable[str]) -> dict[str, str]:
    """Every KEYWORD=value of a list of texts such as `STORAGE=STORAGE=50G STANDBY=0M`; the innermost key counts."""
    found: dict[str, str] = {}
    for item in items:
        text = item.strip().rstrip("\0")
        for key, value in _PAIR.findall(text):
            while True:
                inner = re.fullmatch(r"([A-Z_][A-Z0-9_]*)=(.*)", value)
                if inner is None:
                    break
                key, value = inner[1], inner[2]  # noqa: PLW2901 (KEYWORD=SUBKEY=value: the subkey names it)
            found.setdefault(key, value.strip('"'))
    return found


def megabytes(text: str) -> int:
    """`50G`, `2048M`, `1T` in megabytes; 0 when it is no size."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", text.strip().upper())
    return int(float(found[1]) * _UNITS[found[2]]) if found else 0


def _number(text: str) -> int:
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0


async def health(context: Context) -> dict[str, Json]:
    """Who we are, when CP answers."""
    identity = answers.query_userid((await context.cp(commands.query_userid())).lines)
    return {"ok": True, "userid": identity.userid, "system": identity.system}


async def system(context: Context) -> dict[str, Json]:
    """Facts of the z/VM system: processors, storage, level, IPL time. Memory in megabytes."""
    identity = answers.query_userid((await context.cp(commands.query_userid())).lines)
    me = identity.userid
    level = await context.call(f.QueryAPIFunctionalLevel(target=me))
    information = await context.call(f.SystemInformationQuery(target=me))
    items = information.reply.system_information_data
    facts = pairs(items)
    processors = await context.call(f.SystemProcessorQuery(target=me))
    rows = [line.split() for line in processors.reply.system_processor_array]
    rows = [row for row in rows if len(row) >= 3 and row[0].upper() != "ADDRESS"]
    used = [row for row in rows if row[1].upper().startswith(("MASTER", "ALTERNATE", "PARKED"))]
    performance = await context.call(f.SystemPerformanceInformationQuery(target=me, DETAILED_CPU="SHOW=YES"))
    load = pairs(performance.reply.system_performance_information_data)
    memory = megabytes(facts.get("STORAGE", "")) or _number(load.get("MEMORY_TOTAL", "")) * _PAGE // 2**20
    whole = " ".join(items)
    ipl_time = " ".join(facts[key] for key in ("IPL_TIME", "IPL_DATE", "IPL_ZONE") if facts.get(key))
    return {
        "system": identity.system,
        "userid": me,
        "version": _version(whole),
        "smapi_level": level.rs,
        "ipl_time": ipl_time or _ipl_time(whole),
        "lpar": load.get("MY_LPAR_NAME", ""),
        "architecture": "s390x",
        "vendor": "IBM",
        "machine_type": facts.get("MACHINE_TYPE", ""),
        "model": facts.get("MODEL", ""),
        "cpuid": facts.get("CPUID", ""),
        "cpus_total": len(rows),
        "cpus_used": len(used),
        "processors": [
            {"address": row[0], "status": row[1], "type": row[2], "core": row[3] if len(row) > 3 else ""}
            for row in rows
        ],
        "partition_mode": processors.reply.partition_mode,
        "memory_mb": memory,
        "memory_used_mb": _number(load.get("MEMORY_IN_USE", "")) * _PAGE // 2**20,
        "memory_standby_mb": megabytes(facts.get("STANDBY", "")),
        "cpu_average_percent": _number(load.get("CPU_AVERAGE_USE", "")),
        "information": list(items),
    }


def _version(text: str) -> str:
    found = re.search(r"z/VM\s+(?:Version\s+)?(\d+)(?:\s+Release\s+|\.)(\d+)(?:\.(\d+))?", text, re.IGNORECASE)
    return f"{found[1]}.{found[2]}.{found[3] or '0'}" if found else ""


def _ipl_time(text: str) -> str:
    found = re.search(r"IPL_TIME=(.*?)(?:\s+[A-Z_]+=|$)", text)
    return found[1].strip() if found else ""


def _extent(extent: Extent) -> dict[str, Json]:
    return {
        "volume": extent.volume,
        "device_type": extent.device_type,
        "start": extent.start,
        "size": extent.size,
        "region": extent.region,
        "bytes": extent.bytes,
        "owner": extent.owner,
        "vdev": extent.vdev,
    }


def pool_json(pool: Pool) -> dict[str, Json]:
    """A pool with totals in its unit and in bytes, per volume too."""
    free, used = sum(e.size for e in pool.free), sum(e.size for e in pool.used)
    unit = BLOCK_BYTES if pool.type == "FBA" else CYLINDER_DATA_BYTES
    volumes: list[Json] = []
    for volume in sorted({e.volume for e in (*pool.free, *pool.used)}):
        mine_free = [e for e in pool.free if e.volume == volume]
        mine_used = [e for e in pool.used if e.volume == volume]
        total = sum(e.size for e in (*mine_free, *mine_used))
        volumes.append(
            {
                "volume": volume,
                "device_type": (mine_free or mine_used)[0].device_type,
                "total": total,
                "free": sum(e.size for e in mine_free),
                "used": sum(e.size for e in mine_used),
            }
        )
    return {
        "name": pool.name,
        "type": pool.type,
        "unit": "CYL" if pool.type == "ECKD" else "BLK",
        "total": free + used,
        "free": free,
        "used": used,
        "total_bytes": (free + used) * unit,
        "free_bytes": free * unit,
        "used_bytes": used * unit,
        "largest_free": max((e.size for e in pool.free), default=0),
        "volumes": volumes,
        "free_extents": [_extent(e) for e in pool.free],
        "used_extents": [_extent(e) for e in pool.used],
    }


async def all_pools(context: Context) -> dict[str, Json]:
    """Every pool."""
    return {"pools": [pool_json(pool) for pool in await pools.pools(context)]}


async def one_pool(context: Context, name: str) -> dict[str, Json]:
    """One pool. AgentError 404 `pool-unknown`."""
    return pool_json(await pools.pool(context, checked_name(name, "pool")))


async def guests(context: Context) -> dict[str, Json]:
    """All userids of the directory."""
    me = await context.machine.identity()
    answer = await context.call(f.ImageNameQueryDM(target=me.userid))
    return {"guests": [{"userid": name.strip()} for name in answer.reply.image_name_array if name.strip()]}


async def guest(context: Context, userid: str) -> dict[str, Json]:
    """One guest: state, entry (passwords masked), disks, NICs, and live numbers when it is on."""
    userid = checked_userid(userid)
    entry = await entries.must_exist(context, userid)
    state = await context.power(userid)
    on = state in (PowerState.ON, PowerState.ELSEWHERE)
    live = await _live(context, userid) if state is PowerState.ON else None
    return {
        "userid": userid,
        "power_state": "on" if on else "off",
        "state": str(state),
        **entries.facts_json(entry),
        "nics": nics_json(entry),
        "live": live,
    }


def nics_json(entry: Entry) -> list[Json]:
    """Adapters as the entry defines them."""
    return [
        {
            "vdev": nic.vdev,
            "adapter_type": nic.adapter_type,
            "devices": nic.devices,
            "vswitch": nic.lan_name if nic.lan_owner in ("", "SYSTEM") else "",
            "lan_owner": nic.lan_owner,
            "lan_name": nic.lan_name,
            "mac_id": nic.mac_id,
            "vlan": nic.vlan,
        }
        for nic in entry.nicdefs
    ]


async def _live(context: Context, userid: str) -> dict[str, Json] | None:
    query = f.SystemImagePerformanceQuery(target=userid)
    answer = await context.call(query, allow=((0, 12), (200, 12), (200, 28)))
    if answer.data is None:
        return None
    for record in answer.data.image_performance_array:
        if record.guest_name.strip().upper() == userid:
            return performance(record)
    return None


def performance(record: f.PerformanceRecord) -> dict[str, Json]:
    """Counters of a guest: processor time in microseconds, storage in KiB."""
    return {
        "cpu_time_us": record.used_CPU_time,
        "elapsed_us": record.elapsed_time,
        "cpus": record.guest_CPUs,
        "min_cpus": record.min_CPU_count,
        "cpu_limit": record.max_CPU_limit,
        "share": record.processor_share,
        "samples_cpu_in_use": record.samples_CPU_in_use,
        "samples_cpu_delay": record.samples_CPU_delay,
        "memory_used_kb": record.used_memory,
        "memory_max_kb": record.max_memory,
        "memory_min_kb": record.min_memory,
        "memory_shared_kb": record.shared_memory,
    }


async def console(context: Context, userid: str, kilobytes: int) -> str:
    """The last kilobytes of the guest's console log. AgentError 409 `console-none` when there is nothing at all."""
    userid = checked_userid(userid)
    async with console_turn(context, userid):
        await drain_console(context, userid)
        text = _read(_console_log(context, userid))
    if not text:
        await entries.must_exist(context, userid)
        raise AgentError(
            409, "console-none", f"there is no console log of {userid}",
            remedy="start the guest, and see that its console is spooled to the agent",
        )  # fmt: skip
    return text[-kilobytes * 1024 :].decode("utf-8", "replace")


def console_turn(context: Context, userid: str) -> AbstractAsyncContextManager[None]:
    """Be the only one that reads the guest's console: two that read at once would each get half of it."""
    return context.smapi.turn(f"console of {userid}")


async def drain_console(context: Context, userid: str) -> bytes:
    """What the console said since it was last read; it is added to the log that is kept. In one's console_turn.

    Nobody takes a guest's file into our reader meanwhile: it is known there by its arrival. A console log that an
    operation took from a guest's reader is that operation's.
    """
    async with context.smapi.turn(own_reader.OUR_READER):
        await context.call(f.ImageConsoleGet(target=userid), allow=((8, 8),))  # nothing new, but what a crash left
        await context.cp(commands.spool_reader_any_class())
        there = await own_reader.nobodys(context)
        said = [file for file in there if file.origin.upper() == userid and file.type.upper() == "CON"]
        new = b"".join([await context.machine.read(file.spoolid) for file in said])
        if new:
            log = _console_log(context, userid)
            _write(log, (_read(log) + new)[-_CONSOLE_KEEP:])
        for file in said:  # not before they are written: a crash may tell a line twice, and loses none
            await context.cp(commands.purge_reader(file.spoolid), allow=(42,))
    return new


def _console_log(context: Context, userid: str) -> Path:
    return context.settings.state / "console" / f"{userid}.log"


def forget_console(context: Context, userid: str) -> None:
    """A deleted guest's kept log goes with it."""
    _console_log(context, userid).unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.replace(path)


async def adapters(context: Context, userid: str) -> dict[str, Json]:
    """Network adapters of a running guest, with the addresses seen on them. Off: an empty list."""
    userid = checked_userid(userid)
    query = f.VirtualNetworkAdapterQueryExtended(target=userid, image_device_number="*")
    answer = await context.call(query, allow=((200, 12), (204, 8), (212, 28)))
    if answer.rc or answer.data is None:
        return {"adapters": []}
    return {"adapters": list(parse_adapters(answer.data.virtual_network_adapter_data))}


def parse_adapters(items: Iterable[str]) -> list[Json]:
    """key=value items, one adapter up to `adapter_info_end` and one MAC up to `mac_info_end`."""
    found: list[Json] = []
    now: dict[str, Json] = {}
    mac: dict[str, Json] = {}
    macs: list[Json] = []
    for item in items:
        key, _, value = item.strip().rstrip("\0").partition("=")
        if key == "adapter_count":
            continue
        if key == "mac_info_end":
            macs.append(mac)
            mac = {}
        elif key == "adapter_info_end":
            if mac:
                macs.append(mac)
            found.append({**now, "macs": macs})
            now, mac, macs = {}, {}, []
        elif key.startswith("mac_") and key != "mac_count":
            mac[key] = value
        elif key:
            now[key] = value
    return found


def checked_epoch(value: object) -> int:
    """The epoch of a manager. FieldError."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise FieldError("epoch", value, "a whole number from 0 on")
    return value


async def command(context: Context, userid: str, body: object) -> dict[str, Json]:
    """Run a command in a guest. AgentError 409 `guest-unreachable`, `stale-epoch`. FieldError."""
    userid = checked_userid(userid)
    text = body.get("command") if isinstance(body, dict) else None
    if not isinstance(text, str) or not text.strip() or len(text) > 1000 or "\0" in text:
        raise FieldError("command", text, "a text of 1 to 1000 characters")
    await context.journal.fence(checked_epoch(body.get("epoch") if isinstance(body, dict) else None))
    answer = await context.guest(userid, text)
    if answer is None:
        state = await context.power(userid)
        raise AgentError(
            409, "guest-unreachable", f"the agent in {userid} does not answer; the guest is {state}", retryable=True,
            remedy="start the guest and wait until it has booted",
        )  # fmt: skip
    return {"rc": answer.rc, "output": answer.output}
