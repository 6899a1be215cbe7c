"""Operations about a directory entry as a whole: defined from a prototype or a full text, and changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.kinds import OfGuest, kind

RECORD = 72
PASSWORD = {"pattern": r"[A-Za-z0-9@#$_-]{1,8}", "rule": "1 to 8 characters A-Z, 0-9, @, #, $, _ or -"}
_SHARE = r"((REL(ATIVE)?|ABS(OLUTE)?) [0-9]{1,5}(\.[0-9])?%?)"
SHARE = rf"{_SHARE}( {_SHARE})?( LIMITSOFT| LIMITHARD| NOLIMIT)?"
_NAME8 = r"([A-Z0-9@#$_-]{1,8})?"


def check_share(name: str, share: str) -> None:
    """RELATIVE goes from 1 to 10000, ABSOLUTE from 0.1% to 100%. FieldError."""
    words = share.split()
    for number, word in enumerate(words):
        if word.startswith("REL") and not (words[number + 1].isdecimal() and 1 <= int(words[number + 1]) <= 10_000):
            raise FieldError(name, share, "RELATIVE goes from 1 to 10000")
        if word.startswith("ABS"):
            value = words[number + 1]
            if not value.endswith("%") or not 0.1 <= float(value[:-1]) <= 100:
                raise FieldError(name, share, "ABSOLUTE goes from 0.1% to 100%, with the percent sign")


def written_share(share: str) -> str:
    """A share as the directory writes it, its words in full."""
    return re.sub(r"\bABS(OLUTE)?\b", "ABSOLUTE", re.sub(r"\bREL(ATIVE)?\b", "RELATIVE", share))


@kind("guest.define")
@dataclass(frozen=True, slots=True)
class DefineGuest(OfGuest):
    """Define a virtual machine from a prototype of the directory manager, or from the records of its entry.

    The first record names the guest: `USER userid ...`. A password or an account given here replaces that of the
    prototype or of the records.

    Undone: the entry is deleted.

    Errors: 400 `bad-parameter` for records that make no entry; 404 `prototype-unknown`; 409 `guest-exists`.
    """

    prototype: str = fields.limits(default="", pattern=_NAME8, upper=True, rule="1 to 8 characters")
    entry: tuple[str, ...] = field(
        default=(), repr=False, metadata={"pattern": r"[ -~]{0,72}", "rule": f"at most {RECORD} printable characters"}
    )
    password: str | None = field(default=None, repr=False, metadata=PASSWORD)
    account: str = fields.limits(default="", pattern=r"[!-~]{0,8}", rule="at most 8 characters without blanks")

    def check(self) -> None:
        """Exactly one of prototype and entry."""
        if bool(self.prototype) == bool(self.entry):
            given = "both" if self.prototype else "neither"
            raise FieldError("parameters.entry", given, "either prototype or entry is given")


@kind("guest.change")
@dataclass(frozen=True, slots=True)
class ChangeGuest(OfGuest):
    """Change a directory entry: everything named here in one replacement, and nothing else.

    A member that is left out (null) stays as it is; an empty text, list or object takes the statement away. Lists
    replace what was there, but for DEDICATE: `dedicate` adds pairs of vdev and rdev, `undedicate` removes vdevs.
    `comments` are all comment records but those of the directory manager. It counts from the next logon on; with
    `live` the share of a running guest is changed too.

    Undone: each statement comes back, and what others changed since then stays. After a crash of the agent a password
    that was changed stays so: `password-lost` says it.

    Errors: 404 `guest-unknown`; 409 `not-a-guest`, `device-exists`, `guest-locked`.
    """

    password: str | None = field(default=None, repr=False, metadata=PASSWORD)
    privilege_classes: str | None = fields.limits(
        default=None, pattern=r"[A-Z1-6]{1,32}", upper=True, rule="1 to 32 letters A-Z or digits 1-6"
    )
    max_cpus: int | None = fields.limits(default=None, low=1, high=64)
    max_memory_mb: int | None = fields.limits(default=None, low=1, high=16 * 1024 * 1024)
    profile: str | None = fields.limits(default=None, pattern=_NAME8, upper=True, rule="1 to 8 characters")
    logonby: tuple[str, ...] | None = fields.limits(default=None, pattern=fields.USERID, upper=True, rule="userids")
    account: str | None = fields.limits(default=None, pattern=r"[ -~]{0,32}", rule="at most 32 printable characters")
    comments: tuple[str, ...] | None = fields.limits(
        default=None, pattern=r"[ -~]{0,70}", rule="at most 70 printable characters"
    )
    ipl: str | None = fields.limits(
        default=None, pattern=r"[A-Z0-9@#$_-]{0,8}", upper=True, rule="a vdev or a system's name"
    )
    ipl_parm: str = fields.text(high=64)
    loadparm: str = fields.limits(default="", pattern=r"[ -~]{0,10}", rule="at most 10 printable characters")
    loaddev: dict[str, str] | None = field(
        default=None, metadata={"pattern": r"[A-Za-z0-9:. ]{0,32}", "rule": "letters and digits"}
    )
    share: str | None = fields.limits(
        default=None, pattern=f"({SHARE})?", upper=True,
        rule="such as RELATIVE 200, ABSOLUTE 10% or RELATIVE 200 ABSOLUTE 20% LIMITHARD",
    )  # fmt: skip
    cpu_pool: str | None = fields.limits(default=None, pattern=_NAME8, upper=True, rule="1 to 8 characters")
    relocation_domain: str | None = fields.limits(default=None, pattern=_NAME8, upper=True, rule="1 to 8 characters")
    dedicate: tuple[tuple[str, str], ...] = fields.limits(
        default=(), pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )
    undedicate: tuple[str, ...] = fields.limits(
        default=(), pattern=fields.VDEV, upper=True, pad=4, rule="1 to 4 hexadecimal digits"
    )
    live: bool = False

    def check(self) -> None:
        """Parameters of IPL belong to an IPL; at most eight users of LOGONBY; a share within its range."""
        if not self.ipl and (self.ipl_parm or self.loadparm):
            raise FieldError("parameters.ipl", self.ipl, "it is needed with ipl_parm and loadparm")
        if self.logonby is not None and len(self.logonby) > 8:
            raise FieldError("parameters.logonby", f"{len(self.logonby)} userids", "at most 8")
        if self.share:
            check_share("parameters.share", self.share)
        if self.live and not self.share:
            raise FieldError("parameters.live", self.live, "only a share can be changed in the running guest")


_STATEMENTS = {"pattern": r"[ -~]{1,8192}", "rule": "1 to 8192 printable characters"}
"""Statements with the records that continue them; SCPDATA of LOADDEV has up to 4,096 characters."""


@kind("guest.restore")
@dataclass(frozen=True, slots=True)
class RestoreGuest(OfGuest):
    """Bring a directory entry back to statements that it had: those of `entry`, as the inventory shows them.

    A password that is masked there stays what it is now. Minidisks must be those that the entry has now: space that
    was given up may be another's, so disks are added and removed by operations of their own. `digest`: of the entry
    that is replaced, as the inventory tells it; nothing is done when the entry is another one by then. With `left` only
    the change that led from `entry` to `left` is taken back, and what others changed since then stays.

    Undone: each statement comes back, and what others changed since then stays.

    Errors: 404 `guest-unknown`; 409 `entry-changed` (it is not the one that was looked at, or what the change made of
    it), `disks-differ`, `guest-locked`.
    """

    entry: tuple[str, ...] = field(default=(), repr=False, metadata=_STATEMENTS)
    digest: str = fields.limits(default="", pattern=r"([0-9a-f]{64})?", rule="64 hexadecimal digits")
    left: tuple[str, ...] = field(default=(), repr=False, metadata=_STATEMENTS)

    def check(self) -> None:
        """There is something to bring back."""
        if not self.entry:
            raise FieldError("parameters.entry", "nothing", "the statements of the entry are given")
