"""Changes that were refused for rights are in the audit too, at every door: a role that is too small, what another
project owns, z/VM's own userids, a path that is nobody's, a quota that is used up.

A request that fails for another reason changed nothing and is nobody's attempt at what is not his: it has no entry. Who
repeats a refused request fills no table: the same of one user and address has one entry a minute, and all refused
requests of a user together so many as :data:`MOST`, in each manager.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from zvmcloud.manager.errors import Hidden, ManagerError, NotAllowed, QuotaExceeded
from zvmcloud.manager.identity.audit import Audit
from zvmcloud.manager.identity.roles import Caller

log = logging.getLogger(__name__)

ACTION = "request.refused"
MOST = 60
"""Entries of one user in a minute."""
_MINUTE = 60.0
_PROTECTED = frozenset({"guest-protected", "own-userid"})


class Refusals:
    """Writes refused requests down. ``clock`` gives monotonic seconds."""

    def __init__(self, audit: Audit, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._clock = clock
        self._began = clock()
        self._same: set[tuple[str, ...]] = set()
        self._of_user: Counter[str] = Counter()

    async def note(self, caller: Caller, request: str, error: ManagerError) -> None:
        """``request``: method and path, as they came to a door. That the audit cannot be written does not change what
        the caller is told."""
        if not (isinstance(error, (NotAllowed, Hidden, QuotaExceeded)) or error.code in _PROTECTED):
            return
        if self._clock() - self._began >= _MINUTE:
            self._began = self._clock()
            self._same.clear()
            self._of_user.clear()
        key = (caller.user, caller.address, request, error.code)
        if key in self._same or self._of_user[caller.user] >= MOST:
            return
        self._same.add(key)
        self._of_user[caller.user] += 1
        told = {"code": error.code, "about": error.subject[:128]}
        try:
            await self._audit.note(
                caller, ACTION, request, project=caller.project, job=error.job, result="refused", detail=told
            )
        except SQLAlchemyError as problem:
            log.warning("the audit has no entry of a refused request (%s): %s", request, problem)
