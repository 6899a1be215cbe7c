"""XAUTOLOG, FORCE, SIGNAL, SEND, MESSAGE, LOGOFF, IPL, BEGIN, STOP, SET."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zvmcloud.cp import messages
from zvmcloud.directory import statements
from zvmcloud.simulator import guest_os, guests, network, spool
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, operand, userid
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Grant, Machine


def _on(issuer: Issuer, words: Sequence[str], number: int) -> Machine:
    name = issuer.userid if words[number : number + 1] == ["*"] else userid(words, number)
    machine = issuer.system.machines.get(name)
    if machine is None:
        raise CpRefused(messages.NOT_LOGGED_ON, userid=name)
    return machine


def xautolog(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """XAUTOLOG userid"""
    name = userid(words, 0)
    guests.log_on(issuer.system, name)
    return [messages.COMMAND_ACCEPTED, f"AUTO LOGON  ***       {name:<8} USERS = {len(issuer.system.machines)}"]


def force(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """FORCE userid [IMMEDIATE | WITHIN seconds]"""
    machine = _on(issuer, words, 0)
    limit = None
    if len(words) > 1 and abbreviates(words[1], "WITHIN", 2):
        limit = float(_seconds(words, 2))
    guests.deactivate(issuer.system, machine.userid, limit)
    return [
        f"USER DSC   LOGOFF AS  {machine.userid:<8} USERS = {len(issuer.system.machines)}    FORCED BY {issuer.userid}"
    ]


def _seconds(words: Sequence[str], number: int) -> int:
    text = operand(words, number)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise CpRefused(messages.OPERAND_INVALID, module="SIG")
    return int(text)


def signal(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SIGNAL SHUTDOWN userid [WITHIN seconds]"""
    if not abbreviates(operand(words, 0), "SHUTDOWN", 4):
        raise CpRefused(messages.INVALID_OPTION, module="SIG", option=words[0])
    machine = _on(issuer, words, 1)
    seconds = int(issuer.system.timing.signal)
    if len(words) > 2 and abbreviates(words[2], "WITHIN", 2):
        seconds = _seconds(words, 3)
    running = machine.system
    if running is None or running.phase != "up" or not running.signals:
        raise CpRefused(messages.SIGNAL_NOT_ENABLED, userid=machine.userid)
    guests.deactivate(issuer.system, machine.userid, seconds)
    return [messages.SIGNAL_ACCEPTED.render(userid=machine.userid, seconds=seconds)]


def send(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """SEND [CP] userid text: text for the console of a machine that the issuer may control."""
    position = 1 if words[:1] == ["CP"] else 0
    machine = _on(issuer, words, position)
    entry = issuer.system.entry(machine.userid)
    if not issuer.has("C") and (entry is None or issuer.userid not in entry.logonby):
        raise CpRefused(messages.NOT_AUTHORIZED, command="SEND", userid=machine.userid)
    line = text.split(None, position + 2)[-1] if len(words) > position + 1 else ""
    spool.write_console(issuer.system, machine.userid, line)
    return []


def message(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """MESSAGE userid text"""
    machine = _on(issuer, words, 0)
    if len(words) < 2:
        raise CpRefused(messages.OPERAND_INVALID, module="MSG")
    spool.write_console(issuer.system, machine.userid, f"* MSG FROM {issuer.userid:<8}: {text.split(None, 2)[2]}")
    return []


def log_off(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    """LOGOFF"""
    guests.log_off(issuer.system, issuer.userid)
    return [f"LOGOFF AT {issuer.userid}"]


def ipl(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """IPL vdev | system"""
    source = operand(words, 0)
    address = statements.vdev(source) or source
    if source not in guest_os.SAVED_SYSTEMS and issuer.machine.device(address) is None:
        raise CpRefused(messages.IPL_DEVICE_MISSING, vdev=address)
    guests.load(issuer.system, issuer.userid, source if source in guest_os.SAVED_SYSTEMS else address)
    return []


def set_option(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SET VSWITCH name GRANT|REVOKE userid; other settings are accepted where they have no effect here."""
    what = operand(words, 0)
    if what == "VSWITCH":
        if not issuer.has("BC"):
            raise CpRefused(messages.INVALID_OPTION, module="SET", option=what)
        switch = network.find(issuer.system, operand(words, 1))
        action, name = operand(words, 2), userid(words, 3)
        if action == "GRANT":
            vlans: tuple[str, ...] = ()
            if "VLAN" in words[4:]:
                if not switch.aware:
                    raise CpRefused(messages.VSWITCH_NOT_VLAN_AWARE, name=switch.name)
                vlans = tuple(words[words.index("VLAN") + 1 :])
            network.grant(issuer.system, switch, Grant(name, vlans))
        elif action == "REVOKE":
            network.revoke(issuer.system, switch, name)
        else:
            raise CpRefused(messages.INVALID_OPTION, module="SWU", option=action)
        return [messages.COMMAND_ACCEPTED]
    if what == "SHARE":
        if not issuer.has("A"):
            raise CpRefused(messages.INVALID_OPTION, module="SET", option=what)
        machine = _on(issuer, words, 1)
        kind, value = operand(words, 2), operand(words, 3)
        if not (abbreviates(kind, "RELATIVE", 3) or abbreviates(kind, "ABSOLUTE", 3)):
            raise CpRefused(messages.INVALID_OPTION, module="SET", option=kind)
        share = ("RELATIVE" if kind[0] == "R" else "ABSOLUTE", value)
        issuer.system.machines.put(machine.userid, replace(machine, share=share))
        return [f"USER {machine.userid:<8}: {share[0]} SHARE = {value}"]
    if what in ("RUN", "MSG", "IMSG", "EMSG", "VCONFIG", "VMRELOCATE", "ACNT", "WNG", "CPUAFFINITY"):
        return []
    raise CpRefused(messages.INVALID_OPTION, module="SET", option=what)


def stop(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    """STOP: the issuer's virtual CPUs stop."""
    guests.pause(issuer.system, issuer.userid, paused=True)
    return []


def begin(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    """BEGIN: the issuer's virtual CPUs run again."""
    guests.pause(issuer.system, issuer.userid, paused=False)
    return []


COMMANDS = (
    Command("XAUTOLOG", 5, "AB", xautolog),
    Command("FORCE", 5, "A", force),
    Command("SIGNAL", 3, "AC", signal),
    Command("SEND", 3, "CG", send),
    Command("MESSAGE", 1, "ABCDEFG", message),
    Command("MSG", 1, "ABCDEFG", message),
    Command("LOGOFF", 3, "ABCDEFG", log_off),
    Command("IPL", 1, "G", ipl),
    Command("SET", 3, "ABCDEFG", set_option),
    Command("STOP", 4, "G", stop),
    Command("BEGIN", 1, "G", begin),
)
