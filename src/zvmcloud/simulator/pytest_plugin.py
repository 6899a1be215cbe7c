"""A simulated z/VM as a pytest fixture, for the tests of any z/VM tool. Pytest finds it where the package is installed.

    def test_my_tool(zvm):
        my_tool.connect("127.0.0.1", zvm.smapi_port, "MAINT", "MAINT")
        assert "LINUX01" in zvm.system.entries

The simulator runs in a thread of its own, so blocking clients and those of any event loop can talk to it. The preset is
`lpar`; another one: ``@pytest.mark.zvm(preset="ssi4")``, with the arguments of `Simulator` beside it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.faults import Faults
from zvmcloud.simulator.presets import find_preset
from zvmcloud.simulator.system import System

T = TypeVar("T")
_PATIENCE = 60.0


class RunningSystem:
    """A simulator in a thread. Read the model as you like; change it through `do`."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="zvm", daemon=True)

    @property
    def smapi_port(self) -> int:
        return self.simulator.smapi_port

    @property
    def machine_port(self) -> int:
        return self.simulator.machine_port

    @property
    def system(self) -> System:
        """The model of the (first) system."""
        return self.simulator.system

    @property
    def faults(self) -> Faults:
        """The fault rules; see `zvmcloud.simulator.faults.Rule`."""
        return self.simulator.faults

    def do(self, action: Callable[[System], T]) -> T:
        """Run an action on the model, in the simulator's thread and in one transaction."""

        async def run() -> T:
            with self.system.transaction():
                return action(self.system)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE)

    def start(self) -> None:
        """Raises what `Simulator.start` raises."""
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.simulator.start(), self._loop).result(_PATIENCE)
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        try:
            asyncio.run_coroutine_threadsafe(self.simulator.close(), self._loop).result(_PATIENCE)
        finally:
            self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "zvm(preset, **arguments): what the fixture zvm runs; see zvmcloud.simulator")


@pytest.fixture
def zvm(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningSystem]:
    """A z/VM in software that runs while the test does."""
    mark = request.node.get_closest_marker("zvm")
    arguments = dict(mark.kwargs) if mark is not None else {}
    model = find_preset(str(arguments.pop("preset", "lpar")))
    running = RunningSystem(Simulator(state=tmp_path / "zvm", model=model, **arguments))
    running.start()
    yield running
    running.close()
