"""Runs operations: each key once, with undo on failure, and a report of what was done.

    PUT of a new key             journal, then run
    PUT of a key that runs       join it
    PUT of a key that is over    its outcome again
    PUT of a key a crash cut off run again; the operation observes first and knows its own traces by its notes

A stop of the service cancels what runs: disks are detached, nothing is undone, and the journal still says "running",
so that the next PUT of the key takes it up again.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from zvmcloud.cp import commands
from zvmcloud.cp.answers import AnswerError
from zvmcloud.cp.commands import OperandError
from zvmcloud.zhcp.errors import AgentError, Json, Problem
from zvmcloud.zhcp.journal import Journal, digest
from zvmcloud.zhcp.machine import Machine
from zvmcloud.zhcp.messages import Operation, OperationOutcome, parse_operation, parse_outcome
from zvmcloud.zhcp.operations.context import Context, Links
from zvmcloud.zhcp.operations.handlers import HANDLERS
from zvmcloud.zhcp.settings import Settings
from zvmcloud.zhcp.smapi_port import SmapiPort

log = logging.getLogger(__name__)


class _Running:
    def __init__(self, key: str, operation: Operation, context: Context) -> None:
        self.key = key
        self.operation = operation
        self.context = context
        self.outcome: OperationOutcome | None = None
        self.task: asyncio.Task[None] | None = None

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
        self._running: dict[str, _Running] = {}
        self._admission = asyncio.Lock()
        self._stopping = False

    def context(self, key: str = "", notes: dict[str, str] | None = None) -> Context:
        """A context for an operation, or (without a key) for a query."""
        return Context(self.settings, self.smapi, self.machine, self.journal, self._links, key, notes)

    async def submit(self, job: str, step: str, epoch: int, kind: object, parameters: object) -> str:
        """Start or join an operation; returns its key. FieldError, AgentError 409 (see Journal.admit)."""
        operation = parse_operation(kind, parameters)
        key = f"{job}/{step}"
        body = digest(operation.kind, parameters)
        async with self._admission:
            if self._stopping:
                raise AgentError(503, "stopping", "the agent is being stopped", retryable=True)
            known = await asyncio.to_thread(self.journal.admit, job, step, epoch, operation.kind, body)
            if known is not None and (known.state != "running" or key in self._running):
                return key
            notes = await asyncio.to_thread(self.journal.notes, key) if known is not None else {}
            running = _Running(key, operation, self.context(key, notes))
            self._running[key] = running
            running.task = asyncio.create_task(self._run(running), name=f"operation {key}")
        return key

    async def outcome(self, key: str, wait: float) -> OperationOutcome:
        """The outcome, or the state after at most `wait` seconds. AgentError 404 `operation-unknown`."""
        running = self._running.get(key)
        if running is not None and running.task is not None:
            await asyncio.wait([running.task], timeout=wait)
            return running.now()
        known = await asyncio.to_thread(self.journal.get, key)
        if known is None:
            raise AgentError(404, "operation-unknown", f"no operation {key}", remedy="send it with PUT")
        if known.state == "running":
            detail = "cut off by a restart of the agent; send it again to go on"
            return OperationOutcome(key, known.kind, "running", 0.0, detail)
        return parse_outcome(known.outcome)

    async def cancel(self, key: str) -> OperationOutcome:
        """Stop a running operation and undo it; one that is over is left alone. AgentError 404."""
        running = self._running.get(key)
        if running is not None and running.task is not None and not running.task.done():
            running.task.cancel()
            await asyncio.wait([running.task])
        return await self.outcome(key, 0)

    async def _run(self, running: _Running) -> None:
        context, kind = running.context, running.operation.kind
        log.info("%s: %s begins", running.key, kind)
        problem: Problem | None = None
        result: dict[str, Json] | None = None
        try:
            result = await HANDLERS[kind](context, running.operation)
        except AgentError as error:
            problem = error.problem
        except (OperandError, AnswerError) as error:
            status = 400 if isinstance(error, OperandError) else 502
            problem = Problem(status, "bad-parameter" if status == 400 else "cp-answer", str(error))
        except asyncio.CancelledError:
            if self._stopping:
                log.warning("%s: cut off by the stop of the agent", running.key)
                return
            problem = Problem(409, "cancelled", "the operation was cancelled and undone")
        except Exception as error:
            log.exception("%s: %s failed", running.key, kind)
            problem = Problem(500, "internal", f"{type(error).__name__}: {error}", remedy="see the agent's log")
        if problem is not None:
            problem = await self._undo(context, problem)
        await self._finish(running, result, problem)

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
        await asyncio.to_thread(self.journal.finish, running.key, outcome.state, outcome.to_json())
        self._running.pop(running.key, None)
        if problem:
            log.warning("%s: %s failed: %s (%s)", running.key, kind, problem.detail, problem.code)
        else:
            log.info("%s: %s is done", running.key, kind)

    async def recover(self) -> tuple[str, ...]:
        """Give back the disks that a crash left linked; returns their numbers. Called once, before anything runs."""
        returned: list[str] = []
        for vdev, owner, disk in await asyncio.to_thread(self.journal.links):
            answer = await self.machine.cp(commands.detach(vdev))
            if answer.rc not in (0, 40):
                log.error("disk %s (%s %s) stays linked: %s", vdev, owner, disk, " / ".join(answer.lines))
                continue
            log.warning("detached %s, which a crash left linked to %s %s", vdev, owner, disk)
            await asyncio.to_thread(self.journal.unlinked, vdev)
            returned.append(vdev)
        await asyncio.to_thread(self.journal.forget_old)
        return tuple(returned)

    async def stop(self) -> None:
        """Cancel what runs, wait for its disks to be detached, close everything."""
        async with self._admission:
            self._stopping = True
        tasks = [running.task for running in self._running.values() if running.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=30)
        await self.machine.close()
        self.journal.close()
