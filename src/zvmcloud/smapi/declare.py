"""From an annotated class to a SMAPI function that can be encoded, decoded and checked.

A function is declared once, as two dataclasses::

    @reply
    class ImageLockQueryDMReply(Reply):
        lock_info: Annotated[str, Text(), "Who holds the lock"]

    @function("Image_Lock_Query_DM", family="image", directory_manager=True)
    class ImageLockQueryDM(Request[ImageLockQueryDMReply]):
        '''Tell whether an entry or devices of it are locked, and by whom.'''

The annotation's second part is the layout on the wire, the third one line for people. A field without a default is
required; optional positional fields are sent as an empty string or 0, optional keys (default None) are left out.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, ClassVar, Generic, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints

from zvmcloud.smapi.errors import ParameterError, WireError
from zvmcloud.smapi.layout import Asciiz, Field, Key, Raw, Repeat, Text
from zvmcloud.smapi.spelling import CANONICAL, Reader, Shape, Writer, encode_text

# Which number a parameter has in the reason code of rc 24 is stated nowhere; counted here as they stand in a request.
TARGET_NUMBER = 4
FIRST_PARAMETER_NUMBER = 5


class Style(Enum):
    """How the parameters of a request are laid out."""

    POSITIONAL = "one field after the other"
    KEYS = "name=value items"
    COUNTED_KEYS = "name=value items behind their byte count"
    KEYWORDS = "free KEYWORD=... strings behind their byte count"


class Framing(Enum):
    """How a request is framed."""

    STANDARD = "name, userid, password, target"
    NO_TARGET = "standard; the target may be missing"
    LEGACY = "X'FF' and NUL-terminated arguments over IUCV, standard over TCP"


class Answering(Enum):
    """What comes back on the connection."""

    REPLY = "request id, then one reply"
    REQUEST_ID_ONLY = "request id, then the server closes"
    EVENTS = "request id, then event records until one side closes"


class Target(Enum):
    """What the target identifier names."""

    IMAGE = "one userid"
    IMAGE_OR_LIST = "a userid or a list"
    LIST = "a list"
    PROFILE = "a profile"
    PROTOTYPE = "a prototype"
    AUTHORIZATION = "a userid used for the authorization check only"
    TEXT = "text of its own"
    NONE = "nothing"


_NAMES_ONE = frozenset({Target.IMAGE, Target.PROFILE, Target.PROTOTYPE})
"""Targets that name one entry of the directory, which has at most 8 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Anything with declared fields."""

    __fields__: ClassVar[tuple[Field, ...]] = ()


class Structure(Message):
    """Part of a message: an item of an array."""

    __slots__ = ()


class Reply(Message):
    """The data of a successful reply."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoData(Reply):
    """A function that answers with return and reason code alone."""


R = TypeVar("R", bound=Reply)
T = TypeVar("T", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message, Generic[R]):
    """A request without its credentials. `target` is the target identifier, 0-64 characters."""

    spec: ClassVar[Function]

    target: str = ""


class ErrorLayout(Enum):
    """How text comes with a refusal."""

    COUNTED_TEXT = "int4 length and text; one NUL may follow that is not counted"
    STRINGS = "int4 length and NUL-terminated strings"
    STRING = "one NUL-terminated string"
    RAW = "text up to the end"


