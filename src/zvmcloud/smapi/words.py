"""A request from what people type: `key=value` words, lists by repetition, structures with commas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zvmcloud.smapi import layout, spelling
from zvmcloud.smapi.declare import Function, Message, Request, Style
from zvmcloud.smapi.errors import ParameterError


def layout_text(spec: layout.Spec) -> str:
    """A field's layout and limits in a few words, for people."""
    if isinstance(spec, layout.Repeat):
        return f"{type(spec).__name__.lower()} of {layout_text(spec.item)}"
    name = type(spec).__name__.lower()
    if isinstance(spec, layout.Int):
        sign = " signed" if spec.signed else ""
        values = " ".join(f"{value}={text}" if text else str(value) for value, text in spec.choices.items())
        return f"int{spec.size}{sign}" + (f": {values}" if values else "")
    if isinstance(spec, layout.Limited):
        size = f" {spec.minimum}-{spec.maximum}" if spec.maximum is not None else ""
        characters = f" {spec.charset}" if spec.charset.allowed is not None else ""
        words = f": {'|'.join(spec.choices)}" if spec.choices else f": {spec.words}" if spec.words else ""
        return f"{name}{size}{characters}{words}"
    return f"{name} {spec.size}" if isinstance(spec, layout.Chars) else name


def build_request(function: Function, target: str, parameters: list[str]) -> Request[Any]:
    """A request from `key=value` words. ParameterError names what is missing, unknown or no number."""
    members = {member.name.lower(): member for member in function.fields}
    given: dict[str, list[str]] = {}
    for word in parameters:
        key, equals, value = word.partition("=")
        if function.style is Style.KEYWORDS and key.lower() not in members:
            (only,) = function.fields
            given.setdefault(only.name.lower(), []).append(word)
            continue
        if not equals or key.lower() not in members:
            known = ", ".join(member.name for member in function.fields) or "none"
            raise ParameterError(key, f"{function.name} has no such parameter; it takes: {known}")
        lines = _lines(key, value[1:]) if value.startswith("@") and len(value) > 1 else [value]
        given.setdefault(key.lower(), []).extend(lines)
    return request_of(function, target, given)


def request_of(function: Function, target: str, given: Mapping[str, Sequence[str]]) -> Request[Any]:
    """A request from texts by lower-case field name; a field that is no list has one. ParameterError as above."""
    values: dict[str, Any] = {}
    for member in function.fields:
        if member.name.lower() in given:
            values[member.attribute] = _value(member, given[member.name.lower()])
        elif member.required:
            raise ParameterError(member.name, f"is missing ({member.doc}; {layout_text(member.spec)})")
    request = function.request_type(target=target, **values)
    function.check(request)
    return request


def _lines(name: str, path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(name, f"cannot read {path}: {error}") from None


def _value(member: layout.Field, texts: Sequence[str]) -> object:
    spec = member.spec
    if isinstance(spec, layout.Repeat):
        if isinstance(spec.item, layout.Group):
            return tuple(_structure(member.name, spec.item.structure, text) for text in texts)
        return tuple(texts)
    if len(texts) > 1:
        raise ParameterError(member.name, "is given more than once")
    (text,) = texts
    if isinstance(spec, layout.Int):
        try:
            return int(text, 0)
        except ValueError:
            raise ParameterError(member.name, f"{text!r} is not a whole number") from None
    return text.encode(spelling.ENCODING, "replace") if isinstance(spec, layout.Raw) else text


def _structure(name: str, structure: type[Message], text: str) -> Message:
    parts = text.split(",", len(structure.__fields__) - 1)
    if len(parts) != len(structure.__fields__):
        wanted = ",".join(member.name for member in structure.__fields__)
        raise ParameterError(name, f"{text!r} must have the form {wanted}")
    return structure(
        **{member.attribute: _value(member, [part]) for member, part in zip(structure.__fields__, parts, strict=True)}
    )
