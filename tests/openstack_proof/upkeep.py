"""What operators ask for beside the life of servers: maintenance of a host, images ahead of servers, passwords; and
local disks."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable

import httpx

from e2e.programs import TOKEN
from openstack_proof.client import CommandFailed, Openstack
from openstack_proof.cloud import Cloud
from openstack_proof.compare import Baseline, Different, Guest
from openstack_proof.steps import Report
from openstack_proof.zvm import FLAT
from zvmcloud.client import Client, ProblemError

PATIENCE = 300.0
DISABLED = "COMPUTE_STATUS_DISABLED"
SERVER, IMAGE, AGGREGATE, PASSWORD = "web06", "ahead", "first", "n3w-s3cret"


class Upkeep:
    """Begins and ends with a z/VM that has no servers."""

    def __init__(self, cloud: Cloud, openstack: Openstack, report: Report, image: str) -> None:
        """``image``: path of an image that boots."""
        self._cloud = cloud
        self._os = openstack
        self._report = report
        self._path = image
        self._host = cloud.hosts["ZVM1"]
        self._baseline = Baseline(cloud.zvm)
        self._guests: list[Guest] = []
        self._client = Client(cloud.zvm.url, TOKEN)
        self._image = ""

    async def run(self) -> None:
        for name, work in (
            ("image cache: fetched ahead", self._fetched),
            ("maintenance: a server with ephemeral and swap disks is made on the other system", self._maintained),
            ("set the administrator's password", self._password),
            ("server delete: z/VM is as it was first", self._delete),
            ("image cache: what nobody uses is removed", self._removed),
        ):
            await self._report.step(name, work)
        self._client.close()

    async def _until(self, true: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not await asyncio.to_thread(true):
            if time.monotonic() > deadline:
                raise Different(f"{what}: not within {PATIENCE:.0f} s")
            await asyncio.sleep(1)

    def _cached(self) -> bool:
        return any(item["name"] == f"openstack-{self._image}" for item in self._client.images())

    async def _fetched(self) -> None:
        await self._os("image", "create", IMAGE, "--disk-format", "raw", "--container-format", "bare",
                       "--file", self._path)  # fmt: skip
        self._image = str((await self._os.json("image", "show", IMAGE))["id"])
        await self._os("aggregate", "create", AGGREGATE)
        await self._os("aggregate", "add", "host", AGGREGATE, self._host)
        await self._os("aggregate", "cache", "image", AGGREGATE, IMAGE)
        await self._until(self._cached, f"the image {IMAGE} is in the manager's repository")

    async def _removed(self) -> None:
        await self._until(lambda: not self._cached(), f"the image {IMAGE} is removed")

    async def _service(self, status: str) -> None:
        (service,) = await self._os.json("compute", "service", "list", "--host", self._host, "--long")
        if service["Status"] != status:
            raise CommandFailed(f"the compute service is {service}, must be {status}")

    def _eligible(self, token: str) -> bool:
        """No host is marked as disabled in placement. nova takes the mark away at once, or, when another change of the
        host came in between, with the next report of its resources."""
        headers = {"OpenStack-API-Version": "placement 1.39", "X-Auth-Token": token}
        with httpx.Client(base_url=self._cloud.places.url("placement"), headers=headers, timeout=30) as client:
            providers = client.get("/resource_providers").raise_for_status().json()["resource_providers"]
            paths = [f"/resource_providers/{provider['uuid']}/traits" for provider in providers]
            return not any(DISABLED in client.get(path).raise_for_status().json()["traits"] for path in paths)

    async def _maintained(self) -> None:
        disks = ("--disk", "1", "--ephemeral", "1", "--swap", "64")
        await self._os("flavor", "create", "disks", "--vcpus", "1", "--ram", "512", *disks)
        await self._os("host", "set", "--enable-maintenance", self._host)
        await self._service("disabled")
        words = ("--image", "linux", "--flavor", "disks", "--network", "flat")
        await self._os("server", "create", *words, SERVER)
        found = await self._os.until(
            ("server", "show", SERVER),
            lambda found: found["status"] == "ACTIVE" and found["OS-EXT-STS:task_state"] in (None, "None"),
        )
        await self._os("host", "set", "--disable-maintenance", self._host)
        await self._service("enabled")
        token = str((await self._os.json("token", "issue"))["id"])
        await self._until(lambda: self._eligible(token), "placement offers every host")
        (userid,) = self._cloud.zvm.userids(str(found["id"]))
        self._guests.append(Guest(userid, "ZVM2", "ZVM2", {"1000": (FLAT, 0)}, disks=3))
        await asyncio.to_thread(self._baseline.check, self._guests)

    async def _password(self) -> None:
        await self._os("server", "set", "--password", PASSWORD, SERVER)
        digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
        await self._until(lambda: digest in self._shadow(), "the password is set inside")

    def _shadow(self) -> str:
        """The simulated chpasswd writes a digest."""
        (guest,) = self._guests
        try:
            path = f"/guests/{guest.home}/{guest.userid}/command"
            return str(self._client.ask("POST", path, body={"command": "cat /etc/shadow"})["output"])
        except ProblemError:
            return ""  # its system is not up yet

    async def _delete(self) -> None:
        await self._os("server", "delete", "--wait", SERVER)
        self._guests.clear()
        await self._until(self._empty, "z/VM is as it was first")

    def _empty(self) -> bool:
        try:
            self._baseline.check(())
        except Different:
            return False
        return True
