"""A z/VM whose agent and manager are killed at chosen places, then brought back, and looked at as a whole."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from e2e.kill_cases import STATES, USERID, Ask, Case, State
from e2e.programs import OVER, Fleet, Manager, Nursery, Program, fleet, until
from e2e.stack import zvm
from whole_system import FILE_NUMBER, RECORDS, UNTOLD, differences, numbered, recorded, scrubbed
from zhcp.image_server import ImageServer
from zvmcloud.simulator import luns, spool, storage
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.presets import Model
from zvmcloud.simulator.store import Collection
from zvmcloud.simulator.system import System
from zvmcloud.simulator.values import to_json

PATIENCE = 60.0
Snapshot = dict[str, str]


@dataclass(frozen=True, slots=True)
class Point:
    """Where somebody is killed: behind a ``call`` that reached z/VM, before or after a commit of the ``zhcp`` or the
    ``manager``, or at a moment (``number`` of them is then the part of the usual time that has passed, in percent)."""

    where: str
    number: int
    victims: tuple[str, ...]
    label: str = ""
    when: str = "after"

    def __str__(self) -> str:
        place = f"{self.number} %" if self.where == "moment" else f"{self.where} {self.number} {self.label}".strip()
        return f"{'+'.join(self.victims)} killed {self.when} {place}"


@dataclass(slots=True)
class Known:
    """A case when nobody is killed: z/VM before and after, what was called and committed, and how long it took."""

    before: Snapshot
    after: Snapshot
    calls: list[str]
    commits: dict[str, list[str]]
    seconds: float

    def boundaries(self) -> list[Point]:
        """Between any two steps, before the first, and behind the last one: the manager has just written it down."""
        ends = {"begin", "step", "resume", "close"}
        found = [place for place, label in enumerate(self.commits["manager"], 1) if label in ends]
        both = itertools.cycle((("manager",), ("manager", "zhcp")))
        return [Point("manager", place, next(both), self.commits["manager"][place - 1]) for place in found]

    def inside(self) -> list[Point]:
        """All other places: around every commit of the two, and behind every call."""
        points = [
            Point(program, place, (program,), label, when)
            for program, labels in self.commits.items()
            for place, label in enumerate(labels, 1)
            for when in ("before", "after")
        ]
        turns = itertools.cycle((("zhcp",), ("zhcp", "manager"), ("manager",)))
        points += [Point("call", place, next(turns), name) for place, name in enumerate(self.calls, 1)]
        return sorted(set(points) - set(self.boundaries()), key=str)


@dataclass(slots=True)
class Tally:
    """How the kills of an operation went."""

    kills: int = 0
    done: int = 0
    never: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def told(job: dict[str, Any]) -> str:
    """A job in a few lines."""
    lines = [f"  {job['kind']} {job['state']} {json.dumps(job['error'] and job['error'].get('detail'))}"]
    for step in job["steps"]:
        calls = [f"{call['name']} {call['rc']}/{call['rs']}" for call in step["calls"]]
        lines.append(f"    {step['name']} {step['state']}, {step['attempts']} tries: {step['detail']} {calls}"[:1500])
    return "\n".join(lines)


class Rig:
    """One z/VM with its agent and manager."""

    def __init__(self, fleet: Fleet, manager: Manager, folder: Path, image: Path, url: str, sha256: str) -> None:
        self.fleet = fleet
        self.manager = manager
        self.programs: dict[str, Program] = {"zhcp": fleet.agent, "manager": manager}
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
                self._add_spool(system, found)
                continue
            for key, value in collection.items():
                row = json.dumps(scrubbed(to_json(value)), sort_keys=True)
                found[f"{system.name} {collection.name} {FILE_NUMBER.sub('-.', key)}"] = row
        for key, disk in system.disks.items():
            if disk.owner in STATES_OWN:
                found[f"{system.name} content of {key}"] = self._digest(storage.file_of(system, disk))
        for lun in system.luns.values():
            found[f"{system.name} content of LUN {lun.lun}"] = self._digest(system.lun_folder / luns.file_name(lun))

    def _add_spool(self, system: System, found: Snapshot) -> None:
        """Spool files by their place in the queue: their numbers tell how many there have been."""
        for owner in sorted({file.owner for file in system.spool.values()}):
            for queue in ("RDR", "PUN", "PRT"):
                for place, file in enumerate(spool.files(system, owner, queue)):
                    row = json.dumps(scrubbed(to_json(file)), sort_keys=True)
                    content = self._digest(system.spool_folder / file.file)
                    found[f"{system.name} file {place} of {owner} {queue}"] = f"{row} {content}"

    def _digest(self, path: Path) -> str:
        """SHA-256 of what is written to a file; it is read again when it has changed."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return _NOTHING_WRITTEN
        version = status.st_mtime_ns, status.st_size
        known = self._digests.get(str(path))
        if known is None or known[0] != version:
            known = version, _written(path)
            self._digests[str(path)] = known
        return known[1]

    async def whole(self) -> Snapshot:
        """z/VM, and what the manager has recorded of it."""
        found = self.zvm()
        for path in RECORDS:
            answer = await self.manager.client.get(path)
            assert answer.status_code in {200, 404}, answer.text  # a cluster has no pool of volumes
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

    async def ask(self, ask: Ask) -> httpx.Response:
        body = ask.body(self._facts()) if callable(ask.body) else ask.body
        if ask.text:
            headers = {"content-type": "text/plain"}
            return await self.manager.client.request(ask.method, ask.path, content=ask.text, headers=headers)
        return await self.manager.client.request(ask.method, ask.path, json=body)

    async def run(self, ask: Ask) -> None:
        """Ask, and wait until it is done."""
        answer = await self.ask(ask)
        assert answer.is_success, f"{ask.method} {ask.path}: {answer.text}"
        found = answer.json()
        if ask.path.startswith("/v1") and answer.status_code == 202:
            job = await self.manager.over(found["id"])
            assert job["state"] == "done", job
        elif isinstance(found, dict) and isinstance(found.get("output"), dict) and "zvm_fcp" in found["output"]:
            told = found["output"]
            self._reserved = {"fcps": told["zvm_fcp"], "template": told["fcp_template_id"]}

    # -- states ----------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Start the programs for the first time, and give the manager an image."""
        await self._start(*self.programs.values())
        body = {"image_name": "sample", "url": self._image.as_uri(), "image_meta": {"os_version": "rhel8.6"}}
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
        for name in self.programs:
            await asyncio.to_thread(shutil.copytree, self.fleet.folder / name, place / name)
        (place / "reserved.json").write_text(json.dumps(self._reserved))
        await self._start(*self.programs.values())
        self._kept[state.name] = await self.settled()
        return self._kept[state.name]

    async def back(self, state: State) -> None:
        """To a state that was reached before."""
        await self._end()
        place = self._folder / "states" / state.name
        await self.fleet.vm.load(place / "vm.tar")
        for name in self.programs:
            await asyncio.to_thread(shutil.rmtree, self.fleet.folder / name)
            await asyncio.to_thread(shutil.copytree, place / name, self.fleet.folder / name)
        self._reserved = json.loads((place / "reserved.json").read_text())
        await self._start(*self.programs.values())
        now = await self._becomes(self._kept[state.name])
        assert now == self._kept[state.name], differences(self._kept[state.name], now)

    async def _becomes(self, wanted: Snapshot) -> Snapshot:
        """What there is, as soon as it is what is wanted, or when that takes too long."""
        now: Snapshot = {}

        async def same() -> bool:
            nonlocal now
            now = await self.whole()
            return now == wanted

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
    def _counting(self, at: int, victims: tuple[str, ...]) -> Iterator[list[str]]:
        """Kill the victims right behind so many calls (0: never), before their answer is sent; what was called."""
        calls: list[str] = []

        def heard(line: str) -> None:
            calls.append(str(json.loads(line)["function"]).split(" ")[0])
            if len(calls) == at:
                self._strike(victims)

        journals = [member.journal for member in self.fleet.vm.members]
        for journal in journals:
            journal.listeners.add(heard)
        try:
            yield calls
        finally:
            for journal in journals:
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
        found = await self._becomes(wanted)
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


