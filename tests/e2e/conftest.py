"""One `zvm up` for all files that test the connector's client subject by subject, and an image for their guests."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.stack import Stack, running, zvm


@dataclass(frozen=True, slots=True)
class Cloud:
    """The unmodified client of the running stack. A call gives the answer's envelope; `done` wants a success."""

    stack: Stack
    send: Callable[..., dict[str, Any]]
    image: dict[str, Any]

    def done(self, api: str, *args: object, **kwargs: object) -> Any:
        """The output of a call that must succeed."""
        answer = self.send(api, *args, **kwargs)
        assert answer["overallRC"] == 0, answer["errmsg"]
        return answer["output"]

    def refused(self, api: str, *args: object, **kwargs: object) -> tuple[int, int, int]:
        """overallRC, rc and rs of a call that must fail."""
        answer = self.send(api, *args, **kwargs)
        assert answer["overallRC"] != 0, answer
        assert answer["errmsg"]
        return answer["overallRC"], answer["rc"], answer["rs"]

    def deployed(self, userid: str, cpus: int = 2, memory: int = 1024, **more: object) -> None:
        """A guest with the sample image on a disk of ten cylinders."""
        self.done("guest_create", userid, cpus, memory, disk_list=[{"size": "10", "is_boot_disk": True}], **more)
        self.done("guest_deploy", userid, "shared-sample")

    def started(self, userid: str, **more: object) -> None:
        """A deployed guest that is up."""
        self.deployed(userid, **more)  # type: ignore[arg-type]
        self.done("guest_start", userid)
        self.up(userid)

    def up(self, userid: str, seconds: float = 20) -> None:
        """Wait until the agent in the guest answers."""
        deadline = time.monotonic() + seconds
        with self.stack.machine() as zhcp:
            while not zhcp.try_guest(userid, "echo ping"):
                assert time.monotonic() < deadline, f"{userid} did not come up"
                time.sleep(0.1)

    def inside(self, userid: str, command: str) -> str:
        """The output of a command in the guest."""
        with self.stack.machine() as zhcp:
            return zhcp.guest(userid, command)


def connector(port: int) -> Callable[..., dict[str, Any]]:
    """The unmodified client of the connector at a port; a call gives the answer's envelope."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from zvmconnector.connector import ZVMConnector
    client = ZVMConnector(ip_addr="127.0.0.1", port=port, connection_type="rest")

    def send(api: str, *args: object, **kwargs: object) -> dict[str, Any]:
        answer: dict[str, Any] = client.send_request(api, *args, **kwargs)
        return answer

    return send


def opened(stack: Stack, folder: Path) -> Cloud:
    """The client of the stack's default system, which has the sample image."""
    image: dict[str, Any] = json.loads(zvm("image", "sample", str(folder / "sample.img")).stdout)
    found = Cloud(stack, connector(stack.connector_port), image)
    found.done("image_import", "shared-sample", f"file://{image['path']}", {"os_version": "rhel8.6"})
    return found


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("shared")
    with running(folder / "state") as stack:
        yield opened(stack, folder)


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The client of VM1, the default system of a cluster of four."""
    folder = tmp_path_factory.mktemp("cluster")
    with running(folder / "state", "--preset", "ssi4") as stack:
        yield opened(stack, folder)


@pytest.fixture(scope="session")
def two(one: Cloud) -> Cloud:
    """The client of VM2, which has a port of its own."""
    stack = one.stack.system("VM2")
    return Cloud(stack, connector(stack.connector_port), one.image)
