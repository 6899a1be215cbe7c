"""Strict reading of JSON into frozen dataclasses, and back. Errors name the field, its value and the limit.

The rules stand with the fields: `vcpus: int = limits(low=1, high=64)`. A field that may hold a secret has no part in
the dataclass's repr (`secret=True`, or `repr=False`), and its value is in no error either. Types understood: str, int,
bool, their optionals, tuples of one type, pairs of texts, `dict[str, str]`, and other dataclasses.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from zvmcloud.zhcp.errors import HIDDEN, FieldError, Json

T = TypeVar("T")

USERID = r"[A-Z0-9@#$_+:-]{1,8}"
VDEV = r"[0-9A-F]{1,4}"
NAME8 = r"[A-Z0-9@#$_-]{1,8}"
TEXT = r"[ -~]*"


def limits(
    *,
    default: object = dataclasses.MISSING,
    low: int | None = None,
    high: int | None = None,
    pattern: str = "",
    rule: str = "",
    upper: bool = False,
    pad: int = 0,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """A dataclass field with limits: `low`/`high` for numbers and for the number of items or characters. The value of a
    `secret` is never shown."""
    metadata = {
        "low": low,
        "high": high,
        "pattern": pattern,
        "rule": rule,
        "upper": upper,
        "pad": pad,
        "choices": choices,
    }
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def _or_empty(pattern: str, default: object) -> str:
    return f"({pattern})?" if default == "" else pattern


def userid(*, default: object = dataclasses.MISSING) -> Any:
    """A userid; made upper case. It may be empty when that is its default."""
    return limits(
        default=default,
        pattern=_or_empty(USERID, default),
        upper=True,
        rule="1 to 8 characters A-Z, 0-9, @, #, $, _, +, : or -",
    )


def vdev(*, default: object = dataclasses.MISSING) -> Any:
    """A virtual device number; made four upper-case digits. It may be empty when that is its default."""
    return limits(
        default=default, pattern=_or_empty(VDEV, default), upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )


def name(*, default: object = dataclasses.MISSING) -> Any:
    """A name of up to eight characters; made upper case."""
    return limits(
        default=default,
        pattern=_or_empty(NAME8, default),
        upper=True,
        rule="1 to 8 characters A-Z, 0-9, @, #, $, _ or -",
    )


def text(*, default: object = "", high: int = 255, secret: bool = False) -> Any:
    """Printable ASCII of at most `high` characters."""
    rule = f"at most {high} printable characters"
    return limits(default=default, pattern=TEXT, high=high, rule=rule, secret=secret)


def base64(*, default: object = "", empty: bool = True) -> Any:
    """A file or a script, which is never shown."""
    return limits(default=default, pattern=r"[A-Za-z0-9+/=\s]" + ("*" if empty else "+"), rule="base64", secret=True)


HEADERS = {"pattern": r"[ -~]{0,4000}", "rule": "printable characters"}
"""Metadata of a request's headers, which may hold a token (`repr=False`)."""


