"""LOADDEV statements: from which SCSI disk a guest is loaded, and what its loader is told.

    LOADDEV SCPDATA HEX '0123'   or   LOADDEV SCPDATA 'text'
    LOADDEV PORTNAME 5005076300C20B8E
    LOADDEV LUN 5241000000000000
    LOADDEV BR_LBA 0123456789ABCDEF
    LOADDEV BOOTPROG 1

Forms and order are recorded. Data that are longer than a record are kept in several SCPDATA statements (judgement).
"""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.directory import Entry, Statement, statements
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.smapi.registry import Call, Done, handles
from zvmcloud.smapi import ebcdic
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.spelling import ENCODING

NO_LOADDEV = (456, 4)
BAD_DATA = (520, 2826)
DELETE, EBCDIC, HEX = 1, 2, 3
#: Characters of SCP data in one statement.
_PIECE = 48


@dataclass(frozen=True, slots=True)
class _Field:
    option: str
    least: str
    """How far the option may be abbreviated."""
    number: int
    """The parameter's number in the reason code of rc 24."""

    def is_it(self, item: Statement) -> bool:
        word = item.operand(1)
        return item.keyword == "LOADDEV" and self.option.startswith(word) and word.startswith(self.least)


_SCPDATA = _Field("SCPDATA", "SCP", 10)
_PORTNAME = _Field("PORTNAME", "PORT", 8)
_LUN = _Field("LUN", "LUN", 7)
_BR_LBA = _Field("BR_LBA", "BR", 6)
_BOOTPROG = _Field("BOOTPROG", "BOOT", 5)
_ORDER = (_SCPDATA, _PORTNAME, _LUN, _BR_LBA, _BOOTPROG)


@handles(f.ImageSCSICharacteristicsDefineDM, directory=True, authority="recorded")
def image_scsi_characteristics_define_dm(call: Call, request: f.ImageSCSICharacteristicsDefineDM) -> Done:
    record = dm.unlocked(call.system, request.target)
    found = {field: [item for item in record.entry.statements if field.is_it(item)] for field in _ORDER}
    for field, value in (
        (_BOOTPROG, request.boot_program),
        (_BR_LBA, request.BR_LBA),
        (_LUN, request.LUN),
        (_PORTNAME, request.port_name),
    ):
        if value.upper() == "DELETE":
            _clear(found, field)
        elif value:
            found[field] = [_single(field, value.upper())]
    if request.SCP_data_type == DELETE:
        _clear(found, _SCPDATA)
    elif request.SCP_data_type and request.SCP_data:
        found[_SCPDATA] = _scp_data(request.SCP_data_type, request.SCP_data)
    dm.put(call.system, record, _with_loaddevs(record.entry, [item for field in _ORDER for item in found[field]]))
    return Done()


def _clear(found: dict[_Field, list[Statement]], field: _Field) -> None:
    if not found[field]:
        raise Refused(*NO_LOADDEV)
    found[field] = []


def _single(field: _Field, value: str) -> Statement:
    if field is _BOOTPROG:
        if not value.isdecimal():
            raise Refused(24, field.number * 100 + 10)
        if int(value) > 30:
            raise Refused(24, field.number * 100 + 15)
    elif not _is_hex(value):
        raise Refused(24, field.number * 100 + 16)
    return statements.make("LOADDEV", field.option, value)


def _is_hex(text: str) -> bool:
    return bool(text) and all(character in "0123456789ABCDEFabcdef" for character in text)


def _scp_data(kind: int, wire: str) -> list[Statement]:
    """Statements of SCP data, which travel in EBCDIC code page 924."""
    text = ebcdic.decode(wire.encode(ENCODING), ebcdic.CP924)
    if kind == HEX:
        if not _is_hex(text) or len(text) % 2:
            raise Refused(*BAD_DATA)
        text = text.upper()
    elif not text.isprintable():
        raise Refused(*BAD_DATA)
    words = ("HEX",) if kind == HEX else ()
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    quoted = ["'" + piece.replace("'", "''") + "'" for piece in pieces]
    # Doubled quotes must not make a piece too long for its record.
    if any(len(piece) > statements.COLUMNS - 4 for piece in quoted):
        quoted = ["'" + text[at : at + 30].replace("'", "''") + "'" for at in range(0, len(text), 30)]
    return [statements.make("LOADDEV", _SCPDATA.option, *words, piece) for piece in quoted]


def _with_loaddevs(entry: Entry, loaddevs: list[Statement]) -> Entry:
    """The entry with these in place of its LOADDEV statements: where they were, else behind USER, INCLUDE and IPL."""
    items = list(entry.statements)
    position = next((at for at, item in enumerate(items) if item.keyword == "LOADDEV"), 0)
    if not position:
        position = 1
        while position < len(items) and items[position].keyword in ("INCLUDE", "IPL"):
            position += 1
    behind = [item for item in items[position:] if item.keyword != "LOADDEV"]
    return Entry.of([*items[:position], *loaddevs, *behind])


@handles(f.ImageSCSICharacteristicsQueryDM, authority="recorded")
def image_scsi_characteristics_query_dm(call: Call, request: f.ImageSCSICharacteristicsQueryDM) -> Done:
    entry = dm.find(call.system, request.target).entry

    def value(field: _Field) -> str:
        return next((item.operand(2) for item in entry.statements if field.is_it(item)), "")

    kind, data = 0, b""
    for item in entry.statements:
        if not _SCPDATA.is_it(item):
            continue
        piece = item.words[-1].removeprefix("'").removesuffix("'").replace("''", "'")
        kind = HEX if item.operand(2) == "HEX" else EBCDIC
        data += bytes.fromhex(piece) if kind == HEX else ebcdic.encode(piece, ebcdic.CP924)
    reply = f.ImageSCSICharacteristicsQueryDMReply(
        boot_program=value(_BOOTPROG),
        BR_LBA=value(_BR_LBA),
        LUN=value(_LUN),
        port_name=value(_PORTNAME),
        SCP_data_type=kind,
        SCP_data=data.decode(ENCODING),
    )
    return Done(reply, rs=0 if entry.first("LOADDEV") else 28)
