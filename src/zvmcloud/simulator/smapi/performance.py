"""Performance records of machines and of the system."""

from __future__ import annotations

from dataclasses import replace

from zvmcloud.simulator import space, thresholds, traffic
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.model_devices import Monitor
from zvmcloud.simulator.smapi import real_disks, targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.simulator.system import System
from zvmcloud.smapi import functions as f


def page_wait(system: System) -> float:
    """The share of time for which machines wait for pages: what does not fit, in relation to real storage."""
    return min(space.pages_needed(system) / max(space.real_pages(system)[1], 1), 1.0)


def record(system: System, machine: Machine, page_waiting: float = 0.0) -> f.PerformanceRecord:
    """The numbers of one machine that is logged on. One sample stands for one second."""
    facts = system.facts
    elapsed = max(system.now() - machine.logon_at, 0.0)
    used = traffic.processor_microseconds(system, machine)
    samples = int(elapsed)
    # A machine with several CPUs can use more than a second of processor time in a second.
    busy = min(used // (1_000_000 * max(len(machine.cpus), 1)), samples)
    waiting = int((samples - busy) * page_waiting)
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
        samples_page_wait=waiting,
        samples_idle=samples - busy - waiting,
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
    waiting = page_wait(call.system)
    records = tuple(record(call.system, machines[name], waiting) for name in names if name in machines)
    if not records:
        raise Refused(4, 4)
    return Done(f.SystemImagePerformanceQueryReply(image_performance_array=records))


@handles(f.ImagePerformanceQuery, authority="clients")
def image_performance_query(call: Call, request: f.ImagePerformanceQuery) -> Done:
    machines = call.system.machines
    wanted = [name.upper() for name in request.guest_names]
    names = sorted(machines) if "*" in wanted else [name for name in wanted if name in machines]
    waiting = page_wait(call.system)
    records = tuple(record(call.system, machines[name], waiting) for name in names)
    return Done(f.ImagePerformanceQueryReply(performance_records=records))


def _load(system: System) -> int:
    """Percent of the processors that machines use."""
    return int(thresholds.cpu_percent(system))


def _monitor(call: Call, setting: str | None) -> Monitor:
    """The monitor's settings, after a new sample rate in seconds was set. Refused 8/3003 for what is none."""
    monitor = call.system.monitors.get("monitor") or Monitor()
    text = (setting or "QUERY").upper()
    if text in ("QUERY", ""):
        return monitor
    try:
        rate = float(text)
    except ValueError:
        raise Refused(8, 3003) from None
    if not 0.06 <= rate <= 60:
        raise Refused(8, 3003)
    changed = replace(monitor, rate=rate)
    call.system.monitors.put("monitor", changed)
    return changed


@handles(f.SystemPerformanceInformationQuery, authority="recorded")
def system_performance_information_query(call: Call, request: f.SystemPerformanceInformationQuery) -> Done:
    system = call.system
    facts = system.facts
    real_disks.monitored(call)
    monitor = _monitor(call, None)
    used, total = space.real_pages(system)
    items = [
        f"CPU_COUNT={len(facts.processors):04d}",
        f"CPU_AVERAGE_USE={_load(system)}%",
        f"PAGING_RATE={int(thresholds.paging_rate(system))}",
        f"MEMORY_IN_USE={used}",
        f"MEMORY_TOTAL={total}",
        f"MONITOR_RATE={monitor.rate:.2f} SECONDS ",
        f"MONITOR_INTERVAL={monitor.interval} MINUTES ",
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
    used, total = space.real_pages(system)
    items = [f"{len(system.facts.processors):04d}", str(_load(system))]
    items += [str(int(thresholds.paging_rate(system))), str(total), str(used)]
    if request.monrate:
        items.append(f"MONITOR EVENT RATE {_monitor(call, request.monrate).rate:.2f} SECONDS")
    items += [
        f"PROC {processor.address}-{_load(system):03d}% {processor.kind:<4} VM" for processor in system.facts.processors
    ]
    return Done(f.SystemPerformanceInfoQueryReply(performance_info=tuple(items)))
