"""kill -9 of the manager and of the agent in the middle of operations: afterwards z/VM is as if the operation was
done, or as if nobody had ever asked for it.

The simulated z/VM counts the calls that reach it, so a kill comes right after any chosen call (SMAPI, CP, a disk, the
reader), and sometimes at a moment nobody chose. KILLS of them; `make campaign-kills` does 200.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

import whole_system
from e2e.programs import OVER, Fleet, Manager, Program, fleet, until
from e2e.stack import zvm
from whole_system import differences
from zvmcloud.manager.operations import OPERATIONS

KILLS = int(os.environ.get("KILLS", "6"))
USERID = "LINUX01"
GUEST = f"/v1/guests/ZVM1/{USERID}"
DISKS = [{"size": "10", "boot": True}]


@dataclass(frozen=True, slots=True)
class Case:
    """An operation, asked for in the state `before`, which leads to the state `after`."""

    name: str
    before: str
    after: str
    method: str
    path: str
    body: dict[str, Any] | None = field(default_factory=dict)


def _native(name: str, before: str, after: str, body: dict[str, Any] | None = None) -> Case:
    operation = OPERATIONS[name]
    path = operation.path.format(system="ZVM1", userid=USERID)
    return Case(name, before, after, operation.method, f"/v1{path}", body)


CASES = (
    _native("guest.create", "absent", "defined", {"userid": USERID, "vcpus": 1, "memory_mb": 512, "disks": DISKS}),
    _native("guest.deploy", "defined", "deployed", {"image": "sample", "hostname": "linux01"}),
    _native("guest.delete", "deployed", "absent"),
    _native("guest.start", "deployed", "on"),
    _native("guest.pause", "on", "paused"),
    _native("guest.unpause", "paused", "on"),
    _native("guest.stop", "on", "off"),
    _native("guest.shutdown", "on", "off", {"timeout": 30}),
    _native("guest.reboot", "on", "on"),
    _native("guest.reset", "on", "on"),
    Case(
        "connector create", "absent", "defined", "POST", "/guests",
        {"guest": {"userid": USERID, "vcpus": 1, "memory": 512, "disk_list": [{"size": "10", "is_boot_disk": True}]}},
    ),
    Case("connector nic", "defined", "nic", "POST", f"/guests/{USERID}/nic", {"nic": {"vdev": "1000"}}),
    Case("connector delete", "defined", "absent", "DELETE", f"/guests/{USERID}", None),
)  # fmt: skip
WAYS: dict[str, tuple[str, ...]] = {
    "absent": (),
    "defined": ("guest.create",),
    "deployed": ("guest.create", "guest.deploy"),
    "on": ("guest.create", "guest.deploy", "guest.start"),
    "paused": ("guest.create", "guest.deploy", "guest.start", "guest.pause"),
}
"""How a state is reached from nothing."""
BY_NAME = {case.name: case for case in CASES}


def snapshot(fleet: Fleet) -> dict[str, str]:
    """The whole simulated z/VM."""
    return whole_system.snapshot(fleet.vm.system, USERID)


@contextlib.contextmanager
def counting(fleet: Fleet, at: int, victims: list[Program]) -> Iterator[list[str]]:
    """Kill the victims right after so many calls (0: never); what was called."""
    calls: list[str] = []
    listeners = fleet.vm.members[0].journal.listeners

    def heard(line: str) -> None:
        calls.append(str(json.loads(line)["function"]))
        if len(calls) == at:
            strike(victims)

    listeners.add(heard)
    try:
        yield calls
    finally:
        listeners.discard(heard)


def strike(victims: list[Program]) -> None:
    for victim in victims:
        if victim.process is not None and victim.process.poll() is None:
            victim.process.kill()


class Campaign:
    """One z/VM with its agent and manager, and the reference of every case."""

    def __init__(self, fleet: Fleet, manager: Manager) -> None:
        self.fleet = fleet
        self.manager = manager
        self.length: dict[str, tuple[int, float]] = {}
        """Calls and seconds of each case when nobody is killed."""
        self.expected: dict[str, dict[str, str]] = {}
        self.wrong: list[str] = []

    async def ask(self, case: Case) -> httpx.Response | None:
        """None when the manager was killed before it answered."""
        try:
            return await self.manager.client.request(case.method, case.path, json=case.body)
        except httpx.TransportError:
            return None

    async def run(self, case: Case) -> None:
        answer = await self.ask(case)
        assert answer is not None
        assert answer.is_success, answer.text
        if case.path.startswith("/v1"):
            found = await self.manager.over(answer.json()["id"])
            assert found["state"] == "done", found

    async def bring(self, state: str) -> None:
        """From whatever there is to nothing, and from there to the state."""
        if any(key.startswith("entries") and USERID in key for key in snapshot(self.fleet)) or USERID in (
            self.fleet.vm.system.entries
        ):
            await self.run(BY_NAME["guest.delete"])
        for name in WAYS[state]:
            await self.run(BY_NAME[name])
        await self.settled()

    async def settled(self) -> dict[str, str]:
        """The state, once guests have booted and the agent has given back its disks."""
        last: dict[str, str] = {}
        now = snapshot(self.fleet)
        deadline = time.monotonic() + 20
        while last != now:
            assert time.monotonic() < deadline, differences(last, now)
            await asyncio.sleep(0.25)
            last, now = now, snapshot(self.fleet)
        return now

    async def reference(self, case: Case) -> dict[str, str]:
        """The state after the case when nobody is killed; z/VM is left so."""
        begun = time.monotonic()
        with counting(self.fleet, 0, []) as calls:
            await self.run(case)
        self.length[case.name] = len(calls), time.monotonic() - begun
        self.expected[case.name] = await self.settled()
        return self.expected[case.name]

    async def kill(self, case: Case, number: int) -> None:
        """Ask, kill, start again, wait, and compare."""
        agent = self.fleet.agent
        choices: list[list[Program]] = [[self.manager], [agent], [self.manager, agent]]
        victims = choices[number % 3]
        calls, seconds = self.length[case.name]
        chosen = 0 if number % 4 == 3 or not calls else 1 + (number // 3 + random.randrange(calls)) % calls
        before = await self.settled()
        known = {job["id"] for job in await self.manager.jobs()}
        with counting(self.fleet, chosen, victims) as made:
            asking = asyncio.create_task(self.ask(case))
            deadline = time.monotonic() + (random.uniform(0, seconds * 1.2) if not chosen else seconds * 3 + 1)
            while all(v.process and v.process.poll() is None for v in victims):
                await asyncio.sleep(0.005)
                if time.monotonic() > deadline:
                    strike(victims)
            said = f"{case.name}: {'+'.join(v.name for v in victims)} killed after call {len(made)} ({made[-1:]})"
        for victim in victims:
            await victim.end()
        for victim in reversed(victims):
            await victim.start()
        await asyncio.wait_for(asking, 60)
        jobs = await self.all_over(known)
        wanted = self.expected[case.name] if any(job["state"] == "done" for job in jobs) else before
        found = await self.settled()
        for _ in range(20):
            if found == wanted:
                break
            await asyncio.sleep(0.5)
            found = await self.settled()
        said += ": " + (", ".join(f"{job['kind']} {job['state']}" for job in jobs) or "no job")
        sys.stdout.write(said + "\n")
        wrong = differences(wanted, found)
        if wrong:
            shown = [await self.manager.job(job["id"]) for job in jobs]
            self.wrong.append("\n".join([said, *wrong, json.dumps(shown)[:4000]]))
            sys.stdout.write(self.wrong[-1] + "\n")

    async def all_over(self, known: set[str]) -> list[dict[str, Any]]:
        """The jobs that were begun since, once they are over."""
        new: list[dict[str, Any]] = []

        async def ended() -> bool:
            nonlocal new
            new = [job for job in await self.manager.jobs() if job["id"] not in known]
            return all(job["state"] in OVER for job in new)

        await until(ended, lambda: json.dumps(new), 60)
        return new


@pytest.fixture
async def campaign(tmp_path: Path) -> AsyncIterator[Campaign]:
    async with fleet(tmp_path) as found:
        manager = found.manager("manager")
        await manager.start()
        image = json.loads((await asyncio.to_thread(zvm, "image", "sample", str(tmp_path / "sample.img"))).stdout)
        body = {"image_name": "sample", "url": f"file://{image['path']}", "image_meta": {"os_version": "rhel8.6"}}
        assert (await manager.client.post("/images", json={"image": body})).status_code == 200
        yield Campaign(found, manager)


async def test_after_every_kill_it_was_done_or_never_asked_for(campaign: Campaign) -> None:
    random.seed(int(os.environ.get("SEED", "1")))
    number = 0
    cases = CASES if len(CASES) <= KILLS else random.sample(CASES, 3)
    each = max(1, -(-KILLS // len(cases)))
    for case in cases:
        await campaign.bring(case.before)
        before = await campaign.settled()
        after = await campaign.reference(case)
        assert before != after or case.before == case.after, f"{case.name} changes nothing that is compared"
        for _ in range(each):
            if case.before != case.after and await campaign.settled() != before:
                await campaign.bring(case.before)
            await campaign.kill(case, number)
            number += 1
    without = sorted(set(OPERATIONS) - {case.name for case in CASES})
    sys.stdout.write(f"{number} kills; operations without a case: {', '.join(without) or 'none'}\n")
    assert not campaign.wrong, f"{len(campaign.wrong)} of {number} kills\n" + "\n\n".join(campaign.wrong)