@dataclass(frozen=True, slots=True)
class ErrorData:
    """Text that comes with the refusals that match `rc/rs` (`*` any; as rc: any but 0)."""

    layout: ErrorLayout
    when: tuple[str, ...]

    def covers(self, rc: int, rs: int) -> bool:
        for pattern in self.when:
            rc_pattern, _, rs_pattern = pattern.partition("/")
            rc_fits = rc != 0 if rc_pattern == "*" else rc == int(rc_pattern)
            if rc_fits and rs_pattern in ("*", str(rs)):
                return True
        return False


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """What a server answered: codes, data if there were any, text if it refused."""

    rc: int
    rs: int
    data: R | None = None
    text: tuple[str, ...] = ()
    request_id: int = 0
    shape: Shape = dataclasses.field(default=CANONICAL, repr=False)

    @property
    def reply(self) -> R:
        """The data of the reply; WireError if the server sent none."""
        if self.data is None:
            raise WireError(f"the reply (rc {self.rc}, rs {self.rs}) carries no data")
        return self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One SMAPI function: all that is known about it, and its codec."""

    name: str
    family: str
    summary: str
    request_type: type[Request[Any]]
    reply_type: type[Reply]
    style: Style
    framing: Framing
    answering: Answering
    target: Target
    directory_manager: bool
    level: int
    """The API functional level that brought the function; 530 when it was always there."""
    data_with: frozenset[int]
    """Return codes that come with the reply data."""
    data_optional: bool
    """Whether the data may be missing even then."""
    parameters_optional: bool
    errors: tuple[ErrorData, ...]
    notes: tuple[str, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        """The parameters of the request, in wire order."""
        return self.request_type.__fields__

    @property
    def reply_fields(self) -> tuple[Field, ...]:
        return self.reply_type.__fields__

    def check(self, request: Request[Any]) -> None:
        """Raise ParameterError for the first value that breaks a documented limit."""
        limit = 8 if self.target in _NAMES_ONE else 64
        if len(request.target) > limit:
            message = f"{request.target[:70]!r} has {len(request.target)} characters; at most {limit} are allowed"
            raise ParameterError("target", message, rs=TARGET_NUMBER * 100 + 13)
        for number, member in enumerate(self.fields, FIRST_PARAMETER_NUMBER):
            member.spec.check(getattr(request, member.attribute), member.name, number)

    # -- requests ----------------------------------------------------------------------------------------------

    def encode_parameters(self, request: Request[Any], shape: Shape = CANONICAL) -> bytes:
        """The bytes behind the target identifier."""
        writer = Writer(shape)
        if shape.absent:
            return b""
        if self.style is Style.POSITIONAL:
            for member in self.fields:
                member.spec.encode(getattr(request, member.attribute), member.name, writer)
            return bytes(writer.out)
        if self.style is Style.KEYWORDS:
            (only,) = self.fields
            writer.strings(getattr(request, only.attribute), only.name)
        else:
            writer.strings(self._key_items(request, shape), "keys")
        prefix = b"" if self.style is Style.KEYS else len(writer.out).to_bytes(4, "big")
        return prefix + bytes(writer.out)

    def _key_items(self, request: Request[Any], shape: Shape) -> list[str]:
        given = {
            member.name.upper(): member for member in self.fields if getattr(request, member.attribute) is not None
        }
        spelled = [key for key in shape.keys if key.upper() in given]
        seen = {key.upper() for key in spelled}
        spelled += [member.name for key, member in given.items() if key not in seen]
        return [f"{key}={getattr(request, given[key.upper()].attribute)}" for key in spelled]

    def decode_parameters(self, target: str, data: bytes) -> tuple[Request[Any], Shape]:
        """Read the bytes behind the target identifier. WireError or ParameterError when they do not fit."""
        reader = Reader(data)
        if self.style is Style.POSITIONAL:
            return self._decode_positional(target, reader)
        absent = not data
        if self.style is not Style.KEYS and data:
            outer = reader.enter(reader.int4())
            items = reader.strings()
            reader.leave(outer)
            if reader.pos != len(data):
                raise WireError(f"{len(data) - reader.pos} bytes follow the keys")
        else:
            items = reader.strings()
        if self.style is Style.KEYWORDS:
            (only,) = self.fields
            values: dict[str, Any] = {only.attribute: items}
            keys: tuple[str, ...] = ()
        else:
            values, keys = self._values_of_keys(items)
        shape = Shape(keys=keys, unterminated=frozenset(reader.unterminated), absent=absent)
        return self.request_type(target=target, **values), shape

    def _decode_positional(self, target: str, reader: Reader) -> tuple[Request[Any], Shape]:
        if self.parameters_optional and not reader.data:
            return self.request_type(target=target), Shape(absent=True)
        values = {}
        for number, member in enumerate(self.fields, FIRST_PARAMETER_NUMBER):
            try:
                values[member.attribute] = member.spec.decode(reader)
            except WireError as error:
                raise ParameterError(member.name, str(error), rs=number * 100 + 88) from None
        if reader.pos != reader.end:
            raise WireError(f"{reader.end - reader.pos} bytes follow the last parameter")
        return self.request_type(target=target, **values), Shape(unterminated=frozenset(reader.unterminated))

    def _values_of_keys(self, items: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
        members = {member.name.upper(): member for member in self.fields}
        values: dict[str, Any] = {}
        keys = []
        for item in items:
            key, equals, value = item.partition("=")
            member = members.get(key.upper())
            if member is None or not equals:
                known = ", ".join(member.name for member in self.fields)
                text = (f"UNKNOWN_PARAMETER_KEYWORD={key}",)
                raise ParameterError(key or "(empty key)", f"unknown key; known: {known}", rc=8, rs=3002, text=text)
            if member.attribute in values:
                raise ParameterError(member.name, "the key stands twice", rc=8, rs=3002)
            values[member.attribute] = value
            keys.append(key)
        for member in self.fields:
            if member.required and member.attribute not in values:
                text = (f"MISSING_PARAMETER_KEYWORD={member.name}",)
                raise ParameterError(member.name, "the key is missing", rc=8, rs=3004, text=text)
        return values, tuple(keys)

    # -- replies -----------------------------------------------------------------------------------------------

    def encode_reply(self, data: Reply, request: Request[Any] | None = None, shape: Shape = CANONICAL) -> bytes:
        """The bytes behind the reason code of a reply with data."""
        writer = Writer(shape, _choices(request))
        for member in self.reply_fields:
            member.spec.encode(getattr(data, member.attribute), member.name, writer)
        return bytes(writer.out) + (b"\0" if shape.spare_nul else b"")

    def encode_error(self, rc: int, rs: int, text: Sequence[str], shape: Shape | None = None) -> bytes:
        """The bytes behind the reason code of a refusal; none where the function's refusals carry no text."""
        layout = self._error_layout(rc, rs)
        if layout is None or not text:
            return b""
        writer = Writer(shape or CANONICAL)
        if layout is ErrorLayout.STRINGS:
            writer.strings(text, "error text")
            return len(writer.out).to_bytes(4, "big") + bytes(writer.out)
        if layout is ErrorLayout.STRING:
            writer.strings(text, "error text")
            return bytes(writer.out)
        data = encode_text(text[0], "error text")
        if layout is ErrorLayout.RAW:
            return data
        spare = b"\0" if shape is None or shape.spare_nul else b""
        return len(data).to_bytes(4, "big") + data + spare

    def _error_layout(self, rc: int, rs: int) -> ErrorLayout | None:
        return next((error.layout for error in self.errors if error.covers(rc, rs)), None)

    def decode_answer(
        self, rc: int, rs: int, data: bytes, request: Request[Any] | None = None, request_id: int = 0
    ) -> Answer[Any]:
        """Read the bytes behind the reason code. WireError when they do not fit the function's layouts."""
        if rc in self.data_with and not (rc and self._error_layout(rc, rs)):
            if not data and (rc or self.data_optional):
                return Answer(rc, rs, None, (), request_id)
            reader = Reader(data, _choices(request))
            values = {member.attribute: member.spec.decode(reader) for member in self.reply_fields}
            spare = reader.pos + 1 == reader.end and data[-1] == 0
            if reader.pos != reader.end and not spare:
                raise WireError(f"{reader.end - reader.pos} bytes follow the data of the reply")
            shape = Shape(unterminated=frozenset(reader.unterminated), spare_nul=spare)
            return Answer(rc, rs, self.reply_type(**values), (), request_id, shape)
        text, shape = self._decode_error(rc, rs, data)
        return Answer(rc, rs, None, text, request_id, shape)

    def _decode_error(self, rc: int, rs: int, data: bytes) -> tuple[tuple[str, ...], Shape]:
        if not data:
            return (), CANONICAL
        layout = self._error_layout(rc, rs)
        reader = Reader(data)
        if layout is None:
            raise WireError(f"{self.name} answers rc {rc} with {len(data)} bytes of data that are not described")
        if layout is ErrorLayout.RAW:
            return (reader.rest().decode("iso8859-15"),), CANONICAL
        if layout is ErrorLayout.STRING:
            text = reader.strings()
        elif layout is ErrorLayout.STRINGS:
            text = Repeat(Asciiz()).decode(_area(reader))
        else:
            text = (Text().decode(reader),)
        spare = reader.pos + 1 == reader.end and data[-1] == 0
        reader.end = len(data)
        if reader.pos != reader.end and not spare:
            raise WireError(f"{reader.end - reader.pos} bytes follow the error text")
        return text, Shape(unterminated=frozenset(reader.unterminated), spare_nul=spare)


