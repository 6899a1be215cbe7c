"""A simulated z/VM inside another program's event loop.

async with Simulator(state=tmp_path) as sim:
    sim.smapi_port, sim.machine_port      where it listens (ports 0 are replaced by free ones)
    sim.system                            the model, for looking at

async with Simulator(state=tmp_path, model=find_preset("ssi4")) as sim:
    sim.members[1].smapi_port             each system has ports of its own
    sim.cluster                           take_down(name), bring_up(name)
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from zvmcloud.simulator import guests, relocation, saving, shutdown, thresholds
from zvmcloud.simulator.clock import Scheduler
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.faults import Faults
from zvmcloud.simulator.installation import Installation, open_installation
from zvmcloud.simulator.journal import Journal
from zvmcloud.simulator.machine_port import MachinePort
from zvmcloud.simulator.notifier import Notifier
from zvmcloud.simulator.presets import PRESETS, Model, find_preset
from zvmcloud.simulator.smapi.dispatch import Dispatcher
from zvmcloud.simulator.smapi.server import REQUEST_TIMEOUT, RequestServer
from zvmcloud.simulator.system import TIMINGS, System, Timing

log = logging.getLogger(__name__)


class Member:
    """One system with its ports; alone, in a cluster, or beside others."""

    def __init__(self, system: System, host: str, smapi_port: int, machine_port: int) -> None:
        """Nothing is opened yet. Ports 0 are replaced by free ones, and kept when the ports open again."""
        self.system = system
        self.name = system.name
        self.smapi_port = smapi_port
        self.machine_port = machine_port
        self.journal = Journal(system.state / "journal.jsonl")
        self.dispatcher = Dispatcher(system, self.journal)
        self.notifier = Notifier(system)
        self.trusted_userid = ""
        """Whose requests come over the trusted port; empty for none."""
        self.trusted_port = 0
        self._host = host
        self._server: RequestServer | None = None
        self._port: MachinePort | None = None

    @property
    def is_up(self) -> bool:
        """Whether its ports are open."""
        return self._server is not None

    async def open(self, tls: ssl.SSLContext | None, request_timeout: float, faults: Faults | None = None) -> None:
        """Open both ports. OSError when one is taken."""
        self._server = RequestServer(self.dispatcher, request_timeout=request_timeout, faults=faults)
        self.smapi_port = await self._server.start(self._host, self.smapi_port, tls)
        if self.trusted_userid:
            self.trusted_port = await self._server.start(
                self._host, self.trusted_port, tls, trusted=self.trusted_userid
            )
        self._port = MachinePort(self.system, self.journal, faults)
        self.machine_port = await self._port.start(self._host, self.machine_port)

    async def shut(self) -> None:
        """Close both ports and cut what is connected."""
        server, port = self._server, self._port
        self._server = self._port = None
        if server is not None:
            await server.close()
        if port is not None:
            await port.close()


def _swap(place: Path, new: Path, old: Path) -> None:
    """Put another folder into a place; what was there gets the other name."""
    place.replace(old)
    new.replace(place)


class Simulator:
    """One system, a cluster, or several systems, with their ports, from `start` to `close`; or `async with`."""

    def __init__(
        self,
        *,
        state: Path | str,
        model: Model | str | None = None,
        host: str = "127.0.0.1",
        smapi_port: int = 0,
        machine_port: int = 0,
        timing: Timing | str = "zero",
        tls: ssl.SSLContext | None = None,
        asynchronous: bool = False,
        clock: Scheduler | None = None,
        request_timeout: float = REQUEST_TIMEOUT,
        trusted_userid: str = "",
        trusted_port: int = 0,
        seed: int = 0,
    ) -> None:
        """Nothing is opened yet. `model` is a Model or the name of a preset, `timing` a Timing or one of zero, lab,
        production.

        `asynchronous`: directory changes are answered with 592 and an operation id. Of several systems the first has
        the given ports and the others those that follow. `trusted_userid`: the (first) system listens on a further port
        whose peer is this userid, as over IUCV; requests there need no credentials. `seed`: of chance in
        fault rules; the same seed, clock and calls give the same bytes on the wire. ModelError for a wrong value.
        """
        if isinstance(timing, str) and timing not in TIMINGS:
            raise ModelError("latency", f"{timing!r} is not one of {', '.join(TIMINGS)}")
        self._timing = TIMINGS[timing] if isinstance(timing, str) else timing
        self._state = Path(state)
        self._model = find_preset(model) if isinstance(model, str) else model or PRESETS["lpar"]
        self._host = host
        self._tls = tls
        self._asynchronous = asynchronous
        self._clock = clock
        self._request_timeout = request_timeout
        self._trusted = trusted_userid, trusted_port
        self._first_ports = smapi_port, machine_port
        self._ports: dict[str, tuple[int, int]] = {}
        """Of systems that were open before, by name: they keep them."""
        self.faults = Faults(seed)
        """The fault rules; they outlive `close`."""
        self._installation: Installation | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.members: tuple[Member, ...] = ()
        """The systems with their ports; those of a cluster in the order of their slots."""

    @property
    def system(self) -> System:
        """The model of the (first) system. RuntimeError before start."""
        return self._first.system

    @property
    def smapi_port(self) -> int:
        """The request server's port of the (first) system."""
        return self.members[0].smapi_port if self.members else self._first_ports[0]

    @property
    def machine_port(self) -> int:
        """The machine port of the (first) system."""
        return self.members[0].machine_port if self.members else self._first_ports[1]

    @property
    def trusted_port(self) -> int:
        """The port of the trusted userid; 0 without one."""
        return self.members[0].trusted_port if self.members else self._trusted[1]

    @property
    def cluster(self) -> Cluster:
        """The SSI cluster. RuntimeError when there is none."""
        if self._installation is None or self._installation.cluster is None:
            raise RuntimeError("the simulator runs no SSI cluster")
        return self._installation.cluster

    @property
    def timing(self) -> Timing:
        """How long things take; a new value holds for everything that begins from now on."""
        return self._timing

    @timing.setter
    def timing(self, timing: Timing) -> None:
        self._timing = timing
        for member in self.members:
            member.system.timing = timing

    def save(self, target: Path) -> int:
        """Write all systems to a tar file; gives its bytes. OSError when it cannot be written."""
        return saving.save(self._state, target)

    async def load(self, source: Path) -> None:
        """Become the systems of a saved file; ports stay, connections are cut. ModelError when it is none of ours."""
        with tempfile.TemporaryDirectory(dir=self._state.parent, prefix=self._state.name + "-") as folder:
            new, old = Path(folder) / "new", Path(folder) / "old"
            saving.load(source, new)
            await self.close()
            _swap(self._state, new, old)
            try:
                await self.start()
            except BaseException:
                await self.close()
                _swap(self._state, old, new)
                await self.start()
                raise

    def member(self, name: str) -> Member:
        """A system with its ports by the system's name. KeyError when there is none."""
        found = next((member for member in self.members if member.name == name.upper()), None)
        if found is None:
            raise KeyError(name)
        return found

    @property
    def _first(self) -> Member:
        if not self.members:
            raise RuntimeError("the simulator has not been started")
        return self.members[0]

    async def start(self) -> None:
        """Open the state folder and the ports. OSError when a port is taken, ModelError for a wrong model."""
        self._installation = open_installation(self._state, self._model, clock=self._clock, timing=self._timing)
        try:
            systems, cluster = self._installation.systems, self._installation.cluster
            smapi_port, machine_port = self._first_ports
            # Ports that are close to each other alternate, so that those of one kind do not run into the other kind.
            step = 2 if abs(smapi_port - machine_port) < len(systems) else 1
            following = [
                (
                    smapi_port + step * number if smapi_port else 0,
                    machine_port + step * number if machine_port else 0,
                )
                for number in range(len(systems))
            ]
            self.members = tuple(
                Member(system, self._host, *self._ports.get(system.name, ports))
                for system, ports in zip(systems, following, strict=True)
            )
            self.members[0].trusted_userid, self.members[0].trusted_port = self._trusted
            if self._trusted[0] and systems[0].entry(self._trusted[0].upper()) is None:
                raise ModelError("trusted", f"{self._trusted[0]} is not in the directory of {systems[0].name}")
            for member in self.members:
                member.system.asynchronous = self._asynchronous
                guests.resume(member.system)
                member.notifier.start()
                with member.system.transaction():
                    shutdown.resume(member.system)
                    thresholds.resume(member.system)
                member.dispatcher.end_lost_operations()
            if cluster is not None:
                relocation.resume(cluster)
                cluster.listeners.append(self._follow)
            for member in self.members:
                if cluster is None or cluster.is_up(member.name):
                    await member.open(self._tls, self._request_timeout, self.faults)
        except BaseException:
            await self.close()
            raise

    def _follow(self, name: str, up: bool) -> None:
        """A member of the cluster came or went: its ports follow it."""
        member = self.member(name)
        work = member.open(self._tls, self._request_timeout, self.faults) if up else member.shut()
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._followed)

    def _followed(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("the ports of a member could not be opened or closed: %s", task.exception())

    async def settle(self) -> None:
        """Wait until the ports are as the states of the members say."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Close the ports and the state; the systems can be started again from their folder."""
        await self.settle()
        for member in self.members:
            await member.shut()
            await member.notifier.close()
        if self._installation is not None:
            self._installation.close()
        for member in self.members:
            member.journal.close()
        if self.members:
            self._first_ports = self.smapi_port, self.machine_port
            self._ports = {member.name: (member.smapi_port, member.machine_port) for member in self.members}
        self.members = ()
        self._installation = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
