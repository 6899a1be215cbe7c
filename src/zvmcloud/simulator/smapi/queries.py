"""The system itself, its devices, readers, and the servers' own functions."""

from __future__ import annotations

import time
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import spool
from zvmcloud.simulator.cp.language import size
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.smapi.images import padded
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f


@handles(f.CheckAuthentication)
def check_authentication(_call: Call, _request: f.CheckAuthentication) -> Done:
    return Done()


@handles(f.QueryAPIFunctionalLevel)
def query_api_functional_level(call: Call, _request: f.QueryAPIFunctionalLevel) -> Done:
    return Done(rs=call.system.facts.level)


@handles(f.QueryAsynchronousOperationDM)
def query_asynchronous_operation_dm(call: Call, request: f.QueryAsynchronousOperationDM) -> Done:
    operation = call.system.operations.get(str(request.operation_id))
    if operation is None:
        # Recorded: an unknown id is answered with 0/0.
        return Done()
    return Done(rs={"done": 100, "running": 104}.get(operation.state, 108))


@handles(f.DirectoryManagerTaskCancelDM)
def directory_manager_task_cancel_dm(call: Call, request: f.DirectoryManagerTaskCancelDM) -> Done:
    operation = call.system.operations.get(str(request.operation_id))
    if operation is None or operation.state != "running":
        raise Refused(452, 4)
    call.system.operations.put(str(request.operation_id), replace(operation, state="failed"))
    return Done()


@handles(f.QueryDirectoryManagerLevelDM)
def query_directory_manager_level_dm(call: Call, _request: f.QueryDirectoryManagerLevelDM) -> Done:
    return Done(f.QueryDirectoryManagerLevelDMReply(directory_manager_level=call.system.facts.directory_manager))


@handles(f.ResponseRecovery)
def response_recovery(call: Call, request: f.ResponseRecovery) -> Done:
    held = call.recent.get(request.failed_request_id)
    if held is None or held[0] != call.userid:
        raise Refused(4, 4)
    return Done(f.ResponseRecoveryReply(response_data=held[1]))


@handles(f.QueryAllDM)
def query_all_dm(call: Call, request: f.QueryAllDM) -> Done:
    if (request.format or "NO").upper() != "NO":
        raise Refused(8, 3003)
    kinds = {"USER": 0, "PROFILE": 1, "IDENTITY": 6, "SUBCONFIG": 7}
    entries = tuple(
        f.DirectoryEntry(
            directory_entry_type=kinds.get(record.entry.kind, 8),
            directory_entry_id=name,
            directory_entry_data=padded(record.entry.render()),
        )
        for name, record in sorted(call.system.entries.items())
    )
    return Done(f.QueryAllDMReply(directory_entries_array=entries))


@handles(f.DirectoryManagerSearchDM)
def directory_manager_search_dm(call: Call, request: f.DirectoryManagerSearchDM) -> Done:
    pattern = request.search_pattern.upper().split()
    found = tuple(
        f.FoundStatement(target_id=name, statement=statement.records[0])
        for name, record in sorted(call.system.entries.items())
        for statement in record.entry.statements
        if _fits(pattern, statement.words)
    )
    return Done(f.DirectoryManagerSearchDMReply(statement_array=found), rs=0 if found else 28)


def _fits(pattern: list[str], words: tuple[str, ...]) -> bool:
    if len(words) < len(pattern):
        return False
    return all(
        word.startswith(wanted[:-1]) if wanted.endswith("*") else word == wanted
        for wanted, word in zip(pattern, words, strict=False)
    )


# -- the system -------------------------------------------------------------------------------------------------------


@handles(f.SSIQuery)
def ssi_query(_call: Call, _request: f.SSIQuery) -> Done:
    raise Refused(4, 3008)


@handles(f.SystemInformationQuery)
def system_information_query(call: Call, _request: f.SystemInformationQuery) -> Done:
    facts = call.system.facts
    now, ipl = time.gmtime(call.system.now()), time.gmtime(facts.ipl_at)
    total = size(facts.storage_kib)
    zone = facts.time_zone
    items = (
        "CMS_LEVEL=CMS_LEVEL=29 SERVICE_LEVEL=000",
        "CPU_CAPABILITY=PRIMARY=696 SECONDARY=696",
        f"CPUID=CPUID=FF{facts.cpu_id}8000 MACHINE_TYPE={facts.machine_type} MODEL={facts.machine_model}",
        f"CP_LEVEL=CP_LEVEL={facts.release} {facts.version}",
        f"STORAGE=STORAGE={total} CONFIGURED={total} INC=1M USED=0 STANDBY=0 RESERVED=0",
        (
            f"TIME=TIME={time.strftime('%H:%M:%S', now)} DATE={time.strftime('%Y-%m-%d', now)} ZONE={zone} "
            f"GEN_TIME=10:05:02 GEN_DATE=2020-09-18 IPL_TIME={time.strftime('%H:%M:%S', ipl)} "
            f"IPL_DATE={time.strftime('%Y-%m-%d', ipl)} IPL_ZONE={zone}"
        ),
    )
    return Done(f.SystemInformationQueryReply(system_information_data=items))


