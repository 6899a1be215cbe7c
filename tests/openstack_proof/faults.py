"""What goes wrong while servers are made: nova says so in the server's fault, and nothing is left in z/VM."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from openstack_proof.client import CommandFailed, Openstack
from openstack_proof.cloud import Cloud
from openstack_proof.compare import Baseline, Different, Guest
from openstack_proof.steps import Report
from openstack_proof.zvm import FLAT

PATIENCE = 300.0
_GIB = 2**30
_CYLINDER = 737_280


class Faults:
    """Each begins and ends with an empty z/VM."""

    def __init__(self, cloud: Cloud, openstack: Openstack, report: Report) -> None:
        self._cloud = cloud
        self._os = openstack
        self._report = report
        self._baseline = Baseline(cloud.zvm)

    async def run(self) -> None:
        for name, work in (
            ("an image that cannot be written: ERROR, nothing left", self._damaged),
            ("no room for the disk: ERROR, nothing left", self._huge),
            ("others have filled the pool: ERROR, nothing left", self._full),
            ("the manager is killed in a spawn: ACTIVE or ERROR", self._killed("manager", "web03")),
            ("nova-compute is killed in a spawn: ACTIVE or ERROR", self._killed("nova-compute-zvm1", "web04")),
            ("the agent is dead: ERROR; when it is back a server becomes ACTIVE", self._dead),
        ):
            await self._report.step(name, work)

    async def _empty(self) -> None:
        await self._is(self._baseline)

    async def _is(self, baseline: Baseline, guests: Collection[Guest] = ()) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                baseline.check(guests)
            except Different:
                if time.monotonic() > deadline:
                    raise
            else:
                return
            await asyncio.sleep(0.5)

    async def _create(self, name: str, *more: str) -> None:
        host = self._cloud.hosts["ZVM1"]
        words = ("--flavor", "small", "--network", "flat", "--host", host, *more)
        image = () if "--image" in more else ("--image", "linux")
        await self._os("server", "create", *words, *image, name)

    async def _ends(self, name: str, *statuses: str) -> dict[str, Any]:
        def over(found: dict[str, Any]) -> bool:
            return found["status"] in statuses and found["OS-EXT-STS:task_state"] in (None, "None")

        return await self._os.until(("server", "show", name), over, bad="", seconds=PATIENCE)

    async def _refused(self, name: str, *words: str, left: Baseline | None = None) -> None:
        """It ends in ERROR, its fault says why, and nothing but ``left`` is there, also before it is deleted."""
        found = await self._ends(name, "ERROR")
        said = str(found.get("fault"))
        if not any(word in said for word in words):
            raise CommandFailed(f"{name}: the fault has none of {words}: {said[:2000]}")
        await self._is(left or self._baseline)
        await self._os("server", "delete", "--wait", name)

    async def _damaged(self) -> None:
        path = self._cloud.places.folder / "damaged.img"
        whole = (self._cloud.places.folder / "sample.img").read_bytes()
        path.write_bytes(whole[: len(whole) * 2 // 3])
        await self._os("image", "create", "damaged", "--disk-format", "raw", "--container-format", "bare",
                       "--file", str(path))  # fmt: skip
        await self._create("bad01", "--image", "damaged")
        await self._refused("bad01", "the gzip stream ends early. To do: import the image again")

    async def _huge(self) -> None:
        """Placement knows that no system has so much."""
        await self._os("flavor", "create", "huge", "--vcpus", "1", "--ram", "512", "--disk", "100000")
        host = self._cloud.hosts["ZVM1"]
        await self._os("server", "create", "--flavor", "huge", "--network", "flat", "--host", host,
                       "--image", "linux", "bad02")  # fmt: skip
        await self._refused("bad02", "No valid host")

    async def _full(self) -> None:
        """Placement counts nova's servers only, so nova-compute is asked, and says what z/VM says. The next host would
        be asked then, but the server is to be on this one."""
        takers = [f"TAKER{number}" for number in range(32)]
        log = self._cloud.daemons[f"nova-compute-{self._cloud.hosts['ZVM1']}"].log
        begin = log.stat().st_size
        try:
            pool = await asyncio.to_thread(self._take, takers)
            full = Baseline(self._cloud.zvm)
            await self._create("bad03")
            await self._refused("bad03", "Exhausted all hosts", "retries", left=full)
        finally:
            for userid in takers:
                if userid in self._entries():
                    await asyncio.to_thread(self._cloud.zvm.ask, "DELETE", f"/guests/ZVM1/{userid}")
        said = log.read_bytes()[begin:].decode(errors="replace")
        if not re.search(rf"{pool}.*To do: ", said):
            raise CommandFailed(f"nova-compute does not say that {pool} is full")
        await self._empty()

    def _take(self, userids: list[str]) -> str:
        """Guests that are not nova's get all areas of the pool that a server's disk would fit in. The pool's name."""
        zvm = self._cloud.zvm
        for userid in userids:
            (pool,) = [found for found in zvm.ask("GET", "/systems/ZVM1/host")["pools"] if found["default"]]
            if pool["largest"] < _GIB:
                return str(pool["name"])
            wish: dict[str, object] = {"userid": userid, "disks": [{"size": str(pool["largest"] // _CYLINDER)}]}
            zvm.ask("POST", "/systems/ZVM1/guests", wish)
        raise CommandFailed(f"the pool has room beside {', '.join(userids)}")

    def _killed(self, program: str, name: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            daemon = self._cloud.daemons[program]
            entries = set(self._entries())
            await self._create(name)
            deadline = time.monotonic() + PATIENCE
            while set(self._entries()) == entries:
                if time.monotonic() > deadline:
                    raise CommandFailed("no guest was begun")
                await asyncio.sleep(0.02)
            await asyncio.to_thread(daemon.stop, signal.SIGKILL)
            await asyncio.sleep(2)
            daemon.start()
            found = await self._ends(name, "ACTIVE", "ERROR")
            guests = []
            if found["status"] == "ACTIVE":
                (userid,) = self._cloud.zvm.userids(str(found["id"]))
                guests.append(Guest(userid, "ZVM1", "ZVM1", {"1000": (FLAT, 0)}))
            await self._is(self._baseline, guests)
            await self._os("server", "delete", "--wait", name)
            await self._empty()

        return work

    def _entries(self) -> list[str]:
        return [str(userid) for userid, _ in self._cloud.zvm.simulator.members[0].system.entries.items()]

    async def _dead(self) -> None:
        host = self._cloud.hosts["ZVM1"]
        agent = self._cloud.daemons[f"neutron-zvm-agent-{host}"]
        await asyncio.to_thread(agent.stop, signal.SIGKILL)
        await self._alive(host, False)
        await self._create("bad04")
        await self._refused("bad04", "Exhausted all hosts", "No valid host")
        agent.start()
        await self._alive(host, True)
        await self._create("web05")
        await self._ends("web05", "ACTIVE")
        await self._os("server", "delete", "--wait", "web05")
        await self._empty()

    async def _alive(self, host: str, wanted: bool) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            agents = await self._os.json("network", "agent", "list", "--host", host)
            if all(agent["Alive"] is wanted for agent in agents):
                return
            if time.monotonic() > deadline:
                raise CommandFailed(f"the agent of {host} is not {'alive' if wanted else 'dead'}: {agents}")
            await asyncio.sleep(2)
