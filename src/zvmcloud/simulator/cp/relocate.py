"""VMRELOCATE, SET and QUERY VMRELOCATE, QUERY SSI and RELODOMAIN: clusters, guests that move between members.

Judgement: a move begins and the command ends, as with the operand ASYNCHRONOUS; how the move ended is written to the
issuer's console. The layout of QUERY SSI and QUERY VMRELOCATE is judgement too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import eligibility, relocation
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, operand, userid
from zvmcloud.simulator.errors import CpRefused

_ACTIONS = (("TEST", 4), ("MOVE", 4), ("CANCEL", 3), ("STATUS", 3), ("MODIFY", 3))
NONE_ACTIVE = "No active relocations found"
#: The connector looks for this sentence.
NOT_MEMBER = "This system is not a member of an SSI cluster."


def _name(issuer: Issuer, words: Sequence[str]) -> str:
    return issuer.userid if words[:1] == ["*"] else userid(words, 0)


def _limit(words: Sequence[str], number: int) -> float | None:
    """Seconds, or None for NOLIMIT. CpRefused 026E."""
    text = operand(words, number, "RLO")
    if text == "NOLIMIT":
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 99_999_999):
        raise CpRefused(messages.OPERAND_INVALID, module="RLO")
    return float(text)


def vmrelocate(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """VMRELOCATE TEST | MOVE userid [TO] member [options], CANCEL userid, STATUS [userid], MODIFY userid limits

    Options: FORCE ARCHITECTURE DOMAIN STORAGE, IMMEDIATE, MAXTOTAL and MAXQUIESCE with seconds or NOLIMIT,
    SYNCHRONOUS, ASYNCHRONOUS. CpRefused as relocation.check and relocation.begin say.
    """
    word = operand(words, 0, "RLC")
    action = next((name for name, shortest in _ACTIONS if abbreviates(word, name, shortest)), "")
    if not action:
        raise CpRefused(messages.INVALID_OPTION, module="RLC", option=word)
    rest = [item for item in words[1:] if item not in ("USER", "TO", "DESTINATION")]
    if action == "STATUS":
        return _status(issuer, rest)
    name = _name(issuer, rest)
    if action == "CANCEL":
        relocation.cancel(issuer.system, name)
        return [f"Relocation of {name} is being cancelled"]
    if action == "MODIFY":
        limits: dict[str, float | None] = {}
        for position in range(1, len(rest), 2):
            limits[_limit_name(rest[position])] = _limit(rest, position + 1)
        if not limits:
            raise CpRefused(messages.OPERAND_INVALID, module="RLC")
        relocation.modify(issuer.system, name, **limits)
        return [messages.COMMAND_ACCEPTED]
    options = _Options(rest[2:])
    member = operand(rest, 1, "RLO")
    if action == "TEST":
        relocation.check(issuer.system, name, member, options.force)
        return [f"User {name} is eligible for relocation to {member}"]
    move = relocation.begin(
        issuer.system,
        name,
        member,
        issuer.userid,
        force=options.force,
        immediate=options.immediate,
        max_total=options.max_total,
        max_quiesce=options.max_quiesce,
    )
    return [relocation.BEGUN.format(userid=name, source=move.source, destination=move.destination)]


def _limit_name(word: str) -> str:
    if abbreviates(word, "MAXTOTAL", 4):
        return "max_total"
    if abbreviates(word, "MAXQUIESCE", 4):
        return "max_quiesce"
    raise CpRefused(messages.INVALID_OPTION, module="RLO", option=word)


class _Options:
    """The options of TEST and MOVE. CpRefused 003E for one that there is not."""

    def __init__(self, words: Sequence[str]) -> None:
        self.immediate = any(abbreviates(word, "IMMEDIATE", 4) for word in words)
        self.max_total: float | None = None
        self.max_quiesce: float | None = None if self.immediate else relocation.DEFAULT_QUIESCE
        forced: list[str] = []
        position = 0
        while position < len(words):
            word = words[position]
            force = next((item for item in eligibility.FORCES if abbreviates(word, item, 4)), "")
            if abbreviates(word, "MAXTOTAL", 4) or abbreviates(word, "MAXQUIESCE", 4):
                setattr(self, _limit_name(word), _limit(words, position + 1))
                position += 1
            elif force:
                forced.append(force)
            elif not any(abbreviates(word, item, 3) for item in ("FORCE", "IMMEDIATE", "SYNCHRONOUS", "ASYNCHRONOUS")):
                raise CpRefused(messages.INVALID_OPTION, module="RLO", option=word)
            position += 1
        self.force = tuple(forced)


def _status(issuer: Issuer, words: Sequence[str]) -> list[str]:
    cluster = issuer.system.cluster
    if cluster is None:
        if words and words != ["ALL"]:
            raise CpRefused(messages.NO_RELOCATION, userid=_name(issuer, words))
        return [NONE_ACTIVE]
    name = _name(issuer, words) if words and words[0] != "ALL" else ""
    moves = [move for move in cluster.relocations.values() if name in ("", move.userid)]
    if name and not moves:
        raise CpRefused(messages.NO_RELOCATION, userid=name)
    if not moves:
        return [NONE_ACTIVE]
    lines = ["User     From     To       By       Elapsed  Status"]
    for move in moves:
        elapsed = time.strftime("%H:%M:%S", time.gmtime(cluster.now() - move.started))
        lines.append(
            f"{move.userid:<8} {move.source:<8} {move.destination:<8} {move.issuer:<8} {elapsed} "
            f"{relocation.status(cluster, move)}"
        )
    return lines


def set_vmrelocate(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """SET VMRELOCATE userid | * [ON | OFF] [DOMAIN name [FORCE ARCHITECTURE]]"""
    name = _name(issuer, words)
    rest = list(words[1:])
    allowed = None if not {"ON", "OFF"} & set(rest) else "ON" in rest
    domain = operand(rest, rest.index("DOMAIN") + 1, "RLS") if "DOMAIN" in rest else None
    changed = relocation.set_attributes(issuer.system, name, allowed=allowed, domain=domain, force="FORCE" in rest)
    return [_setting_line(name, allowed=changed.allowed, domain=changed.domain)]


def query_vmrelocate(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY VMRELOCATE [userid | *]: whether a guest may move, and within which domain"""
    name = _name(issuer, words) if words else issuer.userid
    relocation.cluster_of(issuer.system, name)
    where, machine = relocation.find(issuer.system, name)
    found = eligibility.setting(where, machine)
    return [_setting_line(name, allowed=found.allowed, domain=found.domain)]


