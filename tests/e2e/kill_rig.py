"""A z/VM whose agents and manager are killed at chosen places, then brought back, and looked at as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

import postgres
from e2e.kill_cases import Case, images
from e2e.kill_places import Called, Known, Point, Snapshot, Tally, told
from e2e.kill_states import MEMBERS, STATES, USERID, Ask, State
from e2e.programs import OVER, Fleet, Manager, Nursery, Program, fleet, until
from e2e.stack import zvm
from whole_system import (
    FILE_NUMBER,
    UNTOLD,
    anywhere,
    content,
    differences,
    numbered,
    recorded,
    records,
    scrubbed,
    spooled,
)
from zhcp.image_server import ImageServer
from zvmcloud.simulator import luns, storage
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.presets import Model
from zvmcloud.simulator.store import Collection
from zvmcloud.simulator.system import System
from zvmcloud.simulator.values import to_json

PATIENCE = 240.0


class Rig:
    """One z/VM, or a cluster, with its agents and manager."""

    def __init__(self, fleet: Fleet, manager: Manager, folder: Path, image: Path, url: str, sha256: str) -> None:
        self.fleet = fleet
        self.manager = manager
        self.programs: dict[str, Program] = {agent.name: agent for agent in fleet.agents.values()}
        self.programs["manager"] = manager
        self._folder = folder
        self._image = image
        self._file = {"url": url, "sha256": sha256}
        self._orders = itertools.count(1)
        self._kept: dict[str, Snapshot] = {}
        """States that were reached, with what z/VM was then."""
        self._reserved: dict[str, Any] = {}
        """FCP devices and their template: what some bodies name."""
        self._digests: dict[str, tuple[tuple[int, int], str]] = {}

    # -- looking ---------------------------------------------------------------------------------------------------

    def zvm(self) -> Snapshot:
        """The whole simulated z/VM: every row of its model, what is on its disks, and what is in its spool files."""
        found: Snapshot = {}
        for member in self.fleet.vm.members:
            self._add(member.system, found)
        return numbered(found)

    def _add(self, system: System, found: Snapshot) -> None:
        for collection in (item for item in vars(system).values() if isinstance(item, Collection)):
            if collection.name in UNTOLD:
                continue
            if collection.name == "spool":
                found |= {f"{system.name} {place}": text for place, text in spooled(system).items()}
                continue
            for key, value in collection.items():
                row = json.dumps(scrubbed(to_json(value)), sort_keys=True)
                found[f"{system.name} {collection.name} {FILE_NUMBER.sub('-.', key)}"] = row
        for key, disk in system.disks.items():
            if disk.owner in STATES_OWN:
                found[f"{system.name} content of {key}"] = self._digest(storage.file_of(system, disk))
        for key, lun in system.luns.items():
            found[f"{system.name} content of LUN {key}"] = self._digest(system.lun_folder / luns.file_name(lun))

    def _digest(self, path: Path) -> str:
        """What is in a file; it is read again when it has changed."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return content(path)
        version = status.st_mtime_ns, status.st_size
        known = self._digests.get(str(path))
        if known is None or known[0] != version:
            known = version, content(path)
            self._digests[str(path)] = known
        return known[1]

    async def whole(self) -> Snapshot:
        """z/VM, and what the manager has recorded of it."""
        found = self.zvm()
        for path in records(self.fleet.agents):
            answer = await self.manager.client.get(path)
            assert answer.status_code in {200, 404}, answer.text  # before a pool is made
            found[f"records {path}"] = recorded(answer.json())
        return found

    async def settled(self) -> Snapshot:
        """The same, once guests have booted and the agent has given back its disks."""
        last: Snapshot = {}
        now = await self.whole()
        deadline = time.monotonic() + PATIENCE
        while last != now:
            assert time.monotonic() < deadline, differences(last, now)
            await asyncio.sleep(0.3)
            last, now = now, await self.whole()
        return now

    # -- asking ----------------------------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        system = self.fleet.vm.system
        files = [item for item in system.spool.values() if item.owner == USERID and item.queue == "RDR"]
        return {**self._file, **self._reserved, "spool": [item.spoolid for item in files]}

    async def ask(self, ask: Ask, **query: str) -> httpx.Response:
        body = ask.body(self._facts()) if callable(ask.body) else ask.body
        if ask.text:
            headers = {"content-type": "text/plain"}
            return await self.manager.client.request(ask.method, ask.path, content=ask.text, headers=headers)
        return await self.manager.client.request(ask.method, ask.path, json=body, params=query)

    async def run(self, ask: Ask) -> None:
        """Ask, and wait until it is done."""
        answer = await self.ask(ask)
        assert answer.is_success, f"{ask.method} {ask.path}: {answer.text}"
        found = answer.json()
        if ask.path.startswith("/v1") and answer.status_code == 202:
            job = await self.manager.over(found["id"], PATIENCE)
            assert job["state"] == "done", job
        elif isinstance(found, dict) and isinstance(found.get("output"), dict) and "zvm_fcp" in found["output"]:
            told = found["output"]
            self._reserved = {"fcps": told["zvm_fcp"], "template": told["fcp_template_id"]}

    # -- states ----------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Start the programs for the first time, and give the manager images."""
        await self._start(*self.programs.values())
        for body in images(self._image, self._folder):
            answer = await self.manager.client.post("/images", json={"image": body})
            assert answer.status_code == 200, answer.text

    async def bring(self, state: State) -> Snapshot:
        """To that state, as it was when it was first reached; the whole z/VM then."""
        if state.name in self._kept:
            await self.back(state)
            return self._kept[state.name]
        if state.parent:
            await self.bring(STATES[state.parent])
        for ask in state.asks:
            await self.run(ask)
        await self.settled()
        await self._end()
        place = self._folder / "states" / state.name
        place.mkdir(parents=True)
        await asyncio.to_thread(self.fleet.vm.save, place / "vm.tar")
        for program in self.programs.values():
            await asyncio.to_thread(program.save, place)
        (place / "reserved.json").write_text(json.dumps(self._reserved))
        await self._start(*self.programs.values())
        self._kept[state.name] = await self.settled()
        return self._kept[state.name]

    async def back(self, state: State) -> None:
        """To a state that was reached before."""
        await self._end()
        place = self._folder / "states" / state.name
        await self.fleet.vm.load(place / "vm.tar")
        for program in self.programs.values():
            await asyncio.to_thread(program.load, place)
        self._reserved = json.loads((place / "reserved.json").read_text())
        await self._start(*self.programs.values())
        now = await self.becomes(self._kept[state.name])
        assert now == self._kept[state.name], differences(self._kept[state.name], now)

    async def becomes(self, wanted: Snapshot, together: bool = False) -> Snapshot:
        """What there is, as soon as it is what is wanted, or when that takes too long. ``together``: see
        :func:`anywhere`."""
        now: Snapshot = {}

        async def same() -> bool:
            nonlocal now
            now = await self.whole()
            return now == wanted or (together and anywhere(now) == anywhere(wanted))

        with contextlib.suppress(AssertionError):
            await until(same, str, 20, pause=0.2)
        return now

    async def _end(self) -> None:
        await asyncio.gather(*(program.end() for program in self.programs.values()))

    @staticmethod
    async def _start(*programs: Program) -> None:
        await asyncio.gather(*(program.start() for program in programs))

    # -- killing ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _counting(self, at: int | str, victims: tuple[str, ...]) -> Iterator[list[Called]]:
        """Kill the victims right behind so many calls (0: never), or behind calls of that name, before their answer is
        sent; what was called."""
        calls: list[Called] = []

        def hears(agent: str) -> Callable[[str], None]:
            def heard(line: str) -> None:
                calls.append(Called(str(json.loads(line)["function"]).split(" ")[0], agent))
                if at in (len(calls), calls[-1].function):
                    self._strike(victims)

            return heard

        listeners = [
            (member.journal, hears(agent.name))
            for member, agent in zip(self.fleet.vm.members, self.fleet.agents.values(), strict=False)
        ]
        for journal, heard in listeners:
            journal.listeners.add(heard)
        try:
            yield calls
        finally:
            for journal, heard in listeners:
                journal.listeners.discard(heard)

    @contextlib.contextmanager
    def _ordered(self, point: Point | None) -> Iterator[int]:
        """The programs count their commits; the one that the point names dies at its own. The number of the order."""
        order = next(self._orders)
        files = {name: Path(f"{program.start_of_names}.kill") for name, program in self.programs.items()}
        for name, file in files.items():
            mine = point is not None and point.where == name
            text = f"{order} {point.number} {point.when}" if mine and point is not None else f"{order} 0 never"
            file.with_suffix(".new").write_text(text)
            file.with_suffix(".new").replace(file)
        try:
            yield order
        finally:
            for file in files.values():
                file.unlink()

    def _committed(self, order: int) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, program in self.programs.items():
            told = Path(f"{program.start_of_names}.commits")
            lines = [line.split() for line in told.read_text().splitlines()] if told.exists() else []
            found[name] = [label for number, label in lines if number == str(order)]
        return found

    def _strike(self, victims: tuple[str, ...]) -> None:
        for name in victims:
            process = self.programs[name].process
            if process is not None and process.poll() is None:
                process.kill()

    async def known(self, case: Case) -> Known:
        """The case when nobody is killed; z/VM is left as it is then."""
        before = await self.bring(STATES[case.state])
        begun = time.monotonic()
        with self._counting(0, ()) as calls, self._ordered(None) as order:
            await self.run(case.ask)
            seconds = time.monotonic() - begun
            after = await self.settled()
        assert case.same or before != after, f"{case.name} changes nothing that is compared"
        assert not case.same or before == after, differences(before, after)
        return Known(before, after, calls, self._committed(order), seconds)

    async def kill(self, case: Case, known: Known, point: Point, tally: Tally) -> bool:
        """Ask, kill, start again, wait, and compare. Whether z/VM is as it was before."""
        begun = time.monotonic()
        jobs_before = {job["id"] for job in await self.manager.jobs()}
        dead = False
        at = point.number if point.where == "call" else 0
        wait = known.seconds * point.number / 100 if point.where == "moment" else known.seconds * 3 + 10
        with self._counting(at, point.victims), self._ordered(point):
            asking = asyncio.create_task(self._asked(case.ask))
            deadline = time.monotonic() + wait
            while not dead:
                dead = any(self._gone(name) for name in point.victims)
                if not dead and time.monotonic() > deadline:
                    break
                await asyncio.sleep(0.002)
            self._strike(point.victims)
        victims = [self.programs[name] for name in point.victims]
        for victim in victims:
            await victim.end()
        await self._start(*victims)
        await asyncio.wait_for(asking, PATIENCE)
        jobs = await self._all_over(jobs_before)
        done = any(job["state"] == "done" and not job["parent"] for job in jobs)
        wanted = known.after if done else known.before
        found = await self.becomes(wanted, case.together)
        if case.together:
            wanted, found = anywhere(wanted), anywhere(found)
        tally.kills += 1
        tally.done += done
        tally.never += not done
        tally.seconds += time.monotonic() - begun
        if found != wanted:
            shown = [told(await self.manager.job(job["id"])) for job in jobs]
            late = "" if dead or point.where == "moment" else " (the place was not reached)"
            said = f"{case.name}: {point}{late}: " + (
                ", ".join(f"{job['kind']} {job['state']}" for job in jobs) or "no job"
            )
            tally.wrong.append("\n".join([said, *differences(wanted, found), *shown]))
        return found == known.before

    async def cut_off(self, case: Case, call: str) -> dict[str, Any]:
        """Kill the manager behind a call of the job's first step, and the agent when it has done that step; start the
        manager, have it cancel the job, start the agent. The job, when it is over."""
        plan = (await self.ask(case.ask, dry_run="true")).json()
        job, step = plan["id"], plan["steps"][0]["name"]
        with self._counting(call, ("manager",)):
            await self._asked(Ask("POST", f"/v1/plans/{job}/apply"))
            await until(lambda: self._is_gone("manager"), self.manager.log)

        async def over() -> bool:
            found = (await self.fleet.agent.client.get(f"/v1/operations/{job}/{step}")).json()
            return bool(found["state"] == "done")

        await until(over, self.fleet.agent.log)
        await self.fleet.agent.end()
        await self.manager.end()
        await self.manager.start()
        assert (await self.manager.client.post(f"/v1/jobs/{job}/cancel")).status_code == 200  # the agent is told later
        assert (await self.manager.job(job))["state"] not in OVER
        await self.fleet.agent.start()
        return await self.manager.over(job)

    async def _is_gone(self, name: str) -> bool:
        return self._gone(name)

    def _gone(self, name: str) -> bool:
        process = self.programs[name].process
        return process is None or process.poll() is not None

    async def _asked(self, ask: Ask) -> None:
        """The manager may be killed before it answers."""
        with contextlib.suppress(httpx.TransportError):
            await self.ask(ask)

    async def _all_over(self, known: set[str]) -> list[dict[str, Any]]:
        """The jobs that were begun since, once they are over."""
        new: list[dict[str, Any]] = []

        async def ended() -> bool:
            nonlocal new
            new = [job for job in await self.manager.jobs() if job["id"] not in known]
            return all(job["state"] in OVER for job in new)

        await until(ended, lambda: json.dumps(new) + self.manager.log() + self.fleet.agent.log(), PATIENCE)
        return new


