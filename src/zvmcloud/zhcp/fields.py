"""Strict reading of JSON into frozen dataclasses, and back. Errors name the field, its value and the limit.

The rules stand with the fields: `vcpus: int = limits(low=1, high=64)`. Types understood: str, int, bool, their
optionals, tuples of one type, pairs of texts, `dict[str, str]`, and other dataclasses.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from zvmcloud.zhcp.errors import FieldError, Json

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
) -> Any:
    """A dataclass field with limits: `low`/`high` for numbers and for the number of items or characters."""
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
        return dataclasses.field(metadata=metadata)
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


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


def text(*, default: object = "", high: int = 255) -> Any:
    """Printable ASCII of at most `high` characters."""
    return limits(default=default, pattern=TEXT, high=high, rule=f"at most {high} printable characters")


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind]


def read(kind: type[T], data: object, path: str = "") -> T:
    """A dataclass from a JSON object. FieldError for a missing, unknown or wrong member.

    A member whose name is a word of Python (`class`) has an underscore behind it in the dataclass.
    """
    if not isinstance(data, Mapping):
        raise FieldError(path or "body", type(data).__name__, "a JSON object is expected")
    known = {_wire_name(item.name): item for item in dataclasses.fields(cast("Any", kind))}
    prefix = f"{path}." if path else ""
    for member in data:
        if member not in known:
            raise FieldError(f"{prefix}{member}", data[member], f"unknown; expected are {', '.join(known)}")
    values: dict[str, Any] = {}
    for member, item in known.items():
        if member not in data:
            if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
                raise FieldError(f"{prefix}{member}", None, "it is required")
            continue
        values[item.name] = _value(_hints(kind)[item.name], data[member], f"{prefix}{member}", item.metadata)
    return kind(**values)


def _wire_name(name: str) -> str:
    return name.removesuffix("_")


def _value(hint: Any, value: object, path: str, rules: Mapping[str, Any]) -> Any:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, path, rules)
    if origin is tuple:
        return _items(arguments, value, path, rules)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise FieldError(path, value, "a JSON object is expected")
        return {str(key): _text(item, f"{path}.{key}", rules) for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return read(cast("type[Any]", hint), value, path)
    if hint is str:
        return _text(value, path, rules)
    if hint is bool:
        if not isinstance(value, bool):
            raise FieldError(path, value, "true or false is expected")
        return value
    if hint is int:
        return _number(value, path, rules)
    raise TypeError(f"{path}: no rule for {hint}")


def _items(arguments: tuple[Any, ...], value: object, path: str, rules: Mapping[str, Any]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise FieldError(path, value, "a list is expected")
    if arguments[-1] is Ellipsis:
        high = rules.get("high")
        if (
            high is not None
            and typing.get_origin(arguments[0]) is None
            and arguments[0] is not str
            and len(value) > high
        ):
            raise FieldError(path, f"{len(value)} items", f"at most {high}")
        return tuple(_value(arguments[0], item, f"{path}[{index}]", rules) for index, item in enumerate(value))
    if len(value) != len(arguments):
        raise FieldError(path, value, f"{len(arguments)} items are expected")
    pairs = zip(arguments, value, strict=True)
    return tuple(_value(hint, item, f"{path}[{index}]", rules) for index, (hint, item) in enumerate(pairs))


def _text(value: object, path: str, rules: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise FieldError(path, value, "a text is expected")
    result = value.upper() if rules.get("upper") else value
    choices = rules.get("choices")
    if choices and result not in choices:
        raise FieldError(path, value, "one of " + ", ".join(choices))
    pattern = rules.get("pattern")
    if pattern and not re.fullmatch(pattern, result):
        raise FieldError(path, value, rules.get("rule") or f"pattern {pattern}")
    high = rules.get("high")
    if high is not None and len(result) > high:
        raise FieldError(path, value, rules.get("rule") or f"at most {high} characters")
    pad = rules.get("pad") or 0
    return result.zfill(pad) if pad and result else result


def _number(value: object, path: str, rules: Mapping[str, Any]) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise FieldError(path, value, "a whole number is expected")
    low, high = rules.get("low"), rules.get("high")
    if (low is not None and value < low) or (high is not None and value > high):
        raise FieldError(path, value, f"the range is {low} to {high}" if high is not None else f"at least {low}")
    return value


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
