"""What of the agent's machine one operation has for itself: device numbers of linked disks, and SCSI volumes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zvmcloud.zhcp.errors import AgentError

FIRST_LINK, LAST_LINK = 0xF000, 0xFEFF


class Links:
    """Numbers for linked disks: given out once, given back when detached."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._next = FIRST_LINK
        self._luns: set[str] = set()

    def take(self) -> str:
        """A free number. AgentError 503 when all are in use."""
        for _ in range(LAST_LINK - FIRST_LINK + 1):
            number, self._next = self._next, self._next + 1
            if self._next > LAST_LINK:
                self._next = FIRST_LINK
            if number not in self._taken:
                self._taken.add(number)
                return f"{number:04X}"
        raise AgentError(503, "links-exhausted", "the agent has no free device number for a link", retryable=True)

    def reserve(self, vdev: str) -> None:
        """The number is in use already: a link of an earlier run."""
        self._taken.add(int(vdev, 16))

    def give_back(self, vdev: str) -> None:
        """The number is free again."""
        self._taken.discard(int(vdev, 16))

    @contextmanager
    def only(self, lun: str) -> Iterator[None]:
        """Be the one operation that has this LUN. AgentError 409 `disk-in-use`."""
        if lun in self._luns:
            raise AgentError(
                409, "disk-in-use", f"LUN 0x{lun} is being used by another operation", retryable=True,
                remedy="wait for its end",
            )  # fmt: skip
        self._luns.add(lun)
        try:
            yield
        finally:
            self._luns.discard(lun)