def _setting_line(name: str, *, allowed: bool, domain: str) -> str:
    return f"Relocation of {name} is {'ON' if allowed else 'OFF'}, domain {domain}"


def query_ssi(issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
    """QUERY SSI: name and mode of the cluster, its persistent data record, the members"""
    cluster = issuer.system.cluster
    if cluster is None:
        return [NOT_MEMBER]
    facts = cluster.facts
    lines = [
        f"SSI Name: {facts.name}",
        f"SSI Mode: {cluster.mode}",
        f"Cross-System Timeouts: {'Enabled' if facts.timeouts else 'Disabled'}",
        f"SSI Persistent Data Record (PDR) device: {facts.pdr_volume} on {facts.pdr_rdev}",
        "SLOT SYSTEMID STATE     PDR HEARTBEAT       RECEIVED HEARTBEAT",
    ]
    for slot, name in enumerate(facts.members, 1):
        beat = time.strftime("%m/%d/%y %H:%M:%S", time.gmtime(cluster.heartbeat(name)))
        lines.append(f"   {slot} {name:<8} {cluster.member_states[name].state:<9} {beat}   {beat}")
    return lines


def query_relodomain(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY RELODOMAIN [ALL | name]: a system outside a cluster has none"""
    cluster = issuer.system.cluster
    name = words[0] if words and words[0] != "ALL" else ""
    domains = [] if cluster is None else sorted(cluster.domains.values(), key=lambda item: item.name)
    chosen = [item for item in domains if name in ("", item.name)]
    if name and not chosen:
        raise CpRefused(messages.DOMAIN_MISSING, name=name)
    return [f"DOMAIN {item.name:<8} MEMBERS: {' '.join(item.members)}" for item in chosen] or [NOT_MEMBER]


COMMANDS = (Command("VMRELOCATE", 4, "A", vmrelocate),)
QUERIES = (
    Command("SSI", 3, "BEG", query_ssi),
    Command("RELODOMAIN", 6, "ABCEG", query_relodomain),
)
