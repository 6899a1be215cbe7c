"""What a check found. Every mend is one line that can be applied as it stands.

    ok       reach        the request server at 127.0.0.1:44444 answers
    FAILED   authlist     ZHCP may not call Image_Create_DM for every userid (guests)
      > authlist VSMWORK1: ZHCP ... ALL ... IMAGE_CREATE_DM

The kinds of mends, and the word after them:

    authlist   a record of the authorization file; the word is the file's name, the columns are the file's
    directory  a statement of a directory entry; the word is the entry. A statement of the same device, a USER or
               IDENTITY statement and OPTION are changed, others are added; "=" keeps the word that is there
    cp         a CP command; the word is a userid that may issue it
    settings   a line of the agent's settings file, with its section before it
    linux      a shell command for root on the agent's Linux
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from zvmcloud.zhcp.errors import Json


class State(StrEnum):
    """How a step ended. A warning is worth knowing and no reason for the agent not to work."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Mend:
    """One line that mends, or helps to."""

    kind: str
    where: str
    line: str

    def __str__(self) -> str:
        return f"  > {self.kind} {self.where}: {self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one step found."""

    step: str
    state: State
    detail: str
    mends: tuple[Mend, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The finding as it is reported."""
        mends: list[Json] = [{"kind": mend.kind, "where": mend.where, "line": mend.line} for mend in self.mends]
        return {"step": self.step, "state": str(self.state), "detail": self.detail, "mends": mends}

    def __str__(self) -> str:
        word = self.state.upper() if self.state is State.FAILED else str(self.state)
        return "\n".join([f"{word:<9}{self.step:<13}{self.detail}", *map(str, self.mends)])


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order of the steps."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing was left out."""
        return not any(item.state in (State.FAILED, State.SKIPPED) for item in self.findings)

    def of(self, *states: State) -> tuple[Finding, ...]:
        """The findings with one of the states."""
        return tuple(item for item in self.findings if item.state in states)

    def to_json(self) -> dict[str, Json]:
        """The report as a document."""
        return {"ok": self.ok, "findings": [item.to_json() for item in self.findings]}

    def __str__(self) -> str:
        lines = [str(item) for item in self.findings]
        failed, skipped = len(self.of(State.FAILED)), len(self.of(State.SKIPPED))
        end = "Everything the agent needs is there." if self.ok else f"{failed} failed, {skipped} skipped."
        return "\n".join([*lines, end])


def count(names: Iterable[object], one: str, many: str = "") -> str:
    """ "1 device", "3 devices"."""
    number = len(list(names))
    return f"{number} {one if number == 1 else many or one + 's'}"
