"""The life of servers, as a user asks for it; after each step z/VM is compared with what must be there."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from openstack_proof.client import CommandFailed, Openstack
from openstack_proof.cloud import Cloud
from openstack_proof.compare import Baseline, Different, Guest
from openstack_proof.zvm import FLAT, TAGGED

VLAN = 120


@dataclass
class Report:
    """What each step took, and why some did not hold."""

    told: Callable[[str], None]
    steps: list[tuple[str, float, str]] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    """Of the machine in the last minute, at the end of each step: what the times have to be read with."""

    async def step(self, name: str, work: Callable[[], Awaitable[None]]) -> bool:
        """Run a step; False when it failed. The proof goes on, so that one run shows all that does not hold."""
        begin = time.monotonic()
        problem = ""
        try:
            await work()
        except (CommandFailed, Different, TimeoutError) as error:
            problem = str(error) or type(error).__name__
        except Exception:  # noqa: BLE001  whatever it is, the step does not hold
            problem = traceback.format_exc()
        took = time.monotonic() - begin
        self.steps.append((name, took, problem))
        self.loads.append(os.getloadavg()[0])
        self.told(f"{'FAILED' if problem else 'holds '} {took:6.1f} s  {name}" + (f"\n{problem}" if problem else ""))
        return not problem

    @property
    def failed(self) -> list[str]:
        return [name for name, _, problem in self.steps if problem]

    def table(self) -> str:
        """The steps as the guide has them."""
        rows = [f"| {name} | {'failed' if problem else 'holds'} | {took:.0f} |" for name, took, problem in self.steps]
        return "\n".join(["| step | | s |", "|---|---|---|", *rows])


class Proof:
    """One server's life and its neighbours'."""

    def __init__(self, cloud: Cloud, openstack: Openstack, report: Report, image: str) -> None:
        """``image``: path of an image that boots from a DASD."""
        self._cloud = cloud
        self._os = openstack
        self._report = report
        self._image = image
        self._guests: dict[str, Guest] = {}
        self._baseline = Baseline(cloud.zvm)

    async def begin(self) -> bool:
        """What all servers need."""
        for name, work in (
            ("both systems' nova-compute and agent are up", self._hosts), ("image create", self._images),
            ("network, subnet, port: flat, VLAN", self._nets),
        ):  # fmt: skip
            if not await self._report.step(name, work):
                return False
        return True

    async def run(self) -> None:
        step = self._report.step
        if not await step("server create on VLAN: ACTIVE, console log", self._create):
            await step("server delete", self._delete)
            return
        for name, work in (
            ("stop", self._stop), ("start", self._start), ("reboot soft", self._reboot("--soft")),
            ("reboot hard", self._reboot("--hard")), ("pause, unpause", self._pause),
            ("port down and up", self._admin_state), ("add and remove a flat port", self._second),
            ("resize and confirm", self._resize_confirm), ("resize and revert", self._resize_revert),
            ("server image create, boot from it", self._snapshot), ("rebuild", self._rebuild),
            ("cold migrate", self._cold), ("live migrate and back", self._live), ("rescue, unrescue", self._rescue),
            ("IPL of its z/VM: rights are back, hard reboot", self._ipl), ("evacuate", self._evacuate),
        ):  # fmt: skip
            await step(name, work)
        await step("server delete: z/VM is as it was first", self._delete)

    # what there is

    async def _same(self, seconds: float = 60) -> None:
        """Compare; what follows a command (a right taken away) may take the agent's next look."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._baseline.check(self._guests.values())
            except Different:
                if time.monotonic() > deadline:
                    raise
            else:
                return
            await asyncio.sleep(0.5)

    async def _active(self, name: str, status: str = "ACTIVE", **more: Any) -> dict[str, Any]:
        return await self._os.until(("server", "show", name), lambda found: found["status"] == status, **more)

    async def _settled(self, name: str, status: str = "ACTIVE") -> dict[str, Any]:
        """In this state, with no task under way."""
        return await self._os.until(
            ("server", "show", name),
            lambda found: found["status"] == status and found["OS-EXT-STS:task_state"] in (None, "None"),
        )

    def _userid(self, found: dict[str, Any]) -> str:
        return str(found["OS-EXT-SRV-ATTR:instance_name"]).upper()

    def _change(self, name: str, **more: Any) -> None:
        self._guests[name] = replace(self._guests[name], **more)

    # steps

    async def _hosts(self) -> None:
        for words, state in (
            (("compute", "service", "list"), " up "), (("hypervisor", "list"), " up "),
            (("network", "agent", "list"), " :-) "),
        ):  # fmt: skip
            listed = (await self._os(*words)).splitlines()
            for host in self._cloud.hosts.values():
                if not any(f" {host} " in line.lower() and state in line for line in listed):
                    raise Different("\n".join([f"{host} is not{state}in:", *listed]))

    async def _images(self) -> None:
        await self._os("image", "create", "linux", "--disk-format", "raw", "--container-format", "bare",
                       "--file", self._image, "--public")  # fmt: skip
        for name, cpus, memory in (("small", 1, 512), ("medium", 2, 1024)):
            await self._os("flavor", "create", name, "--vcpus", str(cpus), "--ram", str(memory), "--disk", "1")
        await self._same()

    async def _nets(self) -> None:
        os = self._os
        await os(
            "network", "create", "flat", "--provider-network-type", "flat", "--provider-physical-network", "physnet1"
        )
        await os("subnet", "create", "flat", "--network", "flat", "--subnet-range", "192.0.2.0/24", "--no-dhcp")
        physnet = ("--provider-physical-network", "physnet2", "--provider-segment", str(VLAN))
        await os("network", "create", "vlan", "--provider-network-type", "vlan", *physnet)
        await os("subnet", "create", "vlan", "--network", "vlan", "--subnet-range", "198.51.100.0/24", "--no-dhcp")
        ipv6 = ("--ip-version", "6", "--subnet-range", "2001:db8:120::/64", "--no-dhcp")
        await os("subnet", "create", "vlan6", "--network", "vlan", *ipv6)
        await os("port", "create", "port1", "--network", "vlan", "--fixed-ip", "subnet=vlan,ip-address=198.51.100.10",
                 "--fixed-ip", "subnet=vlan6,ip-address=2001:db8:120::10")  # fmt: skip
        await os("port", "create", "port2", "--network", "flat", "--fixed-ip", "subnet=flat,ip-address=192.0.2.20")
        await self._same()

    async def _create(self) -> None:
        host = self._cloud.hosts["ZVM1"]
        await self._os("server", "create", "web01", "--image", "linux", "--flavor", "small", "--port", "port1",
                       "--host", host)  # fmt: skip
        found = await self._settled("web01")
        userid = await self._found("web01", found)
        self._guests["web01"] = Guest(userid, "ZVM1", "ZVM1", {"1000": (TAGGED, VLAN)})
        await self._same()
        port = await self._os.json("port", "show", "port1")
        if port["status"] != "ACTIVE":
            raise CommandFailed(f"the port is {port['status']}")
        await self._console("web01", "web01", "198.51.100.10/24", "2001:db8:120::10/64")

    async def _found(self, name: str, found: dict[str, Any]) -> str:
        """The userid of a server: its tag in the manager."""
        entries = self._cloud.zvm.userids(str(found["id"]))
        if len(entries) != 1:
            raise Different(f"{name}: guests are {entries}, must be one")
        return entries[0]

    async def _console(self, name: str, *words: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            text = await self._os("console", "log", "show", name)
            missing = [word for word in words if word not in text]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise Different(f"the console log does not have {missing}:\n{text[-1500:]}")

    async def _stop(self) -> None:
        await self._os("server", "stop", "web01")
        await self._settled("web01", "SHUTOFF")
        self._change("web01", system="")
        await self._same()

    async def _start(self) -> None:
        await self._os("server", "start", "web01")
        await self._settled("web01")
        self._change("web01", system="ZVM1")
        await self._same()

    def _reboot(self, way: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            await self._os("server", "reboot", way, "--wait", "web01")
            await self._settled("web01")
            await self._same()

        return work

    async def _pause(self) -> None:
        await self._os("server", "pause", "web01")
        await self._settled("web01", "PAUSED")
        await self._same()
        await self._os("server", "unpause", "web01")
        await self._settled("web01")
        await self._same()

    async def _admin_state(self) -> None:
        await self._os("port", "set", "--disable", "port1")
        self._change("web01", nics={"1000": ("", 0)})
        await self._nic_only()
        await self._os("port", "set", "--enable", "port1")
        self._change("web01", nics={"1000": (TAGGED, VLAN)})
        await self._same()
        await self._os.until(("port", "show", "port1"), lambda found: found["status"] == "ACTIVE")

    async def _nic_only(self) -> None:
        """The adapter is coupled to nothing; its right may stay as long as the server has the port."""
        guest = self._guests["web01"]
        deadline = time.monotonic() + 60
        while True:
            nics = self._cloud.zvm.nics(guest.userid)
            if nics == guest.nics:
                return
            if time.monotonic() > deadline:
                raise Different(f"adapters are {nics}, must be {guest.nics}")
            await asyncio.sleep(0.5)

    async def _second(self) -> None:
        await self._os("server", "add", "port", "web01", "port2")
        await self._os.until(("port", "show", "port2"), lambda found: found["status"] == "ACTIVE")
        self._change("web01", nics={"1000": (TAGGED, VLAN), "1003": (FLAT, 0)})
        await self._same()
        await self._os("server", "remove", "port", "web01", "port2")
        self._change("web01", nics={"1000": (TAGGED, VLAN)})
        await self._same()

    async def _where(self, name: str) -> str:
        found = await self._settled(name)
        host = str(found["OS-EXT-SRV-ATTR:host"])
        return next(system for system, own in self._cloud.hosts.items() if own == host)

    async def _moved(self, name: str, **more: Any) -> None:
        system = await self._where(name)
        self._change(name, system=system, home=system, **more)
        await self._same()

    async def _resize_confirm(self) -> None:
        await self._os("server", "resize", "--flavor", "medium", "web01")
        await self._settled("web01", "VERIFY_RESIZE")
        await self._os("server", "resize", "confirm", "web01")
        await self._moved("web01", vcpus=2, memory_mb=1024)

    async def _resize_revert(self) -> None:
        await self._os("server", "resize", "--flavor", "small", "web01")
        await self._settled("web01", "VERIFY_RESIZE")
        await self._os("server", "resize", "revert", "web01")
        await self._moved("web01")

    async def _snapshot(self) -> None:
        await self._os("server", "image", "create", "--name", "snap", "--wait", "web01", seconds=600)
        await self._settled("web01")
        await self._same()
        await self._os("server", "create", "web02", "--image", "snap", "--flavor", "small", "--network", "flat")
        found = await self._settled("web02")
        home = await self._where("web02")
        userid = await self._found("web02", found)
        self._guests["web02"] = Guest(userid, home, home, {"1000": (FLAT, 0)})
        await self._same()
        await self._os("server", "delete", "--wait", "web02")
        del self._guests["web02"]
        await self._same()

    async def _rebuild(self) -> None:
        await self._os("server", "rebuild", "--image", "linux", "--wait", "web01", seconds=600)
        await self._settled("web01")
        await self._same()

    async def _cold(self) -> None:
        await self._os("server", "migrate", "web01")
        await self._settled("web01", "VERIFY_RESIZE")
        await self._os("server", "migration", "confirm", "web01")
        await self._moved("web01")

    async def _live(self) -> None:
        first = await self._where("web01")
        for _ in range(2):
            begun = await self._where("web01")
            await self._os("server", "migrate", "--live-migration", "web01")
            await self._os.until(
                ("server", "show", "web01"),
                lambda found, begun=begun: (  # type: ignore[misc]
                    found["status"] == "ACTIVE"
                    and found["OS-EXT-SRV-ATTR:host"] != self._cloud.hosts[begun]
                    and found["OS-EXT-STS:task_state"] in (None, "None")
                ),
            )
            await self._moved("web01")
        if await self._where("web01") != first:
            raise Different("it is not back")

    async def _rescue(self) -> None:
        await self._os("server", "rescue", "web01")
        await self._settled("web01", "RESCUE")
        await self._os("server", "unrescue", "web01")
        await self._settled("web01")
        await self._same()

    async def _ipl(self) -> None:
        """The server is off then, and its agent gives it its rights again before anybody starts it."""
        system = await self._where("web01")
        await self._cloud.zvm.end(system, reipl=True)
        self._change("web01", system="")
        await self._same(180)
        await self._os("server", "reboot", "--hard", "--wait", "web01")
        await self._settled("web01")
        self._change("web01", system=system)
        await self._same()

    async def _evacuate(self) -> None:
        """A system is down and its nova-compute gone. When both are back they leave the server where it is now."""
        begun = await self._where("web01")
        host = self._cloud.hosts[begun]
        compute = self._cloud.daemons[f"nova-compute-{host}"]
        await asyncio.to_thread(compute.stop, signal.SIGKILL)
        await self._cloud.zvm.end(begun, reipl=False)
        await self._os("compute", "service", "set", "--down", host, "nova-compute")
        await self._os("server", "evacuate", "web01")
        await self._settled("web01", "SHUTOFF")
        await self._os("server", "start", "web01")
        if await self._where("web01") == begun:
            raise Different(f"it is at {begun} still")
        self._cloud.zvm.ipl(begun)
        compute.start()
        await self._left("web01")
        await self._os("compute", "service", "set", "--up", host, "nova-compute")
        await self._moved("web01")

    async def _left(self, name: str) -> None:
        """The nova-compute that a server was evacuated from has come back and knows that."""
        deadline = time.monotonic() + 180
        while True:
            found = await self._os.json("server", "migration", "list", "--server", name, "--type", "evacuation")
            if [move["Status"] for move in found] == ["completed"]:
                return
            if time.monotonic() > deadline:
                raise CommandFailed(f"evacuations of {name} are {found}")
            await asyncio.sleep(2)

    async def _delete(self) -> None:
        for name in ("web01", "web02"):
            if name in self._guests or name == "web01":
                await self._os("server", "delete", "--wait", name)
        self._guests.clear()
        await self._same()
