"""For whom the manager acts just now: set once at the door, read where a job or an audit entry is written.

It lives in a context variable, so tasks that a request starts act for the same caller, and services need not hand a
caller through every call.
"""

from __future__ import annotations

from contextvars import ContextVar

from zvmcloud.manager.identity.roles import SYSTEM, Caller

_ACTING: ContextVar[Caller] = ContextVar("acting", default=SYSTEM)


def act_for(caller: Caller) -> None:
    """From here on, in this task and those it starts, the manager acts for ``caller``."""
    _ACTING.set(caller)


def actor() -> Caller:
    """For whom the manager acts; :data:`~zvmcloud.manager.identity.roles.SYSTEM` when nobody asked."""
    return _ACTING.get()
