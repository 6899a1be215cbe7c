"""A simulated z/VM inside another program's event loop.

async with Simulator(state=tmp_path) as sim:
    sim.smapi_port, sim.machine_port      where it listens (ports 0 are replaced by free ones)
    sim.system                            the model, for looking at
"""

from __future__ import annotations

import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

from zvmcloud.simulator import guests
from zvmcloud.simulator.clock import Scheduler
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.journal import Journal
from zvmcloud.simulator.machine_port import MachinePort
from zvmcloud.simulator.notifier import Notifier
from zvmcloud.simulator.presets import PRESETS, Model, open_system
from zvmcloud.simulator.smapi.dispatch import Dispatcher
from zvmcloud.simulator.smapi.server import REQUEST_TIMEOUT, RequestServer
from zvmcloud.simulator.system import TIMINGS, System, Timing


class Simulator:
    """One system with its ports, from `start` to `close`, or as an asynchronous context manager."""

    def __init__(
        self,
        *,
        state: Path,
        model: Model | None = None,
        host: str = "127.0.0.1",
        smapi_port: int = 0,
        machine_port: int = 0,
        timing: Timing | str = "zero",
        tls: ssl.SSLContext | None = None,
        asynchronous: bool = False,
        clock: Scheduler | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
    ) -> None:
        """Nothing is opened yet. `timing` is a Timing or one of zero, lab, production.

        `asynchronous`: directory changes are answered with 592 and an operation id. ModelError for a wrong value.
        """
        if isinstance(timing, str) and timing not in TIMINGS:
            raise ModelError("latency", f"{timing!r} is not one of {', '.join(TIMINGS)}")
        self._timing = TIMINGS[timing] if isinstance(timing, str) else timing
        self._state = state
        self._model = model or PRESETS["lpar"]
        self._host = host
        self._tls = tls
        self._asynchronous = asynchronous
        self._clock = clock
        self._request_timeout = request_timeout
        self._system: System | None = None
        self._journal: Journal | None = None
        self._server: RequestServer | None = None
        self._port: MachinePort | None = None
        self._notifier: Notifier | None = None
        self.smapi_port = smapi_port
        self.machine_port = machine_port

    @property
    def system(self) -> System:
        """The model. RuntimeError before start."""
        if self._system is None:
            raise RuntimeError("the simulator has not been started")
        return self._system

    async def start(self) -> None:
        """Open the state folder and both ports. OSError when a port is taken, ModelError for a wrong model."""
        system = self._system = open_system(self._state, self._model, clock=self._clock, timing=self._timing)
        try:
            system.asynchronous = self._asynchronous
            self._journal = Journal(self._state / "journal.jsonl")
            guests.resume(system)
            self._notifier = Notifier(system)
            self._notifier.start()
            dispatcher = Dispatcher(system, self._journal)
            dispatcher.end_lost_operations()
            self._server = RequestServer(dispatcher, request_timeout=self._request_timeout)
            self.smapi_port = await self._server.start(self._host, self.smapi_port, self._tls)
            self._port = MachinePort(system, self._journal)
            self.machine_port = await self._port.start(self._host, self.machine_port)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close the ports and the state; the system can be started again from its folder."""
        if self._server is not None:
            await self._server.close()
        if self._port is not None:
            await self._port.close()
        if self._notifier is not None:
            await self._notifier.close()
        if self._system is not None:
            self._system.close()
        if self._journal is not None:
            self._journal.close()
        self._server = self._port = self._journal = self._notifier = None
        self._system = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
