"""The field types of the SMAPI wire: how each is laid out, what it accepts, how it is written back.

::

    Int(4)          big-endian, 1, 4 or 8 bytes; two's complement where `signed`
    Text            int4 length, then that many bytes
    Chars(n)        exactly n bytes, blank padded
    Asciiz          bytes up to and including a NUL
    Raw             all bytes up to the end of the enclosing area
    Array(x)        int4 byte length, then items x until it is used up
    Counted(x)      int4 item count, then the items
    TextCounted(x)  item count as decimal digits and NUL, then the items
    Repeat(x)       items x up to the end of the enclosing area
    Struct(c)       int4 byte length, then the fields of class c, which fill it exactly
    Group(c)        the fields of class c, no length
    Key             an item `name=value` NUL of a key area; keys come in any order and either case

Limits (lengths, ranges, character sets) are checked by `check`, not by decoding: a z/VM is known to exceed its
documented limits. The bytes themselves are walked over and collected by `spelling`.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zvmcloud.smapi.charsets import CHAR_NA, Charset
from zvmcloud.smapi.errors import ParameterError, WireError
from zvmcloud.smapi.spelling import INT4, Reader, Writer, decode_text, encode_text

_INTS = {1: struct.Struct(">B"), 4: INT4, 8: struct.Struct(">Q")}
_SIGNED_INTS = {1: struct.Struct(">b"), 4: struct.Struct(">i"), 8: struct.Struct(">q")}

# Details of rc 24 (the last two digits of its reason code).
TOO_LONG, TOO_SHORT, BELOW_MINIMUM, ABOVE_MAXIMUM, NOT_A_CHOICE = 13, 14, 15, 18, 19


class Spec(ABC):
    """One field type. Values are plain Python values, typed by the annotations of the declarations."""

    __slots__ = ()

    @abstractmethod
    def encode(self, value: Any, name: str, writer: Writer) -> None: ...

    @abstractmethod
    def decode(self, reader: Reader) -> Any: ...

    @abstractmethod
    def check(self, value: Any, name: str, number: int) -> None:
        """Raise ParameterError when the value breaks a documented limit. `number` is the parameter's number."""


@dataclass(frozen=True, slots=True)
class Int(Spec):
    """An integer of 1, 4 or 8 bytes. `choices` gives the meaning of each value where only some are defined."""

    size: int
    minimum: int | None = None
    maximum: int | None = None
    signed: bool = False
    choices: Mapping[int, str] = field(default_factory=dict)

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        packer = (_SIGNED_INTS if self.signed else _INTS)[self.size]
        if isinstance(value, bool) or not isinstance(value, int):
            raise ParameterError(name, f"{value!r} is not a whole number")
        try:
            writer.out += packer.pack(value)
        except struct.error:
            sign = "signed" if self.signed else "unsigned"
            raise ParameterError(name, f"{value} does not fit into {self.size} {sign} bytes") from None

    def decode(self, reader: Reader) -> int:
        unpacker = (_SIGNED_INTS if self.signed else _INTS)[self.size]
        value: int = unpacker.unpack(reader.take(self.size))[0]
        return value

    def check(self, value: Any, name: str, number: int) -> None:
        if self.choices and value not in self.choices:
            known = ", ".join(
                f"{known} ({meaning})" if meaning else str(known) for known, meaning in self.choices.items()
            )
            raise ParameterError(name, f"{value} is not one of {known}", rs=number * 100 + NOT_A_CHOICE)
        if self.minimum is not None and value < self.minimum:
            raise ParameterError(name, f"{value} is below the minimum {self.minimum}", rs=number * 100 + BELOW_MINIMUM)
        if self.maximum is not None and value > self.maximum:
            raise ParameterError(name, f"{value} is above the maximum {self.maximum}", rs=number * 100 + ABOVE_MAXIMUM)


