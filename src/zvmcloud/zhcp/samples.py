"""Performance samples: counters of the system and of all guests that are on, with the time at which they were read.

Three SMAPI calls, however many guests there are: System_Performance_Information_Query (the system),
System_Image_Performance_Query for all userids (processor time and storage, the records of DIAGNOSE X'2FC') and
Virtual_Network_Vswitch_Query_Byte_Stats (network). z/VM tells I/O operations only guest by guest (INDICATE USER), so
they are asked for by name, at one CP command each. Rates are left to who keeps samples: counters lose nothing when one
is missed. Counters of a guest begin again at its logon, those of an adapter when it is coupled.
"""

from __future__ import annotations

import asyncio
import re
import time

from zvmcloud.cp import commands
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import queries, system_queries
from zvmcloud.zhcp.errors import FieldError, Json
from zvmcloud.zhcp.operations.context import Context

MAX_IO = 64
_PAGE_KIB = 4
_NONE_ON = ((4, 4), (0, 12), (200, 12), (200, 28))
_NOT_ON = (3, 45, 53, 361)
_IO = re.compile(r"\bIO=(\d+)")


async def sample(context: Context, io: str = "") -> dict[str, Json]:
    """GET /v1/samples?io=USERID,... FieldError for more than 64 userids."""
    userids = [queries.checked_userid(word) for word in io.split(",") if word.strip()]
    if len(userids) > MAX_IO:
        raise FieldError("io", f"{len(userids)} userids", f"at most {MAX_IO}, one CP command each")
    started = time.time()
    me = (await context.machine.identity()).userid
    system, guests, network = await asyncio.gather(
        context.call(f.SystemPerformanceInformationQuery(target=me)),
        context.call(f.SystemImagePerformanceQuery(target="*"), allow=_NONE_ON),
        system_queries.traffic(context),
    )
    facts = queries.pairs(system.reply.system_performance_information_data)
    records = guests.data.image_performance_array if guests.rc == 0 and guests.data is not None else ()
    operations = {userid: await _io(context, userid) for userid in dict.fromkeys(userids)}
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "at_seconds": round(started, 3),
        "took_ms": round((time.time() - started) * 1000, 1),
        "calls": len(context.calls),
        "system": {
            "cpus": _number(facts.get("CPU_COUNT")),
            "cpu_percent": _number(facts.get("CPU_AVERAGE_USE")),
            "paging_per_second": _number(facts.get("PAGING_RATE")),
            "memory_used_kb": _number(facts.get("MEMORY_IN_USE")) * _PAGE_KIB,
            "memory_total_kb": _number(facts.get("MEMORY_TOTAL")) * _PAGE_KIB,
        },
        "guests": [{"userid": record.guest_name.strip(), **queries.performance(record)} for record in records],
        "nics": network["nics"],
        "io": {userid: count for userid, count in operations.items() if count is not None},
    }


async def _io(context: Context, userid: str) -> int | None:
    """I/O operations since the logon, of all virtual processors; None for a guest that is off."""
    answer = await context.cp(commands.indicate_user(userid), allow=_NOT_ON)
    return sum(int(count) for count in _IO.findall(" ".join(answer.lines))) if answer.rc == 0 else None


def _number(text: str | None) -> int:
    found = re.match(r"\d+", text or "")
    return int(found[0]) if found else 0
