"""The manager's view of a zHCP: run an operation to its end, ask a question, and the errors both can end in.

A change is ``PUT /v1/operations/{job}/{step}``: idempotent under its key, so after a lost connection the same request
is sent again. The agent refuses an epoch older than the highest it has seen, so a manager that was replaced can
change nothing any more.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import quote

import httpx

from zvmcloud.manager.errors import AgentFailure, AgentUnreachable, NotFound
from zvmcloud.manager.jobs.plan import Call, Json, Outcome
from zvmcloud.manager.settings import SystemSettings

log = logging.getLogger(__name__)

Progress = Callable[[float, str], Awaitable[None]]

_LONG_POLL = 60.0
_PROGRESS_POLL = 0.5
_ANSWER_SLACK = 30.0


class Agent:
    """One system's zHCP over HTTP, HTTPS or a Unix socket. Safe for many tasks of one event loop."""

    def __init__(self, settings: SystemSettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.name = settings.name
        self._client = httpx.AsyncClient(
            base_url="http://zhcp" if settings.url.startswith("unix:") else settings.url,
            transport=transport or _transport(settings),
            timeout=httpx.Timeout(_LONG_POLL + _ANSWER_SLACK, connect=10.0),
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

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
    ) -> Outcome:
        """Run one operation to its end. A failed one is an outcome too (``state`` "failed" with the problem).

        ``patience``: seconds to go on trying when the agent cannot be reached. Raises AgentUnreachable after that,
        and AgentFailure when the agent refuses the request itself (operation-mismatch, stale-epoch, bad parameters).
        """
        path = f"/v1/operations/{quote(job, safe='')}/{quote(step, safe='')}"
        body = {"epoch": epoch, "kind": kind, "parameters": dict(parameters)}
        wait = _PROGRESS_POLL if progress and kind != "reader.punch" else _LONG_POLL
        last_contact = time.monotonic()
        pause = 0.1
        while True:
            # Always PUT, never GET: an agent that was restarted goes on with an operation only when it is sent again.
            try:
                answer = await self._client.put(path, params={"wait": wait}, json=body)
            except httpx.TransportError as error:
                if time.monotonic() - last_contact + pause > patience:
                    raise self._unreachable(error) from error
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            if answer.status_code == 503 and time.monotonic() - last_contact + pause <= patience:
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
                continue
            outcome = _outcome(self._checked(answer))
            last_contact, pause = time.monotonic(), 0.1
            if progress is not None:
                await progress(outcome.progress, outcome.detail)
            if outcome.state in {"done", "failed"}:
                return outcome

    async def cancel(self, job: str, step: str) -> None:
        """Ask the agent to stop and undo a running operation; unknown ones are fine."""
        try:
            await self._client.delete(f"/v1/operations/{quote(job, safe='')}/{quote(step, safe='')}")
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def get(self, path: str, **query: str | int) -> Json:
        """A question: the parsed answer. Raises AgentFailure with the agent's problem, or AgentUnreachable."""
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, body: Mapping[str, Json]) -> Json:
        """A question that needs a body (an in-guest command)."""
        return await self._ask("POST", path, json=dict(body))

    async def _ask(self, method: str, path: str, **arguments: object) -> Json:
        for attempt in (0, 1):
            try:
                answer = await self._client.request(method, path, **arguments)  # type: ignore[arg-type]  # params= or json=
            except httpx.TransportError as error:
                if attempt:
                    raise self._unreachable(error) from error
                continue
            return self._checked(answer)
        raise AssertionError

    def _checked(self, answer: httpx.Response) -> Json:
        try:
            document: Json = answer.json()
        except ValueError:
            document = None
        if answer.is_success:
            return answer.text if document is None and answer.content else document
        if isinstance(document, Mapping):
            raise AgentFailure(document)
        raise AgentFailure(
            {
                "status": 502,
                "code": "agent-answer",
                "detail": f"{self.name}: HTTP {answer.status_code} without a problem",
            }
        )

    def _unreachable(self, error: Exception) -> AgentUnreachable:
        failure = AgentUnreachable(
            f"the agent of {self.name} does not answer: {error or type(error).__name__}",
            remedy=f"see whether the zHCP of {self.name} runs (zvm zhcp run), then repeat the request",
            subject=self.name,
        )
        failure.sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
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

    async def close(self) -> None:
        for agent in self._agents.values():
            await agent.close()


def _transport(settings: SystemSettings) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
    if settings.url.startswith("unix:"):
        return httpx.AsyncHTTPTransport(uds=settings.url.removeprefix("unix:").removeprefix("//"), limits=limits)
    if settings.url.startswith("http://"):
        return httpx.AsyncHTTPTransport(limits=limits)
    context = ssl.create_default_context(cafile=settings.ca or None)
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key or None)
    return httpx.AsyncHTTPTransport(verify=context, limits=limits)


def _outcome(document: Json) -> Outcome:
    if not isinstance(document, Mapping):
        raise AgentFailure({"status": 502, "code": "agent-answer", "detail": "the agent's answer is not an operation"})
    error = document.get("error")
    result = document.get("result")
    made = document.get("calls")
    if isinstance(error, Mapping) and not made:
        made = error.get("calls")
    if isinstance(error, Mapping):
        error = {key: value for key, value in error.items() if key != "calls"}
    progress = document.get("progress")
    return Outcome(
        state=str(document.get("state") or "running"),
        progress=float(progress) if isinstance(progress, int | float) else 0.0,
        detail=str(document.get("detail") or ""),
        result=result if isinstance(result, Mapping) else None,
        error=error if isinstance(error, Mapping) else None,
        calls=tuple(_call(item) for item in made if isinstance(item, Mapping)) if isinstance(made, list) else (),
    )


def _call(item: Mapping[str, Json]) -> Call:
    rc, rs, text, took, parameters = (item.get(key) for key in ("rc", "rs", "text", "milliseconds", "parameters"))
    return Call(
        kind=str(item.get("kind") or ""),
        name=str(item.get("name") or ""),
        parameters=parameters if isinstance(parameters, Mapping) else {},
        rc=rc if isinstance(rc, int) else None,
        rs=rs if isinstance(rs, int) else None,
        text=tuple(str(line) for line in text) if isinstance(text, list) else (),
        milliseconds=float(took) if isinstance(took, int | float) else 0.0,
    )
