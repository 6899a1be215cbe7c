"""Single statements of an entry: CPUs, IPL, and the Image_Definition_* keywords that resizing uses."""

from __future__ import annotations

from zvmcloud.directory import DirectoryError, Entry, Statement, statements
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

BAD_KEY = (8, 3002)


@handles(f.ImageIPLSetDM, directory=True)
def image_ipl_set_dm(call: Call, request: f.ImageIPLSetDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    words: list[object] = ["IPL", request.saved_system.upper()]
    if request.load_parameter:
        words += ["LOADPARM", request.load_parameter]
    if request.parameter_string:
        words += ["PARM", *request.parameter_string.split()]
    _set_only(call, record.entry, "IPL", statements.make(*words))
    return Done()


@handles(f.ImageIPLQueryDM)
def image_ipl_query_dm(call: Call, request: f.ImageIPLQueryDM) -> Done:
    ipl = dm.find(call.system, request.target).entry.ipl
    if ipl is None:
        reply = f.ImageIPLQueryDMReply(saved_system="", load_parameter="", parameter_string="")
        return Done(reply, rs=28)
    return Done(
        f.ImageIPLQueryDMReply(
            saved_system=ipl.source[:8], load_parameter=ipl.loadparm[:10], parameter_string=ipl.parameters[:64]
        )
    )


@handles(f.ImageIPLDeleteDM, directory=True)
def image_ipl_delete_dm(call: Call, request: f.ImageIPLDeleteDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    if record.entry.first("IPL") is None:
        raise Refused(460, 4)
    _set_only(call, record.entry, "IPL", None)
    return Done()


def _set_only(call: Call, entry: Entry, keyword: str, statement: Statement | None) -> None:
    record = dm.unlocked(call.system, entry.name)
    try:
        dm.put(call.system, record, entry.with_only(keyword, statement))
    except DirectoryError as error:
        raise Refused(*dm.STATEMENT_REFUSED, (str(error),)) from error


@handles(f.ImageCPUSetMaximumDM, directory=True)
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


@handles(f.ImageCPUDefineDM, directory=True)
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


@handles(f.ImageCPUDeleteDM, directory=True)
def image_cpu_delete_dm(call: Call, request: f.ImageCPUDeleteDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    found = _cpu_statement(record.entry, _cpu(request.cpu_address))
    if found is None:
        raise Refused(520, 30)
    dm.put(call.system, record, record.entry.without(lambda item: item == found))
    return Done()


@handles(f.ImageCPUQueryDM)
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


# -- Image_Definition_* -----------------------------------------------------------------------------------------------


def _parts(item: str) -> tuple[str, dict[str, str]]:
    """A keyword and its sub-keywords; a bare value has the empty sub-keyword."""
    keyword, _, rest = item.partition("=")
    values: dict[str, str] = {}
    for word in rest.split():
        name, equals, value = word.partition("=")
        values[name.upper() if equals else ""] = value.upper() if equals else word.upper()
    return keyword.strip().upper(), values


def _unknown(keyword: str) -> Refused:
    return Refused(*BAD_KEY, (f"UNKNOWN_DIRECTORY_KEYWORD_PARAMETER={keyword}",))


def _is_define_cpu(item: Statement, address: str) -> bool:
    if item.keyword != "COMMAND" or not item.operand(1).startswith("DEF") or item.operand(2) != "CPU":
        return False
    return item.operand(3).rjust(2, "0") == address


def _updated(entry: Entry, keyword: str, values: dict[str, str]) -> Entry:
    """The entry with what one keyword says; replaces statements that exist once, adds the others."""
    if keyword == "COMMAND_DEFINE_CPU":
        address = _cpu(values.get("CPUADDR", ""))
        if address in entry.cpus and any(_is_define_cpu(item, address) for item in entry.statements):
            return entry
        return entry.add(statements.make("COMMAND", "DEFINE", "CPU", address, "TYPE", values.get("TYPE", "IFL")))
    if keyword == "CPU":
        address = _cpu(values.get("CPUADDR", ""))
        if _cpu_statement(entry, address) is not None:
            raise Refused(520, 28)
        return entry.add(statements.make("CPU", address, "BASE" if values.get("BASE") == "YES" else ""))
    if keyword == "CPU_MAXIMUM":
        count = values.get("COUNT", "")
        return entry.with_only("MACHINE", statements.make("MACHINE", values.get("TYPE", entry.machine[0]), count))
    if keyword == "SHARE":
        kind = next((name for name in ("RELATIVE", "ABSOLUTE") if name in values), "")
        if not kind:
            raise Refused(8, 3032)
        return entry.with_only("SHARE", statements.make("SHARE", kind, values[kind]))
    if keyword == "IPL":
        words: list[object] = ["IPL", values.get("VDEV", "")]
        if "PARM" in values:
            words += ["PARM", values["PARM"]]
        return entry.with_only("IPL", statements.make(*words))
    if keyword == "STORAGE_INITIAL":
        return entry.with_operand(3, values.get("", ""))
    if keyword == "STORAGE_MAXIMUM":
        return entry.with_operand(4, values.get("", ""))
    if keyword == "PRIVILEGE_CLASSES":
        return entry.with_operand(5, values.get("", ""))
    if keyword == "PASSWORD":
        return entry.with_operand(2, values.get("", ""))
    if keyword == "INCLUDE":
        return entry.with_only("INCLUDE", statements.make("INCLUDE", values.get("", "")))
    if keyword == "OPTION":
        return entry.with_only("OPTION", statements.make("OPTION", *values.values()))
    if keyword == "COMMAND_SET_SHARE":
        return entry.add(statements.make("COMMAND", "SET", "SHARE", *values.values()))
    raise _unknown(keyword)


@handles(f.ImageDefinitionUpdateDM, directory=True)
def image_definition_update_dm(call: Call, request: f.ImageDefinitionUpdateDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    entry = record.entry
    for item in request.definition_update_directory_keyword_parameter_list:
        keyword, values = _parts(item)
        try:
            entry = _updated(entry, keyword, values)
        except DirectoryError as error:
            raise Refused(8, 3032, (f"{error.operand}: {error.limit}",)) from error
    dm.put(call.system, record, entry)
    return Done()


@handles(f.ImageDefinitionDeleteDM, directory=True)
def image_definition_delete_dm(call: Call, request: f.ImageDefinitionDeleteDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    entry = record.entry
    for item in request.definition_delete_directory_keyword_parameter_list:
        keyword, values = _parts(item)
        entry = _reduced(entry, keyword, values)
    dm.put(call.system, record, entry)
    return Done()


def _reduced(entry: Entry, keyword: str, values: dict[str, str]) -> Entry:
    if keyword == "COMMAND_DEFINE_CPU":
        address = _cpu(values.get("CPUADDR", ""))
        changed = entry.without(lambda item: _is_define_cpu(item, address))
    elif keyword == "CPU":
        found = _cpu_statement(entry, _cpu(values.get("CPUADDR", "")))
        if found is None:
            raise Refused(520, 30)
        changed = entry.without(lambda item: item == found)
    elif keyword in ("SHARE", "IPL", "OPTION", "INCLUDE"):
        changed = entry.with_only(keyword, None)
    else:
        raise _unknown(keyword)
    if changed == entry:
        raise Refused(8, 4)
    return changed
