"""An agent that dies at a chosen moment of an operation: it does nothing more, and another one takes over its state."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from zhcp.conftest import Agent
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import OperationOutcome, operation_json


class Dying:
    """The agent of now. `before` and `after` say when it dies: a method of it, and the first argument's beginning."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.runner = agent, agent.runner
        self.there, self.over = asyncio.Event(), asyncio.Event()

    async def _die(self) -> None:
        self.there.set()
        await self.over.wait()

    def _wrap(self, part: object, method: str, is_it: Callable[..., bool], *, after: bool) -> None:
        real: Callable[..., Awaitable[Any]] = getattr(part, method)

        async def wrapped(*arguments: Any, **named: Any) -> Any:
            if is_it(*arguments) and not after:
                await self._die()
            try:
                return await real(*arguments, **named)
            finally:
                if is_it(*arguments) and after:
                    await self._die()

        setattr(part, method, wrapped)

    def at_note(self, name: str) -> None:
        """Before it notes something that begins so."""
        for method in ("note", "noting"):
            self._wrap(self.runner.journal, method, lambda _key, *names: names[0].startswith(name), after=False)

    def at_command(self, command: str, *, after: bool) -> None:
        """Before or after a CP command that begins so."""
        self._wrap(self.runner.machine, "cp", lambda given: given.startswith(command), after=after)

    def after_reading(self) -> None:
        """After it has read a file of its reader."""
        self._wrap(self.runner.machine, "read", lambda _spoolid: True, after=True)

    def after_function(self, function: str) -> None:
        """After a SMAPI function, be it refused."""
        self._wrap(self.runner.smapi, "call", lambda given, *_: given.spec.name == function, after=True)

    async def begin(self, operation: Operation, step: str) -> None:
        """Begin an operation, die in it, and be replaced."""
        await self.runner.submit("job", step, 1, operation.kind, operation_json(operation))
        await asyncio.wait_for(self.there.wait(), 30)
        self.agent.restart()

    async def run(self, operation: Operation) -> OperationOutcome:
        """The same, and the operation is sent again to the agent that replaces this one."""
        await self.begin(operation, "dying")
        return await self.agent.run(operation, step="dying")

    async def bury(self) -> None:
        """Let the old agent's tasks end."""
        self.over.set()
        await self.runner.stop()