@dataclass(frozen=True, slots=True)
class Limited(Spec):
    """What text may be: length in characters, character set, and the documented words (which may be abbreviated).

    `words` names the blank-separated parts of a text that is a record: "dev_id [dev_volser] vlan_ids..." stands for
    one word, an optional one, and all the others.
    """

    minimum: int = 0
    maximum: int | None = None
    charset: Charset = CHAR_NA
    choices: Mapping[str, str] = field(default_factory=dict)
    words: str = ""
    separator: str = ""

    def check(self, value: Any, name: str, number: int) -> None:
        def refuse(detail: int, message: str) -> ParameterError:
            shown = repr(value if len(value) <= 80 else value[:77] + "...")
            return ParameterError(name, f"{shown} {message}", rs=number * 100 + detail)

        if value == "*":  # the sign for all or any is taken wherever a name is (recorded)
            return
        if len(value) < self.minimum:
            raise refuse(TOO_SHORT, f"has {len(value)} characters; at least {self.minimum} are needed")
        if self.maximum is not None and len(value) > self.maximum:
            raise refuse(TOO_LONG, f"has {len(value)} characters; at most {self.maximum} are allowed")
        bad = self.charset.first_outside(value)
        if bad is not None:
            raise refuse(self.charset.detail, f"has the character {bad!r}; allowed: {self.charset}")
        if not value or not self.choices or value in self.choices:
            return
        if not any(word.startswith(value.upper()) for word in self.choices):
            raise refuse(NOT_A_CHOICE, f"is not one of {', '.join(self.choices)}")

    def split(self, value: str) -> dict[str, str]:
        """The words of a record by their names. Words beyond those named are in the last one."""
        names = [word.strip("[].") for word in self.words.split()]
        parts = value.split(self.separator or None, len(names) - 1) if names else []
        return dict(zip(names, (part.strip() for part in parts), strict=False))


@dataclass(frozen=True, slots=True)
class Text(Limited):
    """Text behind an int4 byte length."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        data = encode_text(value, name)
        writer.out += INT4.pack(len(data))
        writer.out += data

    def decode(self, reader: Reader) -> str:
        return decode_text(reader.take(reader.int4()))


@dataclass(frozen=True, slots=True)
class Chars(Spec):
    """Exactly `size` bytes of text; trailing blanks are padding and no part of the value."""

    size: int

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        data = encode_text(value, name)
        if len(data) > self.size or data.endswith(b" "):
            raise ParameterError(name, f"{value!r} must be at most {self.size} characters without trailing blanks")
        writer.out += data.ljust(self.size)

    def decode(self, reader: Reader) -> str:
        return decode_text(reader.take(self.size)).rstrip(" ")

    def check(self, value: Any, name: str, number: int) -> None:
        if len(value) > self.size:
            raise ParameterError(name, f"{value!r} is longer than {self.size}", rs=number * 100 + TOO_LONG)


@dataclass(frozen=True, slots=True)
class Asciiz(Limited):
    """One NUL-terminated string; as the last thing of its area it may lack the NUL."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        writer.strings((value,), name)

    def decode(self, reader: Reader) -> str:
        area = reader.areas
        reader.areas += 1
        stop = reader.data.find(0, reader.pos, reader.end)
        if stop >= 0:
            value = reader.take(stop - reader.pos)
            reader.pos += 1
            return decode_text(value)
        if reader.pos == reader.end:
            raise WireError(f"a NUL-terminated string expected at offset {reader.pos}, nothing left")
        reader.unterminated.add(area)
        return decode_text(reader.rest())


@dataclass(frozen=True, slots=True)
class Raw(Spec):
    """All bytes up to the end of the area, uninterpreted."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        writer.out += value

    def decode(self, reader: Reader) -> bytes:
        return reader.rest()

    def check(self, value: Any, name: str, number: int) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Group(Spec):
    """The fields of a declared structure one after the other."""

    structure: type[Any]

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        for member in self.structure.__fields__:
            member.spec.encode(getattr(value, member.attribute), f"{name}.{member.name}", writer)

    def decode(self, reader: Reader) -> Any:
        return self.structure(**{member.attribute: member.spec.decode(reader) for member in self.structure.__fields__})

    def check(self, value: Any, name: str, number: int) -> None:
        for member in self.structure.__fields__:
            member.spec.check(getattr(value, member.attribute), f"{name}.{member.name}", number)


@dataclass(frozen=True, slots=True)
class Struct(Group):
    """The same behind an int4 byte length, which the fields use up exactly."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        with _counted_bytes(writer):
            Group.encode(self, value, name, writer)

    def decode(self, reader: Reader) -> Any:
        outer = reader.enter(reader.int4())
        value = Group.decode(self, reader)
        reader.leave(outer)
        return value


