"""One directory statement: from records to words and back.

A record has 72 columns of text; columns 73 to 80 may hold a sequence number, which is not kept. A statement whose last
non-blank character is a comma goes on in the next record. A record that begins with an asterisk is a comment and stays
where it is. Everything outside single quotes is upper-cased, as the directory manager does.

    "MDISK 0100 3390 1 100,"      \\
    "  LX0001 MR"                 /   one Statement, words MDISK 0100 3390 1 100 LX0001 MR

Statements that nobody here knows are kept unchanged; what others may say is checked in :mod:`.operands`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Columns of a record that carry text.
COLUMNS = 72

#: Devices have addresses of one to four hexadecimal digits.
_VDEV = re.compile(r"[0-9A-F]{1,4}\Z")
_USERID = re.compile(r"[A-Z0-9@#$_:+-]{1,8}\Z")
_PASSWORD = re.compile(r"[A-Za-z0-9@#$._+-]{1,8}\Z")
_VOLSER = re.compile(r"[A-Z0-9@#$&*+_-]{1,6}\Z")
_STORAGE = re.compile(r"([0-9]{1,7})([KMGTPE])\Z")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\S+")

#: Kibibytes in a unit of storage.
_UNITS = {"K": 1, "M": 1 << 10, "G": 1 << 20, "T": 1 << 30, "P": 1 << 40, "E": 1 << 50}

ENTRY_KEYWORDS = ("USER", "IDENTITY", "SUBCONFIG", "PROFILE")

#: Keywords that may be said of a record that cannot be read: those whose operands are checked, and of other statements
#: that are written here or asked for by clients ACCOUNT, COMMAND, LOADDEV, SHARE.
KEYWORDS = frozenset(
    (
        *ENTRY_KEYWORDS, "ACCOUNT", "COMMAND", "CONSOLE", "CPU", "DEDICATE", "INCLUDE", "IPL", "LINK", "LOADDEV",
        "LOGONBY", "MACHINE", "MAXSTORAGE", "MDISK", "NICDEF", "SHARE", "SPECIAL", "SPOOL", "STORAGE",
    )
)  # fmt: skip

#: Words that stand in the place of a password and mean "cannot log on with one".
NO_PASSWORDS = ("NOLOG", "LBYONLY", "AUTOONLY", "NOPASS")


class DirectoryError(ValueError):
    """A record that cannot be accepted: says which line, which operand, which value, and what would be right."""

    def __init__(self, line: int, operand: str, value: str, limit: str) -> None:
        self.line, self.operand, self.value, self.limit = line, operand, value, limit
        super().__init__(f"line {line}: {operand} {value!r} is not valid: {limit}")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as its records say it, and as words. Two statements are equal when their records are."""

    records: tuple[str, ...]
    words: tuple[str, ...] = field(compare=False)
    keyword: str = field(init=False, compare=False)
    """The first word; an asterisk for a comment, empty for a blank record."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "keyword", self.words[0] if self.words else "")

    @property
    def is_comment(self) -> bool:
        return self.records[0].lstrip().startswith("*")

    def operand(self, number: int, default: str = "") -> str:
        """The word with that number; the keyword has number 0."""
        return self.words[number] if number < len(self.words) else default

    def after(self, word: str) -> str | None:
        """The word that follows the given option word, or None."""
        for position, candidate in enumerate(self.words[:-1]):
            if position and candidate == word:
                return self.words[position + 1]
        return None

    def __repr__(self) -> str:
        return f"Statement({' '.join(self.masked())!r})"

    def masked(self) -> tuple[str, ...]:
        """The words with passwords replaced by asterisks; what may be logged."""
        words = list(self.words)
        if self.keyword in ("USER", "IDENTITY") and len(words) > 2 and words[2] not in NO_PASSWORDS:
            words[2] = "*" * 8
        if self.keyword == "MDISK":
            first = 6 if "V-DISK" in words or "T-DISK" in words else 7
            words[first:] = ["*" * 8 for _ in words[first:]]
        if self.keyword.startswith("*PW"):
            words[1:] = ["*" * 8]
        return tuple(words)


def shown(record: str) -> str:
    """What may be said of a record that cannot be read: its keyword. The rest may be a password, and so may the first
    word of a record that goes on with another one."""
    first = (record.split(None, 1) or ("",))[0].upper()
    return f"{first} ********" if first in KEYWORDS else "********"


def upper(text: str) -> str:
    """Upper case outside single quotes."""
    if "'" not in text:
        return text.upper()
    return "'".join(part if number % 2 else part.upper() for number, part in enumerate(text.split("'")))


def split(records: Sequence[str], *, first_line: int = 1, verbatim: bool = False) -> tuple[Statement, ...]:
    """Records to statements, every one kept; operands are not checked.

    `verbatim` keeps letters and blank records as they are written (the words are upper case all the same): for records
    that were accepted before, and for a source directory that must come out as it went in.

    Raises DirectoryError for a record with control characters or more than 72 columns of text (a sequence number in
    columns 73 to 80 is dropped), and for a continuation without a next record.
    """
    statements: list[Statement] = []
    pending: list[str] = []
    for number, raw in enumerate(records, first_line):
        if not pending and not verbatim and not raw.lstrip().upper().startswith(WITH_PASSWORDS):
            known = _alone(raw)
            if known is not None:
                statements.append(known)
                continue
        record = _record(raw, number, verbatim=verbatim)
        comment = record.lstrip().startswith("*")
        if comment and not pending:
            statements.append(Statement((record,), tuple(record.split(None, 1)) or ("*",)))
            continue
        pending.append(record)
        if record.endswith(",") and not comment:
            continue
        statements.append(_statement(pending))
        pending = []
    if pending:
        last = first_line + len(records) - 1
        raise DirectoryError(last, "record", shown(pending[-1]), "a continuation needs a next record")
    return tuple(statement for statement in statements if statement.words or verbatim)


WITH_PASSWORDS = ("USER", "IDENTITY", "MDISK", "*")
"""Beginnings of records that are not remembered: those that may hold a password, and comments, which rarely recur."""


@functools.lru_cache(maxsize=2048)
def _alone(raw: str) -> Statement | None:
    """A statement that is one record and nothing but words, None for all else. Most of a directory's records stand in
    many entries, so they are remembered."""
    record = raw.rstrip().upper()
    words = tuple(record.split())
    if len(raw) > COLUMNS or not words or not raw.isprintable() or "'" in record or record.endswith(","):
        return None
    return Statement((record,), words)


def _record(raw: str, number: int, *, verbatim: bool = False) -> str:
    text, sequence = raw[:COLUMNS], raw[COLUMNS:].strip()
    if sequence and not (len(raw) <= COLUMNS + 8 and sequence.isdigit()):
        raise DirectoryError(number, "record", shown(raw), f"at most {COLUMNS} columns of text")
    if not text.isprintable():
        raise DirectoryError(number, "record", shown(text), "no control characters")
    return text.rstrip() if verbatim else upper(text.rstrip())


def _statement(records: Sequence[str]) -> Statement:
    if len(records) == 1 and "'" not in records[0]:  # nearly all are; a directory has thousands
        return Statement(tuple(records), tuple(records[0].removesuffix(",").upper().split()))
    text = upper(" ".join(record.removesuffix(",") for record in records))
    return Statement(tuple(records), tuple(_QUOTED.findall(text)))


def make(*words: object) -> Statement:
    """A statement from words, wrapped into records of 72 columns with continuation commas.

    Raises DirectoryError for a word that would not be read back as one: blanks or control characters outside quotes,
    a lone quote, a comma at its end, more than 68 characters. Nothing can be smuggled into an entry by a value.
    """
    texts = [upper(str(word)) for word in words if str(word) != ""]
    keyword = texts[0] if texts else ""

    def told(text: str) -> str:
        return "*" * 8 if keyword in ("USER", "IDENTITY") else text

    for text in texts:
        if not text.isprintable() or text.endswith(",") or not _one_piece(text):
            raise DirectoryError(1, f"{keyword} operand", told(text), "one word, or text in single quotes")
    records: list[str] = []
    line = ""
    for text in texts:
        if len(text) > COLUMNS - 4:
            raise DirectoryError(1, "operand", told(text), f"at most {COLUMNS - 4} characters")
        if line and len(line) + 1 + len(text) > COLUMNS - 1:
            records.append(line + ",")
            line = "  " + text
        else:
            line = f"{line} {text}" if line else text
    return _statement([*records, line])


def wrapped(text: str) -> Statement:
    """A statement or comment from one text of any length. Raises DirectoryError as `make` and `split` do."""
    if text.lstrip().startswith("*"):
        return split([text])[0]
    return make(*_QUOTED.findall(upper(text)))


def _one_piece(text: str) -> bool:
    if "'" not in text:
        return text.split() == [text]
    if _QUOTED.findall(text) == [text] and text.startswith("'") and text.endswith("'") and len(text) > 1:
        return "'" not in text[1:-1].replace("''", "")
    return False


def storage_kib(text: str) -> int | None:
    """Kibibytes of a storage size such as 512M or 2G; None when it is not one."""
    match = _STORAGE.match(text)
    return int(match[1]) * _UNITS[match[2]] if match else None


def vdev(text: str) -> str | None:
    """A device address as four upper-case hexadecimal digits; None when it is not one."""
    text = text.upper()
    return text.rjust(4, "0") if _VDEV.match(text) else None


def is_userid(text: str) -> bool:
    """Whether the text can be the name of a virtual machine: 1 to 8 characters of A-Z 0-9 @ # $ _ : + -."""
    return bool(_USERID.match(text))


def is_password(text: str) -> bool:
    """Whether the text can be a logon password of the directory: 1 to 8 characters; phrases need something else."""
    return bool(_PASSWORD.match(text))


def is_volser(text: str) -> bool:
    """Whether the text can be a volume label: 1 to 6 characters."""
    return bool(_VOLSER.match(text))
