"""AT: a privileged command runs on another member of the SSI cluster, with the issuer's classes.

The issuer has no virtual machine there, so commands about one's own machine are refused, and class G gives nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, operand
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.relocation import NO_MEMBER


def at(issuer: Issuer, words: Sequence[str], text: str) -> list[str]:
    """AT system CMD command: CpRefused 1922E when no member of that name has joined, and what the command gives"""
    from zvmcloud.simulator.cp import interpreter  # noqa: PLC0415 (a command inside a command)

    name = operand(words, 0, "ATC")
    if operand(words, 1, "ATC") != "CMD":
        raise CpRefused(messages.INVALID_OPTION, module="ATC", option=words[1])
    operand(words, 2, "ATC")
    cluster = issuer.system.cluster
    member = cluster.member(name) if cluster is not None else None
    if cluster is None or member is None or not cluster.is_up(member.name):
        raise CpRefused(NO_MEMBER, module="ATC", member=name)
    line = text.split(None, 3)[3]
    if any(abbreviates(word, "AT", 2) for word in line.upper().split()[:1]):
        # One AT inside another could go round in circles.
        raise CpRefused(messages.INVALID_OPTION, module="ATC", option="AT")
    if member is issuer.system:
        return interpreter.run(issuer, line)
    return interpreter.run(Issuer(member, issuer.userid, issuer.entry, home=issuer.home or issuer.system), line)


COMMANDS = (Command("AT", 2, "ABCDEF", at),)