def _area(reader: Reader) -> Reader:
    reader.enter(reader.int4())
    return reader


def _choices(request: Request[Any] | None) -> Mapping[str, str]:
    """The keys of a request that a reply layout may depend on."""
    if request is None or not _depends_on_request(request):
        return {}
    return {member.name: value for member in request.spec.fields if (value := getattr(request, member.attribute))}


def _depends_on_request(request: Request[Any]) -> bool:
    return request.spec.style in (Style.KEYS, Style.COUNTED_KEYS)


# -- the declaring decorators ----------------------------------------------------------------------------------


def _fields_of(cls: type[Message]) -> tuple[Field, ...]:
    fields = []
    hints = get_type_hints(cls, include_extras=True)
    for member in dataclasses.fields(cls):
        hint = hints[member.name]
        if get_origin(hint) is not Annotated:
            continue
        _, spec, doc = get_args(hint)
        name = member.name.rstrip("_")
        required = member.default is dataclasses.MISSING
        fields.append(Field(name, member.name, spec, doc, required))
    return tuple(fields)


@dataclass_transform(kw_only_default=True, frozen_default=True)
def structure(cls: type[T]) -> type[T]:
    """Declare a part of a message."""
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__fields__ = _fields_of(made)
    return made


@dataclass_transform(kw_only_default=True, frozen_default=True)
def reply(cls: type[T]) -> type[T]:
    """Declare the data of a reply."""
    return structure(cls)


