"""Volumes, as a user asks for them: what a guest writes to one, the next guest reads; and programs killed in between.

Each z/VM system has a pool of LUNs of its own and is a backend; a volume type names one.
"""

from __future__ import annotations

import asyncio
import hashlib
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from openstack_proof.client import CommandFailed, Openstack
from openstack_proof.cloud import Cloud
from openstack_proof.compare import Baseline, Different
from openstack_proof.steps import Report
from openstack_proof.zvm import LUN_GB, SYSTEMS, pool_of
from zvmcloud.client import ProblemError
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.sample import write_sample_blocks
from zvmcloud.simulator.faults import Rule

PATIENCE = 300.0
KILLED = ("cinder-volume-zvm1", "nova-compute-zvm1", "manager", "zhcp-ZVM1")
TEXT = "written by web11"
_DEDICATE = "Image_Device_Dedicate*"
_IMAGE_BLOCKS = 8192
_SLOW = 4.0
"""Seconds that dedicating an FCP device takes longer, so that there is a middle in which to kill."""


def _scsi_image(path: Path) -> None:
    """Raw bytes of a SCSI disk that boots."""
    with FbaDisk.create(path, _IMAGE_BLOCKS) as disk:
        write_sample_blocks(disk, scsi=True)


class Volumes:
    """Begins and ends with a z/VM that has no servers and no volumes."""

    def __init__(self, cloud: Cloud, openstack: Openstack, report: Report) -> None:
        self._cloud = cloud
        self._os = openstack
        self._report = report
        self._baseline = Baseline(cloud.zvm)

    async def run(self) -> None:
        step = self._report.step
        if not await step("cinder-volume is up with a backend for each system; volume types", self._types):
            return
        for name, work in (
            ("volume create, list, extend", self._create),
            ("volume create from an image", self._from_image),
            ("attach to a running server, write; detach; another reads the same bytes", self._attach),
            ("snapshot, clone, volume from the snapshot: the same bytes", self._copies),
            ("boot from a volume, stop and start", self._boot),
            ("live migrate with a volume and back: the same bytes", self._live),
            ("volume to image: the bytes of the LUN", self._to_image),
            ("the other system's volumes are another backend", self._other),
        ):
            await step(name, work)
        for program in KILLED:
            await step(f"{program} is killed in an attach: nothing leaked, a retry works", self._killed(program))
        await step("volumes and servers delete: z/VM is as it was first", self._delete)

    # what there is

    async def _volume(self, name: str, status: str = "available") -> dict[str, Any]:
        return await self._os.until(("volume", "show", name), lambda found: found["status"] == status, bad="error")

    async def _server(self, name: str, status: str = "ACTIVE") -> dict[str, Any]:
        return await self._os.until(
            ("server", "show", name),
            lambda found: found["status"] == status and found["OS-EXT-STS:task_state"] in (None, "None"),
            seconds=PATIENCE,
        )

    async def _make_server(self, name: str, system: str, *source: str) -> None:
        host = self._cloud.hosts[system]
        wish = source or ("--image", "linux")
        await self._os("server", "create", *wish, "--flavor", "small", "--network", "flat", "--host", host, name)
        await self._server(name)

    async def _make_volume(self, name: str, system: str, *more: str) -> None:
        kind = self._cloud.hosts[system]
        await self._os("volume", "create", "--size", "1", "--type", kind, *more, name)
        await self._volume(name)

    async def _inside(self, name: str, command: str, seconds: float = 120) -> str:
        """What a command says in a server; asked again while its agent does not answer yet."""
        found = await self._os.json("server", "show", name)
        (userid,) = self._cloud.zvm.userids(str(found["id"]))
        system = next(key for key, host in self._cloud.hosts.items() if host == found["OS-EXT-SRV-ATTR:host"])
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = await asyncio.to_thread(self._cloud.zvm.inside, system, userid, command)
            except ProblemError as error:
                if not error.retryable or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(1)
                continue
            if answer["rc"]:
                raise Different(f"{name}: {command}: {answer}")
            return str(answer["output"])

    async def _read(self, name: str) -> str:
        return (await self._inside(name, "dd if=/dev/mapper/mpatha bs=512 count=1")).partition("\0")[0].strip()

    async def _paths(self, name: str) -> int:
        """How many paths lead to the one volume that a server sees."""
        said = await self._inside(name, "multipath -ll")
        if said.count("mpath") != 1:
            raise Different(f"{name} sees not one multipath device:\n{said}")
        return len((await self._inside(name, "lsscsi")).splitlines())

    async def _add(self, server: str, volume: str) -> None:
        await self._os("server", "add", "volume", server, volume)
        await self._volume(volume, "in-use")

    async def _remove(self, server: str, volume: str) -> None:
        await self._os("server", "remove", "volume", server, volume)
        await self._volume(volume)

    # steps

    async def _types(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = await self._os.json("volume", "service", "list", "--service", "cinder-volume")
            up = {str(item["Host"]).partition("@")[2] for item in found if item["State"] == "up"}
            if up == set(self._cloud.hosts.values()):
                break
            if time.monotonic() > deadline:
                raise CommandFailed(f"services are {found}")
            await asyncio.sleep(2)
        path = self._cloud.places.folder / "scsi.img"
        await asyncio.to_thread(_scsi_image, path)
        await self._os("image", "create", "scsi", "--disk-format", "raw", "--container-format", "bare",
                       "--file", str(path))  # fmt: skip
        for host in self._cloud.hosts.values():
            await self._os("volume", "type", "create", host, "--property", f"volume_backend_name={host}")

    async def _create(self) -> None:
        await self._make_volume("data", "ZVM1")
        await self._os("volume", "list")
        await self._os("volume", "set", "--size", "2", "data")
        found = await self._volume("data")
        if found["size"] != LUN_GB:
            raise Different(f"the volume has {found['size']} GB")

    async def _from_image(self) -> None:
        await self._make_volume("root", "ZVM1", "--image", "scsi", "--bootable")
        found = await self._volume("root")
        if found["bootable"] not in (True, "true"):
            raise Different(f"the volume is not bootable: {found}")

    async def _attach(self) -> None:
        for name in ("web11", "web12"):
            await self._make_server(name, "ZVM1")
        await self._add("web11", "data")
        paths = await self._paths("web11")
        if paths < 2:
            raise Different(f"{paths} path")
        await self._inside("web11", f"echo {TEXT} | dd of=/dev/mapper/mpatha")
        await self._os("server", "volume", "list", "web11")
        await self._remove("web11", "data")
        if "mpath" in await self._inside("web11", "multipath -ll"):
            raise Different("web11 sees the volume still")
        await self._add("web12", "data")
        if await self._read("web12") != TEXT:
            raise Different("web12 reads other bytes")
        await self._remove("web12", "data")

    async def _copies(self) -> None:
        await self._os("volume", "snapshot", "create", "--volume", "data", "snap")
        await self._os.until(("volume", "snapshot", "show", "snap"), lambda found: found["status"] == "available",
                             bad="error")  # fmt: skip
        await self._os("volume", "create", "--source", "data", "clone")
        await self._volume("clone")
        await self._os("volume", "create", "--snapshot", "snap", "again")
        await self._volume("again")
        for name in ("clone", "again"):
            await self._add("web11", name)
            if await self._read("web11") != TEXT:
                raise Different(f"{name} has other bytes")
            await self._remove("web11", name)

    async def _boot(self) -> None:
        await self._make_server("web13", "ZVM1", "--volume", "root")
        if (await self._inside("web13", "cat /etc/hostname")).partition(".")[0].strip() != "web13":
            raise Different("web13 did not read its config drive")
        await self._inside("web13", "cat /proc/cmdline")
        await self._os("server", "stop", "web13")
        await self._server("web13", "SHUTOFF")
        await self._os("server", "start", "web13")
        await self._server("web13")
        await self._inside("web13", "cat /etc/hostname")
        await self._os("server", "delete", "--wait", "web13")
        await self._volume("root")

    async def _live(self) -> None:
        """Between systems that share the pool."""
        await asyncio.to_thread(self._cloud.zvm.share, "ZVM1", shared=True)
        await self._add("web11", "data")
        for host in (self._cloud.hosts["ZVM2"], self._cloud.hosts["ZVM1"]):
            await self._os("server", "migrate", "--live-migration", "--host", host, "web11")
            await self._os.until(
                ("server", "show", "web11"),
                lambda found, host=host: (  # type: ignore[misc]
                    (found["status"], found["OS-EXT-SRV-ATTR:host"]) == ("ACTIVE", host)
                    and found["OS-EXT-STS:task_state"] in (None, "None")
                ),
                seconds=PATIENCE,
            )
            await self._volume("data", "in-use")
            if await self._read("web11") != TEXT or await self._paths("web11") < 2:
                raise Different(f"at {host} web11 reads other bytes, or through one path")
        await self._remove("web11", "data")
        await self._free()
        await asyncio.to_thread(self._cloud.zvm.share, "ZVM1", shared=False)

    async def _to_image(self) -> None:
        await self._os("image", "create", "--volume", "data", "--disk-format", "raw", "--container-format", "bare",
                       "copied")  # fmt: skip
        found = await self._os.until(("image", "show", "copied"), lambda image: image["status"] == "active", bad="")
        volume = await self._volume("data")
        content = await asyncio.to_thread(self._cloud.zvm.content, "ZVM1", f"volume-{volume['id']}")
        properties = found.get("properties") or {}
        digest = found.get("os_hash_value") or properties.get("os_hash_value")
        if digest != hashlib.sha512(content).hexdigest():
            raise Different(f"the image has other bytes: {found}")
        await self._os("image", "delete", "copied")

    async def _other(self) -> None:
        await self._make_volume("far", "ZVM2")
        found = await self._os.json("volume", "show", "far")
        if f"@{self._cloud.hosts['ZVM2']}#{pool_of('ZVM2')}" not in found["os-vol-host-attr:host"]:
            raise Different(f"it is at {found['os-vol-host-attr:host']}")
        await self._make_server("web14", "ZVM2")
        await self._add("web14", "far")
        await self._inside("web14", f"echo {TEXT} | dd of=/dev/mapper/mpatha")
        await self._remove("web14", "far")
        await self._os("server", "add", "volume", "web11", "far")
        await self._volume("far")
        if "mpath" in await self._inside("web11", "multipath -ll"):
            raise Different("a system got a volume that it does not reach")
        await self._os("server", "delete", "--wait", "web14")
        await self._os("volume", "delete", "far")

    # faults

    def _killed(self, program: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            daemon = self._cloud.daemons[program]
            rule = self._cloud.zvm.simulator.faults.add(Rule(function=_DEDICATE, action="delay", delay=_SLOW))
            try:
                await self._os("server", "add", "volume", "web11", "data")
                await self._begun()
                await asyncio.to_thread(daemon.stop, signal.SIGKILL)
            finally:
                self._cloud.zvm.simulator.faults.remove(rule.number)
            await asyncio.sleep(2)
            daemon.start()
            found = await self._os.until(
                ("volume", "show", "data"), lambda volume: volume["status"] in ("available", "in-use"), seconds=PATIENCE
            )
            if found["status"] == "in-use":
                await self._remove("web11", "data")
            await self._free()
            await self._add("web11", "data")
            if await self._read("web11") != TEXT:
                raise Different("web11 reads other bytes")
            await self._remove("web11", "data")
            await self._free()

        return work

    async def _begun(self) -> None:
        """The manager has begun to attach."""
        deadline = time.monotonic() + PATIENCE
        while not await asyncio.to_thread(self._cloud.zvm.attached, "ZVM1"):
            if time.monotonic() > deadline:
                raise CommandFailed("the attach did not begin")
            await asyncio.sleep(0.05)

    async def _free(self) -> None:
        """Nobody has a volume or an FCP device, in the manager's words and in z/VM."""
        deadline = time.monotonic() + PATIENCE
        while True:
            left = await asyncio.to_thread(self._left)
            if not left:
                return
            if time.monotonic() > deadline:
                raise Different(f"left: {left}")
            await asyncio.sleep(1)

    def _left(self) -> list[str]:
        zvm = self._cloud.zvm
        return [*zvm.attached("ZVM1"), *zvm.devices_in_use("ZVM1")]

    async def _delete(self) -> None:
        for name in await self._os.json("server", "list"):
            await self._os("server", "delete", "--wait", str(name["ID"]))
        for snapshot in await self._os.json("volume", "snapshot", "list"):
            await self._os("volume", "snapshot", "delete", str(snapshot["ID"]))
        await self._gone(("volume", "snapshot", "list"))
        for volume in await self._os.json("volume", "list"):
            await self._os("volume", "delete", str(volume["ID"]))
        await self._gone(("volume", "list"))
        for system in SYSTEMS:
            left = (await asyncio.to_thread(self._cloud.zvm.ask, "GET", f"/systems/{system}/volumes"))["items"]
            if left:
                raise Different(f"{system} has volumes {left}")
        self._baseline.check(())

    async def _gone(self, words: tuple[str, ...]) -> None:
        deadline = time.monotonic() + PATIENCE
        while found := await self._os.json(*words):
            if time.monotonic() > deadline:
                raise CommandFailed(f"{' '.join(words)}: still {found}")
            await asyncio.sleep(1)
