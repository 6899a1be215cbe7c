"""The system as a whole: service, shutdown, status of the servers, thresholds, where a guest was IPLed from, and the
CP commands that xCAT needs."""

from __future__ import annotations

import re

from zvmcloud.simulator import shutdown, space, storage, thresholds
from zvmcloud.simulator.cp import CpResult, execute
from zvmcloud.simulator.equipment import SERVER_PLACE
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.model_devices import TextFile
from zvmcloud.simulator.smapi import targets
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import functions as f

BAD_KEY, BAD_VALUE, CONFLICT = (8, 3002), (8, 3003), (8, 24)
PART_NOT_FOUND, NO_INFORMATION = (8, 4), (8, 28)
NO_PERFORMANCE_SERVER = (8, 4)
#: The server that works for a call, and as whom commands of xCAT run.
WORKER = "VSMWORK1"


@handles(f.SystemServiceQuery, authority="recorded")
def system_service_query(call: Call, request: f.SystemServiceQuery) -> Done:
    """Recorded for an RSU, with one PRODUCTION_LEVEL per system and no blank between them.

    judgement: words of the answer for an APAR or a PTF; a component without information is 8/28.
    """
    words = dict(re.findall(r"([A-Za-z_]+)=(\S+)", request.COMPONENT))
    values = {key.upper(): value.upper() for key, value in words.items()}
    name = values.get("NAMECOMPONENT") or values.get("NAME") or ""
    kind, number = values.get("TYPE", ""), values.get("NUMBER", "")
    if not name or not kind:
        raise Refused(
            8, 3004, ("MISSING_PARAMETER_KEYWORD=TYPE" if name else "MISSING_PARAMETER_KEYWORD=NAMECOMPONENT",)
        )
    if kind not in ("APAR", "PTF", "RSU"):
        raise Refused(*BAD_VALUE, (f"UNKNOWN_PARAMETER_OPERAND={kind}",))
    service = call.system.services.get(name)
    if service is None:
        raise Refused(*NO_INFORMATION, (f"No service information about component {name}",))
    if kind == "RSU":
        level = f"RSU-{service.rsu}"
        production = "".join(f"PRODUCTION_LEVEL={member}.{level}" for member in _members(call))
        text = f"COMPONENT=NAME={name} TYPE=RSU SERVICE_LEVEL={level} {production}"
        return Done(f.SystemServiceQueryReply(system_service_query_data=(text,)))
    if not number:
        raise Refused(8, 3004, ("MISSING_PARAMETER_KEYWORD=NUMBER",))
    for part in service.parts:
        ptf, _, apar = part.partition(" ")
        if number == (ptf if kind == "PTF" else apar):
            text = f"COMPONENT=NAME={name} TYPE={kind} NUMBER={number} PTF={ptf} APAR={apar} STATUS=PUT-INTO-PRODUCTION"
            return Done(f.SystemServiceQueryReply(system_service_query_data=(text,)))
    raise Refused(*PART_NOT_FOUND)


def _members(call: Call) -> list[str]:
    """The systems that the service is in production on: this one, and the members of its cluster."""
    cluster = getattr(call.system, "cluster", None)
    names = [str(name) for name in getattr(cluster, "members", ())]
    return names or [call.system.name]


@handles(f.SystemShutdown, authority="document")
def system_shutdown(call: Call, request: f.SystemShutdown) -> Done:
    """Plan a shutdown, do it at once, or call it off. The answer is out before the system goes."""
    cancelling = (request.Cancel or "NOCANCEL").upper() == "CANCEL"
    immediate = (request.Immediate or "NOIMMEDIATE").upper() == "IMMEDIATE"
    others = [value for value in (request.Within, request.By) if value]
    if len(others) + immediate > 1 or (cancelling and (others or immediate or request.Reipl)):
        raise Refused(*CONFLICT)
    if cancelling:
        shutdown.cancel(call.system)
        return Done()
    seconds = 0.0
    if request.Within:
        if not request.Within.isdecimal() or not 1 <= int(request.Within) <= 65535:
            raise Refused(*BAD_VALUE)
        seconds = float(request.Within)
    if request.By:
        seconds = _until(call, request.By)
    reipl = (request.Reipl or "REIPL").upper() == "REIPL"
    shutdown.plan(call.system, seconds, reipl=reipl, immediate=immediate)
    return Done()


