"""Which command is it, may the issuer use it, what does it answer."""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.cp import messages
from zvmcloud.simulator.cp import devices, query, reader, users
from zvmcloud.simulator.cp.language import Command, Issuer
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.system import System

#: CP takes commands of this many characters.
MAX_COMMAND = 240

COMMANDS: tuple[Command, ...] = (
    Command("QUERY", 1, "ABCDEFG", query.query),
    *devices.COMMANDS,
    *reader.COMMANDS,
    *users.COMMANDS,
)


@dataclass(frozen=True, slots=True)
class CpResult:
    """Return code (0, or the number of the HCP message that refuses) and the lines of the answer."""

    rc: int
    lines: tuple[str, ...] = ()


def execute(system: System, userid: str, command: str) -> CpResult:
    """Run one command for a virtual machine that is logged on. Everything it changes is on disk when this returns."""
    entry = system.full_entry(userid)
    try:
        if entry is None or userid not in system.machines:
            raise CpRefused(messages.NOT_LOGGED_ON, userid=userid)
        text = command.strip()
        if text.upper().startswith("CP "):
            text = text[3:].lstrip()
        if len(text) > MAX_COMMAND or not text.isprintable():
            raise CpRefused(messages.UNKNOWN_COMMAND, command=text[:20])
        words = text.upper().split()
        if not words:
            return CpResult(0)
        issuer = Issuer(system, userid, entry)
        found = _find(issuer, words[0])
        with system.transaction():
            return CpResult(0, tuple(found.handler(issuer, words[1:], text)))
    except CpRefused as refused:
        return CpResult(refused.number, (refused.line,))


def _find(issuer: Issuer, word: str) -> Command:
    for command in COMMANDS:
        if command.matches(word) and issuer.has(command.classes):
            return command
    raise CpRefused(messages.UNKNOWN_COMMAND, command=word)
