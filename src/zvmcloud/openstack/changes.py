"""Changes that wait for others: the manager changes a guest or a volume for one caller at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from zvmcloud.client import Client, ProblemError, change
from zvmcloud.client.http import Document

LOG = logging.getLogger(__name__)

Json = object
_BUSY = frozenset({"guest-busy", "volume-busy"})
_PAUSE = 1.0


class Changes:
    """Runs changes to their end. May be used by several threads."""

    def __init__(self, client: Client, patience: float, sleep: Callable[[float], None] = time.sleep) -> None:
        """``patience``: seconds for which a change waits for another one of the same guest or volume."""
        self._client = client
        self._patience = patience
        self._sleep = sleep

    def run(self, method: str, path: str, body: Mapping[str, Json] | None = None) -> Document:
        """A change to its end, the job as it ended; while another one of the guest or volume is under way, again and
        again. Raises ClientError."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return change(self._client, method, path, body)
            except ProblemError as error:
                if error.code not in _BUSY or time.monotonic() >= deadline:
                    raise
                LOG.debug("%s %s: %s", method, path, error.detail)
            self._sleep(_PAUSE)
