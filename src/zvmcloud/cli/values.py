"""Words of a command line as the values that an operation takes.

A list of objects is written once for each: ``--disk 10G,boot,vdev=0100`` (the first member that is required needs no
name, a true one no value). An object is written member by member: ``--tag env=prod``.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from zvmcloud.cli.failures import BAD_INPUT, fail
from zvmcloud.client import Parameter

_AGO = re.compile(r"(\d{1,6})([smhdw])(?: ago)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


def value_of(parameter: Parameter, given: object) -> object:
    """What is sent for a parameter; ends the program when the words make no sense."""
    if is_time(parameter):
        return _moment(parameter, str(given))
    if parameter.kind == "array" and isinstance(given, Sequence) and not isinstance(given, str):
        item = parameter.item or {}
        if item.get("type") == "object":
            return [_object(parameter, str(word), item) for word in given]
        return [_scalar(parameter, str(word), item) for word in given]
    if parameter.kind == "object" and isinstance(given, Sequence) and not isinstance(given, str):
        values = parameter.schema.get("additionalProperties")
        item = values if isinstance(values, Mapping) else {}
        if len(given) == 1 and str(given[0]).startswith("{"):
            return _json(parameter, str(given[0]))
        return {name: _scalar(parameter, value, item) for name, value in (_pair(parameter, str(w)) for w in given)}
    return given


def secret(parameter: Parameter, file: Path | None, ask: object) -> str | None:
    """A password, from a file ("-": standard input) or asked for; None when neither is wanted."""
    import getpass  # noqa: PLC0415  only here

    if file is not None:
        try:
            return (sys.stdin.read() if str(file) == "-" else file.read_text()).rstrip("\n")
        except OSError as error:
            fail(f"{file}: {error.strerror}", BAD_INPUT)
    if not ask:
        return None
    first = getpass.getpass(f"{parameter.name}: ")
    if getpass.getpass(f"{parameter.name} again: ") != first:
        fail("the two are not the same", BAD_INPUT, "try again")
    return first


def content(file: Path) -> bytes:
    """The bytes of a file, "-" for standard input; ends the program when it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror}", BAD_INPUT)


def is_time(parameter: Parameter) -> bool:
    """Whether it bounds a list by time, which people write in other ways than as seconds since 1970."""
    return parameter.place == "query" and parameter.name in {"since", "until"}


def _moment(parameter: Parameter, word: str) -> float:
    """A time, in seconds since 1970: that number, a day, an hour of today, both, or how long ago."""
    text = word.strip()
    ago = _AGO.fullmatch(text)
    if ago:
        return time.time() - int(ago[1]) * _UNITS[ago[2]]
    try:
        return float(text)
    except ValueError:
        pass
    if _CLOCK.fullmatch(text):
        text = f"{datetime.now().astimezone():%Y-%m-%d} {text}"
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        fail(f"{parameter.name}: {word!r} is no time", BAD_INPUT, "write 2026-11-21, 09:30, '2026-11-21 09:30' or 2h")


def hint(parameter: Parameter) -> str:
    """How a value is written, for the help."""
    if is_time(parameter):
        return "TIME"
    item = parameter.item or {}
    if parameter.kind == "array" and item.get("type") == "object":
        required = [name.upper() for name in item.get("properties", {}) if name in item.get("required", ())]
        return "".join(required[:1]) + "[,NAME=VALUE...]"
    if parameter.kind == "object":
        return "NAME=VALUE"
    return ""


def _object(parameter: Parameter, word: str, item: Mapping[str, Any]) -> object:
    if word.startswith("{"):
        return _json(parameter, word)
    fields = item.get("properties", {})
    bare = [name for name in fields if name in item.get("required", ())]
    found: dict[str, object] = {}
    for part in word.split(","):
        name, equals, value = part.partition("=")
        if not equals and name not in fields and bare and bare[0] not in found:
            name, value = bare[0], part
        if name not in fields:
            fail(f"{parameter.name}: {name!r} is none of its members", BAD_INPUT, f"they are: {', '.join(fields)}")
        found[name] = True if not equals and value == "" else _scalar(parameter, value, fields[name])
    return found


def _scalar(parameter: Parameter, word: str, schema: Mapping[str, Any]) -> object:
    kinds = {schema.get("type"), *(choice.get("type") for choice in schema.get("anyOf", ()))}
    try:
        if "integer" in kinds:
            return int(word)
        if "number" in kinds:
            return float(word)
    except ValueError:
        fail(f"{parameter.name}: {word!r} is not a number", BAD_INPUT)
    if "boolean" in kinds and word.lower() in {"true", "false", "yes", "no"}:
        return word.lower() in {"true", "yes"}
    return word


def _pair(parameter: Parameter, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        fail(f"{parameter.name}: {word!r} is not {hint(parameter)}", BAD_INPUT)
    return name, value


def _json(parameter: Parameter, word: str) -> object:
    try:
        found: object = json.loads(word)
    except ValueError as error:
        fail(f"{parameter.name}: no JSON: {error}", BAD_INPUT)
    return found
