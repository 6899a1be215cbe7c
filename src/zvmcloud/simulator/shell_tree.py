"""The tree of a shell script: what `shell_syntax` makes and `guest_shell` runs. Words are as they are written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Assignment:
    """name=value, name+=value, name[1]=value; `array` when the value is (word ...)."""

    name: str
    index: str
    append: bool
    value: str
    array: bool = False


@dataclass(frozen=True, slots=True)
class Simple:
    assignments: tuple[Assignment, ...]
    words: tuple[str, ...]
    redirections: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple[List, List], ...]
    otherwise: List | None


@dataclass(frozen=True, slots=True)
class For:
    name: str
    words: tuple[str, ...]
    body: List


@dataclass(frozen=True, slots=True)
class While:
    condition: List
    body: List
    until: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    word: str
    branches: tuple[tuple[tuple[str, ...], List], ...]


@dataclass(frozen=True, slots=True)
class Group:
    body: List


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    body: List


Command = Simple | If | For | While | Case | Group | Function


@dataclass(frozen=True, slots=True)
class Pipeline:
    commands: tuple[Command, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class List:
    """Pipelines, each with what stands before it: "" (always), && or ||."""

    items: tuple[tuple[str, Pipeline], ...]
