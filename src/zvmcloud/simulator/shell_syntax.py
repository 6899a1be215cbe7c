"""The shell language of scripts that management software sends into guests: text to a tree.

    list      pipelines joined by && || ; & and line ends
    pipeline  [!] command | command ...
    command   simple (assignments, words, redirections), if, for, while, until, case, { }, ( ), name() { }

Words stay as they are written, with their quotes; `guest_shell` expands them when it runs the tree. It is a part of
the language of POSIX shells and bash, large enough for what cloud connectors punch into a guest's reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from zvmcloud.simulator.shell_tree import (
    Assignment,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    List,
    Pipeline,
    Simple,
    While,
)

MAX_SCRIPT = 256 * 1024
_OPERATORS = (
    "&&", "||", ";;", "<<<", "<<", "&>>", "&>", ">>", "2>&1", "1>&2", ">&2", "2>>", "2>", "1>", ">|", ">", "<", "|",
    ";", "&", "(", ")", "\n",
)  # fmt: skip
_REDIRECTIONS = frozenset({"&>>", "&>", ">>", "2>>", "2>", "1>", ">|", ">", "<", "<<<"})
_DUPLICATIONS = frozenset({"2>&1", "1>&2", ">&2"})
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\[[^]]*\])?(\+?)=(.*)", re.DOTALL)
_ENDS = frozenset({"then", "else", "elif", "fi", "do", "done", "esac", "}", ")", ";;"})


class ShellSyntaxError(ValueError):
    """The text is no script of this language. `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        self.line = line
        super().__init__(f"line {line}: {message}")


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    operator: bool
    line: int


def closing(text: str, start: int, opening: str, end: str) -> int:
    """The index behind the `end` that belongs to an opening character before `start`; -1 when it never comes."""
    depth, at = 1, start
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 2
            continue
        if letter == "'" and end != "'":
            stop = text.find("'", at + 1)
            if stop < 0:
                return -1
            at = stop
        elif letter == '"' and end != '"':
            stop = closing(text, at + 1, '"', '"')
            if stop < 0:
                return -1
            at = stop - 1
        elif letter == end:
            depth -= 1
            if not depth:
                return at + 1
        elif letter == opening:
            depth += 1
        at += 1
    return -1


def _word(text: str, at: int, line: int) -> int:
    """The index behind the word that begins at an index."""
    start = at
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 2
        elif letter == "'":
            at = text.find("'", at + 1) + 1
        elif letter == '"':
            at = closing(text, at + 1, '"', '"')
        elif letter == "`":
            at = text.find("`", at + 1) + 1
        elif letter == "$" and text[at + 1 : at + 2] in ("(", "{"):
            opening = text[at + 1]
            at = closing(text, at + 2, opening, ")" if opening == "(" else "}")
        elif letter == "(" and text[at - 1 : at] == "=" and at > start:
            at = closing(text, at + 1, "(", ")")
        elif letter in " \t\n;|&<>()":
            break
        else:
            at += 1
        if at <= start:
            raise ShellSyntaxError("a quote or bracket is not closed", line)
    return min(at, len(text))


def tokens(text: str) -> list[Token]:
    """Words and operators. ShellSyntaxError for what is not closed."""
    found: list[Token] = []
    at, line = 0, 1
    while at < len(text):
        letter = text[at]
        if letter in " \t\r":
            at += 1
        elif text.startswith("\\\n", at):
            at, line = at + 2, line + 1
        elif letter == "#":
            at = text.find("\n", at)
            if at < 0:
                break
        else:
            operator = next((item for item in _OPERATORS if text.startswith(item, at)), "")
            if operator:
                found.append(Token(operator, True, line))
                at += len(operator)
                line += operator == "\n"
                if operator == "<<":
                    raise ShellSyntaxError("here-documents are not understood", line)
                continue
            end = _word(text, at, line)
            found.append(Token(text[at:end], False, line))
            line += text.count("\n", at, end)
            at = end
    return found


