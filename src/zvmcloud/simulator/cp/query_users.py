"""QUERY of users: who is logged on, what they have set, who may do what.

Forms from reference/connector/cp_corpus.md (user lines, USERID) and knowledge of CP (SET, SHARE, SECUSER: judgement).
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator.cp import relocate, settings
from zvmcloud.simulator.cp.language import (
    EVERY_CLASS,
    Command,
    Issuer,
    abbreviates,
    classes_of,
    columns,
    logged_on,
    operand,
    userid,
)
from zvmcloud.simulator.errors import CpRefused


def user_line(name: str, *, here: bool = True) -> str:
    """A user that is logged on: disconnected here, or on another member of the cluster."""
    return f"{name:<8} - {'DSC' if here else 'SSI'}"


def _userid(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [f"{issuer.userid:<8} AT {issuer.system.name}"]


def _users(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    if not words:
        return [f"{len(issuer.system.machines):4} USERS,    0 DIALED,    0 NET"]
    where = issuer.system.where(words[0])
    if where is not None and where is not issuer.system:
        return [user_line(words[0], here=False)]
    return [user_line(logged_on(issuer, words, 0).userid)]


def _names(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return columns([f"{user_line(name)} " for name in sorted(issuer.system.machines)])


def _privclass(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY PRIVCLASS [* | userid]: of others with classes C and E"""
    entry = issuer.entry
    if words and words[0] != "*":
        name = userid(words, 0)
        if not issuer.has("CE"):
            raise CpRefused(messages.INVALID_OPTION, module="QPC", option=name)
        other = issuer.system.full_entry(name)
        if other is None:
            raise CpRefused(messages.NOT_IN_DIRECTORY, module="QPC", userid=name)
        entry = other
    return settings.query_privclass(entry.name, classes_of(issuer.system, entry.name, entry), entry.privilege_classes)


def _share(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    if words and words[0] not in ("*", issuer.userid) and not issuer.has("AE"):
        raise CpRefused(messages.INVALID_OPTION, module="SHA", option=words[0])
    return settings.share_lines(logged_on(issuer, words or ["*"], 0))


def _quickdsp(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY QUICKDSP userid: as OPTION QUICKDSP of its entry says"""
    machine = logged_on(issuer, words, 0)
    entry = issuer.system.full_entry(machine.userid)
    quick = entry is not None and any("QUICKDSP" in option.words for option in entry.every("OPTION"))
    return [f"USER {machine.userid:<8}: QUICKDSP = {'ON' if quick else 'OFF'}"]


def _set(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    row = settings.of(issuer.system, issuer.machine)
    cells = [f"{name} {row.get(name, default):<4}" for name, (_, default) in settings.SWITCHES.items()]
    return columns(cells, 5)


def _switch(name: str, shortest: int) -> Command:
    def handler(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
        if name == "VMRELOCATE" and issuer.system.cluster is not None:
            return relocate.query_vmrelocate(issuer, words if issuer.has("A") else ["*"], text)
        machine = logged_on(issuer, words if words and issuer.has("A") else ["*"], 0)
        return [f"{name} {settings.of(issuer.system, machine).get(name, settings.SWITCHES[name][1])}"]

    return Command(name, shortest, "AG", handler)


def _watcher(role: str) -> Command:
    def handler(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
        """QUERY SECUSER | OBSERVER [userid]"""
        if words and words[0] not in ("*", issuer.userid) and not issuer.has("AC"):
            raise CpRefused(messages.INVALID_OPTION, module="CFX", option=words[0])
        machine = logged_on(issuer, words or ["*"], 0)
        row = settings.of(issuer.system, machine)
        name = row.secuser if role == "SECUSER" else row.observer
        if role == "SECUSER" and not name:
            entry = issuer.system.full_entry(machine.userid)
            console = entry.first("CONSOLE") if entry is not None else None
            name = console.operand(4) if console is not None else ""
        role_word = "secondary user" if role == "SECUSER" else "observer"
        return [f"{machine.userid} has no {role_word}" if not name else f"{role} of {machine.userid} is {name}"]

    return Command(role, 3, "ACG", handler)


def _vconfig(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    return [f"MODE = {settings.of(issuer.system, issuer.machine).get('VCONFIG', 'ESA390')}"]


def _terminal(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    row = settings.of(issuer.system, issuer.machine)
    return columns([f"{name} {row.get(f'TERM {name}', default)}" for name, default in settings.TERMINAL.items()], 5)


def _signals(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY SIGNAL SHUTDOWN [userid | ALL]: who takes the signal; QUERY SIGNAL SHUTDOWNTIME"""
    what = operand(words, 0, "QSG")
    if abbreviates(what, "SHUTDOWNTIME", 9):
        return [f"System default shutdown signal timeout: {settings.signal_seconds(issuer.system)} seconds"]
    if not abbreviates(what, "SHUTDOWN", 4):
        raise CpRefused(messages.INVALID_OPTION, module="QSG", option=what)
    if len(words) > 1 and words[1] != "ALL":
        machines = [logged_on(issuer, words, 1)]
    else:
        machines = sorted(issuer.system.machines.values(), key=lambda item: item.userid)
    lines = [
        f"User {item.userid} is enabled for signals of type SHUTDOWN"
        for item in machines
        if item.system is not None and item.system.phase == "up" and item.system.signals
    ]
    return lines or ["No users are enabled for signals of type SHUTDOWN"]


OPERANDS: tuple[Command, ...] = (
    Command("USERID", 6, EVERY_CLASS, _userid),
    Command("USERS", 4, EVERY_CLASS, _users),
    Command("NAMES", 1, EVERY_CLASS, _names),
    Command("PRIVCLASS", 4, EVERY_CLASS, _privclass),
    Command("SHARE", 3, "AEG", _share),
    Command("QUICKDSP", 5, "AE", _quickdsp),
    Command("SET", 3, "G", _set),
    _switch("VMRELOCATE", 4),
    _switch("CPUAFFINITY", 6),
    _watcher("SECUSER"),
    _watcher("OBSERVER"),
    Command("VCONFIG", 4, "G", _vconfig),
    Command("TERMINAL", 4, "G", _terminal),
    Command("SIGNALS", 3, "ACE", _signals),
)
