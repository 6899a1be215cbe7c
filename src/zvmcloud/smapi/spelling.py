"""The bytes of one message, walked over or collected, and how its peer spelled it.

Text is ISO 8859-15 on the wire, which maps all 256 bytes, so no text is ever lost in decoding.

A peer has some freedom in spelling a message: the case and the order of keys, the NUL behind a last item, trailing data
that may be left out. `Shape` holds what was chosen, so that a decoded message can be written back to the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zvmcloud.smapi.errors import ParameterError, WireError

ENCODING = "iso8859-15"
INT4 = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a peer spelled a message where the protocol leaves it free. `Shape()` is the canonical spelling."""

    keys: tuple[str, ...] = ()
    """Keys as spelled, in the order they came."""
    unterminated: frozenset[int] = frozenset()
    """Which NUL-terminated areas (numbered as they come) lacked the last NUL."""
    absent: bool = False
    """Parameters that may be left out as a whole were left out."""
    spare_nul: bool = False
    """One NUL followed that no length counts."""


CANONICAL = Shape()


class Reader:
    """Walks over the bytes of one message. `end` is the end of the area being read."""

    __slots__ = ("areas", "choices", "data", "end", "pos", "unterminated")

    def __init__(self, data: bytes, choices: Mapping[str, str] | None = None) -> None:
        self.data = data
        self.pos = 0
        self.end = len(data)
        self.choices = choices or {}
        self.areas = 0
        self.unterminated: set[int] = set()

    def take(self, count: int) -> bytes:
        start = self.pos
        stop = start + count
        if stop > self.end:
            raise WireError(f"{count} bytes expected at offset {start}, {self.end - start} left")
        self.pos = stop
        return self.data[start:stop]

    def int4(self) -> int:
        start = self.pos
        if start + 4 > self.end:
            raise WireError(f"4 bytes expected at offset {start}, {self.end - start} left")
        self.pos = start + 4
        value: int = INT4.unpack_from(self.data, start)[0]
        return value

    def enter(self, length: int) -> int:
        """Narrow to an area of `length` bytes; returns the outer end for `leave`."""
        outer = self.end
        if self.pos + length > outer:
            raise WireError(f"an area of {length} bytes at offset {self.pos} passes the end at {outer}")
        self.end = self.pos + length
        return outer

    def leave(self, outer: int) -> None:
        if self.pos != self.end:
            raise WireError(f"{self.end - self.pos} bytes left over at offset {self.pos}")
        self.end = outer

    def rest(self) -> bytes:
        return self.take(self.end - self.pos)

    def strings(self) -> tuple[str, ...]:
        """All NUL-terminated strings up to the end of the area; the last NUL may be missing."""
        area = self.areas
        self.areas += 1
        chunk = decode_text(self.rest())
        if not chunk:
            return ()
        if chunk[-1] == "\0":
            return tuple(chunk[:-1].split("\0"))
        self.unterminated.add(area)
        return tuple(chunk.split("\0"))


class Writer:
    """Collects the bytes of one message in the given shape."""

    __slots__ = ("areas", "choices", "out", "shape")

    def __init__(self, shape: Shape = CANONICAL, choices: Mapping[str, str] | None = None) -> None:
        self.out = bytearray()
        self.shape = shape
        self.choices = choices or {}
        self.areas = 0

    def strings(self, values: Sequence[str], name: str) -> None:
        area = self.areas
        self.areas += 1
        for value in values:
            if "\0" in value:
                raise ParameterError(name, "a NUL cannot stand inside a NUL-terminated string")
        if not values:
            return
        self.out += encode_text("\0".join(values), name)
        if area not in self.shape.unterminated:
            self.out.append(0)
        elif not values[-1]:
            raise ParameterError(name, "an empty last string needs its NUL")


def decode_text(data: bytes) -> str:
    """Text from the wire. What is ASCII, as nearly all of it, needs no codec, of which Python's is slow."""
    return data.decode("ascii") if data.isascii() else data.decode(ENCODING)


def encode_text(value: str, name: str) -> bytes:
    """Text for the wire. ParameterError for a character that it lacks."""
    if value.isascii():
        return value.encode("ascii")
    try:
        return value.encode(ENCODING)
    except UnicodeEncodeError as error:
        bad = value[error.start]
        raise ParameterError(name, f"the character {bad!r} does not exist on z/VM (ISO 8859-15)") from None
