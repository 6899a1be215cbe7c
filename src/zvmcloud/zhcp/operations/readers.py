"""The readers of guests as SMAPI shows and changes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.operations.context import Context

_EMPTY = (8, 4)
_NO_FILE = (396, 42)


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A file of a guest's reader, as System_RDR_File_Query shows it: columns of a line (smapi/functions/system.py)."""

    spoolid: str
    origin: str
    spool_class: str
    type: str
    records: int
    hold: str
    name: str
    filetype: str
    created: str

    @classmethod
    def of(cls, line: str) -> GuestFile:
        """A line of the answer."""
        text = line.rstrip("\0").ljust(80)
        records = text[20:28].strip()
        return cls(
            text[9:13].strip(), text[:8].strip(), text[14], text[16:19], int(records) if records.isdecimal() else 0,
            text[33:37].strip(), text[53:62].strip(), text[63:71].strip(), text[38:52].strip(),
        )  # fmt: skip

    def to_json(self) -> dict[str, Json]:
        """The file as it is reported. `created` is the month, day and time that z/VM shows."""
        return {
            "spoolid": self.spoolid, "origin": self.origin, "class": self.spool_class, "type": self.type,
            "records": self.records, "hold": self.hold, "name": self.name, "filetype": self.filetype,
            "created": self.created,
        }  # fmt: skip


class _Spooled(Protocol):
    """A file of a reader, ours or a guest's."""

    @property
    def spoolid(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def filetype(self) -> str: ...
    @property
    def records(self) -> int: ...
    @property
    def created(self) -> str: ...


def trace_of(file: _Spooled) -> str:
    """What tells a file from another one that gets its number later. It stays the same while it is in one reader."""
    return " ".join((file.spoolid, file.origin, file.name, file.filetype, str(file.records), file.created))


def number_of(trace: str) -> str:
    """The number of the file with this trace."""
    return trace.partition(" ")[0]


async def files(context: Context, userid: str) -> tuple[GuestFile, ...]:
    """The files in the reader of a userid, first first."""
    answer = await context.call(f.SystemRDRFileQuery(target=userid), allow=(_EMPTY,))
    lines = answer.data.reader_file_info if answer.rc == 0 and answer.data is not None else ()
    return tuple(GuestFile.of(line) for line in lines if line.strip())


async def manage(context: Context, userid: str, action: str, spoolids: Sequence[str], *, gone: bool = False) -> bool:
    """PURGE, ORDER or TRANSFER (to our own reader). False when one is missing, which only `gone` allows."""
    request = f.SystemRDRFileManage(target=userid, spoolids=" ".join(spoolids) or "ALL", action=action)
    answer = await context.call(request, allow=(_NO_FILE,))
    if answer.rc and not gone:
        raise AgentError(
            404, "file-unknown", f"the reader of {userid} has not all of {' '.join(spoolids)}",
            remedy="see GET /v1/guests/{userid}/reader",
        )  # fmt: skip
    return answer.rc == 0
