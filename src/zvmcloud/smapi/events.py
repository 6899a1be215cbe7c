"""The records of Event_Subscribe: *VMEVENT data (type 0) and SMAPI events (type 1).

::

    type 0    { int2 class, int2 type, fields } ...     text fields: 8 bytes EBCDIC, blank padded; B int1, H int2
    type 1    int4 event id, data
                1                 int4 length, userid; int4 length, user word; int4 length, subscriber data
                500               int4 request id, int4 rc, int4 rs, [int4 length, NUL-terminated strings]
                above 16777215    text put there with Event_Stream_Add

Lengths of type 0 events follow from class and type alone, so an unknown one ends the record: what is left is kept as
`UnknownEvent`. Layouts: protocol.md, section 7 (from client code; one sample is recorded).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from zvmcloud.smapi import ebcdic
from zvmcloud.smapi.errors import WireError
from zvmcloud.smapi.spelling import ENCODING

VMEVENT, SMAPI_EVENT = 0, 1
DIRECTORY_CHANGED, DEFINITION_DONE, FIRST_USER_EVENT = 1, 500, 16777216


@dataclass(frozen=True, slots=True)
class VmEvent:
    """One *VMEVENT event: class, type and its fields (text stripped of padding, integers, raw bytes)."""

    event_class: int
    event_type: int
    fields: tuple[str | int | bytes, ...] = ()

    @property
    def userid(self) -> str | None:
        """The virtual machine concerned, for classes 0 and 1."""
        first = self.fields[0] if self.fields and self.event_class in (0, 1) else None
        return first if isinstance(first, str) else None


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """The rest of a type 0 record from the first event on that is not known."""

    data: bytes


@dataclass(frozen=True, slots=True)
class DirectoryChanged:
    """An entry of the user directory changed. `word` tells how: ADD, PURGE, REPLACE ..."""

    userid: str
    word: str
    subscriber_data: str = ""


@dataclass(frozen=True, slots=True)
class DefinitionDone:
    """An asynchronous Image_Definition_* function has ended."""

    request_id: int
    rc: int
    rs: int
    text: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserEvent:
    """An event that a program put on the stream; `event_id` is above 16777215."""

    event_id: int
    data: bytes


SmapiEvent = DirectoryChanged | DefinitionDone | UserEvent

# T: 8 bytes text, B: int1, H: int2, M: 6 raw bytes (a MAC address by its looks)
_LAYOUTS: dict[tuple[int, int], str] = {
    **{(0, kind): "T" for kind in (0, 1, 4, 5, 6, 15, 27)},
    **{(0, kind): "TB" for kind in (2, 13, 14, 26)},
    (0, 3): "TH",
    **{(0, kind): "TT" for kind in (9, 10, 11, 12)},
    (1, 2): "TB",
    (1, 3): "TH",
    (1, 4): "T",
    (1, 6): "T",
    (1, 9): "TT",
    (1, 10): "TT",
    **{(group, 7): "TBB" for group in (2, 3)},
    **{(group, 8): "TTBB" for group in (2, 3)},
    **{(4, kind): "TTHBBHBB" for kind in (16, 17, 18, 19)},
    **{(4, kind): "THBB" for kind in (20, 21)},
    **{(4, kind): "TTTTMTHBB" for kind in (22, 23)},
    **{(4, kind): "TBB" for kind in (24, 25)},
}
_SIZES = {"T": 8, "B": 1, "H": 2, "M": 6}


def decode_vmevents(data: bytes) -> list[VmEvent | UnknownEvent]:
    """The events bundled in a type 0 record. WireError when a known one is cut short."""
    events: list[VmEvent | UnknownEvent] = []
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise WireError(f"an event is cut short at offset {at}")
        event_class, event_type = struct.unpack_from(">HH", data, at)
        layout = _LAYOUTS.get((event_class, event_type))
        if layout is None:
            events.append(UnknownEvent(data[at:]))
            break
        at += 4
        fields: list[str | int | bytes] = []
        for kind in layout:
            piece = data[at : at + _SIZES[kind]]
            if len(piece) < _SIZES[kind]:
                raise WireError(f"event {event_class}/{event_type} is cut short at offset {at}")
            at += len(piece)
            if kind == "T":
                fields.append(ebcdic.decode(piece).rstrip(" "))
            else:
                fields.append(piece if kind == "M" else int.from_bytes(piece, "big"))
        events.append(VmEvent(event_class, event_type, tuple(fields)))
    return events


def encode_vmevent(event: VmEvent) -> bytes:
    """One event as it stands in a type 0 record. WireError when the fields do not fit class and type."""
    layout = _LAYOUTS.get((event.event_class, event.event_type))
    if layout is None or len(layout) != len(event.fields):
        raise WireError(f"event {event.event_class}/{event.event_type} with {len(event.fields)} fields is not known")
    out = bytearray(struct.pack(">HH", event.event_class, event.event_type))
    for kind, value in zip(layout, event.fields, strict=True):
        if kind == "T" and isinstance(value, str) and len(value) <= 8:
            out += ebcdic.encode(value.ljust(8))
        elif kind == "M" and isinstance(value, bytes) and len(value) == 6:
            out += value
        elif kind in "BH" and isinstance(value, int) and 0 <= value < 1 << (8 * _SIZES[kind]):
            out += value.to_bytes(_SIZES[kind], "big")
        else:
            raise WireError(f"event {event.event_class}/{event.event_type}: {value!r} does not fit field type {kind}")
    return bytes(out)


def decode_smapi_event(data: bytes) -> SmapiEvent:
    """The event of a type 1 record."""
    if len(data) < 4:
        raise WireError("a SMAPI event needs an event id of 4 bytes")
    event_id = int.from_bytes(data[:4], "big")
    body = data[4:]
    if event_id == DIRECTORY_CHANGED:
        userid, at = _counted(body, 0)
        word, at = _counted(body, at)
        subscriber, at = _counted(body, at)
        if at != len(body):
            raise WireError(f"{len(body) - at} bytes follow a directory notification")
        return DirectoryChanged(userid, word, subscriber)
    if event_id == DEFINITION_DONE:
        if len(body) < 12:
            raise WireError("a completion needs request id, rc and rs")
        request_id, rc, rs = struct.unpack_from(">III", body)
        text: tuple[str, ...] = ()
        if len(body) > 12:
            strings, _ = _counted(body, 12)
            text = tuple(strings.removesuffix("\0").split("\0")) if strings else ()
        return DefinitionDone(request_id, rc, rs, text)
    return UserEvent(event_id, body)


def encode_smapi_event(event: SmapiEvent) -> bytes:
    """The data of a type 1 record."""
    if isinstance(event, DirectoryChanged):
        parts = (event.userid, event.word, event.subscriber_data)
        return DIRECTORY_CHANGED.to_bytes(4, "big") + b"".join(_text(part) for part in parts)
    if isinstance(event, DefinitionDone):
        head = struct.pack(">IIII", DEFINITION_DONE, event.request_id, event.rc, event.rs)
        return head + (_text("".join(f"{line}\0" for line in event.text)) if event.text else b"")
    return event.event_id.to_bytes(4, "big") + event.data


def _counted(data: bytes, at: int) -> tuple[str, int]:
    if at + 4 > len(data):
        raise WireError(f"a length is missing at offset {at}")
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")
    if end > len(data):
        raise WireError(f"text at offset {at} passes the end of the event")
    return data[at + 4 : end].decode(ENCODING), end


def _text(value: str) -> bytes:
    data = value.encode(ENCODING)
    return len(data).to_bytes(4, "big") + data
