"""Inside a manager or an agent that is to be killed at an exact place: before or behind its n-th commit.

The program runs with :func:`watch` called first. Each commit that belongs to work under way is counted and its name is
written down: of the agent every commit of its journal, of the manager those of the code that runs jobs and those in
which DBOS writes down how far a workflow is. Heartbeats, looks at systems and progress figures do not count, because
they come when they come. Files beside the settings say what to do: ``NAME.kill`` holds a number that is new each time,
the commit to die at, and ``before`` or ``after``; ``NAME.commits`` is written.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

_DBOS = {"init_workflow", "record_operation_result", "update_workflow_outcome"}
_PASSING = {"progress"}
_PR_SET_PDEATHSIG = 1
"""Of prctl(2): what a process gets when its parent ends."""


class Points:
    """Counts, and kills this process when it is time."""

    def __init__(self, start: str) -> None:
        self._order = Path(start + ".kill")
        self._told = Path(start + ".commits")
        self._armed = ""
        self._count = 0

    def around(self, label: str) -> bool:
        """Count a commit; dies here when it is to die before it. Whether it is to die behind it."""
        try:
            order, number, when = self._order.read_text().split()
        except FileNotFoundError:
            return False
        if order != self._armed:
            self._armed, self._count = order, 0
        self._count += 1
        with self._told.open("a") as told:
            told.write(f"{order} {label}\n")
        if self._count == int(number) and when == "before":
            self.die()
        return self._count == int(number)

    @staticmethod
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


def _job_of(frame: FrameType | None) -> str:
    """What the manager's commit belongs to; "" for what is not counted."""
    while frame is not None:
        code = frame.f_code
        if "/manager/jobs/" in code.co_filename:
            return "" if code.co_name in _PASSING else code.co_name
        if "/dbos/" in code.co_filename and code.co_name in _DBOS:
            return f"dbos.{code.co_name}"
        frame = frame.f_back
    return ""


def watch(start: str) -> None:
    """Watch the commits of this program. ``start``: its folder and name."""
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncTransaction

    from zvmcloud.manager import database
    from zvmcloud.zhcp.commits import Commits

    points = Points(start)
    commit, change = sa.engine.default.DefaultDialect.do_commit, Commits.change
    at_the_driver, at_the_server = database._run, AsyncTransaction.__aexit__

    def do_commit(self: Any, connection: Any) -> None:
        label = _job_of(sys._getframe(1))
        dies = bool(label) and points.around(label)
        commit(self, connection)  # type: ignore[no-untyped-call]
        if dies:
            points.die()

    def run(driver: Any, command: str) -> None:
        """A transaction of the manager's that went past SQLAlchemy ends so."""
        label = _job_of(sys._getframe(1)) if command == "COMMIT" else ""
        dies = bool(label) and points.around(label)
        at_the_driver(driver, command)
        if dies:
            points.die()

    async def leave(self: Any, kind: Any, error: Any, trace: Any) -> None:
        """One on PostgreSQL ends so; what it runs in the end has no caller that could be looked at."""
        label = _job_of(sys._getframe(1)) if kind is None else ""
        dies = bool(label) and points.around(label)
        await at_the_server(self, kind, error, trace)
        if dies:
            points.die()

    async def journal_change(self: Any, work: Any, *, sync: bool = True) -> Any:
        dies = points.around(work.__qualname__.split(".")[1])
        outcome = await change(self, work, sync=sync)
        if dies:
            points.die()
        return outcome

    sa.engine.default.DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]
    database._run = run
    AsyncTransaction.__aexit__ = leave  # type: ignore[method-assign,assignment]
    Commits.change = journal_change  # type: ignore[method-assign]


def nursery() -> None:
    """Start programs as copies of this process, which has imported everything: a start costs no second then.

    Each line of the input is JSON: `module`, `settings`, `log`, `start` (see :func:`watch`), and `environment`. The
    answer is the number of the new process. Ends with its input.
    """
    import gc
    import json

    import zvmcloud.manager.jobs.engine  # noqa: F401  which the manager imports late
    from zvmcloud.api import program as manager
    from zvmcloud.api.v1.app import document
    from zvmcloud.zhcp import program as agent

    document()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        wish = json.loads(line)
        if pid := os.fork():
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
            continue
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # nobody is left behind when the tests are killed
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(wish["environment"])
        log = os.open(wish["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for place, descriptor in enumerate((nothing, log, log)):
            os.dup2(descriptor, place)
        sys.argv = ["-c", "run", "--settings", wish["settings"]]
        watch(wish["start"])
        {manager.__name__: manager, agent.__name__: agent}[wish["module"]].app()
        return