_Read = Callable[[object, str], Any]
"""What reads one value: the value and its path; FieldError."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Member:
    """How a member of a JSON object becomes a field."""

    field: str
    read: _Read
    required: bool


_MEMBERS: dict[type, dict[str, _Member]] = {}
"""By dataclass, then by the member's name on the wire. Made when the first one of the kind is read: looking at types
and rules takes ten times as long as reading a value by them."""


def read(kind: type[T], data: object, path: str = "") -> T:
    """A dataclass from a JSON object. FieldError for a missing, unknown or wrong member.

    A member whose name is a word of Python (`class`) has an underscore behind it in the dataclass.
    """
    if not isinstance(data, Mapping):
        raise FieldError(path or "body", type(data).__name__, "a JSON object is expected")
    members = _MEMBERS.get(kind) or _members(kind)
    prefix = f"{path}." if path else ""
    for name in data:
        if name not in members:
            raise FieldError(f"{prefix}{name}", HIDDEN, f"unknown; expected are {', '.join(members)}")
    values: dict[str, Any] = {}
    for name, member in members.items():
        if name in data:
            values[member.field] = member.read(data[name], prefix + name)
        elif member.required:
            raise FieldError(f"{prefix}{name}", None, "it is required")
    return kind(**values)


def _members(kind: type) -> dict[str, _Member]:
    hints = typing.get_type_hints(kind)
    _MEMBERS[kind] = {
        _wire_name(item.name): _Member(
            item.name,
            _field_reader(hints[item.name], item),
            item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING,
        )
        for item in dataclasses.fields(cast("Any", kind))
    }
    return _MEMBERS[kind]


def _field_reader(hint: object, field: dataclasses.Field[Any]) -> _Read:
    """Reads the values of a field, and shows nothing of one that breaks its limit when the repr does not."""
    read = _reader(hint, field.metadata)
    if field.repr:
        return read

    def hiding(value: object, path: str) -> Any:
        try:
            return read(value, path)
        except FieldError as error:
            raise FieldError(error.field, HIDDEN, error.limit) from None

    return hiding


def _wire_name(name: str) -> str:
    return name.removesuffix("_")


def _reader(hint: Any, rules: Mapping[str, Any]) -> _Read:
    """What reads values of a type by these rules. One of a type that is not understood may not be given: TypeError."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        there = _reader(next(a for a in arguments if a is not type(None)), rules)
        return lambda value, path: None if value is None else there(value, path)
    if origin is tuple:
        return _list(arguments, rules) if arguments[-1] is Ellipsis else _fixed(arguments, rules)
    if origin is dict:
        return _texts(rules)
    if dataclasses.is_dataclass(hint):
        return lambda value, path: read(cast("type[Any]", hint), value, path)
    if hint is str:
        return _text(rules)
    if hint is bool:
        return _flag
    if hint is int:
        return _number(rules)

    def unknown(_value: object, path: str) -> Any:
        raise TypeError(f"{path}: no rule for {hint}")

    return unknown


def _list(arguments: tuple[Any, ...], rules: Mapping[str, Any]) -> _Read:
    item = _reader(arguments[0], rules)
    # Of numbers and objects "high" is how many there may be; of texts and pairs it is their length.
    most = rules.get("high") if typing.get_origin(arguments[0]) is None and arguments[0] is not str else None

    def items(value: object, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise FieldError(path, value, "a list is expected")
        if most is not None and len(value) > most:
            raise FieldError(path, f"{len(value)} items", f"at most {most}")
        return tuple([item(one, f"{path}[{index}]") for index, one in enumerate(value)])

    return items


def _fixed(arguments: tuple[Any, ...], rules: Mapping[str, Any]) -> _Read:
    readers = [_reader(argument, rules) for argument in arguments]

    def items(value: object, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise FieldError(path, value, "a list is expected")
        if len(value) != len(readers):
            raise FieldError(path, value, f"{len(readers)} items are expected")
        pairs = zip(readers, value, strict=True)
        return tuple([item(one, f"{path}[{index}]") for index, (item, one) in enumerate(pairs)])

    return items


def _texts(rules: Mapping[str, Any]) -> _Read:
    text = _text(rules)

    def texts(value: object, path: str) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise FieldError(path, value, "a JSON object is expected")
        return {str(key): text(item, f"{path}.{key}") for key, item in value.items()}

    return texts


def _text(rules: Mapping[str, Any]) -> _Read:
    upper, choices, high = bool(rules.get("upper")), rules.get("choices"), rules.get("high")
    pattern, rule, pad = rules.get("pattern"), rules.get("rule"), rules.get("pad") or 0
    fits = re.compile(pattern).fullmatch if pattern else None

    def text(value: object, path: str) -> str:
        if not isinstance(value, str):
            raise FieldError(path, value, "a text is expected")
        result = value.upper() if upper else value
        if choices and result not in choices:
            raise FieldError(path, value, "one of " + ", ".join(choices))
        if fits is not None and fits(result) is None:
            raise FieldError(path, value, rule or f"pattern {pattern}")
        if high is not None and len(result) > high:
            raise FieldError(path, value, rule or f"at most {high} characters")
        return result.zfill(pad) if pad and result else result

    return text


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise FieldError(path, value, "true or false is expected")
    return value


def _number(rules: Mapping[str, Any]) -> _Read:
    low, high = rules.get("low"), rules.get("high")

    def number(value: object, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise FieldError(path, value, "a whole number is expected")
        if (low is not None and value < low) or (high is not None and value > high):
            raise FieldError(path, value, f"the range is {low} to {high}" if high is not None else f"at least {low}")
        return value

    return number


def write(value: object) -> Json:
    """A dataclass (or a value of one) as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {_wire_name(item.name): write(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): write(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [write(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"no JSON form for {type(value).__name__}")
