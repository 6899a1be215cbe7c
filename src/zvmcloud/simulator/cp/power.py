"""IPL, SYSTEM, BEGIN, STOP, LOGOFF, DISCONNECT, SHUTDOWN: the issuer's own machine, and the whole system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import dumps, guest_loader, guest_os, guests, loaddev
from zvmcloud.simulator import shutdown as planning
from zvmcloud.simulator.cp.language import EVERY_CLASS, Command, Issuer, abbreviates, connect_line, number, operand
from zvmcloud.simulator.errors import CpRefused

#: Options of IPL that take no operand; STOP leaves the CPUs stopped.
_IPL_OPTIONS = ("CLEAR", "NOCLEAR", "STOP", "ATTN", "PURGE", "NSSDATA")


def ipl(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """IPL vdev | system | LOADDEV [CLEAR] [STOP] [LOADPARM x] [PARM ...]"""
    source = operand(words, 0, "VMI")
    if source == "LOADDEV":
        source = loaddev.of(issuer.system, issuer.machine).device
        if not source:
            raise CpRefused(guest_loader.LOADDEV_MISSING, parameter="DEVICE")
    address = source if source in guest_os.SAVED_SYSTEMS else statements.vdev(source) or source
    if source not in guest_os.SAVED_SYSTEMS and issuer.machine.device(address) is None:
        raise CpRefused(messages.IPL_DEVICE_MISSING, vdev=address)
    rest = list(words[1:])
    stopped = False
    while rest and not abbreviates(rest[0], "PARM", 2):
        option = rest.pop(0)
        if abbreviates(option, "LOADPARM", 4):
            operand(rest, 0, "VMI")
            rest.pop(0)
        elif option in _IPL_OPTIONS:
            stopped = stopped or option == "STOP"
        elif not option.isdecimal():
            raise CpRefused(messages.INVALID_OPTION, module="VMI", option=option)
    guests.load(issuer.system, issuer.userid, address)
    if stopped:
        guests.pause(issuer.system, issuer.userid, paused=True)
    return []


def system(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SYSTEM CLEAR | RESET: what runs in the machine is gone. SYSTEM RESTART: its CPUs run again"""
    action = operand(words, 0, "SYS")
    if abbreviates(action, "RESTART", 4):
        guests.pause(issuer.system, issuer.userid, paused=False)
        return ["System restarted."]
    clear = abbreviates(action, "CLEAR", 3)
    if not clear and not abbreviates(action, "RESET", 3):
        raise CpRefused(messages.INVALID_OPTION, module="SYS", option=action)
    generation = issuer.system.next_number("generation")
    guest_os.unload(issuer.system, issuer.userid)
    machine = replace(issuer.machine, system=None, paused=False, generation=generation)
    issuer.system.machines.put(issuer.userid, machine)
    return ["Storage cleared - system reset."] if clear else ["System reset."]


def stop(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """STOP [CPU ALL]: the issuer's virtual CPUs stop"""
    _only_all_cpus(words)
    guests.pause(issuer.system, issuer.userid, paused=True)
    return []


def begin(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """BEGIN [CPU ALL]: the issuer's virtual CPUs run again"""
    _only_all_cpus(words)
    guests.pause(issuer.system, issuer.userid, paused=False)
    return []


def _only_all_cpus(words: Sequence[str]) -> None:
    if list(words) not in ([], ["CPU", "ALL"]):
        raise CpRefused(messages.INVALID_OPTION, module="CPI", option=words[0])


def log_off(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """LOGOFF [HOLD]"""
    if list(words) not in ([], ["HOLD"]):
        raise CpRefused(messages.INVALID_OPTION, module="LGF", option=words[0])
    connected = connect_line(issuer.system, issuer.machine)
    guests.log_off(issuer.system, issuer.userid)
    return [
        connected,
        f"LOGOFF AT {guest_os.clock_text(issuer.system.now())}",
    ]


def disconnect(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DISCONNECT [HOLD]: machines here have no terminal, so they are disconnected all the time"""
    if list(words) not in ([], ["HOLD"]):
        raise CpRefused(messages.INVALID_OPTION, module="DIS", option=words[0])
    return [f"DISCONNECT AT {guest_os.clock_text(issuer.system.now())}"]


def shutdown(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SHUTDOWN [SYSTEM name] [WITHIN seconds] [REIPL] [IMMEDIATE], SHUTDOWN CANCEL: done as System_Shutdown does it

    The name must be that of the system: it says that the right one is meant. Source: SHUTDOWN in z/VM's CP Commands and
    Utilities Reference.
    """
    rest = list(words)
    if rest[:1] == ["SYSTEM"]:
        if operand(rest, 1, "SHU") != issuer.system.facts.name:
            raise CpRefused(messages.INVALID_OPTION, module="SHU", option=rest[1])
        del rest[:2]
    if rest == ["CANCEL"]:
        planning.cancel(issuer.system)
        return ["System shutdown cancelled"]
    seconds, reipl, immediate = 0, False, False
    while rest:
        word = rest.pop(0)
        if abbreviates(word, "WITHIN", 2):
            seconds = number(rest, 0, 1, 65535, "SHU")
            rest.pop(0)
        elif abbreviates(word, "REIPL", 2):
            reipl = True
        elif abbreviates(word, "IMMEDIATE", 3):
            immediate = True
        else:
            raise CpRefused(messages.INVALID_OPTION, module="SHU", option=word)
    if planning.planned(issuer.system) is not None:
        raise CpRefused(messages.SHUTDOWN_PENDING)
    planning.plan(issuer.system, seconds, reipl=reipl, immediate=immediate)
    return [f"System shutdown {'with re-IPL ' if reipl else ''}begins in {seconds} seconds"]


def snapdump(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SNAPDUMP: CP goes on, and a dump of it is in the reader of the dump server"""
    if words:
        raise CpRefused(messages.INVALID_OPTION, module="SNP", option=words[0])
    file = dumps.take(issuer.system)
    return [f"SNAPDUMP complete; dump {file.distribution} is spool file {file.spoolid} of {file.owner}"]


COMMANDS = (
    Command("SNAPDUMP", 8, "ACE", snapdump),
    Command("IPL", 1, "G", ipl),
    Command("SYSTEM", 3, "G", system),
    Command("STOP", 3, "G", stop),
    Command("BEGIN", 1, "G", begin),
    Command("LOGOFF", 3, EVERY_CLASS, log_off),
    Command("DISCONNECT", 4, EVERY_CLASS, disconnect),
    Command("SHUTDOWN", 8, "A", shutdown),
)
