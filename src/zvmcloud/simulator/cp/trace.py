"""TRACE and QUERY TRACE: trace sets of the issuer's machine.

Guests here run no instructions, so a trap is kept and shown and never springs. Layout of QUERY TRACE: judgement.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.cp.messages import Message
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates, number, operand
from zvmcloud.simulator.cp.settings import of, with_value
from zvmcloud.simulator.errors import CpRefused

TRAP_MISSING = Message(1505, "TRC", "E", "Trace identifier {name} was not found")
#: What can be traced, with its shortest form.
KINDS = (
    ("INSTRUCTION", 1), ("BRANCH", 1), ("CALL", 4), ("DIAGNOSE", 4), ("SVC", 3), ("I/O", 1), ("IO", 2), ("PROGRAM", 2),
    ("EXTERNAL", 2), ("MC", 2), ("SIE", 3), ("STORE", 2), ("REGISTER", 1), ("GRAPHICAL", 4), ("ALL", 3),
)  # fmt: skip
#: Options that stand alone, and those that a number follows.
_FLAGS = ("RUN", "NORUN", "TERMINAL", "NOTERMINAL", "PRINTER", "NOPRINTER", "BOTH", "SIM", "NOSIM", "HARD", "SOFT")
_COUNTED = ("SKIP", "PASS", "STOP", "STEP")
#: Most traps of a trace set.
MOST = 64
_SET = "TRACE"


def trace(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """TRACE kind [RUN] [PRINTER] [SKIP n] ... | DELETE id | END [ALL]"""
    what = operand(words, 0, "TRC")
    traps = _traps(issuer)
    if what == "END":
        _keep(issuer, [])
        return ["Trace ended"]
    if abbreviates(what, "DELETE", 3):
        name = operand(words, 1, "TRC")
        if not any(trap[0] == name for trap in traps):
            raise CpRefused(TRAP_MISSING, name=name)
        _keep(issuer, [trap for trap in traps if trap[0] != name])
        return []
    kind = next((name for name, shortest in KINDS if abbreviates(what, name, shortest)), "")
    if not kind:
        raise CpRefused(messages.INVALID_OPTION, module="TRC", option=what)
    if len(traps) >= MOST:
        raise CpRefused(messages.EXCESS_OPTION, module="TRC", option=what)
    options = _options(list(words[1:]))
    taken = {trap[0] for trap in traps}
    name = next(str(candidate) for candidate in range(1, MOST + 1) if str(candidate) not in taken)
    _keep(issuer, [*traps, (name, kind, *options)])
    return []


def _options(rest: list[str]) -> list[str]:
    found: list[str] = []
    while rest:
        word = rest.pop(0)
        flag = next((item for item in _FLAGS if abbreviates(word, item, 3)), "")
        if flag:
            found.append(flag)
        elif word in _COUNTED:
            found.append(f"{word} {number(rest, 0, 0, 99999, 'TRC')}")
            rest.pop(0)
        else:
            raise CpRefused(messages.INVALID_OPTION, module="TRC", option=word)
    return found


def _traps(issuer: Issuer) -> list[tuple[str, ...]]:
    text = of(issuer.system, issuer.machine).get(_SET, "")
    return [tuple(line.split("|")) for line in text.split(";") if line]


def _keep(issuer: Issuer, traps: list[tuple[str, ...]]) -> None:
    text = ";".join("|".join(trap) for trap in traps)
    issuer.system.settings.put(issuer.userid, with_value(of(issuer.system, issuer.machine), _SET, text))


def query(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY TRACE [ALL]"""
    if list(words) not in ([], ["ALL"]):
        raise CpRefused(messages.INVALID_OPTION, module="TRC", option=words[0])
    traps = _traps(issuer)
    if not traps:
        return ["TRACE NOT ACTIVE"]
    lines = ["NAME  INITIAL   (ACTIVE)"]
    for name, kind, *options in traps:
        counts = dict.fromkeys(_COUNTED, "00000")
        counts |= {
            word: f"{int(count):05d}" for word, _, count in (option.partition(" ") for option in options) if count
        }
        flags = {"TERMINAL": "TERM", "NOTERMINAL": "NOTERM", "PRINTER": "PRINT", "NOPRINTER": "NOPRINT"}
        where = [flags[option] for option in options if option in flags] or ["TERM", "NOPRINT"]
        run = "RUN" if "RUN" in options else "NORUN"
        lines += [
            f"{name:<3} {kind}",
            f"    {'    '.join(where)}    {run}    {'NOSIM' if 'NOSIM' in options else 'SIM'}",
            "    " + "    ".join(f"{word} {count}" for word, count in counts.items()),
            "    CMD NONE",
        ]
    return lines


COMMANDS = (Command("TRACE", 2, "G", trace),)
QUERIES = (Command("TRACE", 2, "G", query),)
