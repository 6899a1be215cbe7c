"""XAUTOLOG, AUTOLOG, FORCE, SIGNAL, SEND, MESSAGE, SMSG, WARNING: other virtual machines.

What one user tells another appears on that one's console, with a form as CP prints it. SEND CP runs a command as if
the other user had typed it; its answer is on that user's console.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.directory import statements
from zvmcloud.simulator import guests, spool
from zvmcloud.simulator.cp import settings
from zvmcloud.simulator.cp.language import EVERY_CLASS, Command, Issuer, abbreviates, logged_on, number, operand, userid
from zvmcloud.simulator.errors import CpRefused

WRONG_PASSWORD = Message(50, "AUT", "E", "AUTOLOG of {userid} unsuccessful; incorrect userid or password")
#: Seconds that a shutdown signal may take at most.
MAX_SECONDS = 65535


def xautolog(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """XAUTOLOG userid [IPL vdev | system]: for classes A and B, and for a userid that the other's entry lets in"""
    name = userid(words, 0)
    entry = issuer.system.full_entry(name)
    if not issuer.has("AB") and entry is not None:
        allowed = {word for key in ("XAUTOLOG", "AUTOLOG") for item in entry.every(key) for word in item.words[1:]}
        if not allowed & {issuer.userid, "ANY"}:
            raise CpRefused(messages.NOT_AUTHORIZED, module="XAL", command="XAUTOLOG", userid=name)
    return _log_on(issuer, name, words[1:])


