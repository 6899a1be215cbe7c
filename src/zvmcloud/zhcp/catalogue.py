"""The page of all operations, made from their declarations: `zvm zhcp operations --markdown`.

An operation's own docstring says what it does; its members' limits stand with them (`fields.limits`); its handler's
docstring says how it goes and which problems it has. So the page cannot say anything else than the agent does.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, cast

from zvmcloud.zhcp.messages import OPERATIONS
from zvmcloud.zhcp.operations.handlers import HANDLERS

_HEAD = """# Operations of the agent

Every kind that `PUT /v1/operations/{job}/{step}` takes, with the members of `parameters`. A member with a default may
be left out. Texts marked *upper case* are made so. How operations run, fail and are undone: [zhcp.md](../zhcp.md).

*Undone* says what a failure or a cancellation brings back, *Errors* which problems a kind has of its own. Besides these
any of them may end with 400 `bad-parameter`, 403 `not-authorized`, 409 `cancelled`, `guest-locked`, `entry-changed`
(with `expect_entries`), 502 `smapi-refused`, `cp-refused`, 503 `smapi-unreachable`, `machine-unreachable`.

This page is made by `zvm zhcp operations --markdown`.
"""


def kinds() -> Iterator[tuple[str, str]]:
    """Each kind with the first sentence of what it does, in the order of the names."""
    for kind in sorted(OPERATIONS):
        yield kind, _first_sentence(_text(OPERATIONS[kind].__doc__))


def markdown() -> str:
    """The whole page."""
    parts = [_HEAD, "| kind | what it does |\n|---|---|"]
    parts[-1] += "".join(f"\n| [{kind}](#{kind.replace('.', '')}) | {_cell(text)} |" for kind, text in kinds())
    for kind in sorted(OPERATIONS):
        parts += ["", *_operation(kind)]
    nested = _nested()
    if nested:
        parts += ["", "## Members that are objects"]
        for cls in nested:
            parts += ["", f"### {cls.__name__}", "", _text(cls.__doc__), "", *_members(cls)]
    return "\n".join(parts) + "\n"


def _operation(kind: str) -> list[str]:
    lines = [f"## {kind}", "", _text(OPERATIONS[kind].__doc__)]
    how = re.sub(rf"^{re.escape(kind)}\b[.:]?\s*", "", _text(HANDLERS[kind].__doc__))
    if how:
        lines += ["", how]
    return [*lines, "", *_members(OPERATIONS[kind])]


def _text(doc: str | None) -> str:
    return inspect.cleandoc(doc or "")


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", " ".join(text.split()), maxsplit=1)[0]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _members(cls: type) -> list[str]:
    hints = typing.get_type_hints(cls)
    rows = ["| member | type | default | limit |", "|---|---|---|---|"]
    for item in dataclasses.fields(cast("Any", cls)):
        name = item.name.rstrip("_")
        limit = _cell(_limit(item.metadata, hints[item.name]))
        rows.append(f"| `{name}` | {_cell(_type(hints[item.name]))} | {_default(item)} | {limit} |")
    return rows


def _type(hint: Any) -> str:
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return f"{_type(next(a for a in arguments if a is not type(None)))} or null"
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"list of {_type(arguments[0])}"
        return f"[{', '.join(_type(item) for item in arguments)}]"
    if origin is dict:
        return "object of texts"
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return {str: "text", int: "number", bool: "true or false"}[hint]


def _default(item: dataclasses.Field[Any]) -> str:
    if item.default_factory is not dataclasses.MISSING:
        return "`{}`"
    if item.default is dataclasses.MISSING:
        return "required"
    shown = {None: "null", True: "true", False: "false", "": '""', (): "[]"}
    return f"`{shown[item.default]}`" if item.default in shown else f"`{item.default}`"


def _limit(rules: Mapping[str, Any], hint: Any) -> str:
    """The rule of a member in words."""
    words: list[str] = []
    if rules.get("choices"):
        words.append("one of " + ", ".join(choice or '""' for choice in rules["choices"]))
    elif rules.get("rule"):
        words.append(str(rules["rule"]))
    low, high = rules.get("low"), rules.get("high")
    if int in (hint, *typing.get_args(hint)) and high is not None:
        words.append(f"{low} to {high}")
    elif high is not None and typing.get_origin(hint) is tuple:
        words.append(f"at most {high} items")
    if rules.get("upper"):
        words.append("upper case")
    return "; ".join(words)


def _nested() -> list[type]:
    """Dataclasses that members are made of, each once, in the order in which they are met."""
    found: dict[type, None] = {}

    def look(cls: type) -> None:
        for hint in typing.get_type_hints(cls).values():
            for inner in (hint, *typing.get_args(hint)):
                if dataclasses.is_dataclass(inner) and isinstance(inner, type) and inner not in found:
                    found[inner] = None
                    look(inner)

    for kind in sorted(OPERATIONS):
        look(OPERATIONS[kind])
    return list(found)
