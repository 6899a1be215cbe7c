"""SET and TERMINAL: what a user or an operator sets, and how QUERY shows it.

Settings of a user last until its logoff. MSG, WNG, SMSG, SECUSER, OBSERVER, SHARE, SIGNAL, EDEVICE, VSWITCH and LAN
have their effect here; the others are kept and shown, because nothing that they act on is simulated (judgement).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.simulator import fabric
from zvmcloud.simulator.cp import lans, networks, relocate, set_loaddev
from zvmcloud.simulator.cp.language import (
    EVERY_CLASS,
    Command,
    Issuer,
    abbreviates,
    chosen,
    logged_on,
    no_more,
    number,
    on_off,
    operand,
    rdev,
    userid,
)
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Machine
from zvmcloud.simulator.model_cp import UserSettings
from zvmcloud.simulator.system import System

#: Settings of a user that are ON or OFF: shortest form and what holds until it is set.
SWITCHES = {
    "MSG": (3, "ON"), "WNG": (3, "ON"), "EMSG": (4, "ON"), "IMSG": (4, "ON"), "SMSG": (4, "OFF"), "ACNT": (4, "OFF"),
    "RUN": (3, "OFF"), "LINEDIT": (4, "ON"), "TIMER": (5, "OFF"), "NOTRANS": (4, "OFF"), "PAGEX": (5, "OFF"),
    "AUTOPOLL": (5, "OFF"), "CONCEAL": (4, "OFF"), "CCWTRAN": (4, "ON"), "STBYPASS": (3, "OFF"), "370ACCOM": (4, "OFF"),
    "ASSIST": (4, "ON"), "CPCONIO": (4, "IUCV"), "VMCONIO": (4, "OFF"), "VMRELOCATE": (4, "OFF"),
    "CPUAFFINITY": (6, "ON"),
}  # fmt: skip
_ERROR_FORMS = ("ON", "OFF", "CODE", "TEXT", "IUCV")
_SYSTEM = "*"
_SHARE_LIMITS = ("NOLIMIT", "LIMITSOFT", "LIMITHARD")
MAX_RELATIVE = 10_000


def of(system: System, machine: Machine) -> UserSettings:
    """The settings of a machine that is logged on."""
    row = system.settings.get(machine.userid)
    if row is None or row.logon_at != machine.logon_at:
        return UserSettings(machine.userid, machine.logon_at)
    return row


def is_on(system: System, name: str, setting: str) -> bool:
    """Whether a setting of a machine that is logged on is ON."""
    return of(system, system.machines[name]).get(setting, SWITCHES[setting][1]) == "ON"


def with_value(settings: UserSettings, name: str, value: str) -> UserSettings:
    """The settings with one of them changed."""
    kept = tuple(pair for pair in settings.values if pair[0] != name)
    return replace(settings, values=(*kept, (name, value)))


def signal_seconds(system: System) -> int:
    """How long a shutdown signal may take when the command does not say."""
    row = system.settings.get(_SYSTEM)
    return int(row.get("SIGNAL", "") or system.timing.signal) if row is not None else int(system.timing.signal)


def set_option(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """SET what ...: CpRefused 003E for what CP cannot set or the issuer's classes do not cover"""
    what = operand(words, 0, "SET")
    found = chosen(_SETTINGS, what, issuer)
    if found is not None:
        return found.handler(issuer, words[1:], text)
    for name, (shortest, _) in SWITCHES.items():
        if abbreviates(what, name, shortest):
            return _switch(issuer, name, words[1:])
    raise CpRefused(messages.INVALID_OPTION, module="SET", option=what)


def _switch(issuer: Issuer, name: str, words: Sequence[str]) -> list[str]:
    value = operand(words, 0, "SET")
    if name == "VMRELOCATE" and issuer.system.cluster is not None:
        return relocate.set_vmrelocate(issuer, words)
    if name == "VMRELOCATE" and value not in ("ON", "OFF"):
        return _other_user(issuer, name, words)
    allowed = _ERROR_FORMS if name in ("MSG", "WNG", "EMSG", "IMSG", "SMSG", "CPCONIO", "VMCONIO") else ("ON", "OFF")
    if value not in allowed:
        raise CpRefused(messages.INVALID_OPTION, module="SET", option=value)
    no_more(words, 1)
    row = of(issuer.system, issuer.machine)
    issuer.system.settings.put(issuer.userid, with_value(row, name, value))
    return []


