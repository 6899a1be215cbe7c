"""Single statements of an entry: CPUs and IPL."""

from __future__ import annotations

from zvmcloud.directory import DirectoryError, Entry, Statement, statements
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model import DirectoryEntry
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f


def _is_profile(call: Call, name: str) -> bool:
    found = call.system.entries.get(name.upper())
    return found is not None and found.entry.kind == "PROFILE"


def _unlocked(call: Call, name: str) -> DirectoryEntry:
    """The entry of a userid or a profile."""
    return dm.unlocked(call.system, name, profile=_is_profile(call, name))


@handles(f.ImageIPLSetDM, directory=True, authority="recorded")
def image_ipl_set_dm(call: Call, request: f.ImageIPLSetDM) -> Done:
    record = _unlocked(call, request.target)
    words: list[object] = ["IPL", request.saved_system.upper()]
    if request.load_parameter:
        words += ["LOADPARM", request.load_parameter]
    if request.parameter_string:
        words += ["PARM", *request.parameter_string.split()]
    _set_only(call, record.entry, "IPL", statements.make(*words))
    return Done()


@handles(f.ImageIPLQueryDM, authority="recorded")
def image_ipl_query_dm(call: Call, request: f.ImageIPLQueryDM) -> Done:
    ipl = dm.find(call.system, request.target, profile=_is_profile(call, request.target)).entry.ipl
    if ipl is None:
        reply = f.ImageIPLQueryDMReply(saved_system="", load_parameter="", parameter_string="")
        return Done(reply, rs=28)
    return Done(
        f.ImageIPLQueryDMReply(
            saved_system=ipl.source[:8], load_parameter=ipl.loadparm[:10], parameter_string=ipl.parameters[:64]
        )
    )


@handles(f.ImageIPLDeleteDM, directory=True, authority="recorded")
def image_ipl_delete_dm(call: Call, request: f.ImageIPLDeleteDM) -> Done:
    record = _unlocked(call, request.target)
    if record.entry.first("IPL") is None:
        raise Refused(460, 4)
    _set_only(call, record.entry, "IPL", None)
    return Done()


@handles(f.ImageIPLDeviceQuery, authority="clients")
def image_ipl_device_query(call: Call, request: f.ImageIPLDeviceQuery) -> Done:
    """Judgement: a machine in which nothing was loaded has no device."""
    machine = targets.running(call, request.userid)
    return Done(f.ImageIPLDeviceQueryReply(ipl_device=machine.system.ipl if machine.system else ""))


def _set_only(call: Call, entry: Entry, keyword: str, statement: Statement | None) -> None:
    record = _unlocked(call, entry.name)
    try:
        dm.put(call.system, record, entry.with_only(keyword, statement))
    except DirectoryError as error:
        raise Refused(*dm.STATEMENT_REFUSED, (str(error),)) from error


@handles(f.ImageCPUSetMaximumDM, directory=True, authority="recorded")
def image_cpu_set_maximum_dm(call: Call, request: f.ImageCPUSetMaximumDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    architecture = record.entry.machine[0]
    _set_only(call, record.entry, "MACHINE", statements.make("MACHINE", architecture, request.max_cpu))
    return Done()


def _cpu(text: str) -> str:
    if statements.vdev(text.upper()) is None or int(text, 16) > 63:
        raise Refused(24, 518)
    return text.upper().rjust(2, "0")


def _cpu_statement(entry: Entry, address: str) -> Statement | None:
    return next((item for item in entry.every("CPU") if item.operand(1).rjust(2, "0") == address), None)


@handles(f.ImageCPUDefineDM, directory=True, authority="recorded")
def image_cpu_define_dm(call: Call, request: f.ImageCPUDefineDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    address = _cpu(request.cpu_address)
    words: list[object] = ["CPU", address]
    if request.base_cpu == 1:
        words.append("BASE")
    if request.cpuid:
        words += ["CPUID", request.cpuid.upper()]
    if request.dedicate_cpu:
        words.append("DEDICATE" if request.dedicate_cpu == 2 else "NODEDICATE")
    if request.crypto == 1:
        words.append("CRYPTO")
    entry = record.entry.without(lambda item: item == _cpu_statement(record.entry, address))
    dm.put(call.system, record, dm.add_statement(entry, statements.make(*words)))
    return Done()


@handles(f.ImageCPUDeleteDM, directory=True, authority="recorded")
def image_cpu_delete_dm(call: Call, request: f.ImageCPUDeleteDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    found = _cpu_statement(record.entry, _cpu(request.cpu_address))
    if found is None:
        raise Refused(520, 30)
    dm.put(call.system, record, record.entry.without(lambda item: item == found))
    return Done()


@handles(f.ImageCPUQueryDM, authority="recorded")
def image_cpu_query_dm(call: Call, request: f.ImageCPUQueryDM) -> Done:
    record = dm.find(call.system, request.target)
    address = _cpu(request.cpu_address)
    found = _cpu_statement(record.entry, address)
    if found is None:
        raise Refused(520, 30)
    dedicated = 2 if "DEDICATE" in found.words else 1 if "NODEDICATE" in found.words else 0
    return Done(
        f.ImageCPUQueryDMReply(
            cpu_address=address,
            base_cpu=int("BASE" in found.words),
            cpuid=found.after("CPUID") or "",
            dedicate_cpu=dedicated,
            crypto=int("CRYPTO" in found.words),
        )
    )
