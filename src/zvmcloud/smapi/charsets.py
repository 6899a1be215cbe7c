"""The character sets of SMAPI parameters, by the names that IBM's manual gives them.

The number is the detail that rc 24 reports in its reason code when a character falls outside (protocol.md, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase, digits


@dataclass(frozen=True, slots=True)
class Charset:
    """A set of characters; letters count in either case. `allowed` None means all but those in `excluded`."""

    name: str
    detail: int
    allowed: frozenset[str] | None
    excluded: frozenset[str] = frozenset()

    def first_outside(self, value: str) -> str | None:
        """The first character of `value` that does not belong, or None."""
        if self.allowed is None:
            if self.excluded.isdisjoint(value):
                return None
            return next(c for c in value if c in self.excluded)
        if self.allowed.issuperset(value):
            return None
        return next(c for c in value if c not in self.allowed)

    def plus(self, characters: str) -> Charset:
        """The same set with more characters."""
        if self.allowed is None:
            return self
        return Charset(f"{self.name} and {characters!r}", self.detail, self.allowed | set(characters))

    def __str__(self) -> str:
        return (
            _SHOWN.get(self.name.split(" ")[0], self.name) + self.name.partition(" ")[1] + self.name.partition(" ")[2]
        )


def _both_cases(characters: str) -> frozenset[str]:
    return frozenset(characters + characters.lower())


CHAR10 = Charset("char10", 10, frozenset(digits))
CHAR16 = Charset("char16", 16, _both_cases(digits + "ABCDEF"))
CHAR17 = Charset("char17", 17, CHAR16.allowed | set("-")) if CHAR16.allowed else CHAR16
CHAR26 = Charset("char26", 26, _both_cases(ascii_uppercase))
CHAR36 = Charset("char36", 36, _both_cases(ascii_uppercase + digits))
CHAR37 = Charset("char37", 37, _both_cases(ascii_uppercase + digits + "-"))
CHAR42 = Charset("char42", 42, _both_cases(ascii_uppercase + digits + "@#$+-:"))
CHAR43 = Charset("char43", 43, _both_cases(ascii_uppercase + digits + "@#$+-:_"))
CHAR44 = Charset("char44", 44, _both_cases(ascii_uppercase + digits + "@#$+-:_="))
CHAR_NB = Charset("charNB", 99, None, frozenset([chr(code) for code in (*range(0x20), 0x7F)] + [" ", "\x85"]))
CHAR_NA = Charset("charNA", 99, None)

_SHOWN = {
    "char10": "0-9",
    "char16": "0-9 A-F",
    "char17": "0-9 A-F -",
    "char26": "A-Z",
    "char36": "A-Z 0-9",
    "char37": "A-Z 0-9 -",
    "char42": "A-Z 0-9 @ # $ + - :",
    "char43": "A-Z 0-9 @ # $ + - : _",
    "char44": "A-Z 0-9 @ # $ + - : _ =",
    "charNB": "anything but blanks and control characters",
    "charNA": "anything",
}
