"""Keywords of Image_Definition_* in general: sub-keywords and their values, which statements a keyword stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from zvmcloud.directory import Entry, Statement, statements
from zvmcloud.simulator.errors import Refused

UNKNOWN = (8, 3002)
BAD_INPUT = (8, 3032)
Values = Mapping[str, str]


def unknown(text: str) -> Refused:
    """The refusal of a keyword or sub-keyword that there is not."""
    return Refused(*UNKNOWN, (f"UNKNOWN_DIRECTORY_KEYWORD_PARAMETER={text}",))


def bad_input(keyword: str, problem: str) -> Refused:
    """The refusal of a value."""
    return Refused(*BAD_INPUT, (f"{keyword}: {problem}",))


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword that stands for statements of an entry."""

    name: str
    subkeys: tuple[str, ...]
    """Known sub-keywords; none for a bare value."""
    is_it: Callable[[Statement], bool]
    show: Callable[[Statement], str]
    make: Callable[[Values], Statement]
    key: str = ""
    """The sub-keyword that tells statements apart; empty when an entry has one."""
    exists: tuple[int, int] = (404, 4)
    missing: tuple[int, int] = (404, 8)
    rest: str = ""
    """The sub-keyword that takes everything behind it."""

    def parse(self, text: str) -> dict[str, str]:
        """The sub-keywords of a value; the bare value is under the empty name. Refused 8/3002 for an unknown one."""
        if not self.subkeys:
            return {"": " ".join(statements.upper(text).split())}
        values: dict[str, str] = {}
        words = text.split()
        for number, word in enumerate(words):
            name, equals, value = word.partition("=")
            name = name.upper()
            if not equals or name not in (*self.subkeys, "OPERATION"):
                raise unknown(name)
            if name == self.rest:
                values[name] = statements.upper(" ".join([value, *words[number + 1 :]]))
                break
            values[name] = value.upper()
        return values

    def identity(self, values: Values) -> str:
        """What tells the statement apart that the values are about; empty when they do not say."""
        value = values.get(self.key, "")
        if self.key == "CPUADDR":
            return value.rjust(2, "0") if value else ""
        return (statements.vdev(value) or value) if self.key else ""

    def says(self, item: Statement, values: Values) -> bool:
        """Whether a statement has every sub-keyword of the values, addresses in any length."""
        if not self.subkeys:
            return values.get("", "") in ("", self.show(item))
        shown = dict(_pairs(self.show(item)))
        return all(
            value == shown.get(name)
            or (name.startswith(("VDEV", "RDEV")) and statements.vdev(value) == statements.vdev(shown.get(name, "")))
            or (name == "CPUADDR" and value.rjust(2, "0") == shown.get(name))
            or name == self.rest
            for name, value in values.items()
            if name and value
        )

    def found(self, entry: Entry, identity: str = "") -> list[Statement]:
        """The entry's statements of this keyword, or the one with that identity."""
        items = [item for item in entry.statements if self.is_it(item)]
        if not identity:
            return items
        return [item for item in items if self.identity(dict(_pairs(self.show(item)))) == identity]


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def need(keyword: str, values: Values, *names: str) -> list[str]:
    """Values that must be there. Refused 8/3032."""
    for name in names:
        if not values.get(name):
            raise bad_input(keyword, f"{name} is missing")
    return [values[name] for name in names]


def joined(**parts: str) -> str:
    """The parts that have a value as NAME=VALUE words."""
    return " ".join(f"{name}={value}" for name, value in parts.items() if value)


def starts(*words: str) -> Callable[[Statement], bool]:
    """Whether a statement begins with these words; those of a COMMAND may be abbreviated."""

    def is_it(item: Statement) -> bool:
        return item.words[: len(words)] == words or (
            words[0] == "COMMAND"
            and item.keyword == "COMMAND"
            and len(item.words) > len(words) - 1
            and all(long.startswith(word) for word, long in zip(item.words[1:], words[1:], strict=False))
            and len(item.words[1]) >= 3
        )

    return is_it
