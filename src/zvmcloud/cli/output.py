"""Answers on a screen: tables and sheets for people, JSON and YAML for scripts."""

from __future__ import annotations

import enum
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

screen = Console(width=None if sys.stdout.isatty() else 250, highlight=False, soft_wrap=not sys.stdout.isatty())


class Format(enum.StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


Option = Annotated[Format, typer.Option("--output", "-o", help="How to write the answer.")]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "guest": ("userid", "system", "project", "os_version", "tags", "created"),
    "image": ("name", "os_version", "architecture", "kind", "units", "bytes", "project", "last_used"),
    "job": ("id", "kind", "system", "userid", "state", "progress", "actor", "created"),
    "audit": ("number", "time", "user", "action", "subject", "result", "job"),
    "event": ("id", "time", "kind", "system", "subject", "project"),
    "volume-pool": ("name", "systems", "wipe", "total_gb", "free_gb", "free", "used", "reserved", "volumes"),
    "volume": ("name", "pool", "size_gb", "state", "shared", "lun", "attachments", "project", "tags", "created"),
}
"""The columns of a noun's table; other things show their plain members, such as the versions that a guest had."""
_TIMES = frozenset(
    {"created", "finished", "started", "expires", "used", "last_used", "time", "seen", "updated", "next"}
    | {"since", "first", "changed", "gone", "at", "tried"}
)
_MOST_COLUMNS = 10
_LONG = frozenset({"sha256", "md5", "hash", "previous", "image_sha256", "digest", "certificate"})
_IDS = frozenset({"id", "job", "plan"})
_GOOD = frozenset({"done", "active", "running", "ok", "up", "free", "enabled"})
_BAD = frozenset({"failed", "broken", "down", "dead", "refused"})
_WAITING = frozenset({"pending", "interrupted", "cancelled", "paused", "begun", "reserved"})


def write(answer: object, form: Format, noun: str = "") -> None:
    """Write an answer."""
    if form is Format.JSON:
        print(json.dumps(answer, indent=2))
    elif form is Format.YAML:
        print(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True), end="")
    elif isinstance(answer, str):
        print(answer, end="" if answer.endswith("\n") else "\n")
    elif isinstance(answer, Mapping):
        sheet(answer)
    elif isinstance(answer, list):
        table(answer, noun)
    elif answer is not None:
        print(answer)


def table(rows: Sequence[Any], noun: str = "") -> None:
    """Rows with the columns of their noun; columns that are empty everywhere are left out."""
    if not rows:
        screen.print("[dim]none[/]")
        return
    if not isinstance(rows[0], Mapping):
        for row in rows:
            screen.print(str(row), markup=False)
        return
    usual = COLUMNS.get(noun, ())
    names = [name for name in usual if name in rows[0]]
    if len(names) <= len(usual) // 2:
        names = _plain(rows)
    names = [name for name in names if any(row.get(name) not in (None, "", [], {}) for row in rows)]
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        number = all(isinstance(row.get(name), int | float) and not _is_time(name, row.get(name)) for row in rows)
        shown.add_column(_label(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(_cell(name, row.get(name)) for name in names))
    screen.print(shown)


def sheet(document: Mapping[str, Any], indent: str = "") -> None:
    """One thing, a member a line; lists of things as tables below."""
    names = [name for name, value in document.items() if value not in (None, "", [], {})]
    width = max((len(_label(name)) for name in names), default=0)
    later: list[str] = []
    for name in names:
        value = document[name]
        if isinstance(value, list) and value and isinstance(value[0], Mapping | str):
            later.append(name)
            continue
        label = Text(f"{indent}{_label(name):<{width}}  ", style="bold")
        screen.print(label + _cell(name, value, whole=True), soft_wrap=True)
    for name in later:
        screen.print(Text(f"{indent}{_label(name)}", style="bold"))
        value = document[name]
        if isinstance(value[0], str):
            for line in value:
                screen.print(f"{indent}  {line}", markup=False, soft_wrap=True)
        else:
            table(value)


def moment(seconds: float) -> str:
    """A time on the reader's own clock."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")  # noqa: DTZ006


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _label(name: str) -> str:
    """A member's name as people read it; its unit is told by the value."""
    return name.removesuffix("_mb").replace("_", " ")


def _plain(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The members that fit into a cell."""

    def fits(name: str, value: object) -> bool:
        if isinstance(value, Mapping):
            return name == "tags"
        return name not in _LONG and not (isinstance(value, list) and value and isinstance(value[0], Mapping))

    return [name for name, value in rows[0].items() if fits(name, value)][:_MOST_COLUMNS]


def _is_time(name: str, value: object) -> bool:
    """Seconds since 1970. What is "used" may also be a count, which is a whole number."""
    return name in _TIMES and (name != "used" or isinstance(value, float))


def _cell(name: str, value: object, *, whole: bool = False) -> Text:
    if value is None or value == "":
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if name == "progress" and isinstance(value, int | float):
        return Text(f"{value:.0%}")
    if _is_time(name, value) and isinstance(value, int | float):
        return Text(moment(value))
    if name == "bytes" and isinstance(value, int | float):
        return Text(size(value) + (f" ({value})" if whole else ""))
    if name.endswith("_mb") and isinstance(value, int | float):
        return Text(size(value * 2**20))
    if isinstance(value, Mapping):
        return Text(" ".join(f"{key}={item}" for key, item in value.items()))
    if isinstance(value, list):
        return Text(" ".join(str(item) for item in value))
    text = str(value)
    if name in _IDS and not whole and len(text) == 36:
        return Text(text[:8], style="cyan")
    if name in {"state", "power_state", "result", "status"}:
        style = "green" if text in _GOOD else "red" if text in _BAD else "yellow" if text in _WAITING else ""
        return Text(text, style=style)
    return Text(text)
