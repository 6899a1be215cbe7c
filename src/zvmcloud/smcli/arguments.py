"""A command line of smcli, and the SMAPI request that it stands for."""

from __future__ import annotations

import difflib
import getopt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zvmcloud.smapi.declare import Function, Request, Style, Target
from zvmcloud.smapi.errors import ParameterError
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.smapi.words import request_of
from zvmcloud.smcli.options import ASSUMED, FILTERED, SPELLED, options_of

HEADER, TIMEOUT = "--addRCheader", "--timeout"
SECONDS = 240.0
"""How long a reply may take when the command line does not say."""


class UsageError(ValueError):
    """The command line cannot be understood; the text says what is wrong and what helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a command line asks for."""

    function: Function
    header: bool = False
    seconds: float = SECONDS
    help: bool = False
    request: Request[Any] | None = None
    """None only with `help`."""
    only: tuple[str, ...] = ()
    """Which lines of the reply are wanted, by their first word; empty: all."""


def wants_header(words: Sequence[str]) -> bool:
    """Whether the first line of the output shall have the codes; true even of a line that is wrong otherwise."""
    return HEADER in words


def parse(words: Sequence[str], asker: str, stdin: Callable[[], str]) -> Wanted:
    """Read the words behind `smcli`. UsageError when they make no request. `asker` is the target where none is given
    and the function wants one for its authorization check only; `stdin` is read for `-s`."""
    name, rest = words[0], [word for word in words[1:] if word != HEADER]
    function = REGISTRY.get(name)
    if function is None:
        near = difflib.get_close_matches(name, [known.name for known in REGISTRY], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `smcli -h` lists the functions"
        raise UsageError(f"there is no function {name!r}{hint}")
    seconds, rest = _seconds(rest)
    letters = options_of(function)
    taken = set(letters) | {"T", "k"}
    files = any(option.from_file for option in letters.values()) and "s" not in letters
    try:
        given, _ignored = getopt.gnu_getopt(rest, "h" + ("s" if files else "") + "".join(f"{one}:" for one in taken))
    except getopt.GetoptError as error:
        raise UsageError(f"{error}; `smcli {function.name} -h` shows the options") from None
    header = wants_header(words)
    if any(letter == "-h" for letter, _ in given):
        return Wanted(function=function, header=header, help=True)
    target, values, only = "", {key: [value] for key, value in ASSUMED.get(function.name, {}).items()}, []
    for letter, value in given:
        option = letters.get(letter[1])
        if letter == "-T":
            target = value
        if letter == "-s" and files:
            (parameter,) = (option.parameter for option in letters.values() if option.from_file)
            values[parameter.lower()] = stdin().splitlines()
        elif option is not None and option.from_file:
            values[option.parameter.lower()] = _file(letter, value)
        elif option is not None and option.parameter:
            _put(function, values, option.parameter, value)
        elif letter == "-k" and function.name in FILTERED:
            only.append(value.partition("=")[0].strip())
        elif letter == "-k":
            _put_key(function, values, value)
    target = _target(function, target, asker)
    try:
        request = request_of(function, target, values)
    except ParameterError as error:
        raise UsageError(f"{error}; `smcli {function.name} -h` shows the options") from None
    return Wanted(function=function, header=header, seconds=seconds, request=request, only=tuple(only))


def _seconds(words: list[str]) -> tuple[float, list[str]]:
    """The value of --timeout, and the words without it."""
    kept: list[str] = []
    seconds = SECONDS
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name != TIMEOUT:
            kept.append(word)
            continue
        value = value if equals else next(rest, "")
        if not value.isdecimal() or not 1 <= int(value) <= 86400:
            raise UsageError(f"{TIMEOUT} takes a number of seconds from 1 to 86400, not {value!r}")
        seconds = float(value)
    return seconds, kept


def _target(function: Function, target: str, asker: str) -> str:
    if function.target is Target.NONE:
        return ""
    if not target and function.target in {Target.AUTHORIZATION, Target.TEXT}:
        return asker
    if not target:
        raise UsageError(f"-T is missing: {function.name} is about {function.target.value}")
    return target


def _file(letter: str, path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="iso8859-15").splitlines()
    except OSError as error:
        raise UsageError(f"{letter}: {path} cannot be read: {error.strerror}") from None


def _put(function: Function, values: dict[str, list[str]], parameter: str, value: str) -> None:
    """Where a list is wanted each option adds an item; elsewhere the last one counts, as with getopt."""
    if function.name == "Metadata_Set":
        name, equals, text = value.partition("=")
        if not equals:
            raise UsageError(f"-k {value!r} must have the form name=value")
        value = f"{name},{text}"
    known = next(member for member in function.fields if member.name == parameter)
    if hasattr(known.spec, "item"):
        parts = value.split() if parameter == "guest_names" else [value]
        values.setdefault(parameter.lower(), []).extend(parts)
    else:
        values[parameter.lower()] = [value]


def _put_key(function: Function, values: dict[str, list[str]], word: str) -> None:
    if function.style is Style.KEYWORDS:
        (only,) = function.fields
        values.setdefault(only.name.lower(), []).append(word)
        return
    word = SPELLED.get(function.name, {}).get(word.upper(), word)
    key, equals, value = word.partition("=")
    known = [member.name for member in function.fields]
    if not equals or key.strip().lower() not in {name.lower() for name in known}:
        raise UsageError(f"-k {word!r}: {function.name} takes {', '.join(f'{name}=' for name in known) or 'no keys'}")
    values[key.strip().lower()] = [value.strip("'\"")]
