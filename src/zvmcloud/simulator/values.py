"""Frozen dataclasses to JSON and back, by their annotations.

Supported: str, int, float, bool, None, tuples of one type (tuple[X, ...]), dataclasses, unions of dataclasses (a tag
names the class), `X | None`, and directory entries (their records). Nothing else occurs in the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from functools import cache
from types import NoneType, UnionType
from typing import TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from zvmcloud.directory import Entry, statements

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
T = TypeVar("T")
_TAG = "$"


def to_json(value: object) -> Json:
    """The value as plain JSON data."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Entry):
        return list(value.render())
    if dataclasses.is_dataclass(value):
        data: dict[str, Json] = {_TAG: type(value).__name__}
        for name, default in _defaults(cast("Hashable", type(value))):
            item = getattr(value, name)
            if item != default:
                data[name] = to_json(item)
        return data
    raise TypeError(f"{type(value).__name__} does not belong into the model")


@cache
def _defaults(kind: Hashable) -> tuple[tuple[str, object], ...]:
    return tuple((field.name, field.default) for field in dataclasses.fields(kind))  # type: ignore[arg-type]


def from_json(kind: type[T], data: Json) -> T:
    """The value of that type; TypeError or KeyError when the data are of another form."""
    return cast("T", _reader(cast("Hashable", kind))(data))


@cache
def _reader(kind: object) -> Callable[[Json], object]:
    origin = get_origin(kind)
    if origin is tuple:
        item = _reader(get_args(kind)[0])
        return lambda data: tuple(item(value) for value in cast("list[Json]", data))
    if origin in (Union, UnionType):
        choices = {choice.__name__: _reader(choice) for choice in get_args(kind) if choice is not NoneType}
        plain = next((reader for name, reader in choices.items() if name in ("str", "int", "float", "bool")), None)

        def union(data: Json) -> object:
            if data is None:
                return None
            if isinstance(data, dict):
                return choices[str(data[_TAG])](data)
            return plain(data) if plain else data

        return union
    if kind is Entry:
        return lambda data: Entry(statements.split([str(record) for record in cast("list[Json]", data)], verbatim=True))
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(cast("type", kind))
    return lambda data: data


def _dataclass_reader(kind: type) -> Callable[[Json], object]:
    readers: dict[str, Callable[[Json], object]] = {}

    def read(data: Json) -> object:
        if not readers:
            hints = get_type_hints(kind)
            readers.update({field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)})
        values = cast("dict[str, Json]", data)
        return kind(**{name: readers[name](value) for name, value in values.items() if name != _TAG})

    return read