def _other_user(issuer: Issuer, name: str, words: Sequence[str]) -> list[str]:
    """SET VMRELOCATE userid ON | OFF"""
    if not issuer.has("A"):
        raise CpRefused(messages.INVALID_OPTION, module="SET", option=words[0])
    machine = logged_on(issuer, words, 0)
    value = "ON" if on_off(words, 1) else "OFF"
    row = of(issuer.system, machine)
    issuer.system.settings.put(machine.userid, with_value(row, name, value))
    return []


def _share(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SET SHARE userid RELATIVE n | ABSOLUTE n% [maximum] [LIMITSOFT | LIMITHARD | NOLIMIT], or INITIAL"""
    machine = logged_on(issuer, words, 0)
    kind = operand(words, 1, "SHA")
    if abbreviates(kind, "INITIAL", 3):
        entry = issuer.system.full_entry(machine.userid)
        share: tuple[str, ...] = entry.share if entry is not None else ("RELATIVE", "100")
    elif kind in _SHARE_LIMITS:
        share = (*machine.share[:2], *(() if kind == "NOLIMIT" else (*machine.share[2:4], kind)))
    else:
        share = _one_share(words, 1)
        rest = list(words[3:])
        limit: tuple[str, ...] = ()
        if rest and rest[0] not in _SHARE_LIMITS:
            limit = _one_share(rest, 0)
            del rest[:2]
        how = rest.pop(0) if rest else "LIMITSOFT" if limit else "NOLIMIT"
        if how not in _SHARE_LIMITS or rest:
            raise CpRefused(messages.INVALID_OPTION, module="SHA", option=rest[0] if rest else how)
        if how != "NOLIMIT":
            share = (*share, *(limit or share), how)
    issuer.system.machines.put(machine.userid, replace(machine, share=share))
    return share_lines(issuer.system.machines[machine.userid])


def _one_share(words: Sequence[str], at: int) -> tuple[str, ...]:
    kind, value = operand(words, at, "SHA"), operand(words, at + 1, "SHA")
    if abbreviates(kind, "RELATIVE", 3):
        if not (value.isascii() and value.isdecimal() and len(value) < 8) or not 1 <= int(value) <= MAX_RELATIVE:
            raise CpRefused(messages.SHARE_INVALID, value=value)
        return ("RELATIVE", str(int(value)))
    if not abbreviates(kind, "ABSOLUTE", 3):
        raise CpRefused(messages.INVALID_OPTION, module="SHA", option=kind)
    percent = value.removesuffix("%")
    whole, _, part = percent.partition(".")
    if (
        not (whole.isascii() and whole.isdecimal())
        or len(whole) > 3
        or (part and not part.isdecimal())
        or len(part) > 1
    ):
        raise CpRefused(messages.SHARE_INVALID, value=value)
    if not 0.1 <= float(percent.rstrip(".")) <= 100:
        raise CpRefused(messages.SHARE_INVALID, value=value)
    return ("ABSOLUTE", percent.rstrip(".") + "%")


def share_lines(machine: Machine) -> list[str]:
    """USER LINUX01 : RELATIVE SHARE = 100 / MAXIMUM SHARE = NOLIMIT"""
    share = machine.share
    limit = "NOLIMIT" if len(share) < 5 else f"{share[4]} {share[2]} {share[3]}"
    return [f"USER {machine.userid:<8}: {share[0]} SHARE = {share[1]}", f"               MAXIMUM SHARE = {limit}"]


def _watcher(role: str) -> Command:
    def handler(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
        """SET SECUSER | OBSERVER [userid] other | OFF: for another user with class A or C"""
        rest = list(words)
        machine = issuer.machine
        if len(rest) > 1:
            if not issuer.has("AC"):
                raise CpRefused(messages.INVALID_OPTION, module="CFX", option=rest[0])
            machine = logged_on(issuer, rest, 0)
            rest.pop(0)
        other = operand(rest, 0, "CFX")
        off = other == "OFF" or abbreviates(other, "RESET", 3)
        name = "" if off else issuer.userid if other == "*" else userid(rest, 0)
        if name == machine.userid:
            raise CpRefused(messages.CONSOLE_IS_OWN, userid=name, role=role)
        entry = issuer.system.entry(name) if name else None
        if name and (entry is None or not entry.is_machine):
            raise CpRefused(messages.NOT_IN_DIRECTORY, module="CFX", userid=name)
        row = of(issuer.system, machine)
        changed = replace(row, secuser=name) if role == "SECUSER" else replace(row, observer=name)
        issuer.system.settings.put(machine.userid, changed)
        return [f"{role} of {machine.userid} " + (f"is {name}" if name else "terminated")]

    return Command(role, 3, "ACG", handler)


def _signal(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SET SIGNAL SHUTDOWN seconds: the limit of signals that name none"""
    if not abbreviates(operand(words, 0, "SET"), "SHUTDOWN", 4):
        raise CpRefused(messages.INVALID_OPTION, module="SET", option=words[0])
    seconds = number(words, 1, 0, 65535, "SET")
    row = issuer.system.settings.get(_SYSTEM) or UserSettings(_SYSTEM, 0.0)
    issuer.system.settings.put(_SYSTEM, with_value(row, "SIGNAL", str(seconds)))
    return [f"System default shutdown signal timeout: {seconds} seconds"]


def _edevice(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SET EDEVICE rdev CLEAR | [TYPE FBA ATTRIBUTES SCSI | ADD PATH | DELETE PATH] FCP_DEV n WWPN n LUN n ..."""
    system = issuer.system
    address = rdev(words, 0)
    rest = list(words[1:])
    action = "define"
    if rest[:1] == ["CLEAR"]:
        no_more(words, 2)
        fabric.delete_edev(system, address)
        return [f"EDEV {address} was cleared."]
    if rest[:1] in (["ADD"], ["DELETE"], ["DEL"]):
        action = "add" if rest.pop(0) == "ADD" else "remove"
        if rest[:1] == ["PATH"]:
            rest.pop(0)
    else:
        while rest and rest[0] in ("TYPE", "FBA", "ATTRIBUTES", "ATTR", "SCSI", "1750", "2105", "2107", "2145"):
            rest.pop(0)
    paths = _paths(rest)
    if action == "define":
        fabric.define_edev(system, address, paths, persistent=False)
        return [f"EDEV {address} was created."]
    change = fabric.add_paths if action == "add" else fabric.remove_paths
    change(system, address, paths, persistent=False)
    return [f"EDEV {address} was modified."]


def _paths(rest: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    parts: dict[str, str] = {}
    while rest:
        key = rest.pop(0)
        key = "FCP_DEV" if abbreviates(key, "FCP_DEVICE", 4) else key
        if key not in ("FCP_DEV", "WWPN", "LUN"):
            raise CpRefused(messages.INVALID_OPTION, module="SED", option=key)
        parts[key] = operand(rest, 0, "SED")
        rest.pop(0)
        if key == "LUN":
            path = fabric.normal_path(f"{parts.get('FCP_DEV', '')} {parts.get('WWPN', '')} {parts['LUN']}")
            if path is None or any(digit not in "0123456789ABCDEF " for digit in path):
                raise CpRefused(messages.OPERAND_INVALID, module="SED")
            found.append(path)
    if not found:
        raise CpRefused(messages.OPERAND_INVALID, module="SED")
    return tuple(found)


def _vconfig(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SET VCONFIG MODE LINUX | VM | ESA390: kept, shown by QUERY VCONFIG"""
    if operand(words, 0, "SET") != "MODE" or operand(words, 1, "SET") not in ("LINUX", "VM", "ESA390"):
        raise CpRefused(messages.INVALID_OPTION, module="SET", option=words[-1])
    row = of(issuer.system, issuer.machine)
    issuer.system.settings.put(issuer.userid, with_value(row, "VCONFIG", words[1]))
    return [f"Configuration mode {words[1]} is set"]


def _privclass(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SET PRIVCLASS [userid | *] =classes | +classes | -classes | RESET: for another user with class C

    Nobody gets a class that the issuer has not, except by RESET. A system whose configuration disables Set_Privclass
    refuses it.
    """
    if not _feature(issuer.system, "SET_PRIVCLASS"):
        raise CpRefused(messages.PRIVCLASS_DISABLED)
    rest = list(words)
    machine = issuer.machine
    if rest and rest[0][0] not in "=+-" and not abbreviates(rest[0], "RESET", 5):
        if rest[0] not in ("*", issuer.userid) and not issuer.has("C"):
            raise CpRefused(messages.INVALID_OPTION, module="SPC", option=rest[0])
        machine = logged_on(issuer, rest, 0)
        rest.pop(0)
    change = operand(rest, 0, "SPC")
    no_more(rest, 1)
    entry = issuer.system.full_entry(machine.userid)
    default = entry.privilege_classes if entry is not None else "G"
    row = of(issuer.system, machine)
    if abbreviates(change, "RESET", 5):
        classes = default
    else:
        letters = change[1:]
        if not letters or any(letter not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ123456" for letter in letters):
            raise CpRefused(messages.PRIVCLASS_INVALID, classes=change)
        if change[0] != "-" and not set(letters) <= set(issuer.classes) | set(default):
            raise CpRefused(messages.PRIVCLASS_INVALID, classes=change)
        before = set(row.get("PRIVCLASS", default))
        after = {"=": set(letters), "+": before | set(letters), "-": before - set(letters)}[change[0]]
        classes = "".join(sorted(after))
        if not classes:
            raise CpRefused(messages.PRIVCLASS_INVALID, classes=change)
    issuer.system.settings.put(machine.userid, with_value(row, "PRIVCLASS", classes))
    return query_privclass(machine.userid, classes, default)


def _feature(system: System, name: str) -> bool:
    """Whether the system configuration leaves a feature enabled: what it does not name is."""
    words: list[str] = []
    for file in system.texts.values():
        if (file.name, file.filetype) == ("SYSTEM", "CONFIG"):
            words = " ".join(file.lines).upper().replace(",", " ").split()
    state = "ENABLE"
    for word in words:
        if word in ("ENABLE", "DISABLE"):
            state = word
        elif word == name:
            return state == "ENABLE"
    return True


def query_privclass(userid: str, classes: str, default: str) -> list[str]:
    """What QUERY and SET PRIVCLASS answer; xCAT reads the word after "Currently:"."""
    return [
        f"Privilege classes for user {userid}",
        f"        Currently: {classes}",
        f"        Directory: {default}",
        "The privilege classes are not locked against changes.",
    ]


def terminal(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """TERMINAL option value ...: kept, shown by QUERY TERMINAL"""
    rest = list(words)
    row = of(issuer.system, issuer.machine)
    if not rest:
        raise CpRefused(messages.OPERAND_INVALID, module="TRM")
    while rest:
        option = rest.pop(0)
        name = next((key for key in TERMINAL if abbreviates(option, key, 3)), "")
        if not name:
            raise CpRefused(messages.INVALID_OPTION, module="TRM", option=option)
        value = operand(rest, 0, "TRM")[:8]
        rest.pop(0)
        row = with_value(row, f"TERM {name}", value)
    issuer.system.settings.put(issuer.userid, row)
    return []


#: TERMINAL options and what holds until they are set.
TERMINAL = {
    "LINEND": "#", "LINEDEL": "¢", "CHARDEL": "@", "ESCAPE": '"', "TABCHAR": "ON", "LINESIZE": "080", "ATTN": "OFF",
    "APL": "OFF", "TEXT": "OFF", "MODE": "VM", "MORE": "050 010", "HOLD": "ON", "TIMESTAMP": "OFF", "BREAKIN": "IMMED",
    "BRKKEY": "PA1", "SCRNSAVE": "OFF", "AUTOCR": "ON", "CONMODE": "3215", "SYSTEM": "NULL",
}  # fmt: skip


_SETTINGS = (
    Command("VSWITCH", 3, "B", lambda issuer, words, _text: networks.set_vswitch(issuer, words)),
    Command("LAN", 3, "BG", lambda issuer, words, _text: lans.set_lan(issuer, words)),
    Command("SHARE", 3, "A", _share),
    _watcher("SECUSER"),
    _watcher("OBSERVER"),
    Command("SIGNAL", 3, "A", _signal),
    Command("EDEVICE", 4, "B", _edevice),
    Command("VCONFIG", 4, "G", _vconfig),
    Command("PRIVCLASS", 4, EVERY_CLASS, _privclass),
    Command("LOADDEV", 5, "G", set_loaddev.set_loaddev),
)
COMMANDS = (Command("SET", 3, EVERY_CLASS, set_option), Command("TERMINAL", 4, "G", terminal))