STATES_OWN = {"LINUX01", "GUEST02", "GUEST03", "NEW01", "NEW02"}
"""The guests of the campaign, whose disks are compared byte by byte."""


@asynccontextmanager
async def rig(
    folder: Path, nursery: Nursery, server: postgres.Server | None = None, *, cluster: bool = False
) -> AsyncIterator[Rig]:
    """A z/VM with its agent, or a cluster of three of which two are managed, and a manager that has the sample image;
    on SQLite, or on a PostgreSQL server."""
    folder.mkdir()
    model = Model(ssi="SSI", members=MEMBERS) if cluster else None
    data = b"a file that a guest is booted from" * 100
    async with fleet(folder, model, 2 if cluster else 1) as found, ImageServer(data).running() as url:
        for system in (member.system for member in found.vm.members if member.name in found.agents):
            with system.transaction():
                for device in ("1A03", "1B03"):
                    execute(system, "ZHCP", f"ATTACH {device} TO * AS {device}")
                    luns.set_online(system, "ZHCP", device, online=True)
        database = postgres.Kept(server) if server is not None else None
        manager = found.manager("manager", "[inventory]\nseconds = 0\n", database)
        image = json.loads((await asyncio.to_thread(zvm, "image", "sample", str(folder / "sample.img"))).stdout)
        for program in (manager, *found.agents.values()):
            program.nursery = nursery
        for agent in found.agents.values():
            await agent.end()
        made = Rig(found, manager, folder, Path(image["path"]), url, hashlib.sha256(data).hexdigest())
        await made.begin()
        yield made
