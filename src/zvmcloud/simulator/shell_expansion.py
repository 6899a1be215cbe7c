"""Words of a shell script to texts: quotes, variables and arrays, command substitution, arithmetic.

Unquoted results are split at blanks; file names are not matched (programs that take patterns do that themselves).
"""

from __future__ import annotations

import abc
import fnmatch
import re

from zvmcloud.simulator import shell_arithmetic
from zvmcloud.simulator.shell_syntax import ShellSyntaxError, closing, tokens

#: Characters of a word, or of the words of a command, after expansion; entries of an array.
MAX_WORD, MAX_ENTRIES = 1 << 20, 10_000
_NAME = re.compile(r"[A-Za-z_]\w*|[0-9#?@*$!-]")
_PARAMETER = re.compile(r"(?P<length>#?)(?P<name>[A-Za-z_]\w*|[0-9#?@*])(?P<index>\[[^]]*\])?(?P<rest>.*)", re.DOTALL)


def words_of(text: str) -> list[str]:
    """The words between the brackets of an array."""
    return [token.text for token in tokens(text) if not token.operator]


def limited(size: int, limit: int = MAX_WORD) -> int:
    """The size, when it is allowed. ShellSyntaxError when expansions grow without bounds."""
    if size > limit:
        raise ShellSyntaxError(f"more than {limit} characters or entries", 1)
    return size


class Expansion(abc.ABC):
    """Variables, and how words with them are expanded. A shell says how commands are run."""

    def __init__(self) -> None:
        self.variables: dict[str, str | list[str]] = {}
        self.arguments: list[str] = []
        self.status = 0

    def text(self, word: str) -> str:
        """A word expanded to one text."""
        return " ".join("".join(piece for piece, _ in parts) for parts in self._expand(word))

    def fields(self, word: str) -> list[str]:
        """A word expanded to none, one or several arguments."""
        found: list[str] = []
        for parts in self._expand(word):
            current: str | None = None
            for piece, quoted in parts:
                if quoted:
                    current = (current or "") + piece
                    continue
                words = piece.split()
                if piece[:1].isspace() and current is not None:
                    found.append(current)
                    current = None
                for number, item in enumerate(words):
                    if number:
                        found.append(current or "")
                        current = None
                    current = (current or "") + item
                if piece[-1:].isspace() and current is not None:
                    found.append(current)
                    current = None
            if current is not None:
                found.append(current)
        return found

    def _expand(self, word: str) -> list[list[tuple[str, bool]]]:
        """The arguments that a word stands for before it is split at blanks: pieces, each quoted or not."""
        found: list[list[tuple[str, bool]]] = [[]]
        at, quoted, size = 0, False, 0
        while at < len(word):
            letter = word[at]
            if letter == "'" and not quoted:
                end = word.index("'", at + 1)
                found[-1].append((word[at + 1 : end], True))
                at = end + 1
            elif letter == '"':
                quoted = not quoted
                found[-1].append(("", True))
                at += 1
            elif letter == "\\":
                following = word[at + 1 : at + 2]
                keep = quoted and following not in ('"', "\\", "$", "`", "\n")
                found[-1].append(("" if following == "\n" else f"\\{following}" if keep else following, True))
                at += 2
            elif letter == "`":
                end = word.find("`", at + 1)
                found[-1].append((self.output_of(word[at + 1 : end]), quoted))
                at = end + 1
            elif letter == "$":
                values, at = self._dollar(word, at + 1)
                size = limited(size + sum(map(len, values)))
                found[-1].append((values[0] if values else "", quoted))
                found += [[(value, quoted)] for value in values[1:]]
            else:
                end = at + 1
                while end < len(word) and word[end] not in "'\"\\`$":
                    end += 1
                # Text of the script itself is not split at blanks: it has none outside of quotes.
                found[-1].append((word[at:end], True))
                at = end
        return found

    @abc.abstractmethod
    def output_of(self, command: str) -> str:
        """What a command substitution stands for."""

    def _dollar(self, word: str, at: int) -> tuple[list[str], int]:
        if word.startswith("((", at):
            end = closing(word, at + 1, "(", ")")
            inner = word[at + 2 : end - 2]
            return [str(shell_arithmetic.value(self.text(inner), self.variables))], end
        if word.startswith("(", at):
            end = closing(word, at + 1, "(", ")")
            return [self.output_of(word[at + 1 : end - 1])], end
        if word.startswith("{", at):
            end = closing(word, at + 1, "{", "}")
            return self._parameter(word[at + 1 : end - 1]), end
        name = _NAME.match(word, at)
        if name is None:
            return ["$"], at
        return self._named(name[0]), name.end()

    def _named(self, name: str) -> list[str]:
        if name in ("@", "*"):
            return list(self.arguments)
        return [self.scalar(name)]

    def scalar(self, name: str) -> str:
        special = {"?": str(self.status), "#": str(len(self.arguments)), "0": "sh", "$": "611"}
        if name in special:
            return special[name]
        if name.isdecimal():
            return self.arguments[int(name) - 1] if int(name) <= len(self.arguments) else ""
        value = self.variables.get(name, "")
        return value if isinstance(value, str) else value[0] if value else ""

    def array(self, name: str) -> list[str]:
        value = self.variables.get(name, [])
        return list(value) if isinstance(value, list) else [value] if value else []

    def _parameter(self, inner: str) -> list[str]:
        found = _PARAMETER.fullmatch(inner)
        if found is None:
            return [""]
        name, index, rest = found["name"], found["index"], found["rest"]
        if index in ("[@]", "[*]"):
            items = self.array(name)
            return [str(len(items))] if found["length"] else items
        value = self.scalar(name)
        if index:
            items = self.array(name)
            position = shell_arithmetic.value(self.text(index[1:-1]), self.variables)
            value = items[position] if -len(items) <= position < len(items) else ""
        if found["length"]:
            return [str(len(value))]
        return [self._modified(value, rest)] if rest else [value]

    def _modified(self, value: str, rest: str) -> str:
        """${name:-word}, ${name#pattern}, ${name%pattern}, ${name/pattern/word}, ${name,,}, ${name:1:2}"""
        if rest[:2] in (":-", ":="):
            return value or self.text(rest[2:])
        if rest[:2] == ":+":
            return self.text(rest[2:]) if value else ""
        if rest in (",,", "^^"):
            return value.lower() if rest == ",," else value.upper()
        for mark, ends in (("##", "start"), ("#", "start"), ("%%", "end"), ("%", "end")):
            if rest.startswith(mark):
                pattern = self.text(rest[len(mark) :])
                cuts = range(len(value) + 1)
                order = cuts if (ends == "start") == (len(mark) == 1) else reversed(cuts)
                for cut in order:
                    part = value[:cut] if ends == "start" else value[cut:]
                    if fnmatch.fnmatchcase(part, pattern):
                        return value[cut:] if ends == "start" else value[:cut]
                return value
        if rest.startswith("/"):
            every = rest.startswith("//")
            old, _, new = rest.lstrip("/").partition("/")
            before, behind = self.text(old), self.text(new)
            limited(len(value) + value.count(before) * len(behind))
            return value.replace(before, behind, -1 if every else 1)
        if rest.startswith(":"):
            start, _, length = rest[1:].partition(":")
            first = shell_arithmetic.value(self.text(start), self.variables)
            count = shell_arithmetic.value(self.text(length), self.variables) if length else None
            return value[first:] if count is None else value[first:][:count]
        return value