class _counted_bytes:
    """Puts the int4 byte length of what is written inside the `with` in front of it."""

    __slots__ = ("start", "writer")

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.start = len(writer.out)
        writer.out += b"\0\0\0\0"

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_exception: object) -> None:
        INT4.pack_into(self.writer.out, self.start, len(self.writer.out) - self.start - 4)


@dataclass(frozen=True, slots=True)
class Repeat(Spec):
    """Items up to the end of the area."""

    item: Spec

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        item = self.item
        if type(item) is Asciiz:
            writer.strings(value, name)
        elif type(item) is Text:
            for one in value:
                data = encode_text(one, name)
                writer.out += INT4.pack(len(data)) + data
        else:
            for one in value:
                item.encode(one, name, writer)

    def decode(self, reader: Reader) -> tuple[Any, ...]:
        item = self.item
        if type(item) is Asciiz:
            return reader.strings()
        items = []
        while reader.pos < reader.end:
            items.append(item.decode(reader))
        return tuple(items)

    def check(self, value: Any, name: str, number: int) -> None:
        for one in value:
            self.item.check(one, name, number)


@dataclass(frozen=True, slots=True)
class Array(Repeat):
    """Items behind an int4 byte length."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        with _counted_bytes(writer):
            Repeat.encode(self, value, name, writer)

    def decode(self, reader: Reader) -> tuple[Any, ...]:
        outer = reader.enter(reader.int4())
        items = Repeat.decode(self, reader)
        reader.leave(outer)
        return items


@dataclass(frozen=True, slots=True)
class Counted(Repeat):
    """Items behind an int4 item count."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        writer.out += INT4.pack(len(value))
        for one in value:
            self.item.encode(one, name, writer)

    def decode(self, reader: Reader) -> tuple[Any, ...]:
        return tuple(_bounded(reader, reader.int4(), self.item))


@dataclass(frozen=True, slots=True)
class TextCounted(Repeat):
    """Items behind an item count that is itself text: decimal digits and a NUL."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        writer.strings((str(len(value)),), name)
        for one in value:
            self.item.encode(one, name, writer)

    def decode(self, reader: Reader) -> tuple[Any, ...]:
        text = Asciiz().decode(reader)
        if not (text.isascii() and text.isdigit()) or (text[0] == "0" and text != "0") or len(text) > 10:
            raise WireError(f"a decimal item count expected, {text[:20]!r} found")
        return tuple(_bounded(reader, int(text), self.item))


def _bounded(reader: Reader, count: int, item: Spec) -> list[Any]:
    """`count` items; a count that the bytes left cannot hold (every item takes at least one) is refused at once."""
    if count > reader.end - reader.pos:
        raise WireError(f"{count} items announced, {reader.end - reader.pos} bytes left")
    return [item.decode(reader) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class ByRequestKey(Spec):
    """A field whose layout depends on a key of the request that it answers; the reply itself does not tell."""

    key: str
    default: str
    layouts: Mapping[str, Spec]

    def _layout(self, choices: Mapping[str, str]) -> Spec:
        return self.layouts.get(choices.get(self.key, self.default).upper(), self.layouts[self.default])

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        self._layout(writer.choices).encode(value, name, writer)

    def decode(self, reader: Reader) -> Any:
        return self._layout(reader.choices).decode(reader)

    def check(self, value: Any, name: str, number: int) -> None:
        for one in value:
            Text().check(one, name, number)


@dataclass(frozen=True, slots=True)
class Key(Limited):
    """A `name=value` item of a key area. The value None leaves the item out."""

    def encode(self, value: Any, name: str, writer: Writer) -> None:
        raise AssertionError("keys are written by their area")

    def decode(self, reader: Reader) -> Any:
        raise AssertionError("keys are read by their area")

    def check(self, value: Any, name: str, number: int) -> None:
        if value is None:
            return
        try:
            Limited.check(self, value, name, number)
        except ParameterError as error:
            message = str(error).partition(": ")[2]
            raise ParameterError(name, message, rc=8, rs=3003, text=(f"UNKNOWN_PARAMETER_OPERAND={value}",)) from None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its documented name, its attribute, its layout and one line about it."""

    name: str
    attribute: str
    spec: Spec
    doc: str
    required: bool
