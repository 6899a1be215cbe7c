"""QUERY READER, PRINTER, PUNCH, FILES: spool files of the issuer, of others with class D.

Columns as vmur lists them (reference/connector/cp_corpus.md); printer and punch files show the owner first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from zvmcloud.cp import messages
from zvmcloud.simulator import spool
from zvmcloud.simulator.cp import reader
from zvmcloud.simulator.cp.language import Command, Issuer, abbreviates
from zvmcloud.simulator.errors import CpRefused
from zvmcloud.simulator.model import SpoolFile

_HEADS = {
    "RDR": "ORIGINID FILE CLASS RECORDS  CPY HOLD DATE  TIME     NAME      TYPE     DIST",
    "PRT": "OWNERID  FILE CLASS RECORDS  CPY HOLD DATE  TIME     NAME      TYPE     DIST",
    "PUN": "OWNERID  FILE CLASS RECORDS  CPY HOLD DATE  TIME     NAME      TYPE     DIST",
}


def _queue(kind: str) -> Command:
    def handler(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
        """QUERY queue [userid | *] [ALL] [spoolid ...] [CLASS c] [HOLD | NOHOLD]"""
        files = _chosen(issuer, kind, list(words))
        if not files:
            return [f"NO {kind} FILES"]
        return [_HEADS[kind], *(_line(file) for file in files)]

    name, shortest = {"RDR": ("READER", 1), "PRT": ("PRINTER", 3), "PUN": ("PUNCH", 2)}[kind]
    return Command(name, shortest, "DG", handler)


def _line(file: SpoolFile) -> str:
    stamp = time.strftime("%m/%d %H:%M:%S", time.gmtime(file.created))
    first = file.origin if file.queue == "RDR" else file.owner
    return (
        f"{first:<8} {file.spoolid} {file.spool_class} {file.kind} {file.records:08d} {file.copies:03d} "
        f"{file.hold} {stamp} {file.name[:9]:<9} {file.filetype[:8]:<8} {file.distribution}"
    )


def _chosen(issuer: Issuer, kind: str, rest: list[str]) -> list[SpoolFile]:
    owner, numbers, letter, hold = issuer.userid, [], "*", ""
    while rest:
        word = rest.pop(0)
        if word in ("ALL", "*", "TBL", "EXP", "PSF", "SHORT"):
            continue
        if abbreviates(word, "CLASS", 2) and rest:
            letter = reader.spool_class(rest, 0)
            rest.pop(0)
        elif word in ("HOLD", "NOHOLD"):
            hold = word
        elif word == "USERID" and rest:
            owner = reader.owner_of(issuer, rest.pop(0).strip("'") or "*")
        elif word.isdecimal() and len(word) <= 4:
            numbers.append(word)
        else:
            owner = reader.owner_of(issuer, word)
    files = spool.files(issuer.system, owner, kind)
    if numbers:
        files = [spool.find(issuer.system, owner, number) for number in numbers]
        if wrong := [file for file in files if file.queue != kind]:
            raise CpRefused(messages.SPOOL_FILE_MISSING, spoolid=wrong[0].spoolid)
    return [
        file
        for file in files
        if letter in ("*", file.spool_class) and (not hold or (file.hold == "NONE") == (hold == "NOHOLD"))
    ]


def _files(issuer: Issuer, words: Sequence[str], _text: str) -> list[str]:
    """QUERY FILES [userid]: FILES: 0016 RDR, 0001 PRT,   NO PUN"""
    owner = reader.owner_of(issuer, words[0]) if words and words[0] != "ALL" else issuer.userid
    counts = [len(spool.files(issuer.system, owner, kind)) for kind in reader.QUEUES]
    cells = [f"{f'{count:04d}' if count else '  NO'} {kind}" for count, kind in zip(counts, reader.QUEUES, strict=True)]
    return [f"FILES: {', '.join(cells)}"]


OPERANDS: tuple[Command, ...] = (
    _queue("RDR"),
    Command("RDR", 2, "DG", _queue("RDR").handler),
    _queue("PUN"),
    _queue("PRT"),
    Command("PRT", 3, "DG", _queue("PRT").handler),
    Command("FILES", 4, "DG", _files),
)