RequestType = TypeVar("RequestType", bound=Request[Any])


@dataclass_transform(kw_only_default=True, frozen_default=True)
def function(
    name: str,
    *,
    family: str,
    target: Target = Target.IMAGE,
    framing: Framing = Framing.STANDARD,
    answering: Answering = Answering.REPLY,
    counted_keys: bool = False,
    keywords: bool = False,
    directory_manager: bool = False,
    level: int = 530,
    data_with: Sequence[int] = (0,),
    data_optional: bool = False,
    parameters_optional: bool = False,
    errors: Sequence[ErrorData] = (),
    notes: Sequence[str] = (),
) -> Callable[[type[RequestType]], type[RequestType]]:
    """Declare a function; the decorated class is its request. The registry gets it from `functions`."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,63}", name):
        raise ValueError(f"{name!r} cannot be the name of a SMAPI function: 1-64 letters, digits and underscores")

    def declare(cls: type[RequestType]) -> type[RequestType]:
        made = structure(cls)
        reply_type = _reply_type(made)
        made.spec = Function(
            name=name,
            family=family,
            summary=(made.__doc__ or "").strip().splitlines()[0],
            request_type=made,
            reply_type=reply_type,
            style=_style(made.__fields__, counted_keys, keywords),
            framing=framing,
            answering=answering,
            target=target,
            directory_manager=directory_manager,
            level=level,
            data_with=frozenset(data_with),
            data_optional=data_optional,
            parameters_optional=parameters_optional,
            errors=tuple(errors),
            notes=tuple(notes),
        )
        return made

    return declare


def _reply_type(cls: type[Request[Any]]) -> type[Reply]:
    for base in getattr(cls, "__orig_bases__", ()):
        if get_origin(base) is Request:
            found: type[Reply] = get_args(base)[0]
            return found
    raise TypeError(f"{cls.__name__} must derive from Request[<its reply class>]")


def _style(fields: tuple[Field, ...], counted_keys: bool, keywords: bool) -> Style:
    if keywords:
        return Style.KEYWORDS
    if any(isinstance(member.spec, Key) for member in fields):
        return Style.COUNTED_KEYS if counted_keys else Style.KEYS
    if any(isinstance(member.spec, Raw) for member in fields[:-1]):
        raise TypeError("raw bytes must be the last field")
    return Style.POSITIONAL
