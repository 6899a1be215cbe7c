"""The system itself, its devices, readers, and the servers' own functions."""

from __future__ import annotations

import time
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.simulator import releases, spool
from zvmcloud.simulator.cp.language import size
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f


@handles(f.CheckAuthentication, authority="clients")
def check_authentication(_call: Call, _request: f.CheckAuthentication) -> Done:
    return Done()


@handles(f.QueryAPIFunctionalLevel, authority="clients")
def query_api_functional_level(call: Call, _request: f.QueryAPIFunctionalLevel) -> Done:
    return Done(rs=call.system.facts.level)


@handles(f.QueryDirectoryManagerLevelDM, authority="clients")
def query_directory_manager_level_dm(call: Call, _request: f.QueryDirectoryManagerLevelDM) -> Done:
    return Done(f.QueryDirectoryManagerLevelDMReply(directory_manager_level=call.system.facts.directory_manager))


@handles(f.ResponseRecovery, authority="recorded")
def response_recovery(call: Call, request: f.ResponseRecovery) -> Done:
    held = call.recent.get(request.failed_request_id)
    if held is None or held[0] != call.userid:
        raise Refused(4, 4)
    return Done(f.ResponseRecoveryReply(response_data=held[1]))


# -- the system -------------------------------------------------------------------------------------------------------


@handles(f.SSIQuery, authority="clients")
def ssi_query(_call: Call, _request: f.SSIQuery) -> Done:
    raise Refused(4, 3008)


@handles(f.SystemInformationQuery, authority="clients")
def system_information_query(call: Call, _request: f.SystemInformationQuery) -> Done:
    facts = call.system.facts
    now, ipl = time.gmtime(call.system.now()), time.gmtime(facts.ipl_at)
    total = size(facts.storage_kib)
    zone = facts.time_zone
    generated = releases.of_level(facts.level).generated
    items = (
        "CMS_LEVEL=CMS_LEVEL=29 SERVICE_LEVEL=000",
        "CPU_CAPABILITY=PRIMARY=696 SECONDARY=696",
        f"CPUID=CPUID=FF{facts.cpu_id}8000 MACHINE_TYPE={facts.machine_type} MODEL={facts.machine_model}",
        f"CP_LEVEL=CP_LEVEL={facts.release} {facts.version}",
        f"STORAGE=STORAGE={total} CONFIGURED={total} INC=1M USED=0 STANDBY=0 RESERVED=0",
        (
            f"TIME=TIME={time.strftime('%H:%M:%S', now)} DATE={time.strftime('%Y-%m-%d', now)} ZONE={zone} "
            f"GEN_TIME={generated[11:]} GEN_DATE={generated[:10]} IPL_TIME={time.strftime('%H:%M:%S', ipl)} "
            f"IPL_DATE={time.strftime('%Y-%m-%d', ipl)} IPL_ZONE={zone}"
        ),
    )
    return Done(f.SystemInformationQueryReply(system_information_data=items))


@handles(f.SystemInfoQuery, authority="clients")
def system_info_query(call: Call, _request: f.SystemInfoQuery) -> Done:
    facts = call.system.facts
    total = size(facts.storage_kib)
    return Done(
        f.SystemInfoQueryReply(
            time_zone=f"{facts.time_zone} 00.00.00",
            time=time.strftime(f"%H:%M:%S {facts.time_zone} %A %Y-%m-%d", time.gmtime(call.system.now())).upper(),
            cp_level=facts.version,
            gen_date_time=f"{releases.of_level(facts.level).generated} {facts.time_zone}",
            ipl_date_time=time.strftime(f"%Y-%m-%d %H:%M:%S {facts.time_zone}", time.gmtime(facts.ipl_at)),
            storage_info=f"{total} CONFIGURED = {total} INC = 1M STANDBY = 0  RESERVED = 0",
        )
    )


@handles(f.SystemProcessorQuery, authority="document")
def system_processor_query(call: Call, _request: f.SystemProcessorQuery) -> Done:
    processors = tuple(f"{item.address} {item.status} {item.kind} {item.core}" for item in call.system.facts.processors)
    return Done(f.SystemProcessorQueryReply(partition_mode="Z/VM", system_processor_array=processors))


# -- readers ----------------------------------------------------------------------------------------------------------


@handles(f.SystemRDRFileQuery, authority="recorded")
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


@handles(f.SystemRDRFileManage, authority="recorded")
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
