"""Programs about texts and files inside a guest: cat, echo, ls, grep, cut, awk, head, tail, tr, sort, sed, rm ...

Each has the options that scripts of management software use; an option that it does not have ends with 2, as in the
real program.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
import string
from collections.abc import Sequence

from zvmcloud.simulator.guest_shell import Program, Result, Shell
from zvmcloud.simulator.shell_patterns import pattern

_AWK = re.compile(
    r"\s*(?:NR\s*==\s*(?P<row>\d+)\s*|/(?P<pattern>[^/]*)/\s*)?"
    r"\{\s*print\s*(?P<fields>(?:\$(?:\d+|NF)\s*,?\s*)*)\s*;?\s*(?P<exit>exit)?\s*;?\s*\}\s*"
)
_SUBSTITUTE = re.compile(r"s(?P<mark>[/|#,@])(?P<old>.*?)(?<!\\)(?P=mark)(?P<new>.*?)(?<!\\)(?P=mark)(?P<flags>[gi]*)")

#: Characters that a substitution may make at most, at a rough guess beforehand.
MAX_RESULT = 1 << 24


def lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def joined(items: Sequence[str]) -> str:
    return "".join(f"{item}\n" for item in items)


def options(arguments: Sequence[str], with_value: str = "") -> tuple[dict[str, str], list[str]]:
    """Single-letter options (those in `with_value` take a value) and the other arguments."""
    found: dict[str, str] = {}
    rest = list(arguments)
    others: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += rest
            break
        if not re.fullmatch(r"-[A-Za-z0-9].*", word):
            others.append(word)
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in with_value:
                found[letter] = letters or (rest.pop(0) if rest else "")
                break
            found[letter] = ""
    return found, others


def _input(shell: Shell, names: Sequence[str], stdin: str, program: str) -> Result:
    """What a filter reads: the named files, or standard input."""
    done = Result(out="" if names else stdin)
    for name in names:
        text = stdin if name == "-" else shell.files.read(name)
        if text is None:
            done.rc, done.err = 1, f"{done.err}{program}: {name}: No such file or directory\n"
        else:
            done.out += text
    return done


def _cat(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    return _input(shell, options(arguments[1:])[1], stdin, "cat")


def _echo(_shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    words = list(arguments[1:])
    end, escapes = "\n", False
    while words and re.fullmatch(r"-[ne]+", words[0]):
        end = "" if "n" in words[0] else end
        escapes = escapes or "e" in words[0]
        words.pop(0)
    text = " ".join(words)
    if escapes:
        text = text.replace("\\n", "\n").replace("\\t", "\t")
    return Result(0, text + end)


def _printf(_shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    form, values = (arguments[1] if len(arguments) > 1 else ""), list(arguments[2:])
    text = re.sub(r"%[-0-9]*[sd]", lambda _found: values.pop(0) if values else "", form)
    return Result(0, text.replace("\\n", "\n").replace("\\t", "\t"))


def _ls(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    _, names = options(arguments[1:])
    done = Result()
    for name in names or ["/"]:
        if any(letter in name for letter in "*?["):
            found = [item for item in shell.files.names() if fnmatch.fnmatchcase(item, name)]
        elif shell.files.is_folder(name):
            found = shell.files.folder(name)
        else:
            found = [name] if shell.files.exists(name) else []
        if not found and not shell.files.is_folder(name):
            done.rc, done.err = 2, f"{done.err}ls: cannot access '{name}': No such file or directory\n"
        done.out += joined(found)
    return done


def _grep(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, others = options(arguments[1:], "em")
    text = given.get("e") or (others.pop(0) if others else "")
    extended = "E" in given or "F" in given or arguments[0].endswith("egrep")
    found = pattern(re.escape(text) if "F" in given else text, re.IGNORECASE if "i" in given else 0, extended=extended)
    if found is None:
        return Result(2, "", f"grep: {text}: Invalid regular expression\n")
    source = _input(shell, others, stdin, "grep")
    wanted = [
        line
        for line in lines(source.out)
        if ((found.fullmatch(line) if "x" in given else found.search(line[:4096])) is not None) != ("v" in given)
    ]
    if "o" in given:
        wanted = [match[0] for line in wanted for match in found.finditer(line[:4096])]
    out = f"{len(wanted)}\n" if "c" in given else "" if "q" in given else joined(wanted)
    return Result(int(not wanted) if not source.rc else 2, out, source.err)


def _cut(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, others = options(arguments[1:], "dfc")
    source = _input(shell, others, stdin, "cut")
    which = re.fullmatch(r"(\d*)(-?)(\d*)", given.get("f") or given.get("c", ""))
    if which is None or not (which[1] or which[3]):
        return Result(1, "", "cut: you must specify a list of bytes, characters, or fields\n")
    first = int(which[1] or 1)
    last = int(which[3]) if which[3] else None if which[2] else first
    mark = given.get("d") or "\t"
    out = []
    for line in lines(source.out):
        if "c" in given:
            out.append(line[first - 1 : last])
        else:
            out.append(mark.join(line.split(mark)[first - 1 : last]) if mark in line else line)
    return Result(source.rc, joined(out), source.err)


def _awk(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, others = options(arguments[1:], "Fv")
    program = _AWK.fullmatch(others.pop(0)) if others else None
    if program is None:
        return Result(2, "", "awk: the program is not understood\n")
    source = _input(shell, others, stdin, "awk")
    match = pattern(program["pattern"] or "", extended=True)
    out = []
    for number, line in enumerate(lines(source.out), 1):
        if (program["row"] and int(program["row"]) != number) or match is None or not match.search(line[:4096]):
            continue
        words = line.split(given["F"]) if given.get("F") else line.split()
        chosen = re.findall(r"\$(\d+|NF)", program["fields"]) or ["0"]
        values = []
        for field in chosen:
            at = len(words) if field == "NF" else int(field)
            values.append(line if not at else words[at - 1] if at <= len(words) else "")
        out.append(" ".join(values))
        if program["exit"]:
            break
    return Result(source.rc, joined(out), source.err)


def _head(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, others = options(arguments[1:], "n")
    text = given.get("n") or next((key for key in given if key.isdecimal()), "10")
    count = int(text.lstrip("+-")) if text.lstrip("+-").isdecimal() else 10
    source = _input(shell, others, stdin, arguments[0])
    rows = lines(source.out)
    if arguments[0].endswith("head"):
        rows = rows[:count]
    else:
        rows = rows[count - 1 :] if text.startswith("+") else rows[-count:] if count else []
    return Result(source.rc, joined(rows), source.err)


def _tr(_shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, sets = options(arguments[1:])
    small, large = string.ascii_lowercase, string.ascii_uppercase
    classes = {
        "[:lower:]": small, "[:upper:]": large, "a-z": small, "A-Z": large, "0-9": string.digits, "\\n": "\n",
        "\\t": "\t",
    }  # fmt: skip
    expanded = [re.sub("|".join(map(re.escape, classes)), lambda found: classes[found[0]], item) for item in sets]
    if not expanded:
        return Result(1, "", "tr: missing operand\n")
    if "d" in given:
        return Result(0, "".join(letter for letter in stdin if letter not in expanded[0]))
    if "s" in given and len(expanded) == 1:
        return Result(0, re.sub(f"([{re.escape(expanded[0])}])\\1+", r"\1", stdin))
    if len(expanded) < 2 or not expanded[1]:
        return Result(1, "", "tr: missing operand\n")
    target = expanded[1].ljust(len(expanded[0]), expanded[1][-1])
    return Result(0, stdin.translate(str.maketrans(expanded[0], target[: len(expanded[0])])))


def _sort(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, others = options(arguments[1:])
    source = _input(shell, others, stdin, "sort")
    rows = sorted(lines(source.out), reverse="r" in given)
    return Result(source.rc, joined(list(dict.fromkeys(rows)) if "u" in given else rows), source.err)


def _uniq(_shell: Shell, _arguments: Sequence[str], stdin: str) -> Result:
    rows = lines(stdin)
    return Result(0, joined([row for at, row in enumerate(rows) if not at or rows[at - 1] != row]))


def _wc(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, others = options(arguments[1:])
    source = _input(shell, others, stdin, "wc")
    counts = [len(lines(source.out)), len(source.out.split()), len(source.out.encode())]
    chosen = [count for letter, count in zip("lwc", counts, strict=True) if letter in given] or counts
    return Result(source.rc, " ".join(map(str, chosen)) + "\n", source.err)


def _sed(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    given, others = options(arguments[1:], "e")
    command = given.get("e") or (others.pop(0) if others else "")
    source = _input(shell, others, stdin, "sed")
    if source.rc:
        return source
    substitute = _SUBSTITUTE.fullmatch(command)
    remove = re.fullmatch(r"/(.*)/d", command)
    text = (substitute["old"] if substitute else remove[1] if remove else "").replace("\\/", "/")
    match = pattern(text, extended="E" in given or "r" in given)
    if match is None or not (substitute or remove):
        return Result(1, "", f"sed: -e expression #1: {command}: not understood\n")
    if substitute:
        new = re.sub(r"(?<!\\)&", r"\\g<0>", substitute["new"].replace("\\/", "/"))
        if len(source.out) * (len(new) + 1) > MAX_RESULT:
            return Result(4, "", "sed: couldn't re-allocate memory\n")
        rows = [match.sub(new, row, 0 if "g" in substitute["flags"] else 1) for row in lines(source.out)]
    else:
        rows = [row for row in lines(source.out) if not match.search(row[:4096])]
    if "i" not in given:
        return Result(0, joined(rows))
    for name in others:
        shell.files.write(name, joined(rows))
    return Result()


def _rm(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    given, names = options(arguments[1:])
    done = Result()
    for name in names:
        known = shell.files.names()
        found = [
            item for item in known if fnmatch.fnmatchcase(item, name) or ("r" in given and item.startswith(f"{name}/"))
        ]
        gone = [shell.files.remove(item) for item in [*found, *([] if found else [name])]]
        if not any(gone) and "f" not in given:
            done.rc, done.err = 1, f"{done.err}rm: cannot remove '{name}': No such file or directory\n"
    return done


def _cp(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    _, names = options(arguments[1:])
    text = shell.files.read(names[0]) if len(names) == 2 else None
    if text is None:
        return Result(1, "", f"{arguments[0]}: cannot stat '{(names or [''])[0]}': No such file or directory\n")
    problem = shell.files.write(names[1], text)
    if arguments[0].endswith("mv") and not problem:
        shell.files.remove(names[0])
    return Result(int(bool(problem)), "", f"{arguments[0]}: {problem}\n" if problem else "")


def _touch(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    problems = [shell.files.write(name, "", append=True) for name in options(arguments[1:])[1]]
    return Result(int(any(problems)))


def _basename(_shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    path = arguments[1].rstrip("/") if len(arguments) > 1 else ""
    folder, _, name = path.rpartition("/")
    return Result(0, f"{name if arguments[0].endswith('basename') else folder or '.'}\n")


def _seq(_shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    numbers = [int(word) for word in arguments[1:] if re.fullmatch(r"\d{1,4}", word)]
    if not numbers or len(numbers) != len(arguments) - 1:
        return Result(1, "", "seq: invalid number\n")
    first = numbers[0] if len(numbers) > 1 else 1
    return Result(0, joined([str(number) for number in range(first, numbers[-1] + 1)]))


def _base64(shell: Shell, arguments: Sequence[str], stdin: str) -> Result:
    """base64 [-d] [file]"""
    given, names = options(arguments[1:])
    if set(given) - {"d"}:
        return Result(1, "", "base64: invalid option\n")
    done = _input(shell, names, stdin, "base64")
    if done.rc:
        return done
    if "d" not in given:
        return Result(0, f"{base64.b64encode(done.out.encode()).decode('ascii')}\n")
    try:
        return Result(0, base64.b64decode("".join(done.out.split()), validate=True).decode())
    except (binascii.Error, ValueError):
        return Result(1, "", "base64: invalid input\n")


PROGRAMS: dict[str, Program] = {
    "cat": _cat, "echo": _echo, "printf": _printf, "ls": _ls, "grep": _grep, "egrep": _grep, "cut": _cut, "awk": _awk,
    "head": _head, "tail": _head, "tr": _tr, "sort": _sort, "uniq": _uniq, "wc": _wc, "sed": _sed, "rm": _rm, "cp": _cp,
    "mv": _cp, "touch": _touch, "basename": _basename, "dirname": _basename, "seq": _seq,
    "base64": _base64,
    "pwd": lambda _shell, _arguments, _stdin: Result(0, "/\n"),
}  # fmt: skip
