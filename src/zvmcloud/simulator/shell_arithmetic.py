"""Arithmetic of the shell: $(( expression )) over whole numbers, with variables, comparisons and assignments.

What is no expression counts as 0, as an unset variable does; division by zero too.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,18})|(?P<name>[A-Za-z_]\w*)|(?P<operator>[-+*/%]=|[<>=!]=|&&|\|\||[-+*/%<>!()=]))"
)
_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
_LIMIT = 1 << 63


def value(text: str, variables: MutableMapping[str, str | list[str]]) -> int:
    """The value of an expression; assignments in it change the variables."""
    items: list[str] = []
    at = 0
    text = text.strip().replace("$", "")
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or len(items) > 200:
            return 0
        items.append(found[0].strip())
        at = found.end()
    if len(items) > 2 and items[0].isidentifier() and items[1] in ("=", "+=", "-=", "*=", "/=", "%="):
        right = value(" ".join(items[2:]), variables)
        result = right if items[1] == "=" else _apply(items[1][0], _variable(items[0], variables), right)
        variables[items[0]] = str(result)
        return result
    result, rest = _level(items, 0, variables)
    return 0 if rest else result


def _variable(name: str, variables: MutableMapping[str, str | list[str]]) -> int:
    text = variables.get(name, "")
    return int(text) if isinstance(text, str) and re.fullmatch(r"-?\d{1,18}", text.strip()) else 0


def _level(items: list[str], level: int, variables: MutableMapping[str, str | list[str]]) -> tuple[int, list[str]]:
    if level == len(_LEVELS):
        return _atom(items, variables)
    left, items = _level(items, level + 1, variables)
    while items and items[0] in _LEVELS[level]:
        operator = items[0]
        right, items = _level(items[1:], level + 1, variables)
        left = _apply(operator, left, right)
    return left, items


def _atom(items: list[str], variables: MutableMapping[str, str | list[str]]) -> tuple[int, list[str]]:
    if not items:
        return 0, []
    first, rest = items[0], items[1:]
    if first == "(":
        found, rest = _level(rest, 0, variables)
        return found, rest[1:] if rest[:1] == [")"] else rest
    if first in ("-", "+", "!"):
        found, rest = _atom(rest, variables)
        return (-found if first == "-" else found if first == "+" else int(not found)), rest
    if first.isdecimal():
        return int(first), rest
    return (_variable(first, variables), rest) if first.isidentifier() else (0, rest)


def _apply(operator: str, left: int, right: int) -> int:
    if operator in ("/", "%"):
        if not right:
            return 0
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return quotient if operator == "/" else left - quotient * right
    results = {
        "+": left + right, "-": left - right, "*": left * right, "<": left < right, ">": left > right,
        "<=": left <= right, ">=": left >= right, "==": left == right, "!=": left != right,
        "&&": bool(left and right), "||": bool(left or right),
    }  # fmt: skip
    found = int(results[operator])
    return found if -_LIMIT <= found < _LIMIT else 0
