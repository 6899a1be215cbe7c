"""Runs shell scripts and commands in the model of a guest: variables, loops, tests, pipes, redirections to its files.

The programs are those of `guest_programs`, the files those of `guest_files`; no program of this machine is ever run.
Time stands still while a script runs, and a script ends (with 124) after 20,000 commands.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zvmcloud.simulator import shell_arithmetic
from zvmcloud.simulator.guest_files import Files
from zvmcloud.simulator.shell_expansion import MAX_ENTRIES, Expansion, limited, words_of
from zvmcloud.simulator.shell_patterns import pattern
from zvmcloud.simulator.shell_syntax import ShellSyntaxError, parse
from zvmcloud.simulator.shell_tree import Assignment, Case, Command, For, Function, Group, If, List, Pipeline, Simple

MAX_STEPS = 20_000
MAX_OUTPUT = 256 * 1024
TOO_LONG, NOT_UNDERSTOOD = 124, 2
_UNARY = frozenset(f"-{letter}" for letter in "zndefxsrwLhbc")
_BINARY = frozenset({"=", "==", "!=", "=~", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge"})


@dataclass(slots=True)
class Result:
    """Exit status, and what was written to standard output and standard error."""

    rc: int = 0
    out: str = ""
    err: str = ""


Program = Callable[["Shell", Sequence[str], str], Result]


class _Leave(Exception):
    def __init__(self, kind: str, status: int = 0) -> None:
        self.kind = kind
        self.status = status
        self.out = ""
        self.err = ""

    def after(self, done: Result) -> _Leave:
        """With what was written before."""
        self.out, self.err = done.out + self.out, done.err + self.err
        return self


class Shell(Expansion):
    """One run. `program` finds a program by name and arguments; None when there is none."""

    def __init__(self, files: Files, program: Callable[[Sequence[str]], Program | None]) -> None:
        super().__init__()
        self.files = files
        self.program = program
        self.functions: dict[str, List] = {}
        self.steps = 0

    def run(self, text: str) -> Result:
        """Run a script or a command line; what is no shell script ends with 2."""
        try:
            return self._list(parse(text), "")
        except _Leave as left:
            return Result(left.status, left.out, left.err)
        except ShellSyntaxError as error:
            return Result(NOT_UNDERSTOOD, "", f"sh: {error}\n")
        except RecursionError:
            return Result(NOT_UNDERSTOOD, "", "sh: commands are nested too deep\n")

    # -- the tree -----------------------------------------------------------------------------------------------------

    def _list(self, tree: List, stdin: str) -> Result:
        done = Result()
        for joined, pipeline in tree.items:
            if (joined == "&&" and self.status) or (joined == "||" and not self.status):
                continue
            try:
                found = self._pipeline(pipeline, stdin)
            except _Leave as left:
                raise left.after(done) from None
            done.out = (done.out + found.out)[:MAX_OUTPUT]
            done.err = (done.err + found.err)[:MAX_OUTPUT]
            done.rc = self.status = found.rc
        return done

    def _pipeline(self, pipeline: Pipeline, stdin: str) -> Result:
        found, errors = Result(), ""
        for command in pipeline.commands:
            found = self._command(command, stdin)
            stdin, errors = found.out, errors + found.err
        if pipeline.negated:
            found.rc = int(not found.rc)
        return Result(found.rc, found.out, errors)

    def _command(self, command: Command, stdin: str) -> Result:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise _Leave("exit", TOO_LONG)
        if isinstance(command, Simple):
            return self._simple(command, stdin)
        if isinstance(command, Group):
            return self._list(command.body, stdin)
        if isinstance(command, Function):
            self.functions[command.name] = command.body
            return Result()
        if isinstance(command, If):
            return self._if(command, stdin)
        if isinstance(command, Case):
            word = self.text(command.word)
            for patterns, body in command.branches:
                if any(fnmatch.fnmatchcase(word, self.text(pattern)) for pattern in patterns):
                    return self._list(body, stdin)
            return Result()
        done = Result()
        if isinstance(command, For):
            for value in self._arguments(command.words):
                self.variables[command.name] = value
                if not self._round(command.body, done):
                    break
            return done
        while bool(self._condition(command.condition, done)) != command.until:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise _Leave("exit", TOO_LONG)
            if not self._round(command.body, done):
                break
        return done

    def _condition(self, tree: List, done: Result) -> bool:
        found = self._list(tree, "")
        done.out += found.out
        return not found.rc

    def _round(self, body: List, done: Result) -> bool:
        """One round of a loop; False when the loop ends with it."""
        try:
            found = self._list(body, "")
        except _Leave as left:
            if left.kind not in ("break", "continue"):
                raise left.after(done) from None
            done.out, done.err = done.out + left.out, done.err + left.err
            return left.kind == "continue"
        done.out = (done.out + found.out)[:MAX_OUTPUT]
        done.err = (done.err + found.err)[:MAX_OUTPUT]
        done.rc = found.rc
        return True

    def _if(self, command: If, stdin: str) -> Result:
        done = Result()
        chosen = next((body for condition, body in command.branches if self._condition(condition, done)), None)
        body = chosen or command.otherwise
        if body is None:
            return done
        found = self._list(body, stdin)
        return Result(found.rc, done.out + found.out, found.err)

    # -- simple commands ----------------------------------------------------------------------------------------------

    def _simple(self, command: Simple, stdin: str) -> Result:
        before = self.status
        self.status = 0
        for assignment in command.assignments:
            self._assign(assignment)
        assigned, self.status = self.status, before
        for operator, target in command.redirections:
            if operator == "<":
                stdin = self.files.read(self.text(target)) or ""
            elif operator == "<<<":
                stdin = self.text(target) + "\n"
        if not command.words:
            return Result(assigned)
        if command.words[0] in ("[[", "["):
            found = Result(int(not self._test(command.words[1:-1], raw=True)))
        else:
            arguments = self._arguments(command.words)
            found = self._call(arguments, stdin) if arguments else Result()
        return self._redirected(command, found)

    def _arguments(self, words: Sequence[str]) -> list[str]:
        found: list[str] = []
        size = 0
        for word in words:
            fields = self.fields(word)
            size = limited(size + sum(map(len, fields)))
            found += fields
        limited(len(found), MAX_ENTRIES)
        return found

    def _redirected(self, command: Simple, found: Result) -> Result:
        for operator, target in command.redirections:
            if operator == "2>&1":
                found.out, found.err = found.out + found.err, ""
            elif operator in ("1>&2", ">&2"):
                found.out, found.err = "", found.err + found.out
            elif operator not in ("<", "<<<"):
                path = self.text(target)
                data = found.err if operator in ("2>", "2>>") else found.out
                if operator.startswith("&"):
                    data = found.out + found.err
                    found.err = ""
                if operator in ("2>", "2>>"):
                    found.err = ""
                else:
                    found.out = ""
                problem = self.files.write(path, data, append=operator.endswith(">>"))
                if problem:
                    found.rc, found.err = 1, found.err + f"sh: {path}: {problem}\n"
        return found

    def _call(self, arguments: list[str], stdin: str) -> Result:
        name = arguments[0]
        if name in ("exit", "return", "break", "continue"):
            status = int(arguments[1]) & 255 if arguments[1:] and arguments[1].isdecimal() else self.status
            raise _Leave(name, status)
        if name in self.functions:
            return self._function(name, arguments[1:])
        if name in ("declare", "local", "export", "readonly", "typeset"):
            for word in arguments[1:]:
                key, found, value = word.partition("=")
                if found:
                    self.variables[key] = value
            return Result()
        if name in ("set", "unset", "shift", "trap", ":", "true", "umask", "cd", "shopt"):
            return Result()
        if name == "test":
            return Result(int(not self._test(arguments[1:], raw=False)))
        program = self.program(arguments)
        if program is None:
            return Result(127, "", f"sh: {name}: command not found\n")
        return program(self, arguments, stdin)

    def _function(self, name: str, arguments: list[str]) -> Result:
        kept, self.arguments = self.arguments, arguments
        try:
            return self._list(self.functions[name], "")
        except _Leave as left:
            if left.kind != "return":
                raise
            self.status = left.status
            return Result(left.status, left.out, left.err)
        finally:
            self.arguments = kept

    def _assign(self, assignment: Assignment) -> None:
        value: str | list[str]
        if assignment.array:
            value = [item for token in words_of(assignment.value) for item in self.fields(token)]
            if assignment.append:
                value = [*self.array(assignment.name), *value]
            limited(len(value), MAX_ENTRIES)
        else:
            value = self.text(assignment.value)
            if assignment.index:
                items = self.array(assignment.name)
                position = shell_arithmetic.value(self.text(assignment.index), self.variables)
                items += [""] * (position + 1 - len(items) if 0 <= position < 1000 else 0)
                if 0 <= position < len(items):
                    items[position] = value
                value = items
            elif assignment.append:
                value = self.scalar(assignment.name) + value
        self.variables[assignment.name] = value

    def output_of(self, command: str) -> str:
        inner = Shell(self.files, self.program)
        inner.variables, inner.arguments = dict(self.variables), list(self.arguments)
        inner.functions, inner.steps = self.functions, self.steps
        found = inner.run(command)
        self.steps, self.status = inner.steps, found.rc
        return found.out.rstrip("\n")

    # -- tests --------------------------------------------------------------------------------------------------------

    def _test(self, words: Sequence[str], *, raw: bool) -> bool:
        def text(word: str) -> str:
            return self.text(word) if raw else word

        for operator, both in (("||", False), ("-o", False), ("&&", True), ("-a", True)):
            if operator in words:
                at = list(words).index(operator)
                left, right = self._test(words[:at], raw=raw), words[at + 1 :]
                return (left and self._test(right, raw=raw)) if both else (left or self._test(right, raw=raw))
        if words[:1] == ["!"] or list(words[:1]) == ["!"]:
            return not self._test(words[1:], raw=raw)
        if len(words) == 3 and words[1] in _BINARY:
            return _compare(text(words[0]), words[1], text(words[2]))
        if len(words) == 2 and words[0] in _UNARY:
            value = text(words[1])
            if words[0] in ("-z", "-n"):
                return bool(value) == (words[0] == "-n")
            return self.files.is_folder(value) if words[0] == "-d" else self.files.exists(value)
        return bool("".join(text(word) for word in words))


def _compare(left: str, operator: str, right: str) -> bool:
    if operator in ("=", "==", "!="):
        return fnmatch.fnmatchcase(left, right) == (operator != "!=")
    if operator == "=~":
        found = pattern(right, extended=True)
        return found is not None and found.search(left[:4096]) is not None
    if operator in ("<", ">"):
        return left < right if operator == "<" else left > right
    numbers = [int(text) if re.fullmatch(r"\s*-?\d{1,18}\s*", text) else 0 for text in (left, right)]
    a, b = numbers
    return {"-eq": a == b, "-ne": a != b, "-lt": a < b, "-le": a <= b, "-gt": a > b, "-ge": a >= b}[operator]
