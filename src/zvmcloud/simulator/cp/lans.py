"""Guest LANs: DEFINE LAN, SET LAN, DETACH LAN.

A LAN of somebody else, or of SYSTEM, takes class B.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import guest_lans
from zvmcloud.simulator.cp.language import Issuer, abbreviates, no_more, operand, userid
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import Grant
from zvmcloud.simulator.model_devices import GuestLan


def define_lan(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """DEFINE LAN name [OWNERID owner] [TYPE QDIO | HIPERS] [IP | ETHERNET] [RESTRICTED] [GRANT userid]

    A LAN of somebody else, or of SYSTEM, takes class B; it stays until it is detached.
    """
    name = operand(words, 0, "NDL")
    owner, kind, transport, restricted = issuer.userid, "HIPERS", "IP", False
    grants: list[Grant] = []
    rest = list(words[1:])
    while rest:
        word = rest.pop(0)
        if abbreviates(word, "OWNERID", 5):
            owner = issuer.userid if rest[:1] == ["*"] else userid(rest, 0)
            rest.pop(0)
        elif word == "TYPE":
            value = operand(rest, 0, "NDL")
            if not (value == "QDIO" or abbreviates(value, "HIPERSOCKETS", 4)):
                raise CpRefused(messages.INVALID_OPTION, module="NDL", option=value)
            kind = "QDIO" if rest.pop(0) == "QDIO" else "HIPERS"
        elif word == "IP" or abbreviates(word, "ETHERNET", 3):
            transport = "IP" if word == "IP" else "ETHERNET"
        elif abbreviates(word, "RESTRICTED", 4) or abbreviates(word, "UNRESTRICTED", 6):
            restricted = word[0] == "R"
        elif abbreviates(word, "GRANT", 3):
            grants.append(Grant(userid(rest, 0)))
            rest.pop(0)
        elif abbreviates(word, "MAXCONN", 4) or abbreviates(word, "ACCOUNTING", 4):
            operand(rest, 0, "NDL")
            rest.pop(0)
        else:
            raise CpRefused(messages.INVALID_OPTION, module="NDL", option=word)
    if owner != issuer.userid and not issuer.has("B"):
        raise CpRefused(messages.LAN_NOT_YOURS, owner=owner, name=name)
    if kind == "HIPERS" and transport == "ETHERNET":
        raise CpRefused(messages.CONFLICTING_OPTION, module="NDL", option="ETHERNET")
    taken = owner == "SYSTEM" and name in issuer.system.vswitches
    if taken or guest_lans.key(owner, name) in issuer.system.guest_lans:
        raise CpRefused(messages.LAN_EXISTS, owner=owner, name=name)
    persistent = owner == "SYSTEM"
    lan = GuestLan(owner, name, kind, restricted, transport, tuple(grants), persistent)
    guest_lans.create(issuer.system, lan)
    return [f"LAN {owner} {name} is created"]


def _own_lan(issuer: Issuer, words: Sequence[str]) -> tuple[GuestLan, list[str]]:
    """The LAN that operands name (name [OWNERID] [owner]), which the issuer may change, and the operands left."""
    name, rest = operand(words, 0, "NDL"), list(words[1:])
    owner = issuer.userid
    if rest and abbreviates(rest[0], "OWNERID", 5):
        rest.pop(0)
        owner = issuer.userid if rest[:1] == ["*"] else userid(rest, 0)
        rest.pop(0)
    elif rest and (rest[0] == "SYSTEM" or guest_lans.key(rest[0], name) in issuer.system.guest_lans):
        owner = rest.pop(0)
    elif guest_lans.key(owner, name) not in issuer.system.guest_lans:
        owner = "SYSTEM"
    if owner == "SYSTEM" and name in issuer.system.vswitches:
        raise CpRefused(messages.LAN_LINKED, owner=owner, name=name)
    lan = guest_lans.find(issuer.system, owner, name)
    if owner != issuer.userid and not issuer.has("B"):
        raise CpRefused(messages.LAN_NOT_YOURS, owner=owner, name=name)
    return lan, rest


def set_lan(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """SET LAN name [OWNERID owner] GRANT | REVOKE userid"""
    lan, rest = _own_lan(issuer, words)
    action, name = operand(rest, 0, "NDL"), userid(rest, 1)
    no_more(rest, 2)
    if abbreviates(action, "GRANT", 3):
        guest_lans.grant(issuer.system, lan, Grant(name))
    elif abbreviates(action, "REVOKE", 3):
        if lan.grant(name) is None:
            raise CpRefused(messages.GRANT_MISSING, module="NDL", userid=name, owner=lan.owner, name=lan.name)
        guest_lans.revoke(issuer.system, lan, name)
    else:
        raise CpRefused(messages.INVALID_OPTION, module="NDL", option=action)
    return [messages.COMMAND_ACCEPTED]


def detach_lan(issuer: Issuer, words: Sequence[str]) -> list[str]:
    """DETACH LAN name [OWNERID owner]"""
    lan, rest = _own_lan(issuer, words)
    no_more(rest, 0)
    guest_lans.delete(issuer.system, lan)
    return [f"LAN {lan.owner} {lan.name} is destroyed"]
