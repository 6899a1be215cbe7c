"""An agent over a simulated z/VM: real SMAPI and machine ports, the agent's HTTP door in process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from asgi import AsgiDoor
from zvmcloud.images.sample import WrittenImage, write_sample_image
from zvmcloud.simulator.embed import Simulator
from zvmcloud.smapi.client import Patience
from zvmcloud.zhcp import settings as settings_module
from zvmcloud.zhcp.client import ZhcpClient, ZhcpError
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import Problem
from zvmcloud.zhcp.guest_messages import CreateGuest
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import OperationOutcome
from zvmcloud.zhcp.program import runner_of
from zvmcloud.zhcp.runner import Runner
from zvmcloud.zhcp.service import Service
from zvmcloud.zhcp.settings import Settings


@dataclass
class Agent:
    """The agent, its client, and the z/VM behind it."""

    simulator: Simulator
    settings: Settings
    runner: Runner
    client: ZhcpClient
    http: httpx.AsyncClient
    transport: httpx.ASGITransport
    folder: Path
    image: WrittenImage
    steps: int = 0
    outcomes: list[OperationOutcome] = field(default_factory=list)

    async def run(self, operation: Operation, *, step: str = "", epoch: int = 1) -> OperationOutcome:
        """Run an operation under a new step."""
        self.steps += 1
        outcome = await self.client.run(job="job", step=step or f"s{self.steps}", epoch=epoch, operation=operation)
        self.outcomes.append(outcome)
        return outcome

    async def refused(self, operation: Operation, *, step: str = "") -> Problem:
        """Run an operation that must fail; its problem."""
        with pytest.raises(ZhcpError) as caught:
            await self.run(operation, step=step)
        return caught.value.problem

    def hurry(self) -> None:
        """From here on an answer that does not come is given up within a second, not within minutes."""
        self.runner.smapi._client._patience = Patience(
            connect_timeout=2, reply_timeout=0.4, connect_pauses=(0, 0), request_pauses=(0, 0), recovery_pauses=(0,)
        )

    def guest(self, userid: str = "LINUX01", *disks: NewDisk) -> CreateGuest:
        """A small guest with a root disk."""
        root = NewDisk(vdev="0100", size_units=10, pool="POOL1", boot=True)
        return CreateGuest(
            userid=userid,
            vcpus=2,
            memory_mb=1024,
            max_cpus=8,
            max_memory_mb=4096,
            profile="LNXDFLT",
            ipl="0100",
            disks=disks or (root,),
        )

    def write_image(self, userid: str = "LINUX01", vdev: str = "0100", **changes: object) -> WriteImage:
        """The sample image, from the image folder."""
        source: dict[str, object] = {
            "url": self.image.path.as_uri(),
            "sha256": self.image.sha256,
            "bytes": self.image.bytes,
        }
        return WriteImage(userid=userid, vdev=vdev, source=ImageSource(**{**source, **changes}))  # type: ignore[arg-type]

    def restart(self) -> None:
        """A new agent over the same state folder, as after a restart."""
        self.runner = runner_of(self.settings)
        self.transport.app = Service(self.runner).application()


@pytest.fixture
async def agent(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent; `indirect` parameters are those of the Simulator."""
    images = tmp_path / "images"
    images.mkdir()
    image = write_sample_image(images / "sample", cylinders=5)
    async with Simulator(state=tmp_path / "zvm", **getattr(request, "param", {})) as simulator:
        settings = settings_module.read(
            {
                "smapi": {"port": simulator.smapi_port, "userid": "ZHCP", "password": "ZHCP", "timeout": 10},
                "machine": {"port": simulator.machine_port},
                "storage": {"image_folders": ["images"]},
            },
            tmp_path,
        )
        runner = runner_of(settings)
        transport = httpx.ASGITransport(Service(runner).application(), raise_app_exceptions=False)
        client = ZhcpClient("http://zhcp", door=AsgiDoor(transport))
        http = httpx.AsyncClient(transport=transport, base_url="http://zhcp")
        running = Agent(simulator, settings, runner, client, http, transport, tmp_path, image)
        yield running
        await client.close()
        await http.aclose()
        await running.runner.stop()