class _Parser:
    def __init__(self, items: list[Token]) -> None:
        self.items = items
        self.at = 0

    def peek(self) -> Token | None:
        return self.items[self.at] if self.at < len(self.items) else None

    def fail(self, message: str) -> ShellSyntaxError:
        token = self.peek() or (self.items[-1] if self.items else None)
        return ShellSyntaxError(message, token.line if token else 1)

    def is_next(self, *texts: str, operator: bool = False) -> bool:
        token = self.peek()
        return token is not None and token.operator == operator and token.text in texts

    def take(self, text: str, *, operator: bool = False) -> None:
        if not self.is_next(text, operator=operator):
            raise self.fail(f"{text!r} expected")
        self.at += 1

    def word(self) -> str:
        token = self.peek()
        if token is None or token.operator:
            raise self.fail("a word expected")
        self.at += 1
        return token.text

    def skip(self, *texts: str) -> None:
        while self.is_next(*texts, operator=True):
            self.at += 1

    def list(self) -> List:
        """Pipelines up to the end, or to a word or bracket that ends a compound command."""
        items: list[tuple[str, Pipeline]] = []
        joined = ""
        self.skip("\n", ";", "&")
        while (token := self.peek()) is not None and token.text not in _ENDS:
            items.append((joined, self.pipeline()))
            joined = ""
            if self.is_next("&&", "||", operator=True):
                joined = self.items[self.at].text
                self.at += 1
                self.skip("\n")
            else:
                self.skip("\n", ";", "&")
        if joined:
            raise self.fail(f"a command must follow {joined}")
        return List(tuple(items))

    def pipeline(self) -> Pipeline:
        negated = False
        while self.is_next("!"):
            self.at += 1
            negated = not negated
        commands = [self.command()]
        while self.is_next("|", operator=True):
            self.at += 1
            self.skip("\n")
            commands.append(self.command())
        return Pipeline(tuple(commands), negated)

    def command(self) -> Command:
        if self.is_next("(", operator=True):
            self.at += 1
            body = self.list()
            self.take(")", operator=True)
            return Group(body)
        token = self.peek()
        if token is None or token.operator:
            raise self.fail("a command expected")
        compounds: dict[str, Callable[[], Command]] = {
            "if": self.if_, "for": self.for_, "while": self.while_, "until": self.while_, "case": self.case,
            "{": self.group, "function": self.function,
        }  # fmt: skip
        compound = compounds.get(token.text)
        if compound is not None:
            made = compound()
            # What a compound command writes can be sent away as a whole; it is not looked at.
            while self.is_next(*_REDIRECTIONS, *_DUPLICATIONS, operator=True):
                self.at += 1
                if self.items[self.at - 1].text in _REDIRECTIONS:
                    self.word()
            return made
        following = self.items[self.at + 1 : self.at + 3]
        if [item.text for item in following] == ["(", ")"] and all(item.operator for item in following):
            self.at += 3
            return self._body(token.text)
        return self.simple()

    def simple(self) -> Simple:
        assignments: list[Assignment] = []
        words: list[str] = []
        redirections: list[tuple[str, str]] = []
        matching = False
        while (token := self.peek()) is not None:
            if words[:1] == ["[["] and words[-1] != "]]":
                # Behind =~ brackets belong to the pattern, which is one word.
                if matching := words[-1] == "=~" or (matching and token.text not in ("]]", "&&", "||")):
                    words[-1:] = [words[-1], token.text] if words[-1] == "=~" else [words[-1] + token.text]
                elif token.text != "\n":
                    words.append(token.text)
                self.at += 1
                continue
            if token.operator and token.text in _DUPLICATIONS:
                self.at += 1
                redirections.append((token.text, ""))
            elif token.operator and token.text in _REDIRECTIONS:
                self.at += 1
                redirections.append((token.text, self.word()))
            elif token.operator:
                break
            else:
                self.at += 1
                found = _ASSIGNMENT.fullmatch(token.text)
                if found and not words:
                    assignments.append(_assignment(found))
                else:
                    words.append(token.text)
        return Simple(tuple(assignments), tuple(words), tuple(redirections))

    def if_(self) -> If:
        branches = []
        self.at += 1
        while True:
            condition = self.list()
            self.take("then")
            branches.append((condition, self.list()))
            if not self.is_next("elif"):
                break
            self.at += 1
        otherwise = None
        if self.is_next("else"):
            self.at += 1
            otherwise = self.list()
        self.take("fi")
        return If(tuple(branches), otherwise)

    def for_(self) -> For:
        self.at += 1
        name = self.word()
        words: list[str] = []
        self.skip("\n")
        if self.is_next("in"):
            self.at += 1
            while (token := self.peek()) is not None and not token.operator:
                words.append(self.word())
        else:
            words.append('"$@"')
        self.skip("\n", ";")
        return For(name, tuple(words), self.do())

    def do(self) -> List:
        self.take("do")
        body = self.list()
        self.take("done")
        return body

    def while_(self) -> While:
        until = self.word() == "until"
        condition = self.list()
        return While(condition, self.do(), until)

    def case(self) -> Case:
        self.at += 1
        word = self.word()
        self.take("in")
        branches = []
        self.skip("\n")
        while not self.is_next("esac"):
            self.skip("(")
            patterns = [self.word()]
            while self.is_next("|", operator=True):
                self.at += 1
                patterns.append(self.word())
            self.take(")", operator=True)
            branches.append((tuple(patterns), self.list()))
            self.skip(";;", "\n")
        self.take("esac")
        return Case(word, tuple(branches))

    def group(self) -> Group:
        self.at += 1
        body = self.list()
        self.take("}")
        return Group(body)

    def function(self) -> Function:
        self.at += 1
        name = self.word()
        self.skip("(", ")")
        return self._body(name)

    def _body(self, name: str) -> Function:
        self.skip("\n")
        if not self.is_next("{"):
            raise self.fail("'{' expected")
        return Function(name, self.group().body)


def _assignment(found: re.Match[str]) -> Assignment:
    value = found[4]
    array = value.startswith("(") and value.endswith(")")
    return Assignment(found[1], (found[2] or "")[1:-1], bool(found[3]), value[1:-1] if array else value, array)


def parse(text: str) -> List:
    """The tree of a script. ShellSyntaxError when it is none, or longer than 256 KiB."""
    if len(text) > MAX_SCRIPT:
        raise ShellSyntaxError(f"the script has more than {MAX_SCRIPT} characters", 1)
    parser = _Parser(tokens(text))
    try:
        found = parser.list()
    except RecursionError:
        raise ShellSyntaxError("commands are nested too deep", 1) from None
    if parser.peek() is not None:
        raise parser.fail(f"{parser.items[parser.at].text!r} is not expected here")
    return found