def _until(call: Call, text: str) -> float:
    """Seconds until a time of day."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(part.isdecimal() for part in parts):
        raise Refused(*BAD_VALUE)
    hours, minutes, seconds = (int(part) for part in (*parts, "0")[:3])
    if hours > 23 or minutes > 59 or seconds > 59:
        raise Refused(*BAD_VALUE)
    return float((hours * 3600 + minutes * 60 + seconds - int(call.system.now()) % 86400) % 86400)


# -- thresholds -------------------------------------------------------------------------------------------------------


def _event(text: str, *, with_limit: bool) -> tuple[str, str]:
    """The normal name of a threshold and what is behind it. Refused 8/3002."""
    words = text.upper().replace("=", " ").replace("/", " ").split()
    if not words:
        raise Refused(*BAD_KEY)
    name, rest = words[0], words[1:]
    if name in thresholds.SYSTEM_EVENTS and len(rest) == int(with_limit):
        return name, rest[0] if rest else ""
    if name in thresholds.USER_EVENTS and len(rest) == 1 + int(with_limit):
        return f"{name} {rest[0]}", rest[-1]
    raise Refused(*BAD_KEY)


@handles(f.SystemPerformanceThresholdEnable, authority="recorded")
def system_performance_threshold_enable(call: Call, request: f.SystemPerformanceThresholdEnable) -> Done:
    """The value is watched, and crossing it is an event. judgement: a limit that is no number is 8/3002."""
    event, limit = _event(request.event_type, with_limit=True)
    if not limit.isdecimal() or (event.startswith("SYSTEM_CPU") and int(limit) > 100):
        raise Refused(*BAD_KEY)
    if thresholds.SERVER in call.system.entries and thresholds.SERVER not in call.system.machines:
        raise Refused(*NO_PERFORMANCE_SERVER)
    thresholds.enable(call.system, event, int(limit))
    return Done()


@handles(f.SystemPerformanceThresholdDisable, authority="recorded")
def system_performance_threshold_disable(call: Call, request: f.SystemPerformanceThresholdDisable) -> Done:
    """judgement: one that is not enabled is 0/0 as well."""
    event, _ = _event(request.event_type, with_limit=False)
    thresholds.disable(call.system, event)
    return Done()


# -- servers ----------------------------------------------------------------------------------------------------------


@handles(f.SMAPIStatusCapture, authority="document")
def smapi_status_capture(call: Call, _request: f.SMAPIStatusCapture) -> Done:
    """A file SMAPI STATUS in the servers' directory: the servers, the level, the counts of the model."""
    system = call.system
    lines = [f"SMAPI STATUS OF {system.name} FUNCTIONAL LEVEL {system.facts.level}"]
    lines += [
        f"{userid:<8} {'LOGGED ON' if userid in system.machines else 'NOT LOGGED ON'}"
        for userid in sorted(name for name in system.entries if name.startswith("VSM"))
    ]
    lines.append(f"AUTHORIZATIONS {len(system.authorizations)} LISTS {len(system.name_lists)}")
    lines.append(f"OPERATIONS {len(system.operations)} SPOOL PAGES {space.spool_pages(system)}")
    file = TextFile(SERVER_PLACE, "SMAPI", "STATUS", tuple(lines), system.now())
    system.texts.put(f"{file.place} {file.name} {file.filetype}", file)
    return Done()


