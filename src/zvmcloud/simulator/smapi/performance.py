"""Performance records of machines and of the system."""

from __future__ import annotations

from zvmcloud.simulator import traffic
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f

_PAGE_KIB = 4
_CP_KIB = 512 * 1024


def record(system: System, machine: Machine) -> f.PerformanceRecord:
    """The numbers of one machine that is logged on. One sample stands for one second."""
    facts = system.facts
    elapsed = max(system.now() - machine.logon_at, 0.0)
    used = traffic.processor_microseconds(system, machine)
    samples = int(elapsed)
    busy = min(used // 1_000_000, samples)
    return f.PerformanceRecord(
        record_version=1,
        guest_flags=0,
        used_CPU_time=used,
        elapsed_time=int(elapsed * 1_000_000),
        min_memory=0,
        max_memory=machine.storage_kib,
        shared_memory=traffic.storage_kib(system, machine),
        used_memory=traffic.storage_kib(system, machine),
        active_CPUs_in_CEC=len(facts.processors),
        logical_CPUs_in_VM=len(facts.processors),
        guest_CPUs=len(machine.cpus),
        min_CPU_count=len(machine.cpus),
        max_CPU_limit=10000,
        processor_share=_share(machine),
        samples_CPU_in_use=busy,
        samples_CPU_delay=0,
        samples_page_wait=0,
        samples_idle=samples - busy,
        samples_other=0,
        samples_total=samples,
        guest_name=machine.userid,
    )


def _share(machine: Machine) -> int:
    digits = machine.share[1].rstrip("%").partition(".")[0]
    return int(digits) if digits.isdecimal() else 100


@handles(f.SystemImagePerformanceQuery, authority="clients")
def system_image_performance_query(call: Call, request: f.SystemImagePerformanceQuery) -> Done:
    target = request.target.upper()
    machines = call.system.machines
    if target in ("*", "ALL"):
        names: tuple[str, ...] = tuple(sorted(machines))
    else:
        names = targets.members(call.system, target) or (target,)
    records = tuple(record(call.system, machines[name]) for name in names if name in machines)
    if not records:
        raise Refused(4, 4)
    return Done(f.SystemImagePerformanceQueryReply(image_performance_array=records))


@handles(f.ImagePerformanceQuery, authority="document")
def image_performance_query(call: Call, request: f.ImagePerformanceQuery) -> Done:
    machines = call.system.machines
    wanted = [name.upper() for name in request.guest_names]
    names = sorted(machines) if "*" in wanted else [name for name in wanted if name in machines]
    records = tuple(record(call.system, machines[name]) for name in names)
    return Done(f.ImagePerformanceQueryReply(performance_records=records))


def _pages(system: System) -> tuple[int, int]:
    """Pages of real storage: in use and in all."""
    used = _CP_KIB + sum(traffic.storage_kib(system, machine) for machine in system.machines.values())
    total = system.facts.storage_kib
    return min(used, total) // _PAGE_KIB, total // _PAGE_KIB


def _load(system: System) -> int:
    """Percent of the processors that machines use."""
    return min(100, len(system.machines) // max(len(system.facts.processors), 1))


@handles(f.SystemPerformanceInformationQuery, authority="recorded")
def system_performance_information_query(call: Call, request: f.SystemPerformanceInformationQuery) -> Done:
    system = call.system
    facts = system.facts
    used, total = _pages(system)
    items = [
        f"CPU_COUNT={len(facts.processors):04d}",
        f"CPU_AVERAGE_USE={_load(system)}%",
        "PAGING_RATE=0",
        f"MEMORY_IN_USE={used}",
        f"MEMORY_TOTAL={total}",
        "MONITOR_RATE=2.00 SECONDS ",
        "MONITOR_INTERVAL=1 MINUTES ",
    ]
    if (request.DETAILED_CPU or "").upper() in ("SHOW=YES", "YES"):
        items += [f"MY_LPAR_NAME={facts.lpar}", f"DETAILED_CPU_COUNT={len(facts.processors)}"]
        items += [
            f"DETAILED_CPU=LPAR_NAME={facts.lpar:<8} LPAR_NUMBER=1 LPAR_ID= ... LPAR_CPU_COUNT={len(facts.processors)} "
            f"LPAR_CAP=NO LPAR_WEIGHT=1000 LPAR_WAIT=NO LPAR_LOAD={_load(system):.2f}% LPAR_STATUS=ACTIVE "
            f"LPAR_OVERHEAD=0.10% CPU_TYPE={processor.kind} CPU_ID={int(processor.address, 16)} CPU_SUSPEND_TIME=0.00% "
            f"CPU_LP_OVERHEAD_TIME=0.10% CPU_BUSY_TIME={_load(system):.2f}% PHYSICAL_CPU_BUSY={_load(system):.2f}% "
            f"LOGICAL_CPU_LOAD={_load(system):.2f}% VM_CPU_LOAD={_load(system):.2f}%"
            for processor in facts.processors
        ]
    return Done(f.SystemPerformanceInformationQueryReply(system_performance_information_data=tuple(items)))


@handles(f.SystemPerformanceInfoQuery, authority="recorded")
def system_performance_info_query(call: Call, request: f.SystemPerformanceInfoQuery) -> Done:
    system = call.system
    used, total = _pages(system)
    items = [f"{len(system.facts.processors):04d}", str(_load(system)), "0", str(total), str(used)]
    if request.monrate:
        items.append("MONITOR EVENT RATE 2.00 SECONDS")
    items += [
        f"PROC {processor.address}-{_load(system):03d}% {processor.kind:<4} VM" for processor in system.facts.processors
    ]
    return Done(f.SystemPerformanceInfoQueryReply(performance_info=tuple(items)))
