"""Which command is it, may the issuer use it, what does it answer.

A line may hold several commands, separated by X'15' (which vmcp and DIAGNOSE X'08' pass on; a line end here). They run
one after the other, their answers are put together, and the return code is the last one's that is not zero (judgement:
the references do not say what becomes of the codes before it). CP and #CP in front of a command change nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from zvmcloud.cp import messages
from zvmcloud.simulator import relocation
from zvmcloud.simulator.cp import (
    at,
    define,
    devices,
    flashcopy,
    indicate,
    networks,
    power,
    query,
    reader,
    relocate,
    settings,
    trace,
    users,
    vary,
)
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, chosen
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.system import System

#: CP takes commands of this many characters.
MAX_COMMAND = 240
#: X'15' as it comes out of EBCDIC (a line end or NEL), and as itself.
_DIVIDER = re.compile("[\n\x15\x85]")
_PREFIXES = ("CP", "#CP")

COMMANDS: tuple[Command, ...] = (
    Command("QUERY", 1, "ABCDEFG", query.query),
    *devices.COMMANDS,
    *define.COMMANDS,
    *networks.COMMANDS,
    *reader.COMMANDS,
    *users.COMMANDS,
    *power.COMMANDS,
    *settings.COMMANDS,
    *indicate.COMMANDS,
    *flashcopy.COMMANDS,
    *relocate.COMMANDS,
    *vary.COMMANDS,
    *trace.COMMANDS,
    *at.COMMANDS,
)


@dataclass(frozen=True, slots=True)
class CpResult:
    """Return code (0, or the number of the HCP message that refuses) and the lines of the answer."""

    rc: int
    lines: tuple[str, ...] = ()


def execute(system: System, userid: str, command: str, *, privileged: bool = False) -> CpResult:
    """Run a command line for a virtual machine that is logged on. All that it changes is on disk when this returns.

    `privileged`: with all privilege classes, whatever those of the userid are.
    """
    if len(command.strip()) > MAX_COMMAND:
        refused = CpRefused(messages.UNKNOWN_COMMAND, command=_shown(command))
        return CpResult(refused.number, (refused.line,))
    rc = 0
    lines: list[str] = []
    for text in _DIVIDER.split(command):
        result = _one(system, userid, text, privileged=privileged)
        lines += result.lines
        rc = result.rc or rc
    return CpResult(rc, tuple(lines))


def _one(system: System, userid: str, command: str, *, privileged: bool) -> CpResult:
    entry = system.full_entry(userid)
    try:
        if entry is None or userid not in system.machines:
            raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
        # The savepoint matters for SEND CP, which runs a command inside another one's transaction.
        with system.transaction(), system.store.savepoint():
            return CpResult(0, tuple(run(Issuer(system, userid, entry, privileged=privileged), command)))
    except CpRefused as refused:
        lines = refused.lines if isinstance(refused, relocation.NotRelocatable) else (refused.line,)
        return CpResult(refused.number, lines)


def run(issuer: Issuer, command: str) -> list[str]:
    """Run one command inside a transaction; gives its answer. CpRefused as the command's handler says."""
    text = _bare(command)
    # CP reads EBCDIC: what a code page of 256 characters has not cannot arrive.
    if not text.isprintable() or any(ord(letter) > 255 for letter in text):
        raise CpRefused(messages.UNKNOWN_COMMAND, command=_shown(text))
    words = text.upper().split()
    if not words:
        return []
    found = chosen(COMMANDS, words[0], issuer)
    if found is None:
        raise CpRefused(messages.UNKNOWN_COMMAND, command=words[0])
    return found.handler(issuer, words[1:], text)


def _bare(command: str) -> str:
    """The command without CP and #CP in front."""
    text = command.strip()
    while text:
        first, _, rest = text.partition(" ")
        if first.upper() not in _PREFIXES:
            break
        text = rest.lstrip()
    return text


def masked(command: str) -> str:
    """The command line without passwords, for a journal: LINK ends after its mode, AUTOLOG after the userid."""
    shown = []
    for text in _DIVIDER.split(command):
        words = _bare(text).split()
        first = words[0].upper() if words else ""
        if abbreviates(first, "LINK", 3):
            words = [word for word in words if word.upper() not in ("TO", "AS")][:5]
        elif abbreviates(first, "AUTOLOG", 5) or abbreviates(first, "XAUTOLOG", 5):
            words = words[:2]
        shown.append(" ".join(words) if words else "")
    return "; ".join(shown)[:MAX_COMMAND]


def _shown(command: str) -> str:
    """The first word of something that is no command, as far as it can be printed."""
    word = (command.split() or [""])[0][:20]
    return "".join(letter if letter.isascii() and letter.isprintable() else "." for letter in word)
