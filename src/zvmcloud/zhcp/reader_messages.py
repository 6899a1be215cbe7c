"""Operations about spool files in a guest's reader, and about its console."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.kinds import OfGuest, kind

_RULE = "spool file numbers of 1 to 4 digits"
SPOOL_FILE_LIMIT = 128 * 1024 * 1024
"""Bytes of a file for a reader. CP counts up to 99,999,999 records (columns of System_RDR_File_Query), but the agent
and the guest that loads the file hold all of it in memory: what an installer's initrd needs, no more (judgement)."""
RECEIVE_LIMIT = 1024 * 1024
"""Bytes of a file that reader.receive returns: outcomes are kept in the journal."""


def _check(spoolids: tuple[str, ...], *, empty: bool = False) -> None:
    if not spoolids and not empty:
        raise FieldError("parameters.spoolids", [], "at least one number; see GET /v1/guests/{userid}/reader")
    if len(set(spoolids)) != len(spoolids):
        raise FieldError("parameters.spoolids", " ".join(spoolids), "each number once")


@kind("reader.purge")
@dataclass(frozen=True, slots=True)
class PurgeFiles(OfGuest):
    """Delete files of a guest's reader: those named, or (none named) all. Files that are gone are fine.

    Undone: nothing: files that were deleted are gone.

    Errors: 404 `guest-unknown`.
    """

    spoolids: tuple[str, ...] = fields.limits(default=(), pattern=r"[0-9]{1,4}", pad=4, rule=_RULE)

    def check(self) -> None:
        """Each number once."""
        _check(self.spoolids, empty=True)


@kind("reader.withdraw")
@dataclass(frozen=True, slots=True)
class WithdrawFile(OfGuest):
    """Take back a file that the agent put into a guest's reader, unless the guest has read it: of those of this name
    and type the one that came last.

    Undone: nothing: a file that was deleted is gone.

    Errors: 404 `guest-unknown`.
    """

    name: str = fields.limits(pattern=r"[A-Za-z0-9@#$_.-]{1,8}", upper=True, rule="1 to 8 letters, digits, @, #, $, _")
    type: str = fields.limits(
        default="", pattern=r"[A-Za-z0-9@#$_.-]{0,8}", upper=True, rule="at most 8 letters, digits, @, #, $, _"
    )


@kind("reader.order")
@dataclass(frozen=True, slots=True)
class OrderFiles(OfGuest):
    """Put files of a guest's reader first, in this order: what an IPL of the reader loads is its first file. With
    `gone` those that are not there any more are left out.

    Undone: nothing: it is one call, made or refused.

    Errors: 404 `guest-unknown`, `file-unknown`.
    """

    spoolids: tuple[str, ...] = fields.limits(pattern=r"[0-9]{1,4}", pad=4, rule=_RULE)
    gone: bool = False

    def check(self) -> None:
        """At least one number, each once."""
        _check(self.spoolids)


@kind("reader.transfer")
@dataclass(frozen=True, slots=True)
class TransferFiles(OfGuest):
    """Hand files of a guest's reader over to another userid's reader; undone when one cannot be handed over.

    Undone: the files go back to where they were in the reader that they came from.

    Errors: 404 `guest-unknown`, `file-unknown`; 502 `file-lost`.
    """

    to: str = fields.userid()
    spoolids: tuple[str, ...] = fields.limits(pattern=r"[0-9]{1,4}", pad=4, rule=_RULE)

    def check(self) -> None:
        """At least one number, each once, and two userids."""
        _check(self.spoolids)
        if self.to == self.userid:
            raise FieldError("parameters.to", self.to, "another userid")


@kind("reader.receive")
@dataclass(frozen=True, slots=True)
class ReceiveFile(OfGuest):
    """Take one file of at most 1 MiB out of a guest's reader; the result has it in base64.

    Undone: the file goes back to the guest's reader.

    Errors: 404 `guest-unknown`, `file-unknown`; 409 `file-too-large`; 502 `file-lost`.
    """

    spoolid: str = fields.limits(pattern=r"[0-9]{1,4}", pad=4, rule=_RULE)


@kind("guest.send")
@dataclass(frozen=True, slots=True)
class SendToConsole(OfGuest):
    """Type on a guest's console, and return what the console said within `window` seconds.

    With `cp` the line is a CP command of the guest (SEND CP); otherwise it goes to its operating system. The agent
    needs class C, or LOGONBY of the guest. A line of one guest waits until the one before it has had its window.
    `expect`: the window ends as soon as the console has said this.

    Undone: nothing: a line that was typed stays typed.

    Errors: 403 `send-not-authorized`; 404 `guest-unknown`; 409 `guest-inactive`, `guest-elsewhere`.
    """

    text: str = fields.limits(
        pattern=r"[ -\"$-~]{1,200}", rule="1 to 200 printable characters without #, the CP line end"
    )
    cp: bool = False
    window: int = fields.limits(default=3, low=0, high=300)
    expect: str = fields.text(high=200)


@dataclass(frozen=True, slots=True)
class ReaderFile:
    """A file for a guest's reader. `data` is base64."""

    data: str = fields.base64(default=MISSING)
    name: str = fields.limits(pattern=r"[A-Za-z0-9@#$_.-]{1,64}", rule="1 to 64 letters, digits, @, #, $, _, . or -")
    type: str = fields.limits(
        default="", pattern=r"[A-Za-z0-9@#$_.-]{0,64}", rule="at most 64 letters, digits, @, #, $, _, . or -"
    )
    class_: str = fields.limits(default="X", pattern=r"[A-Z0-9]", upper=True, rule="one letter or digit")


@kind("reader.punch")
@dataclass(frozen=True, slots=True)
class PunchFiles(OfGuest):
    """Put files into a guest's reader. Members: name, type, class (one letter, default X), data (base64).

    Undone: a file that cannot be handed over is purged; those that the guest has stay.

    Errors: 404 `guest-unknown`.
    """

    files: tuple[ReaderFile, ...] = fields.limits(high=64)