def _written(path: Path) -> str:
    """SHA-256 of the pieces of a file that are not zeros, and where they are: a hole is as good as zeros."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // _PIECE * _PIECE
            except OSError:  # no data behind this place
                return digest.hexdigest()
            file.seek(at)
            piece = file.read(_PIECE)
            if piece.strip(b"\0"):
                digest.update(f"{at} ".encode() + piece)
            at += _PIECE


_PIECE = 65536
_NOTHING_WRITTEN = hashlib.sha256().hexdigest()

STATES_OWN = {"LINUX01", "GUEST02", "GUEST03", "NEW01"}
"""The guests of the campaign, whose disks are compared byte by byte."""


@contextlib.contextmanager
def nursery(folder: Path) -> Iterator[Nursery]:
    """Where programs are started that find a mkfs.ext4 which gives the same bytes every time."""
    real = shutil.which("mkfs.ext4", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    assert real is not None, "mkfs.ext4 (e2fsprogs) is needed"
    script = folder / "mkfs.ext4"
    uuid = "6a0e8f0c-0000-4000-8000-000000000001"
    seeded = f"$(echo \"$@\" | sed 's/-E \\([^ ]*\\)/-E \\1,hash_seed={uuid}/')"
    script.write_text(f"#!/bin/sh\nexport E2FSPROGS_FAKE_TIME=1700000000\nexec {real} -U {uuid} {seeded}\n")
    script.chmod(0o755)
    made = Nursery({"PATH": f"{folder}:{os.environ['PATH']}"})
    try:
        yield made
    finally:
        made.close()


@asynccontextmanager
async def rig(folder: Path, nursery: Nursery, *, cluster: bool = False) -> AsyncIterator[Rig]:
    """A z/VM, or a cluster of two, with its agent and a manager that has the sample image."""
    folder.mkdir()
    model = Model(ssi="SSI", members=("VM1", "VM2")) if cluster else None
    data = b"a file that a guest is booted from" * 100
    async with fleet(folder, model) as found, ImageServer(data).running() as url:
        with found.vm.system.transaction():
            for device in ("1A03", "1B03"):
                execute(found.vm.system, "ZHCP", f"ATTACH {device} TO * AS {device}")
                luns.set_online(found.vm.system, "ZHCP", device, online=True)
        manager = found.manager("manager", more="[inventory]\nseconds = 0\n")
        image = json.loads((await asyncio.to_thread(zvm, "image", "sample", str(folder / "sample.img"))).stdout)
        found.agent.nursery = manager.nursery = nursery
        await found.agent.end()
        made = Rig(found, manager, folder, Path(image["path"]), url, hashlib.sha256(data).hexdigest())
        await made.begin()
        yield made
