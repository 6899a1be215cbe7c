"""Runs operations: each key once, with undo on failure, and a report of what was done.

    PUT of a new key             journal, then run
    PUT of a key that runs       join it; an image is fetched from where the newest request says
    PUT of a key that is over    its outcome again
    PUT of a key a crash cut off run again; the operation observes first and knows its own traces by its notes
    DELETE of a key that runs    cancel it, once, and undo it; what a crash had cut off goes to its end
    DELETE of an unknown key     journal that it is over: a PUT that was under way, and comes later, begins nothing

An operation is a task, which is cancelled only while it works, and once; what z/VM is changing then is waited for. Undo
and the entry in the journal follow in the same task: nobody cuts them off. The entries an operation changes are its
own until it is undone.

A stop of the service cancels what runs: disks are detached, nothing is undone, and the journal still says "running",
so that the next PUT of the key takes it up again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from zvmcloud.cp.answers import AnswerError
from zvmcloud.cp.commands import OperandError
from zvmcloud.smapi.servers import SERVERS
from zvmcloud.zhcp import entries, expected
from zvmcloud.zhcp.errors import AgentError, Json, Problem
from zvmcloud.zhcp.image_cache import ImageCache
from zvmcloud.zhcp.image_messages import WriteImage
from zvmcloud.zhcp.journal import Journal, digest
from zvmcloud.zhcp.kinds import OfGuest, Operation
from zvmcloud.zhcp.links import Links
from zvmcloud.zhcp.machine import Machine
from zvmcloud.zhcp.messages import OperationOutcome, parse_operation, parse_outcome
from zvmcloud.zhcp.operations import ignition
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.handlers import HANDLERS
from zvmcloud.zhcp.recovery import Recovery
from zvmcloud.zhcp.settings import Settings
from zvmcloud.zhcp.smapi_port import SmapiPort
from zvmcloud.zhcp.trust import believed

log = logging.getLogger(__name__)

_AWAY_PAUSE = 5.0
"""Seconds until an operation that a crash cut off looks again whether z/VM answers."""


class _Running:
    def __init__(self, key: str, operation: Operation, context: Context) -> None:
        self.key = key
        self.operation = operation
        self.context = context
        self.outcome: OperationOutcome | None = None
        self.task: asyncio.Task[None] | None = None
        self.working = False
        self.cancelled = False
        self.stopped = False
        self._waiting: list[asyncio.Future[None]] = []

    async def over(self, seconds: float) -> None:
        """Wait until it is over, or somebody calls :meth:`wake`, for so many seconds at most. (asyncio.wait is a turn
        of the event loop behind the end of a task.)"""
        loop = asyncio.get_running_loop()
        woken = loop.create_future()
        timer = loop.call_later(seconds, _wake, woken)
        self._waiting.append(woken)
        try:
            await woken
        finally:
            timer.cancel()
            self._waiting.remove(woken)

    def wake(self) -> None:
        """Whoever waits looks how it stands."""
        for woken in self._waiting:
            _wake(woken)

    def cancel(self) -> None:
        """Cancel the work, once, and not its undo.

        What a crash cut off goes to its end all the same: cancelled on the way it would undo only what it has come to,
        and leave what the run before had done beyond that. Who asked takes its end back, if it has an undo.
        """
        if not (self.cancelled or self.context.begun):
            self.cancelled = True
            if self.working and self.task is not None:
                self.context.call_off(self.task.cancel)

    def stop(self) -> None:
        """Cut the work off, and not an undo; what a cancel waits for, and what goes to its end in spite of one, too.
        There will be no undo."""
        if not self.cancelled or self.context.called_off or self.context.too_late:
            self.cancelled = self.stopped = True
            if self.working and self.task is not None:
                self.task.cancel()

    async def work(self, wanted: Mapping[str, str]) -> dict[str, Json]:
        """The operation's work, once the entries are what was expected. AgentError 409 `entry-changed`;
        asyncio.CancelledError when it was cancelled, which its undo need not know."""
        if self.cancelled:  # before it could begin
            raise asyncio.CancelledError
        self.working = True
        try:
            for userid, looked_at in sorted(wanted.items()):
                await self._unchanged(userid, looked_at)
            if self.context.begun:
                await self._answered()
            return await HANDLERS[self.operation.kind](self.context, self.operation)
        finally:
            self.working = False

    async def _answered(self) -> None:
        """Wait until the directory manager tells our own entry: while it does not, as after an IPL of z/VM, what a
        crash cut off can neither go on nor be undone."""
        while True:
            try:
                await entries.query(self.context, (await self.context.machine.identity()).userid)
            except AgentError as error:
                if not error.problem.retryable:
                    return  # it answers, or will not before somebody mends something
                log.warning("%s was cut off and waits for z/VM: %s", self.key, error)
                self.context.report(self.context.progress, f"cut off by a crash; waits for z/VM: {error}")
                await asyncio.sleep(_AWAY_PAUSE)
            else:
                return

    async def _unchanged(self, userid: str, looked_at: str) -> None:
        async with self.context.writing(userid):
            entry = await entries.query(self.context, userid)
            now = expected.ABSENT if entry is None else expected.entry_digest(entries.shown(entry))
            if now != looked_at:
                raise AgentError(
                    409, "entry-changed", f"the entry of {userid} is not the one that was looked at",
                    remedy="look at it again, then repeat",
                )  # fmt: skip

    def now(self) -> OperationOutcome:
        """The outcome, or the present state."""
        if self.outcome is not None:
            return self.outcome
        context = self.context
        return OperationOutcome(
            self.key, self.operation.kind, "running", context.progress, context.detail, calls=tuple(context.calls)
        )


class Runner:
    """All operations of this agent."""

    def __init__(self, settings: Settings, smapi: SmapiPort, machine: Machine, journal: Journal) -> None:
        self.settings = settings
        self.smapi = smapi
        self.machine = machine
        self.journal = journal
        self._links = Links()
        self._images = ImageCache(settings.state / "images", settings.storage.cache_mb << 20, believed(settings))
        self._recovery = Recovery(smapi, machine, journal, self._links)
        self._running: dict[str, _Running] = {}
        self._leaving = False
        self._stopping = False

    def context(self, key: str = "", notes: dict[str, str] | None = None) -> Context:
        """A context for an operation, or (without a key) for a query."""
        return Context(
            self.settings,
            self.smapi,
            self.machine,
            self.journal,
            self._links,
            self._recovery,
            self._images,
            key,
            notes,
        )

    async def submit(self, job: str, step: str, epoch: int, kind: object, parameters: object) -> str:
        """Start or join an operation; returns its key. FieldError, AgentError 409 `own-userid`, and see
        Journal.admit."""
        operation = parse_operation(kind, parameters)
        await self._check_guest(operation)
        key = f"{job}/{step}"
        body = digest(operation.kind, parameters)
        self._check_open()
        known = await self.journal.admit(job, step, epoch, operation.kind, body)
        # From here on nothing is awaited, so of two equal requests the second one finds the first.
        self._check_open()
        if known is not None and (known.state != "running" or key in self._running):
            await self._moved(self._running.get(key), operation)
            return key
        running = _Running(key, operation, self.context(key, self.journal.notes(key) if known is not None else None))
        self._running[key] = running
        wanted = {} if known is not None else expected.taken_out(parameters)[1]
        running.task = asyncio.create_task(self._run(running, wanted), name=f"operation {key}")
        return key

    async def _moved(self, running: _Running | None, operation: Operation) -> None:
        """Another manager goes on with a job whose image comes from the one before it, which may stand still."""
        if running is not None and isinstance(operation, WriteImage) and operation != running.operation:
            running.operation = operation
            await self._images.moved(operation.source)

    async def _check_guest(self, operation: Operation) -> None:
        """No operation on a guest is on our own userid or on a server of SMAPI: it would cut us off from z/VM."""
        if isinstance(operation, OfGuest):
            name = operation.userid
            if name in SERVERS or name == (await self.machine.identity()).userid.upper():
                raise AgentError(
                    409, "own-userid", f"{name} is the agent's own userid or a server of SMAPI, no guest",
                    remedy="change it with z/VM's own means",
                )  # fmt: skip

    def _check_open(self) -> None:
        if self._stopping:
            raise AgentError(503, "stopping", "the agent is being stopped", retryable=True)

    async def outcome(self, key: str, wait: float) -> OperationOutcome:
        """The outcome, or the state after at most `wait` seconds. AgentError 404 `operation-unknown`."""
        running = self._running.get(key)
        if running is not None and running.task is not None:
            if not self._leaving and not running.task.done():
                await running.over(wait)
            return running.now()
        known = self.journal.get(key)
        if known is None:
            raise AgentError(404, "operation-unknown", f"no operation {key}", remedy="send it with PUT")
        if known.state == "running":
            detail = "cut off by a restart of the agent; send it again to go on"
            return OperationOutcome(key, known.kind, "running", 0.0, detail)
        return parse_outcome(known.outcome)

    async def cancel(self, job: str, step: str, epoch: int, wait: float) -> OperationOutcome:
        """Stop a running operation and wait at most `wait` seconds until it is undone; one that is not known yet will
        never begin; one that is over, or that a crash cut off, is left alone. How it stands then.
        AgentError 409 `stale-epoch`."""
        key = f"{job}/{step}"
        problem = Problem(409, "cancelled", "the operation was cancelled before it began")
        never = OperationOutcome(key, "", "failed", detail=problem.detail, error=problem)
        await self.journal.call_off(job, step, epoch, never.document)
        if (running := self._running.get(key)) is not None:
            running.cancel()
        return await self.outcome(key, wait)

    async def _run(self, running: _Running, wanted: Mapping[str, str]) -> None:
        context = running.context
        _log_later("%s: %s begins", running.key, running.operation.kind)
        try:
            result: dict[str, Json] | None = None
            problem: Problem | None = None
            try:
                result = await running.work(wanted)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (told in the outcome)
                if running.stopped and isinstance(error, asyncio.CancelledError):
                    log.warning("%s: cut off by the stop of the agent", running.key)
                    return
                problem = await self._undo(context, self._problem(running, error))
            await self._finish(running, result, problem)
        finally:
            await context.close()
            running.wake()

    @staticmethod
    def _problem(running: _Running, error: BaseException) -> Problem:
        """Why the work failed. Raises what did not come from it: the event loop ends."""
        if isinstance(error, asyncio.CancelledError):
            task = running.task
            if task is not None and task.cancelling() and not running.cancelled:
                raise error
            return Problem(409, "cancelled", "the operation was cancelled and undone")
        if isinstance(error, AgentError):
            return error.problem
        if isinstance(error, OperandError):
            return Problem(400, "bad-parameter", str(error))
        if isinstance(error, AnswerError):
            return Problem(502, "cp-answer", str(error))
        log.error("%s: %s failed", running.key, running.operation.kind, exc_info=error)
        return Problem(500, "internal", f"{type(error).__name__}: {error}", remedy="see the agent's log")

    @staticmethod
    async def _undo(context: Context, problem: Problem) -> Problem:
        context.report(context.progress, "undoing")
        left = await context.undo()
        if left:
            detail = f"{problem.detail}; could not undo: {'; '.join(left)}"
            problem = replace(problem, detail=detail)
        return replace(problem, calls=tuple(context.calls))

    async def _finish(self, running: _Running, result: dict[str, Json] | None, problem: Problem | None) -> None:
        context, kind = running.context, running.operation.kind
        outcome = OperationOutcome(
            running.key,
            kind,
            "failed" if problem else "done",
            context.progress if problem else 1.0,
            problem.detail if problem else context.detail,
            result,
            problem,
            tuple(context.calls),
        )
        running.outcome = outcome
        try:
            await self.journal.finish(running.key, outcome.state, outcome.document)
        except Exception:  # This process still knows the outcome; after a restart the operation would run again.
            log.exception("%s: its end cannot be recorded", running.key)
        else:
            self._running.pop(running.key, None)
        if problem:
            log.warning("%s: %s failed: %s (%s)", running.key, kind, problem.detail, problem.code)
        else:
            _log_later("%s: %s is done", running.key, kind)

    async def recover(self) -> tuple[str, ...]:
        """Give back the disks and the locks that a crash left, and forget what nobody needs any more; returns the
        device numbers of the disks.

        May run while operations do, and may be repeated after an AgentError: what is given back was read before
        anything ran.
        """
        returned = await self._recovery.disks()
        await self._recovery.locks()
        await self.journal.forget_old()
        unfinished = self.journal.unfinished()
        if gone := await asyncio.to_thread(ignition.forget, self.settings.state, unfinished):
            log.warning("removed %s, which a crash left", ", ".join(gone))
        return returned

    def leave(self) -> None:
        """Answer all who wait for an outcome, now and from now on; what runs goes on until `stop`."""
        self._leaving = True
        for running in self._running.values():
            running.wake()

    async def stop(self) -> None:
        """Cancel what runs, wait for its disks to be detached, close everything."""
        self._stopping = True
        tasks = [running.task for running in self._running.values() if running.task is not None]
        for running in self._running.values():
            running.stop()
        if tasks:
            await asyncio.wait(tasks, timeout=30)
        await self.machine.close()
        await self.journal.close()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def _log_later(message: str, *values: str) -> None:
    """A line of the log, as soon as nobody waits for what is done now: writing one takes longer than a turn of the
    event loop."""
    asyncio.get_running_loop().call_soon(log.info, message, *values)