def autolog(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """AUTOLOG userid password [command]: the command's text is put on the console"""
    name, password = userid(words, 0), operand(words, 1, "AUT")
    entry = issuer.system.full_entry(name)
    if entry is None:
        raise CpRefused(messages.NOT_IN_DIRECTORY, module="AUT", userid=name)
    if not entry.accepts_password(password):
        raise CpRefused(WRONG_PASSWORD, userid=name)
    return _log_on(issuer, name, [])


def _log_on(issuer: Issuer, name: str, words: Sequence[str]) -> list[str]:
    source = ""
    if words[:1] == ["IPL"]:
        source = operand(words, 1, "XAL")
    elif words and not words[0].startswith("#") and words[0] not in ("SYNC", "ASYNC", "PROMPT"):
        raise CpRefused(messages.INVALID_OPTION, module="XAL", option=words[0])
    guests.log_on(issuer.system, name, ipl=not source)
    if source:
        guests.load(issuer.system, name, statements.vdev(source) or source)
    count = len(issuer.system.machines)
    return [messages.COMMAND_ACCEPTED, f"AUTO LOGON  ***       {name:<8} USERS = {count}    BY {issuer.userid}"]


def force(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """FORCE userid [IMMEDIATE | LOGOFF | WITHIN seconds | DISCONNECT]"""
    machine = logged_on(issuer, words, 0)
    limit = None
    if len(words) > 1:
        if abbreviates(words[1], "WITHIN", 2):
            limit = float(number(words, 2, 1, MAX_SECONDS, "FOR"))
        elif abbreviates(words[1], "DISCONNECT", 4):
            return [f"USER DSC   DISCONNECT {machine.userid:<8} USERS = {len(issuer.system.machines)}"]
        elif not (abbreviates(words[1], "IMMEDIATE", 3) or words[1] == "LOGOFF"):
            raise CpRefused(messages.INVALID_OPTION, module="FOR", option=words[1])
    guests.deactivate(issuer.system, machine.userid, limit)
    return [
        f"USER DSC   LOGOFF AS  {machine.userid:<8} USERS = {len(issuer.system.machines)}    FORCED BY {issuer.userid}"
    ]


def signal(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """SIGNAL SHUTDOWN [USER] userid | * | ALL [WITHIN seconds]: without a limit, that of SET SIGNAL

    Class G signals its own machine and names none. A machine that is still on at the limit is logged off. Source:
    SIGNAL in z/VM's CP Commands and Utilities Reference.
    """
    if not abbreviates(operand(words, 0, "SIG"), "SHUTDOWN", 4):
        raise CpRefused(messages.INVALID_OPTION, module="SIG", option=words[0])
    rest = list(words[1:])
    named = bool(rest) and not abbreviates(rest[0], "WITHIN", 2)
    if named and not issuer.has("AC"):
        raise CpRefused(messages.INVALID_OPTION, module="SIG", option=rest[0])
    if not named and issuer.has("G"):
        rest.insert(0, issuer.userid)
    everyone = rest[:1] == ["ALL"]
    if rest[:1] == ["USER"]:
        rest.pop(0)
    seconds = settings.signal_seconds(issuer.system)
    if len(rest) > 1:
        if not abbreviates(rest[1], "WITHIN", 2):
            raise CpRefused(messages.INVALID_OPTION, module="SIG", option=rest[1])
        seconds = number(rest, 2, 1, MAX_SECONDS, "SIG")
    system = issuer.system
    if everyone:
        ready = [item for item in system.machines.values() if item.system is not None and item.system.phase == "up"]
        chosen = [
            item for item in ready if item.system is not None and item.system.signals and item.userid != issuer.userid
        ]
    else:
        machine = logged_on(issuer, rest, 0)
        if machine.system is None or machine.system.phase != "up" or not machine.system.signals:
            raise CpRefused(messages.SIGNAL_NOT_ENABLED, userid=machine.userid)
        chosen = [machine]
    for item in chosen:
        guests.deactivate(system, item.userid, seconds)
    return [messages.SIGNAL_ACCEPTED.render(userid=item.userid, seconds=seconds) for item in chosen]


def send(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """SEND [CP] userid text: for class C, for the secondary user of the machine, and for who may log on to it"""
    position = 1 if words[:1] == ["CP"] and len(words) > 1 else 0
    machine = logged_on(issuer, words, position)
    entry = issuer.system.entry(machine.userid)
    secondary = settings.of(issuer.system, machine).secuser
    by = entry is not None and issuer.userid in entry.logonby
    if not (issuer.has("C") or by or secondary == issuer.userid):
        raise CpRefused(messages.NOT_AUTHORIZED, command="SEND", userid=machine.userid)
    line = text.split(None, position + 2)[-1] if len(words) > position + 1 else ""
    if not position:
        spool.write_console(issuer.system, machine.userid, line)
        return []
    from zvmcloud.simulator.cp import interpreter  # noqa: PLC0415 (a command inside a command)

    if any(abbreviates(word, "SEND", 3) for word in line.upper().split()[:1]):
        # One SEND inside another could go round in circles.
        raise CpRefused(messages.INVALID_OPTION, module="SND", option="SEND")
    answer = interpreter.execute(issuer.system, machine.userid, line)
    spool.write_console(issuer.system, machine.userid, line, *answer.lines)
    return []


def message(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """MESSAGE userid | * | ALL text: to all with classes A and B"""
    if words[:1] == ["ALL"] and issuer.has("AB") and len(words) > 1:
        for name in tuple(issuer.system.machines):
            if settings.is_on(issuer.system, name, "MSG"):
                _tell(issuer, name, "MSG", text)
        return []
    return _one(issuer, words, text, "MSG", "MSG")


def warning(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """WARNING userid | ALL text"""
    if words[:1] == ["ALL"] and len(words) > 1:
        for name in tuple(issuer.system.machines):
            _tell(issuer, name, "WNG", text)
        return []
    return _one(issuer, words, text, "WNG", "WNG")


def special(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """SMSG userid text: for who has SET SMSG ON"""
    return _one(issuer, words, text, "SMSG", "SMSG")


def no_header(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """MSGNOH userid text: only the text is shown"""
    return _one(issuer, words, text, "", "MSG")


def _one(issuer: Issuer, words: Sequence[str], text: str, kind: str, setting: str) -> list[str]:
    machine = logged_on(issuer, words, 0)
    if len(words) < 2:
        raise CpRefused(messages.OPERAND_INVALID, module="MFC")
    if not settings.is_on(issuer.system, machine.userid, setting):
        raise CpRefused(messages.NOT_RECEIVING, userid=machine.userid, reason=f"{setting} off")
    _tell(issuer, machine.userid, kind, text)
    return []


def _tell(issuer: Issuer, name: str, kind: str, text: str) -> None:
    said = text.split(None, 2)[2]
    spool.write_console(issuer.system, name, f"* {kind} FROM {issuer.userid:<8}: {said}" if kind else said)


COMMANDS = (
    Command("XAUTOLOG", 5, "ABG", xautolog),
    Command("AUTOLOG", 5, "AB", autolog),
    Command("FORCE", 5, "A", force),
    Command("SIGNAL", 3, "ACG", signal),
    Command("SEND", 3, "CG", send),
    Command("MESSAGE", 1, EVERY_CLASS, message),
    Command("MSGNOH", 6, "B", no_header),
    Command("MSG", 1, EVERY_CLASS, message),
    Command("SMSG", 2, "G", special),
    Command("WARNING", 1, "ABC", warning),
    Command("WNG", 3, "ABC", warning),
)
