"""The manager's view of a zHCP: run an operation to its end, ask a question, and the errors both can end in.

A change is ``PUT /v1/operations/{job}/{step}``: idempotent under its key, so after a lost connection the same request
is sent again. The agent refuses an epoch older than the highest it has seen, so a manager that was replaced can
change nothing any more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

from zvmcloud.manager.errors import AgentFailure, AgentUnreachable, NotFound
from zvmcloud.manager.jobs.plan import Json, Outcome
from zvmcloud.manager.settings import SystemSettings
from zvmcloud.zhcp.client import LONG_POLL, PROGRESS_POLL, ZhcpClient, ZhcpError, ZhcpUnreachable
from zvmcloud.zhcp.http import Door
from zvmcloud.zhcp.messages import OperationOutcome

Progress = Callable[[float, str], Awaitable[None]]


class Agent:
    """One system's zHCP over HTTP, HTTPS or a Unix socket. Safe for many tasks of one event loop."""

    def __init__(self, settings: SystemSettings, door: Door | None = None) -> None:
        self.name = settings.name
        self._client = ZhcpClient(
            settings.url,
            ca=settings.ca,
            certificate=settings.certificate,
            key=settings.key,
            fingerprint=settings.fingerprint,
            door=door,
        )

    async def close(self) -> None:
        await self._client.close()

    async def run(
        self,
        job: str,
        step: str,
        epoch: int,
        kind: str,
        parameters: Mapping[str, Json],
        *,
        progress: Progress | None = None,
        patience: float = 10.0,
        wanted: Callable[[], Awaitable[bool]],
    ) -> Outcome:
        """Run one operation to its end. A failed one is an outcome too (``state`` "failed" with the problem).

        ``patience``: seconds to go on trying when the agent cannot be reached; ``wanted`` is asked each time before the
        request is sent again. Raises AgentUnreachable after that, or when it is not wanted any more, and AgentFailure
        when the agent refuses the request itself (operation-mismatch, stale-epoch, bad parameters).
        """
        wait = PROGRESS_POLL if progress and kind != "reader.punch" else LONG_POLL
        last_contact = time.monotonic()
        pause = 0.1
        sent = False
        while True:
            try:
                found = await self._client.submit(
                    job=job, step=step, epoch=epoch, kind=kind, parameters=parameters, wait=wait
                )
            except ZhcpError as error:
                lost = isinstance(error, ZhcpUnreachable)
                away = lost or error.problem.status == HTTPStatus.SERVICE_UNAVAILABLE
                sent = sent or (isinstance(error, ZhcpUnreachable) and error.sent)
                if away and time.monotonic() - last_contact + pause <= patience:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 5.0)
                    if await wanted():
                        continue
                if lost or (away and sent):
                    raise self._unreachable(error, sent=sent) from error
                raise self._failure(error) from error
            last_contact, pause, sent = time.monotonic(), 0.1, True
            if progress is not None:
                await progress(found.progress, found.detail)
            if found.over:
                return _outcome(found)

    async def cancel(self, job: str, step: str, epoch: int) -> Outcome:
        """Have the agent stop and undo an operation, or never begin it; how it stands then. Raises AgentUnreachable,
        and AgentFailure (stale-epoch)."""
        try:
            return _outcome(await self._client.cancel(job, step, epoch=epoch))
        except ZhcpError as error:
            raise self._failure(error) from error

    async def get(self, path: str, **query: str | int) -> Json:
        """A question: the parsed answer. Raises AgentFailure with the agent's problem, or AgentUnreachable."""
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, body: Mapping[str, Json]) -> Json:
        """A question that needs a body (an in-guest command)."""
        return await self._ask("POST", path, body=body)

    async def _ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Json:
        try:
            return await self._client.ask(method, path, params=params, body=body)
        except ZhcpUnreachable:
            pass  # a kept connection may just have been closed: once more, on a new one
        except ZhcpError as error:
            raise self._failure(error) from error
        try:
            return await self._client.ask(method, path, params=params, body=body)
        except ZhcpError as error:
            raise self._failure(error) from error

    def _failure(self, error: ZhcpError) -> AgentFailure | AgentUnreachable:
        if not isinstance(error, ZhcpUnreachable):
            return AgentFailure(error.problem.to_json())
        return self._unreachable(error, sent=error.sent)

    def _unreachable(self, error: ZhcpError, *, sent: bool) -> AgentUnreachable:
        failure = AgentUnreachable(
            f"the agent of {self.name} does not answer: {error.problem.detail}",
            remedy=f"see whether the zHCP of {self.name} runs (zvm zhcp run), then repeat the request",
            subject=self.name,
        )
        failure.sent = sent
        return failure


class Agents:
    """The agents of all systems, by name."""

    def __init__(self, agents: Sequence[Agent]) -> None:
        self._agents = {agent.name: agent for agent in agents}

    def __getitem__(self, system: str) -> Agent:
        agent = self._agents.get(system.upper())
        if agent is None:
            raise NotFound(f"no z/VM system is named {system!r}", code="system-unknown", subject=system)
        return agent

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._agents)

    def add(self, agent: Agent) -> None:
        """Take an agent in, for a system that has none yet."""
        self._agents[agent.name] = agent

    async def remove(self, system: str) -> None:
        """Let the agent of a system go; one that is not there is fine."""
        agent = self._agents.pop(system, None)
        if agent is not None:
            await agent.close()

    async def close(self) -> None:
        for agent in self._agents.values():
            await agent.close()


def _outcome(found: OperationOutcome) -> Outcome:
    error = found.error.to_json() if found.error is not None else None
    if error is not None:
        error.pop("calls")
    calls = found.calls or (found.error.calls if found.error is not None else ())
    return Outcome(found.state, found.progress, found.detail, found.result, error, calls)