@handles(f.ImageIPLDeviceQuery, authority="clients")
def image_ipl_device_query(call: Call, request: f.ImageIPLDeviceQuery) -> Done:
    """The device or saved system that the running system came from; without one the directory's."""
    machine = targets.running(call, request.userid)
    if machine.system is not None:
        return Done(f.ImageIPLDeviceQueryReply(ipl_device=machine.system.ipl))
    entry = call.system.full_entry(machine.userid)
    ipl = entry.ipl if entry is not None else None
    return Done(f.ImageIPLDeviceQueryReply(ipl_device=(ipl.vdev or ipl.source) if ipl is not None else "NONE"))


# -- xCAT -------------------------------------------------------------------------------------------------------------

#: The commands that xCAT sends this way: PURGE userid RDR, FLASHCOPY, SEND CP userid, and questions.
_COMMANDS = ("PURGE", "FLASHCOPY", "SEND", "QUERY", "Q", "INDICATE", "IND", "SET", "SMSG", "MSG", "XAUTOLOG", "FORCE")
_PURGE = re.compile(r"PURGE\s+(\S+)\s+(RDR|READER|ALL)\s+(ALL|\d+)\s*", re.IGNORECASE)
#: FLASHCOPY as xCAT sends it names the owners of the minidisks.
_FLASHCOPY = re.compile(
    r"FLASHCOPY\s+(\S+)\s+([0-9A-F]{1,4})\s+(\d+)\s+(\d+|END)\s+(?:TO\s+)?"
    r"(\S+)\s+([0-9A-F]{1,4})\s+(\d+)\s+(\d+|END)(?:\s+SYNC\S*)?",
    re.IGNORECASE,
)
FLASHCOPY_ACCEPTED = (592, 8888)
_SOURCE, _TARGET = "FFF0", "FFF1"


def _flashcopy(call: Call, issuer: str, found: re.Match[str]) -> CpResult:
    """Link both minidisks to the worker, copy, and let them go again."""
    system = call.system
    source, target = found[1].upper(), found[5].upper()
    storage.attach(system, issuer, source, found[2].upper().rjust(4, "0"), _SOURCE, "RR")
    storage.attach(system, issuer, target, found[6].upper().rjust(4, "0"), _TARGET, "MW")
    extents = f"{_SOURCE} {found[3]} {found[4].upper()} TO {_TARGET} {found[7]} {found[8].upper()}"
    result = execute(system, issuer, f"FLASHCOPY {extents} SYNC")
    storage.detach(system, issuer, _SOURCE)
    storage.detach(system, issuer, _TARGET)
    return result


@handles(f.XcatAccomodation, authority="clients")
def xcat_accomodation(call: Call, request: f.XcatAccomodation) -> Done:
    """A CP command, run by the worker VSMWORK1. Clients: FLASHCOPY that CP accepted is answered with 592/8888.

    zthin sends four bytes of garbage behind the command; whatever follows a NUL or does not belong is dropped.
    judgement: another command than the small set is 8/3002.
    """
    text = request.command.split(b"\0")[0].decode("iso8859-15")
    text = "".join(letter for letter in text if letter.isprintable()).strip()
    key, equals, command = text.partition("=")
    if not equals or key.strip().upper() not in ("CMD", "COMMAND"):
        raise Refused(*BAD_KEY, ("cmd= is missing",))
    command = command.strip().strip("'\"")
    word = command.split()[0].upper() if command else ""
    if word not in _COMMANDS:
        raise Refused(*BAD_KEY, (f"{word} is not one of the commands that may be run",))
    issuer = WORKER if WORKER in call.system.machines else call.userid
    purge = _PURGE.fullmatch(command)
    if purge:
        command = f"PURGE {purge[1]} RDR {purge[3]}" if purge[1].upper() != issuer else f"PURGE RDR {purge[3]}"
    copy = _FLASHCOPY.fullmatch(command)
    result = _flashcopy(call, issuer, copy) if copy else execute(call.system, issuer, command)
    if result.rc:
        raise Refused(396, result.rc, ("\n".join(result.lines),))
    if word == "FLASHCOPY":
        return Done(rc=FLASHCOPY_ACCEPTED[0], rs=FLASHCOPY_ACCEPTED[1])
    return Done(f.XcatAccomodationReply(XCAT_commands_data=result.lines))