@handles(f.SystemInfoQuery)
def system_info_query(call: Call, _request: f.SystemInfoQuery) -> Done:
    facts = call.system.facts
    total = size(facts.storage_kib)
    return Done(
        f.SystemInfoQueryReply(
            time_zone=f"{facts.time_zone} 00.00.00",
            time=time.strftime(f"%H:%M:%S {facts.time_zone} %A %Y-%m-%d", time.gmtime(call.system.now())).upper(),
            cp_level=facts.version,
            gen_date_time=f"2020-09-18 10:05:02 {facts.time_zone}",
            ipl_date_time=time.strftime(f"%Y-%m-%d %H:%M:%S {facts.time_zone}", time.gmtime(facts.ipl_at)),
            storage_info=f"{total} CONFIGURED = {total} INC = 1M STANDBY = 0  RESERVED = 0",
        )
    )


@handles(f.SystemProcessorQuery)
def system_processor_query(call: Call, _request: f.SystemProcessorQuery) -> Done:
    processors = tuple(f"{item.address} {item.status} {item.kind} {item.core}" for item in call.system.facts.processors)
    return Done(f.SystemProcessorQueryReply(partition_mode="Z/VM", system_processor_array=processors))


@handles(f.SystemDiskQuery)
def system_disk_query(call: Call, request: f.SystemDiskQuery) -> Done:
    volumes = sorted(call.system.volumes.values(), key=lambda volume: volume.rdev)
    if request.dev_num.upper() != "ALL":
        rdev = statements.vdev(request.dev_num.upper())
        if rdev is None:
            raise Refused(8, 3003)
        volumes = [volume for volume in volumes if volume.rdev == rdev]
        if not volumes:
            raise Refused(8, 8)
    with_size = (request.disk_size or "").upper() == "YES"
    array = tuple(
        f"{volume.rdev} {volume.model} {'OWNED' if volume.volser == 'M01RES' else 'SYSTEM'} {volume.volser}"
        + (f" {volume.size}" if with_size else "")
        for volume in volumes
    )
    return Done(f.SystemDiskQueryReply(disk_info_array=array))


@handles(f.SystemWWPNQuery)
def system_wwpn_query(call: Call, request: f.SystemWWPNQuery) -> Done:
    if not call.system.fcps:
        raise Refused(4, 28)
    with_owner = (request.owner or "").upper() == "YES"
    array = tuple(
        f"{fcp.rdev} {fcp.npiv} {fcp.chpid} {fcp.physical} {1 if fcp.owner else 2}"
        + (f" {fcp.owner or 'NONE'}" if with_owner else "")
        for fcp in sorted(call.system.fcps.values(), key=lambda item: item.rdev)
    )
    return Done(f.SystemWWPNQueryReply(wwpn_array=array))


@handles(f.SystemFCPFreeQuery)
def system_fcp_free_query(call: Call, request: f.SystemFCPFreeQuery) -> Done:
    rdev = statements.vdev(request.fcp_dev.upper())
    fcp = call.system.fcps.get(rdev or "")
    if fcp is None or fcp.owner:
        raise Refused(8, 8)
    return Done(f.SystemFCPFreeQueryReply(fcp_array=()))


# -- readers ----------------------------------------------------------------------------------------------------------


@handles(f.SystemRDRFileQuery)
def system_rdr_file_query(call: Call, request: f.SystemRDRFileQuery) -> Done:
    found = spool.files(call.system, request.target.upper())
    if not found:
        raise Refused(8, 4)
    lines = []
    for file in found:
        stamp = time.strftime("%m/%d %H:%M:%S", time.gmtime(file.created))
        lines.append(
            f"{file.origin:<8} {file.spoolid} {file.spool_class} {file.kind} {file.records:08d} {file.copies:03d} "
            f"{file.hold:<4} {stamp} {file.name[:9]:<9} {file.filetype[:8]:<8} {file.distribution[:8]}"
        )
    return Done(f.SystemRDRFileQueryReply(reader_file_info=tuple(lines)))


@handles(f.SystemRDRFileManage)
def system_rdr_file_manage(call: Call, request: f.SystemRDRFileManage) -> Done:
    system, userid = call.system, request.target.upper()
    action = (request.action or "PURGE").upper()
    if action not in ("PURGE", "ORDER", "TRANSFER"):
        raise Refused(8, 3003)
    if system.entry(userid) is None:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="CSU", userid=userid)
    if request.spoolids.upper() == "ALL":
        chosen = spool.files(system, userid)
    else:
        chosen = [spool.find(system, userid, number) for number in request.spoolids.split()]
    for number, file in enumerate(chosen):
        if action == "PURGE":
            spool.purge(system, file)
        elif action == "TRANSFER":
            spool.transfer(system, file, call.userid)
        else:
            system.spool.put(spool.key(userid, file.spoolid), replace(file, created=number / 1000))
    return Done()
