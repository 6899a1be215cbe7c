"""What an operation works through besides the agent's machine (machine.py): SMAPI, the journal, what a crash left.

Three abstract bases, each with one implementation that does it and one that only rehearses it (rehearsal/ports.py). One
that lacks a method cannot be made, and mypy says so: neither inherits anything of the other.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeVar

from zvmcloud.smapi.client import Sending
from zvmcloud.smapi.declare import Answer, Reply, Request
from zvmcloud.zhcp.errors import Call
from zvmcloud.zhcp.health import Health

R = TypeVar("R", bound=Reply)
Record = Callable[[Call], None]


class Smapi(ABC):
    """Calls SMAPI functions for the operations, and gives each its turn where only one may act at a time."""

    health: Health

    @abstractmethod
    async def call(
        self,
        request: Request[R],
        record: Record,
        *,
        allow: Sequence[tuple[int, int]] = (),
        sending: Sending | None = None,
    ) -> Answer[R]:
        """Call and record. AgentError (see errors.from_smapi) when z/VM refuses or does not answer.

        ``sending`` is awaited each time that the request goes out, when it has its turn, and the connection is there;
        what that raises ends the call. From its end until the call is recorded z/VM may act on it.
        """

    @abstractmethod
    def turn(self, name: str) -> AbstractAsyncContextManager[None]:
        """Be the one that does a thing which only one may do at a time. A userid stands for its entry."""


FcpPaths = Sequence[tuple[str, str]]
"""Paths to a SCSI volume: an FCP device and a target port each."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A SCSI volume that is, or may be, online in the agent's machine, on paths on which it was not before."""

    lun: str
    paths: FcpPaths


class Notes(ABC):
    """What operations write down before they act, so that a crash leaves nothing that nobody knows of."""

    @abstractmethod
    async def note(self, key: str, *names: str, sync: bool = True) -> None:
        """Record intentions before they are acted on. Without `sync` they survive this process, and a loss of power a
        little later (commits.py)."""

    @abstractmethod
    async def noting(self, key: str, *names: str) -> asyncio.Future[None]:
        """Record intentions, and go on meanwhile: the future is done when they are on the disk. OSError now or in the
        future."""

    @abstractmethod
    def noted(self, start: str, *, but: str) -> frozenset[str]:
        """The values that operations not over, ``but`` the one with that key, remember under names that begin so."""

    @abstractmethod
    async def linking(self, vdev: str, owner: str, disk: str) -> None:
        """A disk is about to be linked."""

    @abstractmethod
    async def unlinked(self, vdev: str, run: str | None = None) -> None:
        """A disk that this run (or the run named) linked is detached."""

    @abstractmethod
    async def opening(self, volume: Opened) -> None:
        """A SCSI volume is about to be brought online."""

    @abstractmethod
    async def closed(self, volume: Opened) -> None:
        """A SCSI volume is offline again."""

    @abstractmethod
    async def locking(self, userid: str) -> bool:
        """An entry is about to be locked. Whether a lock that was noted before may still be there."""

    @abstractmethod
    async def unlocked(self, userid: str) -> None:
        """An entry is not locked by us any more. Only the one writer of the entry may say so."""

    @abstractmethod
    async def granting(self, vswitch: str, userid: str) -> None:
        """A userid is about to get a right on a VSWITCH."""

    @abstractmethod
    def granted(self, userid: str) -> tuple[str, ...]:
        """The VSWITCHes on which the userid may have a right that this agent gave it."""

    @abstractmethod
    async def revoked(self, userid: str) -> None:
        """The userid has no right any more."""

    @abstractmethod
    async def fence(self, epoch: int) -> None:
        """Note the epoch of a manager that asks for something without a key. AgentError 409 `stale-epoch`."""


class Leftovers(ABC):
    """The disks and volumes that a crash left."""

    @abstractmethod
    async def disks(self) -> tuple[str, ...]:
        """Detach the leftover disks and volumes; returns their numbers. AgentError 503, retryable, when CP cannot be
        reached."""
