"""A quick yes to most requests: a JSON Schema turned into functions that see that a value fits.

A general validator takes half a millisecond for the body of a POST /guests, and nearly all bodies are right. What is
made here answers True for a value that certainly fits. False means that this is not known: then the validator is asked,
and says what is wrong. Keywords that are not in :data:`_KNOWN` are left to it as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from zvmcloud.manager.jobs.plan import Json

Fits = Callable[[Json], bool]

_KINDS: Mapping[type, str] = {
    str: "string", bool: "boolean", int: "integer", dict: "object", list: "array", type(None): "null",
}  # fmt: skip
_KNOWN = frozenset(
    (
        "type", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum", "items", "properties", "required",
        "additionalProperties",
    )
)  # fmt: skip


def fits(schema: Mapping[str, Json]) -> Fits:
    """What sees that a value fits the schema (draft 4)."""
    choices = schema.get("oneOf") if set(schema) == {"oneOf"} else [schema]
    found: dict[str, Fits] = {}
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, Mapping) or not set(choice) <= _KNOWN or not (kinds := _kinds(choice)):
            return _unknown
        if not found.keys().isdisjoint(kinds):
            return _unknown  # which one is meant does not show in the kind of the value
        found |= {kind: _MAKERS[kind](choice) for kind in kinds}

    def fit(value: Json) -> bool:
        fits_kind = found.get(_KINDS.get(type(value), ""))
        return fits_kind is not None and fits_kind(value)

    return fit


def _unknown(_value: Json) -> bool:
    return False


def _kinds(schema: Mapping[str, Json]) -> tuple[str, ...]:
    """The kinds of values that the schema takes; none when it takes one that is not known here."""
    named = schema.get("type")
    kinds = named if isinstance(named, list) else [named]
    return tuple(str(kind) for kind in kinds) if all(kind in _MAKERS for kind in kinds) else ()


def _string(schema: Mapping[str, Json]) -> Fits:
    words = _enum(schema)
    low, high = _number(schema, "minLength"), _number(schema, "maxLength")
    pattern = schema.get("pattern")
    search = re.compile(pattern).search if isinstance(pattern, str) else None

    def fit(value: Json) -> bool:
        return (
            isinstance(value, str)
            and (words is None or value in words)
            and (low is None or len(value) >= low)
            and (high is None or len(value) <= high)
            and (search is None or search(value) is not None)
        )

    return fit


def _integer(schema: Mapping[str, Json]) -> Fits:
    low, high = _number(schema, "minimum"), _number(schema, "maximum")
    if "enum" in schema:
        return _unknown

    def fit(value: Json) -> bool:
        return isinstance(value, int) and (low is None or value >= low) and (high is None or value <= high)

    return fit


def _plain(schema: Mapping[str, Json]) -> Fits:
    """True, false and null."""
    allowed = _enum(schema)
    return lambda value: allowed is None or value in allowed


def _array(schema: Mapping[str, Json]) -> Fits:
    items = schema.get("items")
    if "enum" in schema:
        return _unknown
    if items is None:
        return lambda value: True
    item = fits(items) if isinstance(items, Mapping) else _unknown
    return lambda value: isinstance(value, list) and all(map(item, value))


def _object(schema: Mapping[str, Json]) -> Fits:
    given, required, extra = (
        schema.get("properties", {}),
        schema.get("required", []),
        schema.get("additionalProperties"),
    )
    if (
        "enum" in schema
        or not isinstance(given, Mapping)
        or not isinstance(required, list)
        or extra not in (True, False)
    ):
        return _unknown
    members = {name: fits(member) if isinstance(member, Mapping) else _unknown for name, member in given.items()}

    def fit(value: Json) -> bool:
        if not isinstance(value, Mapping) or not all(name in value for name in required):
            return False
        for name, item in value.items():
            member = members.get(name)
            if not (extra if member is None else member(item)):
                return False
        return True

    return fit


def _enum(schema: Mapping[str, Json]) -> frozenset[Json] | None:
    """The allowed texts and truth values. Numbers are left out: for Python, True is 1."""
    allowed = schema.get("enum")
    if allowed is None:
        return None
    return (
        frozenset(value for value in allowed if isinstance(value, str | bool))
        if isinstance(allowed, list)
        else frozenset()
    )


def _number(schema: Mapping[str, Json], name: str) -> int | None:
    value = schema.get(name)
    return value if isinstance(value, int) else None


_MAKERS: Mapping[str, Callable[[Mapping[str, Json]], Fits]] = {
    "string": _string, "integer": _integer, "boolean": _plain, "null": _plain, "array": _array, "object": _object,
}  # fmt: skip
